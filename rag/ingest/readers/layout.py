"""Lines with places -> Markdown in reading order: columns one after the other, rows of a grid together, wrapped lines joined."""

from __future__ import annotations

import itertools
import re
import statistics
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rag.ingest.clean import clean
from rag.ingest.readers.recognize import Box
from rag.language import HAN

_LARGER = 1.35  # a heading's height against the usual line's; what is measured varies by a tenth
_HEADING_LENGTH = 80
_LONG = 24  # letters (Chinese: half as many) in the middle line of a column of prose; cells of a grid hold less
_FULL = 0.85  # of the column's width: a shorter line was ended by its author
_END = ".!?:;。！？：；"
_APART = 2.5  # of a line's height: columns do not go on below such a gap
_GAP = 0.9  # of a line's height, between the lines of one paragraph
_CJK = re.compile(f"[{HAN}\u3000-\u303f\uff00-\uffef]")
_LIST = re.compile(r"(?:[-–•·*▪●○◦]|\d{1,3}[.)、]|[(（]\d{1,3}[)）])\s*\S")
_MARKUP = re.compile(r"^(#{1,6}\s|[>+]\s|\|)")


@dataclass(frozen=True, slots=True)
class Part:
    """A heading with what stands below it, both as Markdown; the first part may have none."""

    heading: str
    text: str


