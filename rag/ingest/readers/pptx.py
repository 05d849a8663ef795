"""PPTX -> Markdown: a heading for each slide (citations name it), its texts, tables and the speaker's notes."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from pptx import Presentation

from rag.ingest.clean import clean
from rag.ingest.readers.content import Page
from rag.ingest.readers.grid import header_rows, joined, markdown
from rag.ingest.readers.office import parsing, properties, unpack
from rag.language import detect
from rag.wording import say

_KIND = "a PowerPoint file (.pptx)"
_PAGE_NUMBER = re.compile(r"[\d‹›#\s/]*")


def read(data: bytes) -> Page:
    """Raises Unreadable for a damaged, encrypted or oversized file."""
    archive = unpack(data, _KIND)
    with parsing(_KIND):
        slides = [_slide(slide) for slide in Presentation(io.BytesIO(data)).slides]
        meta = properties(archive)
    language = detect("\n".join(part for title, parts in slides for part in (title, *parts))[:2000]) or "en"
    first = slides[0][0] if slides else ""
    head = [f"# {first}"] if first else []
    blocks = []
    for number, (title, parts) in enumerate(slides, start=1):
        text = [*([f"### {title}"] if title and parts else [title] if title and number > 1 else []), *parts]
        if text:
            blocks.append("\n\n".join([f"## {say('slide_heading', language, number=number)}", *text]))
    return Page("\n\n".join([*head, *blocks]), ({"title": first} if first else {}) | meta)


def _slide(slide: Any) -> tuple[str, list[str]]:  # noqa: ANN401 - python-pptx ships no types
    """Its title, and its texts in the order that eyes take: from the top, then from the left."""
    heading = slide.shapes.title
    title = " ".join(_text(heading.text_frame).split()) if heading is not None else ""
    others = [shape for shape in _flat(slide.shapes) if heading is None or shape.shape_id != heading.shape_id]
    others.sort(key=lambda shape: (shape.top or 0, shape.left or 0))
    parts = [text for shape in others if (text := _of_shape(shape)) and not _PAGE_NUMBER.fullmatch(text)]
    if slide.has_notes_slide and (notes := _text(slide.notes_slide.notes_text_frame)):
        parts.append(notes)
    return title, parts


def _flat(shapes: Any) -> Iterator[Any]:  # noqa: ANN401
    """Shapes, groups opened."""
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _flat(shape.shapes)
        else:
            yield shape


def _of_shape(shape: Any) -> str:  # noqa: ANN401
    if getattr(shape, "has_table", False):
        return _table(shape.table)
    return _text(shape.text_frame) if shape.has_text_frame else ""


def _text(frame: Any) -> str:  # noqa: ANN401
    """Paragraphs as lines; those below the first level as items of a list."""
    lines = []
    for paragraph in frame.paragraphs if frame is not None else ():
        text = " ".join(clean("".join(run.text for run in paragraph.runs)).split())
        lines.append(f"{'  ' * (paragraph.level - 1)}- {text}" if text and paragraph.level else text)
    return "\n".join(line for line in lines if line)


def _table(table: Any) -> str:  # noqa: ANN401
    """A Markdown table; what a merged cell says is said in each of the cells that it covers."""
    rows = [[_cell(table, row, column) for column in range(len(table.columns))] for row in range(len(table.rows))]
    count = header_rows(rows)
    return markdown(joined(rows[:count]), rows[count:])


def _cell(table: Any, row: int, column: int) -> str:  # noqa: ANN401
    cell = table.cell(row, column)
    if cell.is_spanned:
        origins = (
            (top, left) for top in range(row, -1, -1) for left in range(column, -1, -1) if table.cell(top, left).is_merge_origin
        )
        cell = next(
            (
                origin
                for top, left in origins
                if (origin := table.cell(top, left)) and top + origin.span_height > row and left + origin.span_width > column
            ),
            cell,
        )
    return _text(cell.text_frame).replace("\n", " ").replace("|", "/")
