"""DOCX -> HTML (mammoth keeps headings, lists and tables) -> Markdown."""

from __future__ import annotations

import io

import mammoth

from rag.ingest.readers import html
from rag.ingest.readers.content import Page
from rag.ingest.readers.office import parsing, properties, unpack

_KIND = "a Word file (.docx)"
_STYLES = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh"


def read(data: bytes) -> Page:
    """Raises Unreadable for a damaged, encrypted or oversized file."""
    archive = unpack(data, _KIND)
    with parsing(_KIND):
        markup = mammoth.convert_to_html(io.BytesIO(data), style_map=_STYLES, convert_image=_no_image).value
        described = properties(archive)
    page = html.convert(markup)
    return Page(page.text, described | {key: value for key, value in page.meta.items() if value})


def _no_image(image: object) -> list[object]:
    return []