def parts(boxes: Sequence[Box]) -> list[Part]:
    """The text of a picture. Empty for no boxes."""
    boxes = [replace(box, text=text) for box in boxes if (text := _escaped(clean(box.text).strip()))]
    if not boxes:
        return []
    usual = statistics.median_low(box.height for box in boxes for _ in range(1 + len(box.text) // 10))
    found: list[Part] = []
    heading, blocks = "", list[str]()
    for column in _columns(boxes):
        for block in _blocks(column, usual):
            if block.heading:
                found.append(Part(heading, "\n\n".join(filter(None, blocks))))
                heading, blocks = block.heading, []
            blocks.append(block.text)
    found.append(Part(heading, "\n\n".join(filter(None, blocks))))
    return [part for part in found if part.heading or part.text]


def markdown(found: Sequence[Part], level: int = 1) -> str:
    """Parts as text; a heading that stands first is of this level, others are one lower, or as low below a page's."""
    lines: list[str] = []
    for i, part in enumerate(found):
        marks = "#" * (level if i == 0 else max(level, 2))
        lines += [f"{marks} {part.heading}"] if part.heading else []
        lines += [part.text] if part.text else []
    return "\n\n".join(lines)


def _escaped(text: str) -> str:
    """What happens to look like Markdown at the start of a line is none; a bar would be a cell's edge."""
    return _MARKUP.sub(lambda found: "\\" + found[0], text.replace("|", "/") if "|" in text else text)


def _columns(boxes: Sequence[Box]) -> list[list[Box]]:
    """Stretches in reading order: where a gutter runs down with prose on both sides, what is left of it comes first."""
    rows = _rows(boxes)
    best: tuple[int, int, float] = (0, 0, 0.0)  # first row, row after the last, gutter
    for at in sorted({box.left for box in boxes}):
        for start, end in _runs(rows, at):
            run = [box for row in rows[start:end] for box in row]
            if end - start > best[1] - best[0] and _prose(*_sides(run, at)):
                best = start, end, at
    start, end, at = best
    if not end:
        return [list(boxes)]
    whole = [[box for row in some for box in row] for some in (rows[:start], rows[end:])]
    left, right = _sides([box for row in rows[start:end] for box in row], at)
    return [found for part in (whole[0], left, right, whole[1]) if part for found in _columns(part)]


def _runs(rows: Sequence[Sequence[Box]], at: float) -> list[tuple[int, int]]:
    """Stretches of rows, (first, after the last), that no box across `at` and no wide gap interrupts."""
    cuts = [0]
    for i, row in enumerate(rows):
        if any(_crosses(box, at) for box in row):
            cuts += [i, i + 1]
        elif i and min(box.top for box in row) - max(box.bottom for box in rows[i - 1]) > _APART * row[0].height:
            cuts.append(i)
    return list(itertools.pairwise([*cuts, len(rows)]))


def _crosses(box: Box, at: float) -> bool:
    slack = 0.4 * box.height  # a box is drawn a little larger than its text
    return box.left + slack < at < box.right - slack


def _sides(boxes: Sequence[Box], at: float) -> tuple[list[Box], list[Box]]:
    middle = [(box.left + box.right) / 2 < at for box in boxes]
    return [b for b, left in zip(boxes, middle, strict=True) if left], [
        b for b, left in zip(boxes, middle, strict=True) if not left
    ]


def _prose(*columns: Sequence[Box]) -> bool:
    """Whether each is a column of running text: three lines or more, half of them long."""
    return all(len(boxes) > 2 and statistics.median(_width(box.text) for box in boxes) >= _LONG for boxes in columns)


def _rows(boxes: Sequence[Box]) -> list[list[Box]]:
    """Boxes side by side, from left to right; rows from top to bottom."""
    rows: list[list[Box]] = []
    for box in sorted(boxes, key=lambda box: box.top + box.bottom):
        middle = (box.top + box.bottom) / 2
        last = rows[-1] if rows else []
        centre = sum(one.top + one.bottom for one in last) / (2 * len(last)) if last else 0.0
        apart = all(box.left >= one.right - box.height or box.right <= one.left + box.height for one in last)
        if last and apart and abs(middle - centre) < 0.5 * min(box.height, *(one.height for one in last)):
            last.append(box)
        else:
            rows.append([box])
    return [sorted(row, key=lambda box: box.left) for row in rows]


def _blocks(boxes: Sequence[Box], usual: float) -> list[Part]:
    """Headings, paragraphs and tables of one column, in order; a heading is a part without text."""
    found: list[Part] = []
    rows = _rows(boxes)
    right = max(box.right for box in boxes)
    wrapped = sum(box.right > right - box.height for box in boxes) > 1
    paragraph: list[Box] = []
    at = 0
    while at < len(rows):
        row = rows[at]
        table = _table(rows[at:])
        if table or len(row) > 1 or _is_heading(row[0], usual) or not _goes_on(paragraph, row[0], right, wrapped):
            found += [Part("", _joined(paragraph))] if paragraph else []
            paragraph = []
        if table:
            found.append(Part("", _drawn(table)))
        elif len(row) > 1:
            found.append(Part("", _joined(row)))
        elif _is_heading(row[0], usual):
            found.append(Part(row[0].text, ""))
        else:
            paragraph.append(row[0])
        at += len(table) or 1
    return found + ([Part("", _joined(paragraph))] if paragraph else [])


def _is_heading(box: Box, usual: float) -> bool:
    return box.height > _LARGER * usual and len(box.text) <= _HEADING_LENGTH and any(map(str.isalpha, box.text))


def _goes_on(paragraph: Sequence[Box], box: Box, right: float, wrapped: bool) -> bool:
    """Whether `box` is the next line of the paragraph: close below a line that is not over, or had no room for its first word."""
    if not paragraph or _LIST.match(box.text):
        return False
    last, left = paragraph[-1], min(one.left for one in paragraph)
    if box.top - last.bottom > _GAP * min(last.height, box.height) or abs(box.left - left) > 3 * box.height:
        return False
    ended = last.text[-1] in _END
    if box.text[0].islower() and not ended:
        return True
    chinese = bool(_CJK.match(box.text))
    word = box.text[:1] if chinese else box.text.split(" ", 1)[0]
    room = right - last.right - (box.right - box.left) * (len(word) + 1) / len(box.text)
    full = room < 0.5 * box.height and last.right - left > _FULL * (right - left)
    return full and (wrapped or (chinese and not ended and not last.text[-1].isdigit()))


def _joined(pieces: Sequence[Box]) -> str:
    """The pieces of a row or of a paragraph as one text; pieces that overlap may both have read the mark between them."""
    text = pieces[0].text
    for last, piece in itertools.pairwise(pieces):
        beside = piece.left - last.right if piece.top < last.bottom - 0.5 * last.height else 0.0
        twice = beside < 0 and text[-1] == piece.text[0] and not text[-1].isalnum()
        tight = _CJK.match(text[-1]) and _CJK.match(piece.text[0]) and beside < last.height
        text = f"{text.removesuffix(piece.text[0]) if twice else text}{'' if tight else ' '}{piece.text}"
    return text


def _table(rows: Sequence[Sequence[Box]]) -> list[list[str]]:
    """The rows of a table that starts here, as cells; empty if none does. Its first row has a word above every column."""
    header = rows[0]
    if len(header) < 2 or any(any(map(str.isdigit, box.text)) for box in header):
        return []
    table = [[box.text for box in header]]
    for row in rows[1:]:
        places = [_place(box, header) for box in row]
        if len(row) < 2 or len(set(places)) < len(places):
            break
        table.append([next((b.text for b, p in zip(row, places, strict=True) if p == i), "") for i in range(len(header))])
    return table if len(table) > 2 else []


def _place(box: Box, header: Sequence[Box]) -> int:
    """The column whose heading lies nearest: by the left edges, the middles or the right edges, as columns are aligned."""
    return min(range(len(header)), key=lambda i: min(abs(a - b) for a, b in zip(_marks(box), _marks(header[i]), strict=True)))


def _marks(box: Box) -> tuple[float, float, float]:
    return box.left, (box.left + box.right) / 2, box.right


def _drawn(table: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in table]
    return "\n".join([lines[0], "|" + " --- |" * len(table[0]), *lines[1:]])


def _width(text: str) -> int:
    """Columns: a Chinese character is as wide as two letters."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
