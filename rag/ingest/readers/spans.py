"""Tables in markup whose cells span rows or columns, or whose header has several rows, become plain ones."""

from __future__ import annotations

from bs4 import BeautifulSoup
from bs4.element import Tag

from rag.ingest.readers.grid import header_rows, joined

_MOST = 200_000  # cells; more are no table of a shop
_SPAN = 1000  # what HTML allows a cell to span


def flatten(main: Tag) -> None:
    """What a cell says is said in each place it covers, and each column has one header. Tables within tables stay as they are.

    A list of facts, a name and a value in each row, gets an empty header: in Markdown the first fact would become one.
    """
    for table in main.find_all("table"):
        rows = [row for row in table.find_all("tr") if row.find_parent("table") is table]
        if table.find("table") or not rows:
            continue
        if len(rows) > 1 and all([cell.name for cell in _cells(row)] == ["th", "td"] for row in rows):
            header = _made("tr")
            header.extend([_made("th"), _made("th")])
            table.insert(0, header)
            continue
        headers = max(1, sum(bool(row.find_parent("thead")) or _is_header(row) for row in rows))
        spans = any(_span(cell, name) > 1 for row in rows for cell in _cells(row) for name in ("rowspan", "colspan"))
        if (spans or headers > 1) and (grid := _grid(rows)):
            _replace(table, grid, headers)


def _is_header(row: Tag) -> bool:
    return all(cell.name == "th" for cell in _cells(row)) and bool(_cells(row))


def _cells(row: Tag) -> list[Tag]:
    return row.find_all(["td", "th"], recursive=False)


def _span(cell: Tag, name: str) -> int:
    said = str(cell.get(name, "")).strip()
    return min(int(said), _SPAN) if said.isdecimal() and len(said) < 9 and int(said) else 1


def _grid(rows: list[Tag]) -> list[list[str]]:
    """The text of every place, rows of equal length; empty if there are too many."""
    places: dict[tuple[int, int], str] = {}
    for top, row in enumerate(rows):
        left = 0
        for cell in _cells(row):
            while (top, left) in places:
                left += 1
            text = " ".join(cell.get_text(" ", strip=True).split())
            down, across = min(_span(cell, "rowspan"), len(rows) - top), _span(cell, "colspan")
            if len(places) + down * across > _MOST:
                return []
            places |= {(top + i, left + j): text for i in range(down) for j in range(across)}
    width = 1 + max((column for _, column in places), default=-1)
    if width * len(rows) > _MOST:
        return []
    return [[places.get((row, column), "") for column in range(width)] for row in range(len(rows))]


def _replace(table: Tag, grid: list[list[str]], headers: int) -> None:
    count = headers if headers > 1 and headers < len(grid) else header_rows(grid)
    if count == 1 and len(set(filter(None, grid[0]))) == 1 and len(grid[0]) > 1 and len(grid) > 2:  # a title across the table
        table.insert_before(_made("p", grid[0][0]))
        grid = grid[1:]
        count = header_rows(grid)
    table.clear()
    for name, cells in (("th", list(joined(grid[:count]))), *(("td", row) for row in grid[count:])):
        row = _made("tr")
        for cell in cells:
            row.append(_made(name, cell))
        table.append(row)


def _made(name: str, text: str = "") -> Tag:
    tag = BeautifulSoup("", "html.parser").new_tag(name)
    tag.string = text
    return tag
