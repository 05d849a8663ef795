"""CSV and TSV, whatever the separator a spreadsheet wrote. A bad row loses only itself."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from rag.ingest.clean import decode
from rag.ingest.readers.cells import header
from rag.ingest.readers.content import Record, Sheet

_SEPARATORS = ",;\t|"


def read(data: bytes) -> tuple[Sheet, ...]:
    """One sheet. Raises Unreadable when the text cannot be decoded."""
    lines = decode(data).splitlines(keepends=True)
    if lines and lines[0].casefold().startswith("sep=") and len(lines[0].rstrip("\n")) == 5:  # written by Excel
        lines[0] = "\n"
    first = next((line for line in lines if line.strip()), "")
    separator = max(_SEPARATORS, key=first.count)
    rows = _rows(lines, separator)
    names: list[str] = []
    labels: dict[str, str] = {}
    records: list[Record] = []
    rejected: list[str] = []
    for number, row in rows:
        if isinstance(row, str):
            rejected.append(f"{number}: {row}")
        elif not any(cell.strip() for cell in row):
            continue
        elif not names:
            names = unique([header(cell) for cell in row])
            labels = dict(zip(names, (cell.strip() for cell in row), strict=True))
        elif len(row) > len(names) and any(cell.strip() for cell in row[len(names) :]):
            rejected.append(
                f"{number}: expected {len(names)} cells as in the header; found {len(row)}; "
                f'put quotation marks around a cell that holds "{separator}"'
            )
        else:
            records.append(Record(number, dict(zip(names, row, strict=False))))
    return (Sheet("", tuple(records), tuple(rejected), labels),)


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
