"""How alike two short texts are in meaning; vectors of texts seen before are remembered."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag.ports import Embedder, Vectors

REMEMBERED = 20_000  # vectors of 384 float32: 30 MB at most


class Similarity:
    """Cosine of embeddings."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._vectors: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = threading.Lock()

    def cosines(self, text: str, others: Sequence[str]) -> NDArray[np.float32]:
        """Shape (len(others),): cosine of `text` to each of `others`; one call to the embedder for what is new."""
        rows = self._embed([text, *others])
        cosines: NDArray[np.float32] = rows[1:] @ rows[0]
        return cosines

    def _embed(self, texts: Sequence[str]) -> Vectors:
        with self._lock:
            known = {text: self._vectors[text] for text in texts if text in self._vectors}
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            known |= dict(zip(missing, self._embedder.embed(missing), strict=True))
        with self._lock:
            for text in texts:
                self._vectors[text] = known[text]
                self._vectors.move_to_end(text)
            while len(self._vectors) > REMEMBERED:
                self._vectors.popitem(last=False)
        return np.stack([known[text] for text in texts])
