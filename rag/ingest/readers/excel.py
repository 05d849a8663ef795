"""XLSX: every visible sheet, merged cells filled, formulas by their last computed value."""

from __future__ import annotations

import io
import re
from datetime import time

import openpyxl
from openpyxl.cell.cell import ERROR_CODES, Cell, MergedCell
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from rag.errors import Unreadable
from rag.ingest.readers.cells import header, text
from rag.ingest.readers.content import Sheet
from rag.ingest.readers.delimited import sheet as as_sheet
from rag.ingest.readers.grid import table, tables
from rag.ingest.readers.office import parsing, unpack

_KIND = "an Excel file (.xlsx)"
_CELLS = 3_000_000
_SIDE = r'(?:\[\$[^\]]*\]|"[^"]*"|[€$£¥]|\\.|_.|\*.|\s)*'  # a currency, text in quotation marks, or space
_FORMAT = re.compile(
    rf"(?P<before>{_SIDE})[#0?]*(?P<thousands>,)?[#0?]*0(?:\.(?P<decimals>0+))?(?P<percent>%)?(?P<after>{_SIDE})"
)
_QUOTES = re.compile(r'\[\$([^\]-]*)[^\]]*\]|"([^"]*)"|\\(.)|_.|\*.')


def read(data: bytes) -> tuple[Sheet, ...]:
    """The tables of what is shown; what is hidden is reported. Raises Unreadable for a damaged, encrypted or oversized file."""
    unpack(data, _KIND)
    with parsing(_KIND):
        book = openpyxl.load_workbook(io.BytesIO(data), data_only=True, keep_links=False)
    shown = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
    found = [one for sheet in shown for one in _sheets(sheet, sheet.title if len(shown) > 1 else "")]
    unseen = tuple(f"{sheet.title}: {_hidden('sheet')}" for sheet in book.worksheets if sheet not in shown)
    return (*found, Sheet("", (), unseen)) if unseen else tuple(found)


def _sheets(sheet: Worksheet, name: str) -> list[Sheet]:
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
    rows, columns = _hidden_rows(sheet), _hidden_columns(sheet)
    filled = [
        (number, [cell for column, cell in enumerate(row, start=1) if column not in columns])
        for number, row in enumerate(grid, start=1)
        if number not in rows
    ]
    found = [one for one in tables(filled) if one.rows]
    if found and {"question", "answer"} <= set(map(header, found[0].labels)):
        found = [one for one in (table(filled),) if one]  # a list of questions may have gaps
    unseen = [f"{_place(name, number)}: {_hidden('row')}" for number in sorted(rows) if any(grid[number - 1])]
    unseen += [
        f"{_place(name, get_column_letter(column))}: {_hidden('column')}"
        for column in sorted(columns)
        if any(row[column - 1] for row in grid)
    ]
    return [*(as_sheet(name, one) for one in found), *([Sheet(name, (), tuple(unseen))] if unseen else [])]


def _place(name: str, where: object) -> str:
    return f"{name}!{where}" if name else str(where)


def _hidden(what: str) -> str:
    return f"expected a visible {what}; found a hidden one; unhide it if shoppers may be told what it says"


def _hidden_rows(sheet: Worksheet) -> set[int]:
    return {
        number for number in range(1, sheet.max_row + 1) if number in sheet.row_dimensions and sheet.row_dimensions[number].hidden
    }


def _hidden_columns(sheet: Worksheet) -> set[int]:
    """One entry of a sheet's columns may stand for several."""
    spans = [(one.min, one.max) for one in sheet.column_dimensions.values() if one.hidden and one.min and one.max]
    return {column for first, last in spans for column in range(first, min(last, sheet.max_column) + 1)}


def _text(cell: Cell | MergedCell) -> str:
    """As the sheet shows it, but for dates, which are written the one way that everyone reads alike."""
    value = cell.value
    if isinstance(value, str) and value in ERROR_CODES:
        return ""
    if isinstance(value, time):
        return value.isoformat("minutes" if not value.second else "seconds")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value, cell.number_format)
    return text(value)


def _number(value: float, code: str) -> str:
    """A number with the decimals, the per cent and the currency of its format; without one as short as it can be."""
    match = _FORMAT.fullmatch(code.split(";")[0])
    if not match:
        return text(value)
    shown = f"{value * 100 if match['percent'] else value:{',' if match['thousands'] else ''}.{len(match['decimals'] or '')}f}"
    before, after = (_QUOTES.sub(r"\1\2\3", match[side]).strip() for side in ("before", "after"))
    return f"{before}{' ' if before.isalpha() else ''}{shown}{match['percent'] or ''}{' ' if after else ''}{after}"
