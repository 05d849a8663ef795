"""XLSX: every visible sheet, merged cells filled, formulas by their last computed value."""

from __future__ import annotations

import io

import openpyxl
from openpyxl.cell.cell import ERROR_CODES, Cell, MergedCell
from openpyxl.worksheet.worksheet import Worksheet

from rag.errors import Unreadable
from rag.ingest.readers.cells import header, text
from rag.ingest.readers.content import Record, Sheet
from rag.ingest.readers.delimited import unique
from rag.ingest.readers.office import parsing, unpack

_KIND = "an Excel file (.xlsx)"
_CELLS = 3_000_000


def read(data: bytes) -> tuple[Sheet, ...]:
    """Raises Unreadable for a damaged, encrypted or oversized file."""
    unpack(data, _KIND)
    with parsing(_KIND):
        book = openpyxl.load_workbook(io.BytesIO(data), data_only=True, keep_links=False)
    shown = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
    return tuple(_sheet(sheet, sheet.title if len(shown) > 1 else "") for sheet in shown)


def _sheet(sheet: Worksheet, name: str) -> Sheet:
    if sheet.max_row * sheet.max_column > _CELLS:
        raise Unreadable(
            expected=f"at most {_CELLS} cells in sheet {sheet.title}",
            found=f"{sheet.max_row} rows and {sheet.max_column} columns",
            remedy="delete what stands outside the table, or split it",
        )
    grid = [[_text(cell) for cell in row] for row in sheet.iter_rows()]
    for area in sheet.merged_cells.ranges:
        for row in range(area.min_row - 1, area.max_row):
            for column in range(area.min_col - 1, area.max_col):
                grid[row][column] = grid[area.min_row - 1][area.min_col - 1]
    filled = [(number, row) for number, row in enumerate(grid, start=1) if any(row)]
    while len(filled) > 1 and len(set(filter(None, filled[0][1]))) == 1 < len(set(filter(None, filled[1][1]))):
        filled = filled[1:]  # a title above the table
    if not filled:
        return Sheet(name, ())
    names = unique([header(cell) for cell in filled[0][1]])
    labels = dict(zip(names, filled[0][1], strict=True))
    records = tuple(Record(number, dict(zip(names, row, strict=True))) for number, row in filled[1:])
    return Sheet(name, records, labels=labels)


def _text(cell: Cell | MergedCell) -> str:
    value = cell.value
    if isinstance(value, str) and value in ERROR_CODES:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool) and cell.number_format.endswith("%"):
        return f"{text(round(value * 100, 6))}%"
    return text(value)
