"""Render the Word and PDF pages of the bundled shop from their Markdown sources.

Usage: ``python corpus/render.py``. Each ``corpus/render/NAME.docx.md`` or ``NAME.pdf.md`` becomes
``corpus/shop/products/NAME.docx`` or ``NAME.pdf``. The front matter goes into the document properties: ``title`` and
``language`` by name, every field once more in the keywords as ``field: value; field: value``. Needs python-docx and
reportlab (reportlab's built-in STSong-Light sets Chinese without a font file). The same source gives the same text; PDF
files are the same to the byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from xml.sax.saxutils import escape

import yaml
from docx import Document
from docx.oxml.ns import qn
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.platypus import Paragraph, SimpleDocTemplate

SOURCES = Path(__file__).parent / "render"
TARGET = Path(__file__).parent / "shop" / "products"
WRITTEN = datetime(2025, 3, 1)  # a fixed date keeps a re-run from changing the files
PREFIXES = (("## ", "h2"), ("# ", "h1"), ("- ", "bullet"))
WORD_STYLES = {"h1": "Heading 1", "h2": "Heading 2", "bullet": "List Bullet", "step": "Normal", "text": "Normal"}
SIZES = {"h1": (18, 26, 10), "h2": (13, 20, 8), "bullet": (10.5, 16, 2), "step": (10.5, 16, 2), "text": (10.5, 16, 4)}


def split_source(source: str) -> tuple[dict[str, str], str]:
    """Return (front matter, body) of a Markdown source that starts with a YAML block between ``---`` lines."""
    _, head, body = source.split("---\n", 2)
    return {name: str(value) for name, value in yaml.safe_load(head).items()}, body


def blocks(body: str) -> Iterator[tuple[str, str]]:
    """Yield (kind, text) per non-empty line; kinds are the keys of ``SIZES``. Steps keep their number in the text."""
    for line in filter(None, map(str.strip, body.splitlines())):
        for prefix, kind in PREFIXES:
            if line.startswith(prefix):
                yield kind, line.removeprefix(prefix)
                break
        else:
            yield ("step" if re.match(r"\d+\. ", line) else "text"), line


def keywords(meta: dict[str, str]) -> str:
    """Return the front matter as one line, ``field: value; field: value``."""
    return "; ".join(f"{name}: {value}" for name, value in meta.items())


def write_docx(meta: dict[str, str], body: str, target: Path) -> None:
    """Write a Word file with real heading and list styles."""
    document = Document()
    properties = document.core_properties
    properties.title, properties.language, properties.keywords = meta["title"], meta["language"], keywords(meta)
    properties.author, properties.comments = "Pinebeck", ""
    properties.created = properties.modified = WRITTEN
    if meta["language"] == "zh":
        document.styles["Normal"].element.get_or_add_rPr().get_or_add_rFonts().set(qn("w:eastAsia"), "SimSun")
    for kind, text in blocks(body):
        paragraph = document.add_paragraph(style=WORD_STYLES[kind])
        for index, part in enumerate(text.split("**")):
            if part:
                paragraph.add_run(part).bold = True if index % 2 else None
    document.save(str(target))


def write_pdf(meta: dict[str, str], body: str, target: Path) -> None:
    """Write an A4 PDF with a text layer; Chinese in the CID font STSong-Light, everything else in Helvetica."""
    chinese = meta["language"] == "zh"
    font = "STSong-Light" if chinese else "Helvetica"
    if chinese:
        pdfmetrics.registerFont(UnicodeCIDFont(font))
    story = []
    for kind, text in blocks(body):
        size, leading, after = SIZES[kind]
        style = ParagraphStyle(
            kind, fontName=font, fontSize=size, leading=leading, spaceAfter=after, wordWrap="CJK" if chinese else None
        )
        markup = escape(text) if chinese else re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escape(text))
        # STSong-Light has no bold face, so the marks are dropped there.
        story.append(Paragraph(markup.replace("**", ""), style, bulletText="-" if kind == "bullet" else None))
    SimpleDocTemplate(
        str(target), pagesize=A4, title=meta["title"], author="Pinebeck", keywords=keywords(meta), invariant=1
    ).build(story)


def main() -> None:
    """Render every source in ``corpus/render``."""
    writers = {".docx": write_docx, ".pdf": write_pdf}
    for source in sorted(SOURCES.glob("*.md")):
        target = TARGET / source.stem
        meta, body = split_source(source.read_text(encoding="utf-8"))
        writers[target.suffix](meta, body, target)


if __name__ == "__main__":
    main()
