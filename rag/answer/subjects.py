"""Which of the shop's products a text is about, and whether it asks for one that the shop does not have."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache

from rag.language import fold

_MODEL = re.compile(r"([^\W\d_]+)[\s-]*(\d+)(?![\d.,]*\d)")  # a line and its number: Ember 400, ember400, 余烬 400
_SHORTEST = 3  # characters of a name without a number that is looked for inside a text


class Subjects:
    """The products' names, taken apart into lines ("ember") and their numbers ("400")."""

    def __init__(self, names: Iterable[str]) -> None:
        self._numbers: dict[str, set[str]] = defaultdict(set)
        self._plain: set[str] = set()
        folded = sorted(set(map(fold, names)))
        brand = _brand(folded)
        for name in (name.removeprefix(brand) for name in folded):
            if model := _MODEL.match(name):
                self._numbers[model[1]].add(model[2])
            elif len(name) >= _SHORTEST:
                self._plain.add(name)

    @lru_cache(maxsize=4096)  # noqa: B019 - lives as long as the parts of one generation
    def mentioned(self, text: str) -> frozenset[str]:
        """The products that `text` names, as "line number" or as the whole name of one without a number."""
        folded = fold(text)
        models = {f"{line} {number}" for line, number in self._pairs(folded) if number in self._numbers[line]}
        return frozenset(models | {name for name in self._plain if name in folded})

    def without(self, text: str) -> str:
        """The folded text without the models it names, so that what is said of them can be compared."""
        bare = _MODEL.sub(lambda match: " " if self._line(match[1]) else match[0], fold(text))
        return " ".join(bare.split()) or text

    def unknown(self, text: str) -> frozenset[str]:
        """Models of a line that the shop has, with a number that it has not: "Ember 500"."""
        return frozenset(f"{line} {number}" for line, number in self._pairs(fold(text)) if number not in self._numbers[line])

    def _pairs(self, folded: str) -> Iterator[tuple[str, str]]:
        for run, number in _MODEL.findall(folded):
            if line := self._line(run):
                yield line, number

    def _line(self, run: str) -> str | None:
        """The line that a word is, or ends with: Chinese runs words together, 请问余烬 asks for the line 余烬."""
        return next((line for line in self._numbers if run == line or (not run.isascii() and run.endswith(line))), None)


def _brand(names: list[str]) -> str:
    """The first word that most names of several words share, with the space after it; empty if there is none."""
    firsts = Counter(name.split()[0] for name in names if " " in name and name.isascii())
    [(word, times)] = firsts.most_common(1) or [("", 0)]
    return f"{word} " if 2 * times > firsts.total() > 1 else ""
