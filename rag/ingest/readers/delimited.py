"""CSV and TSV, whatever the separator a spreadsheet wrote. A bad row loses only itself."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator

from rag.ingest.clean import decode
from rag.ingest.readers.cells import header
from rag.ingest.readers.content import Record, Sheet
from rag.ingest.readers.grid import BETWEEN, Table, table

_SEPARATORS = ",;\t|"
_SAMPLE = 100_000  # characters looked at to find the separator
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


def read(data: bytes) -> tuple[Sheet, ...]:
    """One sheet. Raises Unreadable when the text cannot be decoded."""
    lines = decode(data).splitlines(keepends=True)
    if lines and lines[0].casefold().startswith("sep=") and len(lines[0].rstrip("\n")) == 5:  # written by Excel
        lines[0] = "\n"
    separator = _separator("".join(lines)[:_SAMPLE])
    grid: list[tuple[int, list[str]]] = []
    rejected: list[str] = []
    width = 0  # of the first row of several cells, the header
    for number, row in _rows(lines, separator):
        if isinstance(row, str):
            rejected.append(f"{number}: {row}")
            continue
        cells = [cell.strip() for cell in row]
        width = width or (len(cells) if sum(map(bool, cells)) > 1 else 0)
        if width and any(cells[width:]):
            rejected.append(
                f"{number}: expected {width} cells as in the header; found {len(row)}; "
                f'put quotation marks around a cell that holds "{separator}"'
            )
        else:
            grid.append((number, cells))
    width = width or max((len(cells) for _, cells in grid), default=0)
    found = table((number, [*cells, *[""] * width][:width]) for number, cells in grid)
    return (sheet("", found, tuple(rejected)) if found else Sheet("", (), tuple(rejected)),)


def sheet(name: str, table: Table, rejected: tuple[str, ...] = ()) -> Sheet:
    """A table as a sheet: its rows by the keys of their columns."""
    names = unique(["_".join(map(header, label.split(BETWEEN))) for label in table.labels])
    records = tuple(Record(number, dict(zip(names, cells, strict=True))) for number, cells in table.rows)
    labels = dict(zip(names, table.labels, strict=True))
    return Sheet(name, records, rejected, labels, table.title, table.notes)


def _separator(sample: str) -> str:
    """The one that most lines have alike often, outside of quotation marks; lines above the table may have others."""
    lines = _QUOTED.sub("", sample).splitlines()
    counts = {one: Counter(times for line in lines if (times := line.count(one))) for one in _SEPARATORS}
    return max(counts, key=lambda one: max((lines * times for times, lines in counts[one].items()), default=0))


def unique(names: list[str]) -> list[str]:
    """Headers as keys: a repeated one is numbered, an empty one named after its column."""
    seen: dict[str, int] = {}
    found: list[str] = []
    for column, name in enumerate(names, start=1):
        name = name or f"column_{column}"
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return found


def _rows(lines: list[str], separator: str) -> Iterator[tuple[int, list[str] | str]]:
    """(number, cells) or (number, reason) of each row; after a bad one, reading goes on at its next line."""
    at, number = 0, 0
    while at < len(lines):
        reader = csv.reader((lines[i] for i in range(at, len(lines))), delimiter=separator, strict=True)
        done = 0  # lines of complete rows
        try:
            for row in reader:
                number, done = number + 1, reader.line_num
                yield number, row
            return
        except csv.Error as error:
            number += 1
            yield (
                number,
                (
                    f"expected cells in matching quotation marks, at most {csv.field_size_limit()} characters each; "
                    f'found: {error}; correct the row, write a quotation mark inside a cell as ""'
                ),
            )
            at += done + 1
