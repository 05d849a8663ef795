"""The selector: how likely a sentence states what is asked, from question and passage read together by rag.models.joint's model.

Its folder holds the whole model: config.json and tokenizer.json, what was learnt in model.safetensors (the upper layers and the
head), and in kept.safetensors what stayed as the encoder has it (embeddings and lower layers), both packed (rag.models.packed).
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rag.errors import ModelFailed
from rag.language import simplify
from rag.models.cores import precision, share
from rag.models.resolve import checked, identity
from rag.ports import Layout, Scores

if TYPE_CHECKING:
    from torch import Tensor

    from rag.models.joint import Ids, JointEncoder, Marked, Question

KEPT, LEARNT = "kept.safetensors", "model.safetensors"
ASKED, BEFORE, SUBJECT, PIECE, PASSAGE = 64, 64, 40, 100, 400  # tokens that are read of each; the rest is cut off
REMEMBERED = 256  # passages, some 120 kB each
_QUESTION, _PASSAGE = "query: ", "passage: "  # as multilingual E5 learnt to tell them apart (Wang et al. 2024)
REMEDY = "set models.selector to a folder made by `python -m rag tune selector`, to default, or to nothing"


class SentenceSelector:
    """The Selector port over a folder made by `python -m rag tune selector`."""

    def __init__(self, folder: Path, device: str = "cpu", threads: int = 0, dtype: str = "auto") -> None:
        """Raises ModelMissing."""
        self._folder = checked(folder, "models.selector")
        self._device, self._threads = device, threads
        self._dtype = precision(dtype, device)
        self._loading = threading.Lock()  # held for what is loaded and remembered, never while the model reads
        self._loaded: tuple[JointEncoder, Tokens] | None = None
        self._states: OrderedDict[Ids, Tensor] = OrderedDict()
        self.fingerprint = f"{identity(folder)}/{self._dtype}"

    def load(self) -> tuple[JointEncoder, Tokens]:
        """Bring the weights into memory now. Raises ModelFailed."""
        with self._loading:
            if self._loaded is None:
                self._loaded = self._read()
            return self._loaded

    def score(self, question: str, passages: Sequence[Layout], before: str = "") -> Scores:
        """Shape (units of all passages,), float64: how much more each says of what is asked than nothing does, as a difference of
        logits. Comparable across questions. `before` is what was said just before. Raises ModelFailed.
        """
        shown = [passage for passage in passages if passage.units]
        if not shown:
            return np.zeros(0)
        model, tokens = self.load()
        import torch

        try:
            with torch.inference_mode():
                read = tokens.passages(shown)
                known = self._remembered(model, [ids for ids, _ in read])
                found: Scores = model([(tokens.question(question, before), read)], known)[0].double().cpu().numpy()
        except RuntimeError as error:
            raise self._failed(f"{type(error).__name__}: {error}") from error
        if not np.isfinite(found).all():
            raise self._failed("numbers that are not finite")
        return found

    def _remembered(self, model: JointEncoder, passages: Sequence[Ids]) -> dict[Ids, Tensor]:
        """What the lower layers make of passages; the last ones are kept, since the same are found again and again."""
        with self._loading:
            known = {ids: self._states[ids] for ids in passages if ids in self._states}
        made = model.encode([ids for ids in dict.fromkeys(passages) if ids not in known])
        known |= {ids: states.clone() for ids, states in made.items()}  # a part of a batch would keep all of it in memory
        with self._loading:
            for ids, states in known.items():
                self._states[ids] = states
                self._states.move_to_end(ids)
            while len(self._states) > REMEMBERED:
                self._states.popitem(last=False)
        return known

    def _read(self) -> tuple[JointEncoder, Tokens]:
        share()
        import torch
        from safetensors import SafetensorError

        if self._threads:
            torch.set_num_threads(self._threads)
        try:
            model, tokens = read(self._folder), Tokens(self._folder)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise self._failed(f"{type(error).__name__}: {error}") from error
        return model.to(self._device, getattr(torch, self._dtype)).eval(), tokens

    def _failed(self, found: str) -> ModelFailed:
        return ModelFailed(expected=f"one finite score a sentence from a selector in {self._folder}", found=found, remedy=REMEDY)


def read(folder: Path) -> JointEncoder:
    """The model in a selector's folder, float32. Raises ValueError for weights that are missing or too many, OSError, KeyError,
    RuntimeError for shapes that differ, SafetensorError.
    """
    from safetensors.torch import load_file
    from transformers import BertConfig

    from rag.models.joint import JointEncoder
    from rag.models.packed import unpack

    model = JointEncoder(BertConfig.from_pretrained(str(folder), local_files_only=True))
    weights = unpack(load_file(folder / KEPT)) | unpack(load_file(folder / LEARNT))
    if differing := {name for name, _ in model.named_parameters()} ^ set(weights):
        raise ValueError(f"weights that are missing or too many, such as {min(differing)}")
    model.load_state_dict(weights, strict=False)  # buffers, which hold no weights, are not in the files
    return model


class Tokens:
    """Questions and passages as the model reads them; traditional Chinese is read as simplified."""

    def __init__(self, folder: Path) -> None:
        """From a folder with a tokenizer.json and the model's config.json."""
        from tokenizers import Tokenizer

        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self._most = min(PASSAGE, config.get("max_position_embeddings", PASSAGE))
        self._tokenizer = Tokenizer.from_str((folder / "tokenizer.json").read_text(encoding="utf-8"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._first, self._last = self._tokenizer.encode("").ids

    def question(self, text: str, before: str = "") -> Question:
        """Its tokens, special ones included; behind them, not counted, the last of what was said `before`."""
        asked, said = self._plain([_QUESTION + text, before])
        own = (self._first, *asked[: ASKED - 2], self._last)
        return ((*own, *said[-BEFORE:], self._last) if said else own), len(own)

    def passages(self, layouts: Sequence[Layout]) -> list[Marked]:
        """The tokens of each, and where its units are."""
        texts = [[_PASSAGE + layout.subject, *layout.pieces] for layout in layouts]
        rows = iter(self._plain(list(chain.from_iterable(texts))))
        return [self._marked([next(rows) for _ in found], layout) for found, layout in zip(texts, layouts, strict=True)]

    def _marked(self, rows: Sequence[Sequence[int]], layout: Layout) -> Marked:
        """From the tokens of the subject and of each piece; pieces that have no room share the last token."""
        ids = [self._first, *rows[0][:SUBJECT], self._last]
        spans: list[tuple[int, int]] = []
        for row in rows[1:]:
            start = len(ids)
            if (room := self._most - start - 1) > 0:
                ids += [*row[: min(PIECE, room)], self._last]
            spans.append((min(start, len(ids) - 1), len(ids)))
        return tuple(ids), tuple((spans[first][0], spans[end - 1][1]) for first, end in layout.units)

    def _plain(self, texts: Sequence[str]) -> list[list[int]]:
        found = self._tokenizer.encode_batch([simplify(text) for text in texts], add_special_tokens=False)
        return [row.ids for row in found]
