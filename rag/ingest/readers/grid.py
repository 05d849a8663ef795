"""Grids of cells as people lay them out -> tables: titles, headers in several rows, notes, what each row is called."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from rag.language import fold
from rag.measures import UNITS

Cells = Sequence[str]
Numbered = tuple[int, list[str]]  # the row's number in the file, from 1, and its cells

_COUNTED = frozenset(
    "person persons people pers pcs pc piece pieces pairs kn n bar rpm kcal kj ppi dpi 人 件 个 只 片 支 双 套 次".split()
)
_BRACKETS = re.compile(r"\s*[(（\[【]\s*([^()（）\[\]【】]{1,20}?)\s*[)）\]】]")
_BEHIND = re.compile(r"\s*(?: / |, | in |，)([^/,，]{1,20})$")
_NUMBER = r"[-+±≤≥<>~约]?\s?\d[\d.,]*"
_AMOUNT = re.compile(rf"{_NUMBER}(?:\s?[-–—~/x×至到]\s?{_NUMBER})*")
_NOTE = re.compile(r"[*†]|(?:note|nb|n\.b\.|注|备注|说明)\b|.*[.。]$", re.IGNORECASE | re.DOTALL)
_NAMING = 3  # columns that a row's name may be put together from
_CODE = 2  # letters of what tells variants of one thing apart: S, XL
BETWEEN = " / "  # a header and the one below it


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under one header. `notes` are the lines around them: what the prices include, until when they hold."""

    title: str
    labels: tuple[str, ...]
    rows: tuple[Numbered, ...]
    notes: tuple[str, ...] = ()


def tables(grid: Iterable[Numbered]) -> list[Table]:
    """The tables of a sheet, whose merged cells say the same everywhere. An empty row or column parts two of them."""
    found: list[Table] = []
    lines: list[str] = []  # titles or notes whose table has not come yet
    for block, is_alone in _blocks(grid):
        above, rows, below = _parted(block)
        lines += above
        if found and rows and is_alone and not _begins(rows, found[-1]):
            found[-1] = replace(found[-1], rows=(*found[-1].rows, *rows), notes=(*found[-1].notes, *lines, *below))
        elif rows:
            about = list(itertools.takewhile(_NOTE.match, lines)) if found else []  # the table above
            if about:
                found[-1] = replace(found[-1], notes=(*found[-1].notes, *about))
            found.append(_headed(lines[len(about) :], rows, below))
        lines = [] if rows else lines
    if found and lines:
        found[-1] = replace(found[-1], notes=(*found[-1].notes, *lines))
    return found


def table(grid: Iterable[Numbered]) -> Table | None:
    """The one table of a file; empty rows mean nothing. None if there is nothing but lines of one cell above it."""
    rows = [row for row in grid if any(row[1])]
    above, rows, below = _parted(rows) if rows else ([], [], [])
    return _headed(above, rows, below) if rows else None


def _headed(above: Sequence[str], rows: Sequence[Numbered], below: Sequence[str]) -> Table:
    count = header_rows([cells for _, cells in rows])
    title, *others = above or [""]
    return Table(title, joined([cells for _, cells in rows[:count]]), tuple(rows[count:]), (*others, *below))


def header_rows(rows: Sequence[Cells]) -> int:
    """How many of the first rows are headers: two where the first spreads over columns that the second tells apart, else one."""
    if len(rows) < 3:
        return 1
    first, second, third = rows[:3]
    groups = [
        bool(b) and a != b and (first[i] == first[i - 1] or not first[i])
        for i, (a, b) in enumerate(zip(first, second, strict=True))
    ]
    spread = any(group and any(first[:i]) for i, group in enumerate(groups))
    same = any(a and a == b for a, b in zip(first, second, strict=True))
    open_below = any(a and not b for a, b in zip(first, second, strict=True))
    is_text = not any(map(is_amount, second)) and any(map(is_amount, third))
    return 2 if len(set(filter(None, first))) > 1 and spread and (same or is_text and (open_below or all(second))) else 1


def joined(headers: Sequence[Cells]) -> tuple[str, ...]:
    """One label a column: "Price / EUR" where EUR stands below Price, which may spread over columns without saying so again."""
    filled = []
    for row, below in zip(headers, [*headers[1:], ()], strict=True):
        spread = list(row)
        for i in range(1, len(spread)):
            if below and not spread[i] and below[i]:
                spread[i] = spread[i - 1]
        filled.append(spread)
    return tuple(BETWEEN.join(dict.fromkeys(filter(None, column))) for column in zip(*filled, strict=True))


