"""A PDF page's words by their places -> lines in the order of reading: columns one after another, tables as Markdown."""

from __future__ import annotations

import itertools
import re
import statistics
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rag.ingest.clean import clean
from rag.ingest.readers.grid import header_rows, is_amount, joined, markdown
from rag.language import HAN

CJK = re.compile(f"[{HAN}\u3000-\u303f\uff00-\uffef“”‘’]")
_SPACE = 0.18  # of the type size: what parts two words
_EDGES = 2000  # lines of a page; what has more is a drawing
_GUTTER = 9.0  # points between two columns at least
_PROSE = 18  # letters that a column's lines mostly have; a table's cells have fewer
_FILLED = 0.55  # of the column's width that they mostly take
_GAP = 0.9  # of the type size between two cells of a table without rules
_APART = 1.5  # of a line's height to the next one: a new paragraph
_FEWEST = 3  # lines of a column, rows of a table without rules


@dataclass(frozen=True, slots=True)
class Line:
    """One line as set, or a whole table. `size` in points, `top` from the page's upper edge as a share of its height.

    `room`: letters that the longest line of its column has.
    """

    text: str
    size: float = 0.0
    bold: bool = False
    room: int = 0
    top: float = 0.5
    is_table: bool = False


@dataclass(frozen=True, slots=True)
class Word:
    """Its box in points from the page's upper left corner."""

    text: str
    x0: float
    x1: float
    top: float
    bottom: float
    size: float
    bold: bool
    is_table: bool = False


Box = tuple[float, float, float, float]
Row = list[Word]  # words on one baseline, from left to right


def lines(page: Any) -> list[Line]:  # noqa: ANN401 - pdfplumber ships no types
    """A page of pdfplumber; empty lines part paragraphs."""
    upright = page.filter(lambda thing: thing.get("upright", True))
    tables = list(_ruled(upright))
    words = [
        Word(clean(word["text"]), word["x0"], word["x1"], word["top"], word["bottom"], word["size"], _is_bold(word["fontname"]))
        for word in upright.extract_words(x_tolerance_ratio=_SPACE, extra_attrs=["size", "fontname"])
    ]
    words = [word for word in words if word.text.strip() and not any(_inside(word, table) for table in tables)]
    return list(_read(_rows([*words, *tables]), float(page.height)))


