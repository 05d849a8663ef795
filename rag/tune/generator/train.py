"""LoRA on the generator: answers only in the loss, the rest of the model in half precision, checkpoints to go on from."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from rag.models.adapter import checked
from rag.tune.generator.pack import IGNORED, Row
from rag.tune.schedule import resume, save, share

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """The numbers of a run; they go into the model card."""

    steps: int = 600
    seed: int = 0
    rank: int = 32
    alpha: int = 64
    dropout: float = 0.0  # drawing it takes a fifth of a step here
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    rate: float = 6e-4  # at its peak
    warm_up: int = 30
    weight_decay: float = 0.01
    lessons: int = 4  # a step, one forward pass each
    every: int = 60  # steps between checkpoints
    patience: int = 4  # checkpoints without a lower loss of validation after which a run ends
    compiled: bool = False  # layers by torch.compile: a fifth faster after a minute or two, needs a C++ compiler


def adapted(model: Any, plan: Plan, start: Path | None = None) -> Any:  # noqa: ANN401 - peft ships no types mypy can follow
    """The model with new adapters in single precision, or those of the folder `start`, its own weights frozen.

    Raises ModelMissing, ModelFailed for a folder that holds no LoRA adapter.
    """
    from peft import LoraConfig, PeftModel, get_peft_model

    torch.manual_seed(plan.seed)
    if start:
        checked(start)
        return PeftModel.from_pretrained(model, str(start), is_trainable=True)
    config = LoraConfig(
        r=plan.rank, lora_alpha=plan.alpha, lora_dropout=plan.dropout, target_modules=list(plan.targets), task_type="CAUSAL_LM"
    )
    return get_peft_model(model, config)


@contextlib.contextmanager
def _compiled(model: Any, wanted: bool) -> Iterator[None]:  # noqa: ANN401
    """The model's layers compiled meanwhile, for rows of any length."""
    layers = list(model.get_base_model().model.layers) if wanted else []
    for layer in layers:
        layer.forward = torch.compile(layer.forward, dynamic=True)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def train(
    model: Any,  # noqa: ANN401
    rows: Sequence[Row],
    held_out: Sequence[Row],
    plan: Plan,
    folder: Path,
    write: Callable[[int, dict[str, float]], None] = lambda *_: None,
) -> None:
    """Run the plan, from the checkpoint in `folder` if there is one, until its end or until validation has stopped falling.

    At every checkpoint the loss on `held_out` goes to curve.jsonl and to `write(step, figures)`; the adapter with the lowest is
    what the model ends with.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=plan.rate, weight_decay=plan.weight_decay, fused=True)
    first = resume(folder, Adapter(model), optimizer)
    curve = _read(folder / "curve.jsonl", first)
    model.train()
    started, losses = time.monotonic(), [0.0]
    with _compiled(model, plan.compiled):
        for step, chosen in enumerate(itertools.islice(_drawn(len(rows), plan), plan.steps)):
            if step < first:
                continue
            for group in optimizer.param_groups:
                group["lr"] = plan.rate * share(step, plan.steps, plan.warm_up)
            torch.manual_seed(plan.seed * 1_000_003 + step)  # of dropout
            losses.append(_backward(model, [rows[number] for number in chosen]))
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            if (step + 1) % plan.every and step + 1 < plan.steps:
                continue
            figures = {"loss": round(float(np.mean(losses[-plan.every :])), 4), "validation": validate(model, held_out)}
            lowest = min([entry["validation"] for entry in curve], default=float("inf"))
            if figures["validation"] <= lowest:
                torch.save(Adapter(model).state_dict(), folder / "best.pt")
            save(folder, Adapter(model), optimizer, step + 1)
            curve.append({"step": step + 1, "seconds": round(time.monotonic() - started), **figures})
            (folder / "curve.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in curve), encoding="utf-8")
            write(step + 1, figures)
            log.warning("%s", curve[-1])
            if min(entry["validation"] for entry in curve[-plan.patience :]) > lowest:
                break
    Adapter(model).load_state_dict(torch.load(folder / "best.pt", weights_only=True))
    model.eval()


def _drawn(count: int, plan: Plan) -> Iterator[list[int]]:
    """Numbers of the rows of each step; all come before any comes again."""
    dice, order = random.Random(plan.seed), list[int]()
    while True:
        if len(order) < plan.lessons:
            order += dice.sample(range(count), count)
        yield order[: plan.lessons]
        order = order[plan.lessons :]


def _backward(model: Any, rows: Sequence[Row]) -> float:  # noqa: ANN401
    """Gradients of the weighted mean loss of these rows' learnt tokens, one row at a time; the loss."""
    learnt, total = sum(float(row.weights.sum()) for row in rows), 0.0
    for row in rows:
        loss = _loss(model, row) / learnt
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    return total


def validate(model: Any, rows: Sequence[Row]) -> float:  # noqa: ANN401
    """Weighted mean loss of a learnt token of these rows."""
    model.eval()
    with torch.no_grad():
        total = sum(float(_loss(model, row)) for row in rows)
    model.train()
    return round(total / max(sum(float(row.weights.sum()) for row in rows), 1.0), 4)


class Adapter:
    """The trained weights of a model alone, as what checkpoints keep."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401
        self._own = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}

    def state_dict(self) -> dict[str, Any]:
        """Name -> weight."""
        return {name: parameter.detach().clone() for name, parameter in self._own.items()}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Put the weights back. Raises KeyError for one that is missing."""
        with torch.no_grad():
            for name, parameter in self._own.items():
                parameter.copy_(state_dict[name])


def _loss(model: Any, row: Row) -> torch.Tensor:  # noqa: ANN401
    """Weighted sum of the losses of the row's learnt tokens; logits are made for these alone."""
    core = model.get_base_model()
    with torch.autocast("cpu", torch.bfloat16):
        hidden = core.model(
            input_ids=row.ids[None], position_ids=row.positions[None], attention_mask=_masks(core.config, row), use_cache=False
        ).last_hidden_state[0]
        places = (row.labels != IGNORED).nonzero()[:, 0]
        logits = core.lm_head(hidden[places - 1])
    losses = functional.cross_entropy(logits.float(), row.labels[places], reduction="none")
    return (losses * row.weights[places]).sum()


def _masks(config: Any, row: Row) -> Any:  # noqa: ANN401
    """The row's mask, by kind of layer where some see only what is near, as transformers wants it."""
    mask = row.mask()
    if "sliding_attention" not in (getattr(config, "layer_types", None) or ()):
        return mask
    near = row.positions[:, None] - row.positions[None] < config.sliding_window
    return {"full_attention": mask, "sliding_attention": mask & near}


def _read(path: Path, first: int) -> list[dict[str, Any]]:
    """The curve up to the checkpoint that is gone on from."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [entry for entry in map(json.loads, lines) if entry["step"] <= first]
