"""The selector: how likely a sentence states what is asked, from both read together by the model of rag.models.joint.

Its folder holds what was learnt, the upper layers and the head; the rest is the bilingual embedder's, which ships beside it.
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rag.errors import ModelFailed
from rag.language import simplify
from rag.models.cores import precision, share
from rag.models.resolve import checked, identity
from rag.ports import Scores

if TYPE_CHECKING:
    from rag.models.joint import JointEncoder

ASKED, STATED = 64, 96  # tokens of a question and of a sentence that are read; the rest is cut off
REMEDY = "set models.selector to a folder made by `python -m rag tune selector`, to default, or to nothing"


class SentenceSelector:
    """The Selector port over a folder made by `python -m rag tune selector` and the embedder that it was made from."""

    def __init__(self, folder: Path, embedder: Path, device: str = "cpu", threads: int = 0, dtype: str = "auto") -> None:
        """Raises ModelMissing, and ModelFailed for a folder made from another embedder."""
        self._folder, self._embedder = checked(folder, "models.selector"), embedder
        self._device, self._threads = device, threads
        self._dtype = precision(dtype, device)
        self._loading = threading.Lock()
        self._model: JointEncoder | None = None
        base, own = self._made_from(), identity(embedder)
        if base != own:
            raise ModelFailed(expected=f"a selector made from {own} in {folder}", found=f"one made from {base}", remedy=REMEDY)
        self.fingerprint = f"{identity(folder)}/{self._dtype}"

    def load(self) -> None:
        """Bring the weights into memory now. Raises ModelFailed."""
        with self._loading:
            if self._model is None:
                self._model = self._loaded()

    def score(self, question: str, sentences: Sequence[str]) -> Scores:
        """Shape (len(sentences),), float64: how much more each says of what is asked than nothing does, as a difference of
        logits. Comparable across questions. Raises ModelFailed.
        """
        if not sentences:
            return np.zeros(0)
        self.load()
        assert self._model is not None
        import torch

        asked, stated = self._tokens([question], ASKED), self._tokens(sentences, STATED)
        try:
            with torch.inference_mode():
                found: Scores = self._model([(asked[0], stated)])[0].double().cpu().numpy()
        except RuntimeError as error:
            raise self._failed(f"{type(error).__name__}: {error}") from error
        if not np.isfinite(found).all():
            raise self._failed("numbers that are not finite")
        return found

    @functools.cached_property
    def _tokens(self) -> Callable[[Sequence[str], int], list[list[int]]]:
        return tokenizer_of(self._embedder)

    def _made_from(self) -> str:
        try:
            return str(json.loads((self._folder / "config.json").read_text(encoding="utf-8"))["embedder"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._failed(f"a config.json that does not tell its embedder ({type(error).__name__})") from error

    def _loaded(self) -> JointEncoder:
        share()
        import torch
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        from rag.models.joint import JointEncoder

        if self._threads:
            torch.set_num_threads(self._threads)
        try:
            model = JointEncoder.of(self._embedder)
            learnt = load_file(self._folder / "model.safetensors")
            if differing := {name for name, _ in model.learnt()} ^ set(learnt):
                raise ValueError(f"weights that are missing or too many, such as {min(differing)}")
            model.load_state_dict(learnt, strict=False)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise self._failed(f"{type(error).__name__}: {error}") from error
        return model.to(self._device, getattr(torch, self._dtype)).eval()

    def _failed(self, found: str) -> ModelFailed:
        return ModelFailed(expected=f"one finite score a sentence from a selector in {self._folder}", found=found, remedy=REMEDY)


def tokenizer_of(embedder: Path) -> Callable[[Sequence[str], int], list[list[int]]]:
    """Texts -> ids of each, special tokens included, cut to so many; traditional Chinese is read as simplified."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(embedder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def tokens(texts: Sequence[str], most: int) -> list[list[int]]:
        rows = [row.ids for row in tokenizer.encode_batch([simplify(text) for text in texts])]
        return [row if len(row) <= most else [*row[: most - 1], row[-1]] for row in rows]

    return tokens
