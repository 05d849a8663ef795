"""Rows of tables as entries, "header: value" a line, under the row's name; those of a page's Markdown tables, too."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag.ingest.readers.grid import header_rows, joined, names, stated
from rag.types import Entry, Facets, Kind

_HEADING = re.compile(r"(#{1,6})\s+(.*?)[\s#]*$")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$")
_PIPE = re.compile(r"(?<!\\)\|")
_MARKS = re.compile(r"\*\*|__|`|<br\s*/?>")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_SHORT = 30  # characters that most cells of a table of facts have at most; longer ones make a text in columns


@dataclass(frozen=True, slots=True)
class _Found:
    headings: tuple[str, ...]
    grid: list[list[str]]


def entry(labels: Sequence[str], cells: Sequence[str], title: str, headings: tuple[str, ...], facets: Facets) -> Entry | None:
    """One row; None if it is empty."""
    body = "\n".join(f"{label}: {value}" for label, value in (stated(*pair) for pair in zip(labels, cells, strict=True)) if value)
    key = hashlib.sha256("\x1f".join((*headings[:-1], body)).encode()).hexdigest()[:12]
    return Entry(key, Kind.ROW, title, body, facets=facets, headings=headings) if body else None


def of_page(text: str, title: str, facets: Facets) -> tuple[Entry, ...]:
    """The rows of the tables of facts in a page's Markdown, each once."""
    found: dict[str, Entry] = {}
    for table in _tables(text):
        count = header_rows(table.grid)
        labels, rows = joined(table.grid[:count]), table.grid[count:]
        lengths = sorted(len(cell) for row in rows for cell in row)
        if len(labels) == 2 and labels[1][:1].isdigit():
            continue  # a list of facts, the first of which stands where a header would
        if len(labels) < 2 or len(rows) < 2 or not all(labels) or not lengths or lengths[len(lengths) // 2] > _SHORT:
            continue
        path = table.headings[1:] if table.headings and table.headings[0].casefold() in title.casefold() else table.headings
        for row, name in zip(rows, names(labels, rows), strict=True):
            if made := entry(labels, row, title, (*path, *filter(None, [name])), facets):
                found.setdefault(made.key, made)
    return tuple(found.values())


def _tables(text: str) -> Iterator[_Found]:
    lines = text.split("\n")
    headings: dict[int, str] = {}
    is_code = False
    at = 0
    while at < len(lines):
        is_code ^= bool(_FENCE.match(lines[at]))
        if heading := _HEADING.match(lines[at]):
            headings = {level: said for level, said in headings.items() if level < len(heading[1])} | {
                len(heading[1]): heading[2]
            }
        following = lines[at + 1] if at + 1 < len(lines) else ""
        if not is_code and "|" in lines[at] and "|" in following and _RULE.match(following):
            grid = [_cells(lines[at])]
            at += 2
            while at < len(lines) and "|" in lines[at]:
                row = _cells(lines[at])
                grid.append([*row, *[""] * len(grid[0])][: len(grid[0])])
                at += 1
            yield _Found(tuple(headings[level].strip("*_` ") for level in sorted(headings)), grid)
        else:
            at += 1


def _cells(line: str) -> list[str]:
    cells = _PIPE.split(line.strip().removeprefix("|").removesuffix("|"))
    return [" ".join(_LINK.sub(r"\1", _MARKS.sub(" ", cell)).replace("\\|", "|").split()) for cell in cells]
