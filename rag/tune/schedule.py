"""What every training here shares: the rate of a step, and checkpoints that a killed run goes on from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

CHECKPOINT = "checkpoint.pt"


class Stateful(Protocol):
    """A model or an optimizer, or the part of one that is trained."""

    def state_dict(self) -> Mapping[str, Any]:
        """Name -> weight."""

    def load_state_dict(self, state_dict: dict[str, Any], /) -> object:
        """Put them back."""


def share(step: int, steps: int, warm_up: int) -> float:
    """Of the peak rate: up in a line, down along a cosine to a fiftieth."""
    if step < warm_up:
        return (step + 1) / warm_up
    done = (step - warm_up) / max(steps - warm_up, 1)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done))


def save(folder: Path, model: Stateful, optimizer: Stateful, step: int) -> None:
    """Keep the state after `step` steps; a kill leaves the checkpoint before it."""
    import torch

    new = folder / f"{CHECKPOINT}.new"
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, new)
    new.replace(folder / CHECKPOINT)


def resume(folder: Path, model: Stateful, optimizer: Stateful) -> int:
    """Take up the checkpoint in `folder`; the steps that were taken, 0 without one."""
    import torch

    path = folder / CHECKPOINT
    if not path.is_file():
        return 0
    kept = torch.load(path, weights_only=True)
    model.load_state_dict(kept["model"])
    optimizer.load_state_dict(kept["optimizer"])
    return int(kept["step"])
