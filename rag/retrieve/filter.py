"""What may be found at all: chunks in force on the day, and those that the query's filter lets pass.

One boolean mask per filter and day, over all chunks in the order of Store.chunks(), made from columns of numbers and kept:
searching with it costs nothing more, and an expired promotion takes no better passage's place among the candidates.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Sequence
from dataclasses import fields
from datetime import date

import numpy as np
from numpy.typing import NDArray

from rag.errors import WrongFilter
from rag.ports import Mask
from rag.retrieve.trace import Dropped
from rag.types import Chunk, Facets, Filter

FIELDS = tuple(field.name for field in fields(Filter))
KEPT = 64  # masks, one a filter and day; a hundred thousand chunks take 0.1 MB each
SHOWN = 12  # known values in an error


class Filters:
    """The facets of all chunks of a generation, as columns."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        """`chunks` are all, in the order of Store.chunks()."""
        self._columns: dict[str, NDArray[np.int32]] = {}
        self._codes: dict[str, dict[str, int]] = {}  # field -> folded value -> number; "" is 0
        self._values: dict[str, list[str]] = {}  # field -> values as the documents write them, by number
        for name in FIELDS:
            codes, values = {"": 0}, [""]
            column = np.zeros(len(chunks), np.int32)
            for row, chunk in enumerate(chunks):
                value = getattr(chunk.facets, name)
                column[row] = codes.setdefault(value.casefold(), len(codes))
                if column[row] == len(values):
                    values.append(value)
            self._columns[name], self._codes[name], self._values[name] = column, codes, values
        self._from = np.array([_ordinal(chunk.facets.valid_from, 0) for chunk in chunks], np.int32)
        self._to = np.array([_ordinal(chunk.facets.valid_to, date.max.toordinal()) for chunk in chunks], np.int32)
        self.mask = functools.lru_cache(maxsize=KEPT)(self._mask)

    def known(self, name: str) -> list[str]:
        """The values that chunks have in this field of Filter, sorted."""
        return sorted(self._values[name][1:])

    def check(self, chosen: Filter) -> None:
        """Raises WrongFilter, with the values there are, for one that no chunk has: nobody means to search in nothing."""
        for name in FIELDS:
            value = getattr(chosen, name)
            if value.casefold() not in self._codes[name]:
                raise WrongFilter(
                    expected=f"{name} to be {_listed(self.known(name), value)}",
                    found=repr(value[:80]),
                    remedy=f"choose one of them, or leave {name} out to search in all",
                )

    def _mask(self, chosen: Filter, day: date) -> Mask | None:
        """True where a chunk may be found, shape (chunks,); None if all may. An unknown value bars all with another."""
        today = day.toordinal()
        allowed = (self._from <= today) & (today <= self._to)
        for name in FIELDS:
            if value := getattr(chosen, name).casefold():
                column = self._columns[name]
                allowed &= (column == 0) | (column == self._codes[name].get(value, -1))
        return None if allowed.all() else allowed


def barred(facets: Facets, chosen: Filter, day: date) -> Dropped | None:
    """Why these facets keep a chunk out of a search; None if they do not. Agrees with Filters.mask."""
    if facets.valid_to and facets.valid_to < day:
        return Dropped("expired", facets.valid_to.isoformat())
    if facets.valid_from and facets.valid_from > day:
        return Dropped("not yet", facets.valid_from.isoformat())
    for name in FIELDS:
        wanted, own = getattr(chosen, name), getattr(facets, name)
        if wanted and own and wanted.casefold() != own.casefold():
            return Dropped(name, own)
    return None


def _ordinal(day: date | None, default: int) -> int:
    return day.toordinal() if day else default


def _listed(values: Sequence[str], near: str) -> str:
    """The values for an error; of many, those like `near` first."""
    if not values:
        return "left out, because no document says one"
    if len(values) <= SHOWN:
        return f"one of {', '.join(values)}"
    close = difflib.get_close_matches(near, values, 3, cutoff=0.3)
    shown = list(dict.fromkeys((*close, *values)))[:SHOWN]
    return f"one of {', '.join(shown)} and {len(values) - SHOWN} more"
