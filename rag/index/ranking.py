"""The k best of many scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rag.ports import Mask, Rows


def best_rows(scores: NDArray[np.floating], k: int, mask: Mask | None = None) -> Rows:
    """At most k rows by falling score, ties by row; where there is a mask, only rows for which it is True."""
    rows = np.arange(len(scores)) if mask is None else np.flatnonzero(mask)
    values = scores if mask is None else scores[rows]
    if k < len(rows):
        near = np.flatnonzero(values >= np.partition(values, -k)[-k])  # all that tie with the last one, too
        rows, values = rows[near], values[near]
    return rows[np.argsort(-values, kind="stable")[:k]]
