"""The k best of many scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rag.ports import Mask, Rows


def best_rows(scores: NDArray[np.floating], k: int, mask: Mask | None = None) -> Rows:
    """At most k rows by falling score, ties by row; where there is a mask, only rows for which it is True."""
    rows = None if mask is None else np.flatnonzero(mask)
    values = scores if rows is None else scores[rows]
    best = np.arange(len(values))
    if k < len(values):
        best = np.flatnonzero(values >= np.partition(values, -k)[-k])  # all that tie with the last one, too
    best = best[np.argsort(-values[best], kind="stable")[:k]]
    return best if rows is None else rows[best]