def stated(label: str, value: str) -> tuple[str, str]:
    """Label and value with the unit at the value: "Weight (g)", "86" -> "Weight", "86 g"."""
    if is_unit(label) and is_amount(value):
        return label, f"{value} {label if label.isupper() else label.casefold()}"
    found = next((match for pattern in (_BRACKETS, _BEHIND) for match in pattern.finditer(label) if is_unit(match[1])), None)
    if not found or not (bare := (label[: found.start()] + label[found.end() :]).strip()):
        return label, value
    if is_amount(value):
        return bare, f"{value} {found[1]}"
    return (bare, value) if fold(value).endswith(fold(found[1])) else (label, value)


def is_unit(text: str) -> bool:
    """Whether a text is a unit or a currency, or one by another: g/m."""
    return all(part.strip() in UNITS or part.strip() in _COUNTED for part in fold(text).split("/"))


def is_amount(text: str) -> bool:
    """Whether a text is a number or several and no more: 86, 3-5, 20 x 30."""
    return bool(_AMOUNT.fullmatch(text))


def names(labels: Cells, rows: Sequence[Cells]) -> list[str]:
    """What each row is called: by the first column of words that tells all rows apart, or several together; empty if none do.

    Columns of words stand first, or behind one of numbers. Size M is no name; Heron M is.
    """
    words = list(itertools.takewhile(lambda column: _is_words(column, rows), range(len(labels))))
    words = (words or list(itertools.takewhile(lambda column: _is_words(column, rows), range(1, len(labels)))))[:_NAMING]
    alone = [column for column in words if column == words[0] or any(len(row[column]) > _CODE for row in rows)]
    ways = [[row[column] for row in rows] for column in alone]
    ways += [
        [" ".join(filter(None, (row[column] for column in words[:last]))) for row in rows] for last in range(2, len(words) + 1)
    ]
    if not words:
        ways.append([f"{labels[0].rpartition(BETWEEN)[2]} {row[0]}" if row[0] else "" for row in rows])
    unlike = (way for way in ways if all(way) and len(set(map(fold, way))) == len(rows))
    return next(unlike, [""] * len(rows))


def markdown(labels: Cells, rows: Iterable[Cells]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(cell.replace("\n", " ").replace("|", "/") for cell in row) + " |" for row in (labels, *rows)]
    return "\n".join([lines[0], "|" + " --- |" * len(labels), *lines[1:]])


def _is_words(column: int, rows: Sequence[Cells]) -> bool:
    return any(row[column] for row in rows) and not any(is_amount(row[column]) for row in rows)


def _blocks(grid: Iterable[Numbered]) -> Iterator[tuple[list[Numbered], bool]]:
    """What empty rows part, and empty columns, if each side is a table by itself; and whether nothing stands beside it."""
    for is_filled, rows in itertools.groupby(grid, key=lambda row: any(row[1])):
        if is_filled:
            parts = _beside(list(rows))
            yield from ((part, len(parts) == 1) for part in parts)


def _beside(block: list[Numbered]) -> list[list[Numbered]]:
    filled = [any(cells[column] for _, cells in block) for column in range(len(block[0][1]))]
    runs = [[column for column, _ in run] for own, run in itertools.groupby(enumerate(filled), lambda pair: pair[1]) if own]
    parts = [[(number, part) for number, cells in block if any(part := cells[run[0] : run[-1] + 1])] for run in runs]
    if len(parts) > 1 and all(len(part) > 1 and len(part[0][1]) > 1 for part in parts):
        return parts
    return [[(number, cells[: runs[-1][-1] + 1]) for number, cells in block]]


def _parted(block: list[Numbered]) -> tuple[list[str], list[Numbered], list[str]]:
    """Lines of one text above, the rows, and lines of one text below that read like a note."""
    texts = [set(filter(None, cells)) for _, cells in block]
    first = next((i for i, own in enumerate(texts) if len(own) > 1), len(block))
    if first == len(block) and (len(block[0][1]) == 1 and len(block) > 1):
        first = 0  # a list: a header and its values
    last = len(block)
    while last > first + 1 and len(texts[last - 1]) == 1 and _is_note(block[last - 1][1]):
        last -= 1
    above, below = ([next(iter(own)) for own in part] for part in (texts[:first], texts[last:]))
    return above, block[first:last], below


def _is_note(cells: Cells) -> bool:
    spread = len(cells) > 1 and all(cells)  # merged over the whole width
    return spread or bool(_NOTE.match(next(filter(None, cells))))


def _begins(rows: Sequence[Numbered], last: Table) -> bool:
    """Whether rows below an empty one are a table of their own: another width, or a header without figures above figures."""
    first, *others = [cells for _, cells in rows]
    if len(first) != len(last.labels):
        return True
    has_figures = [any(is_amount(row[column]) for row in others) for column in range(len(first))]
    return any(has_figures) and not any(map(is_amount, first)) and all(first)