def width(text: str) -> int:
    """Letters: a Chinese character is as wide as two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _is_bold(font: str) -> bool:
    return any(word in font.casefold() for word in ("bold", "black", "heavy"))


def _inside(word: Word, box: Word) -> bool:
    return box.x0 <= (word.x0 + word.x1) / 2 <= box.x1 and box.top <= (word.top + word.bottom) / 2 <= box.bottom


def _ruled(page: Any) -> Iterator[Word]:  # noqa: ANN401
    """Tables drawn with lines, each as one word."""
    if len(page.edges) > _EDGES:
        return
    for table in page.find_tables():
        grid = [row for row in _grid(table) if any(row)]
        if len(grid) > 1 and len(grid[0]) > 1:
            x0, top, x1, bottom = table.bbox
            sizes = [letter["size"] for letter in page.crop(table.bbox, strict=False).chars]
            yield Word(_table(grid), x0, x1, top, bottom, statistics.median(sizes), bold=False, is_table=True)


def _grid(table: Any) -> list[list[str]]:  # noqa: ANN401
    """What stands in each place; a place that is merged with others says what all of them do."""
    texts = table.extract(x_tolerance_ratio=_SPACE)
    said = {
        box: text for row, own in zip(table.rows, texts, strict=True) for box, text in zip(row.cells, own, strict=True) if box
    }
    columns = [[row.cells[i] for row in table.rows if row.cells[i]] for i in range(len(table.rows[0].cells))]
    grid = []
    for row in table.rows:
        y = (row.bbox[1] + row.bbox[3]) / 2
        places = [box or _covering(said, column, y) for box, column in zip(row.cells, columns, strict=True)]
        grid.append([_together(clean(said.get(place) or "").split("\n")) for place in places])
    return grid


def _covering(boxes: Iterable[Box], column: Sequence[Box], y: float) -> Box | None:
    """The box that reaches over a place: at y, within the narrowest box of the column."""
    narrow = min(column, key=lambda box: box[2] - box[0], default=None)
    x = (narrow[0] + narrow[2]) / 2 if narrow else 0.0
    return next((box for box in boxes if box[0] <= x <= box[2] and box[1] <= y <= box[3]), None)


def _table(grid: Sequence[Sequence[str]]) -> str:
    count = header_rows(grid)
    return markdown(joined(grid[:count]), grid[count:])


def _rows(words: Iterable[Word]) -> list[Row]:
    rows: list[Row] = []
    for word in sorted(words, key=lambda word: (word.bottom, word.x0)):
        last = rows[-1][0] if rows else None
        if last and not (word.is_table or last.is_table) and abs(word.bottom - last.bottom) < 0.4 * min(word.size, last.size):
            rows[-1].append(word)
        else:
            rows.append([word])
    return sorted((sorted(row, key=lambda word: word.x0) for row in rows), key=lambda row: row[0].top)


def _read(rows: list[Row], height: float, room: int = 0) -> Iterator[Line]:
    """The lines of a region: what stands above columns, each of these, what stands below."""
    if found := _columns(rows):
        first, last, x = found
        yield from _read(rows[:first], height, room)
        sides = [[word for word in row if (word.x0 < x) == is_left] for is_left in (True, False) for row in rows[first:last]]
        count = last - first
        both = [[row for row in side if row] for side in (sides[:count], sides[count:])]
        widest = max(width(_text(row)) for side in both for row in side)
        for side in both:
            yield from _read(side, height, widest)
        yield from _read(rows[last:], height, room)
        return
    widest = room or max((width(_text(row)) for row in rows if not row[0].is_table), default=0)
    before: Row | None = None
    for row, table in _with_tables(rows):
        if before and row[0].top - before[0].bottom > _APART * (before[0].bottom - before[0].top) and not before[0].is_table:
            yield Line("")
        before = row
        if table or row[0].is_table:
            yield Line(table or row[0].text, round(row[0].size, 1), is_table=True)
        else:
            yield Line(
                _text(row), round(max(word.size for word in row), 1), all(word.bold for word in row), widest, row[0].top / height
            )


def _columns(rows: Sequence[Row]) -> tuple[int, int, float] | None:
    """(first row, row behind the last, x between them) of the longest stretch of text in two columns; None if there is none."""
    if len(rows) < _FEWEST:
        return None
    left, right = min(row[0].x0 for row in rows), max(word.x1 for row in rows for word in row)
    best: list[tuple[int, int, int, float]] = []
    for x in range(int(left + 0.25 * (right - left)), int(left + 0.75 * (right - left)), 3):
        for is_free, run in itertools.groupby(enumerate(rows), key=lambda pair, x=x: _is_free(pair[1], x)):  # type: ignore[misc]
            found = _trimmed([i for i, _ in run], rows) if is_free else []
            if found and (count := _beside(rows[found[0] : found[-1] + 1], x)):
                best.append((count, found[0], found[-1] + 1, float(x)))
    if not best:
        return None
    most = max(best)[0]
    ways = [way for way in best if way[0] == most and way[1:3] == max(best)[1:3]]
    _, first, last, _ = ways[0]
    return first, last, statistics.median(way[3] for way in ways)


def _is_free(row: Row, x: float) -> bool:
    return not any(word.x0 < x + _GUTTER / 2 and word.x1 > x - _GUTTER / 2 for word in row)


def _trimmed(run: list[int], rows: Sequence[Row]) -> list[int]:
    """Without a first or last line that stands apart: a title above the columns, a page number below."""
    for end, step in ((0, 1), (-1, -1)):
        while len(run) > 1:
            one, other = rows[run[end]][0], rows[run[end + step]][0]
            upper, lower = (one, other) if step > 0 else (other, one)
            if lower.top - upper.bottom <= 2 * min(upper.bottom - upper.top, lower.bottom - lower.top):
                break
            run = run[1:] if step > 0 else run[:-1]
    return run


def _beside(rows: Sequence[Row], x: float) -> int:
    """How many lines the shorter of two columns has; 0 if they do not read like text."""
    counts = []
    for side in ([[word for word in row if (word.x0 < x) == is_left] for row in rows] for is_left in (True, False)):
        own = [row for row in side if row]
        if len(own) < _FEWEST:
            return 0
        room = max(row[-1].x1 for row in own) - min(row[0].x0 for row in own)
        filled = statistics.median((row[-1].x1 - row[0].x0) / room for row in own)
        if statistics.median(width(_text(row)) for row in own) < _PROSE or filled < _FILLED:
            return 0
        counts.append(len(own))
    return min(counts)


def _with_tables(rows: list[Row]) -> Iterator[tuple[Row, str]]:
    """Each row, and the Markdown of the table that begins with it; the table's other rows are left out."""
    at = 0
    while at < len(rows):
        last, gaps = _stretch(rows, at)
        grid = _cells(rows[at:last], gaps) if last - at >= _FEWEST else []
        if _is_table(grid):
            yield rows[at], _table(grid)
            at = last
        else:
            yield rows[at], ""
            at += 1


