"""Rerankers: how well a text answers a question, from both read together, or from their tokens' vectors.

A cross-encoder reads question and text as one, so each costs a pass through the model. Late interaction (ColBERT, Khattab and
Zaharia 2020) compares token vectors of the embedder that is loaded anyway; those of a text do not depend on the question and
are kept.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelFailed
from rag.language import simplify
from rag.models.cores import precision, share
from rag.models.resolve import identity
from rag.ports import Embedder, Scores, TokenEmbedder, Vectors

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

LATE = "late-interaction"  # the setting that needs no further model
REMEDY = "set models.reranker to a cross-encoder with one score in safetensors, to late-interaction, or to nothing"


class CrossEncoderReranker:
    """The Reranker port over a folder that rag.models.resolve found.

    Raises ModelFailed at once for a model that is none, such as an embedder: its head would be random numbers.
    """

    def __init__(
        self,
        folder: Path,
        device: str = "cpu",
        threads: int = 0,
        length: int = 256,
        batch_size: int = 32,
        dtype: str = "float32",
    ) -> None:
        """`length`: tokens of question and text together that are read. `dtype` as for an embedder."""
        self._folder, self._device, self._threads = folder, device, threads
        self._dtype = precision(dtype, device)
        self._length, self._batch_size = length, batch_size
        self._loading = threading.Lock()
        self._model: CrossEncoder | None = None
        self._check()
        self.fingerprint = f"{identity(folder)}/simplified/{self._dtype}/{length}"

    def load(self) -> None:
        """Bring the weights into memory now. Raises ModelFailed."""
        with self._loading:
            if self._model is None:
                self._model = self._loaded()

    def score(self, query: str, texts: Sequence[str]) -> Scores:
        """Shape (len(texts),), logits in the order given, higher is better. Raises ModelFailed."""
        if not texts:
            return np.zeros(0)
        self.load()
        assert self._model is not None
        from torch.nn import Identity

        asked = simplify(query)
        try:
            scores = self._model.predict(
                [(asked, simplify(text)) for text in texts],
                batch_size=self._batch_size,
                activation_fn=Identity(),
                show_progress_bar=False,
            )
        except RuntimeError as error:
            raise self._failed(f"{type(error).__name__}: {error}") from error
        found: Scores = np.asarray(scores, dtype=np.float64)
        if found.shape != (len(texts),) or not np.isfinite(found).all():
            raise self._failed(f"shape {found.shape}, or numbers that are not finite")
        return found

    def _loaded(self) -> CrossEncoder:
        share()
        import torch
        from safetensors import SafetensorError
        from sentence_transformers import CrossEncoder
        from transformers.utils import logging

        logging.disable_progress_bar()
        if self._threads:
            torch.set_num_threads(self._threads)
        try:
            model = CrossEncoder(
                str(self._folder),
                device=self._device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True, "dtype": getattr(torch, self._dtype)},
            )
        except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
            raise self._failed(f"{type(error).__name__}: {error}") from error
        model.max_seq_length = min(self._length, model.max_seq_length or self._length)
        return model

    def _check(self) -> None:
        """Of the configuration alone, so that a wrong setting is told before anything is loaded."""
        config = self._json("config.json")
        kind = (config.get("architectures") or ["none"])[0]
        labels = len(config.get("id2label") or {0: "", 1: ""})
        stated = self._json("config_sentence_transformers.json").get("model_type")
        if stated != "CrossEncoder" and not kind.endswith("ForSequenceClassification"):
            raise self._failed(f"a model of the kind {stated or kind}, which scores no pairs")
        if kind.endswith("ForSequenceClassification") and labels != 1:
            raise self._failed(f"a classifier of {labels} classes")

    def _json(self, name: str) -> dict[str, Any]:
        path = self._folder / name
        if not path.is_file():
            return {}
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise self._failed(f"{name}: {error}") from error
        return values if isinstance(values, dict) else {}

    def _failed(self, found: str) -> ModelFailed:
        return ModelFailed(expected=f"one finite score a pair from a cross-encoder in {self._folder}", found=found, remedy=REMEDY)


class LateInteractionReranker:
    """The Reranker port over an embedder: the mean, over the tokens of the question, of the cosine to the nearest of the text."""

    def __init__(self, embedder: Embedder, kept: int = 512) -> None:
        """`kept` texts, those asked for last, keep their token vectors: about 80 KB each.

        Raises ModelFailed for an embedder that is no TokenEmbedder.
        """
        if not isinstance(embedder, TokenEmbedder):
            raise ModelFailed(expected="an embedder that tells its tokens' vectors", found=embedder.fingerprint, remedy=REMEDY)
        self._embedder, self._kept = embedder, kept
        self._texts: OrderedDict[bytes, NDArray[np.float16]] = OrderedDict()
        self._using = threading.Lock()
        self.fingerprint = f"{LATE}/{embedder.fingerprint}"

    def load(self) -> None:
        """Bring the weights into memory now. Raises ModelFailed."""
        self._embedder.tokens(["warm up"])

    def score(self, query: str, texts: Sequence[str]) -> Scores:
        """Shape (len(texts),), -1..1 in the order given, higher is better; -1 for a text without a token. Raises ModelFailed."""
        [asked] = self._embedder.tokens([query])
        if not len(asked):
            return np.zeros(len(texts))
        nearest = [(asked @ tokens.T).max(axis=1, initial=-1.0).mean() for tokens in self._tokens(texts)]
        return np.array(nearest, dtype=np.float64)

    def _tokens(self, texts: Sequence[str]) -> list[Vectors]:
        names = [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts]
        with self._using:
            found = {name: self._texts[name] for name in names if name in self._texts}
        missing = {name: text for name, text in zip(names, texts, strict=True) if name not in found}
        if missing:
            made = self._embedder.tokens(list(missing.values()))
            found |= {name: tokens.astype(np.float16) for name, tokens in zip(missing, made, strict=True)}
        with self._using:
            for name in names:
                self._texts[name] = found[name]
                self._texts.move_to_end(name)
            while len(self._texts) > self._kept:
                self._texts.popitem(last=False)
        return [found[name].astype(np.float32) for name in names]
