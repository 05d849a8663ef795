"""Texts to vectors with a sentence-transformers model; its weights load at the first text, its tokenizer without torch."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rag.errors import ModelFailed
from rag.language import simplify
from rag.models.cores import precision, share
from rag.models.resolve import identity
from rag.ports import Vectors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer


class SentenceEmbedder:
    """The Embedder port over a folder that rag.models.resolve found.

    Nothing but small files is read before the first embed(), so an ingest that has nothing to embed never loads torch.
    """

    def __init__(self, folder: Path, device: str = "cpu", threads: int = 0, batch_size: int = 32, dtype: str = "float32") -> None:
        """`dtype` is float32, bfloat16, or auto: bfloat16 where the hardware has it, which takes half the time."""
        self._folder = folder
        self._device = device
        self._threads = threads
        self._batch_size = batch_size
        self._dtype = precision(dtype, device)
        self._loading = threading.Lock()
        self._model: SentenceTransformer | None = None

    @functools.cached_property
    def fingerprint(self) -> str:
        """Name, hash of weights and configuration (pooling, normalising and window included), script, and type of number."""
        return f"{identity(self._folder)}/simplified/{self._dtype}"

    @functools.cached_property
    def dimension(self) -> int:
        """Length of a vector: what the last module that says so puts out."""
        keys = ("out_features", "embedding_dimension", "word_embedding_dimension", "hidden_size")
        configs = [folder / "config.json" for folder in self._modules]
        stated = [values[key] for path in configs if path.is_file() for values in [_json(path)] for key in keys if key in values]
        return int(stated[-1])

    @functools.cached_property
    def window(self) -> int:
        """Tokens of a text that count; the rest is cut off."""
        words = self._modules[0]
        places = [("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length")]
        stated = [_json(words / name).get(key) for name, key in places if (words / name).is_file()]
        return int(min(next(filter(None, stated), 512), _json(words / "config.json")["max_position_embeddings"]))

    def count(self, text: str) -> int:
        """Tokens of `text`, special tokens included, uncut."""
        return len(self._tokenizer.encode(simplify(text)).ids)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Shape (len(texts), dimension), float32, rows in the order given, unit length.

        Hand over all texts at once: they are sorted by length into batches, which pads far less. Traditional Chinese is read as
        simplified, which models know better. Raises ModelFailed.
        """
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        try:
            rows: Vectors = self._load().encode(
                [simplify(text) for text in texts],
                batch_size=self._batch_size,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        except RuntimeError as error:
            raise self._failed(f"{type(error).__name__}: {error}") from error
        rows = np.asarray(rows, dtype=np.float32)
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)  # a unit in bfloat16 is one to two digits
        if rows.shape != (len(texts), self.dimension) or not np.isfinite(rows).all():
            raise self._failed(f"shape {rows.shape}, or numbers that are not finite")
        return rows

    def tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """One array a text in the order given: shape (tokens, width), rows of unit length, without the special tokens that
        begin and end a text; what is beyond the window has none. Raises ModelFailed.
        """
        try:
            made = self._load().encode(
                [simplify(text) for text in texts],
                batch_size=self._batch_size,
                output_value="token_embeddings",
                show_progress_bar=False,
            )
        except RuntimeError as error:
            raise self._failed(f"{type(error).__name__}: {error}") from error
        rows = [np.asarray(tokens[1:-1].float().cpu(), dtype=np.float32) for tokens in made]
        if not all(np.isfinite(row).all() for row in rows):
            raise self._failed("numbers that are not finite")
        return [row / np.maximum(np.linalg.norm(row, axis=1, keepdims=True), 1e-12) for row in rows]

    @functools.cached_property
    def _modules(self) -> list[Path]:
        """Folders of the model's modules, in the order that a text passes through them."""
        return [self._folder / module["path"] for module in _json(self._folder / "modules.json")]

    @functools.cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._modules[0] / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    def _load(self) -> SentenceTransformer:
        with self._loading:
            if self._model is None:
                share()
                import torch
                from sentence_transformers import SentenceTransformer
                from transformers.utils import logging

                logging.disable_progress_bar()
                if self._threads:
                    torch.set_num_threads(self._threads)
                self._model = SentenceTransformer(
                    str(self._folder),
                    device=self._device,
                    local_files_only=True,
                    trust_remote_code=False,
                    model_kwargs={"use_safetensors": True, "dtype": getattr(torch, self._dtype)},
                )
                self._model.max_seq_length = self.window
            return self._model

    def _failed(self, found: str) -> ModelFailed:
        return ModelFailed(
            expected=f"unit vectors of {self.dimension} numbers from {self._folder}",
            found=found,
            remedy="lower models.batch_size, or set models.embedder to another model",
        )


def _json(path: Path) -> Any:  # noqa: ANN401 - what JSON holds
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFailed(
            expected=f"JSON in {path}", found=str(error), remedy="set models.embedder to a sentence-transformers model"
        ) from error