def _stretch(rows: Sequence[Row], first: int) -> tuple[int, list[tuple[float, float]]]:
    """The row behind the last that keeps free all gaps of the first one, and what is left of these gaps."""
    gaps = [(a.x1, b.x0) for a, b in itertools.pairwise(rows[first]) if b.x0 - a.x1 > _GAP * max(a.size, b.size)]
    last = first + 1
    while gaps and last < len(rows) and not rows[last][0].is_table:
        row, above = rows[last], rows[last - 1]
        if row[0].top - above[0].bottom > 2 * (above[0].bottom - above[0].top):
            break
        narrowed = [_narrowed(gap, row) for gap in gaps]
        if any(right - left < _GAP / 2 * row[0].size for left, right in narrowed):
            break
        gaps = narrowed
        last += 1
    return last, gaps


def _narrowed(gap: tuple[float, float], row: Row) -> tuple[float, float]:
    left, right = gap
    for word in row:
        if word.x0 < right and word.x1 > left:
            if word.x0 <= left and word.x1 >= right:
                return left, left
            left, right = (max(left, word.x1), right) if word.x0 <= left else (left, min(right, word.x0))
    return left, right


def _cells(rows: Iterable[Row], gaps: Sequence[tuple[float, float]]) -> list[list[str]]:
    """A line without a first cell goes on with what stands above it."""
    grid: list[list[str]] = []
    for row in rows:
        cells = [
            [word for word in row if sum(word.x0 >= right for _, right in gaps) == column] for column in range(len(gaps) + 1)
        ]
        texts = [_text(cell) for cell in cells]
        if grid and not texts[0]:
            grid[-1] = [_together([above, text]) if text else above for above, text in zip(grid[-1], texts, strict=True)]
        else:
            grid.append(texts)
    return grid


def _is_table(grid: Sequence[Sequence[str]]) -> bool:
    """Whether columns are a table: a whole header without figures, and figures below it, or three columns."""
    if len(grid) < _FEWEST or not all(grid[0]) or any(map(is_amount, grid[0])):
        return False
    figures = sum(any(map(is_amount, row[1:])) for row in grid[1:])
    return figures > len(grid) / 2 or (len(grid[0]) > 2 and all(sum(map(bool, row)) > 1 for row in grid))


def _text(words: Sequence[Word]) -> str:
    return _together([word.text for word in words])


def _together(parts: Iterable[str]) -> str:
    """Parts with spaces between, but not between Chinese characters."""
    text = ""
    for part in filter(None, (" ".join(part.split()) for part in parts)):
        text += part if not text or (CJK.match(text[-1]) and CJK.match(part)) else f" {part}"
    return text
