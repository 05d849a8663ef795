"""PDF pages as layout programs make them: two columns, tables with and without rules, running heads, hyphens."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from fpdf import FPDF
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate, Paragraph, Spacer, Table, TableStyle

from rag.ingest.read import read
from rag.types import Document

CHINESE = "STSong-Light"
LAMP = (
    "The lamp remembers the brightness that you chose last and returns to it when you switch it on again. "
    "Press the button twice to switch it on and hold it for two seconds to lock it for your journey. "
)
KETTLE = (
    "The kettle boils a litre of water within four minutes and keeps it warm for half an hour afterwards. "
    "Descale it every month with vinegar or with citric acid and rinse it well before the next use. "
)
灯 = "头灯会记住您上次选择的亮度，再次打开时自动恢复到该亮度，即使更换过电池也是如此。"
壶 = "水壶在四分钟内烧开一升水，并可保温半小时，每月请用白醋或柠檬酸除垢一次，然后冲洗干净。"


def made(parts: Sequence[Flowable], columns: int = 1, head: str = "", font: str = "Helvetica") -> bytes:
    stream = io.BytesIO()
    width = (A4[0] - 100 - 24 * (columns - 1)) / columns
    frames = [Frame(50 + i * (width + 24), 60, width, A4[1] - 120, 0, 0, 0, 0) for i in range(columns)]

    def running(canvas: object, document: BaseDocTemplate) -> None:
        canvas.setFont(font, 9)  # type: ignore[attr-defined]
        for text, y in ((head, A4[1] - 30), (f"Page {document.page}" if head else "", 30)):
            canvas.drawString(50, y, text)  # type: ignore[attr-defined]

    document = BaseDocTemplate(stream, pagesize=A4, pageTemplates=[PageTemplate(frames=frames, onPage=running)])
    document.build(list(parts))
    return stream.getvalue()


def paragraph(text: str, size: int = 10, font: str = "Helvetica", space: int = 6) -> Paragraph:
    wrap = "CJK" if font == CHINESE else None
    style = ParagraphStyle("p", fontName=font, fontSize=size, leading=size * 1.25, spaceAfter=space, wordWrap=wrap)
    return Paragraph(text, style)


def opened(folder: Path, data: bytes) -> Document:
    (folder / "a.pdf").write_bytes(data)
    return read(folder / "a.pdf", "a.pdf")


def table(rows: Sequence[Sequence[str]], *looks: tuple[object, ...], font: str = "Helvetica") -> Table:
    return Table([list(row) for row in rows], style=TableStyle([("FONT", (0, 0), (-1, -1), font, 10), *looks]))


GRID = ("GRID", (0, 0), (-1, -1), 0.5, colors.black)
PRICES = (
    ("Model", "Weight (g)", "Price", ""),
    ("", "", "EUR", "GBP"),
    ("Kestrel", "1450", "349", "299"),
    ("Plover", "", "299", "255"),
)
MERGED = [("SPAN", (0, 0), (0, 1)), ("SPAN", (1, 0), (1, 1)), ("SPAN", (2, 0), (3, 0)), ("SPAN", (1, 2), (1, 3))]


def test_two_columns_are_read_one_after_the_other(tmp_path: Path) -> None:
    parts = [paragraph("Manual", 18), *[paragraph(LAMP * 2) for _ in range(7)], *[paragraph(KETTLE * 2) for _ in range(4)]]
    text = opened(tmp_path, made(parts, columns=2)).text
    assert text.startswith("# Manual\n\n## Page 1\n\n")
    said = text.removeprefix("# Manual").replace("## Page 1", "").split()
    assert said == (LAMP * 14 + KETTLE * 8).split()


def test_two_columns_of_chinese_join_without_spaces(tmp_path: Path) -> None:
    pdfmetrics.registerFont(UnicodeCIDFont(CHINESE))
    parts = [paragraph(text * 3, font=CHINESE) for text in [灯] * 8 + [壶] * 8]
    text = opened(tmp_path, made(parts, columns=2, font=CHINESE)).text
    assert "".join(text.removeprefix("## 第 1 页").split()) == (灯 * 3) * 8 + (壶 * 3) * 8
    assert " " not in text.removeprefix("## 第 1 页")


def test_a_table_within_a_column(tmp_path: Path) -> None:
    parts = [paragraph(LAMP * 3), table(PRICES, GRID, *MERGED), *[paragraph(LAMP * 2) for _ in range(20)]]
    document = opened(tmp_path, made(parts, columns=2))
    assert "| Kestrel | 1450 | 349 | 299 |\n| Plover | 1450 | 299 | 255 |" in document.text
    assert document.text.index("| Kestrel") > document.text.index("The lamp") and document.text.count("The lamp") == 43


def test_a_ruled_table_with_merged_cells(tmp_path: Path) -> None:
    document = opened(tmp_path, made([paragraph(LAMP), table(PRICES, GRID, *MERGED), paragraph(KETTLE)]))
    assert "| Model | Weight (g) | Price / EUR | Price / GBP |\n| --- | --- | --- | --- |\n| Kestrel" in document.text
    assert [entry.text for entry in document.entries] == [
        "Model: Kestrel\nWeight: 1450 g\nPrice: 349 EUR\nPrice: 299 GBP",
        "Model: Plover\nWeight: 1450 g\nPrice: 299 EUR\nPrice: 255 GBP",
    ]
    assert document.entries[0].headings == ("Page 1", "Kestrel")
    assert document.text.index("The lamp") < document.text.index("| Model") < document.text.index("The kettle")


@pytest.mark.parametrize("looks", [(), (("LINEBELOW", (0, 0), (-1, -1), 0.5, colors.black),)], ids=["no rules", "lines below"])
def test_a_table_without_a_grid(tmp_path: Path, looks: tuple[tuple[object, ...], ...]) -> None:
    rows = (
        ("Bottle", "Weight (g)", "Material"),
        ("Larch", "310", "steel"),
        ("Alder", "265", "titanium"),
        ("Rowan", "420", "glass"),
    )
    document = opened(tmp_path, made([paragraph(LAMP), table(rows, *looks), Spacer(1, 20), paragraph(KETTLE)]))
    assert "| Bottle | Weight (g) | Material |\n| --- | --- | --- |\n| Larch | 310 | steel |" in document.text
    assert document.entries[2].text == "Bottle: Rowan\nWeight: 420 g\nMaterial: glass"
    assert LAMP.strip() in document.text and KETTLE.strip() in document.text


def test_text_is_no_table(tmp_path: Path) -> None:
    assert opened(tmp_path, made([paragraph(LAMP * 5), paragraph(KETTLE * 5)])).entries == ()


def test_running_heads_and_page_numbers_go(tmp_path: Path) -> None:
    text = opened(tmp_path, made([paragraph(LAMP * 3) for _ in range(60)], head="Pole Star Manuals")).text
    assert "## Page 3" in text
    assert "Pole Star" not in text and "Page 3\n\nPage" not in text and not text.rstrip().endswith("Page 3")
    assert text.replace("\n", " ").count("The lamp") == 180


def test_words_split_at_a_line_end_are_joined(tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("helvetica", size=11)
    for line in (
        "Wipe the lamp with a soft cloth and never with an aggressive clea-",
        "ning agent, which would harm the lens of your new lamp.",
    ):
        pdf.cell(text=line, new_x="LMARGIN", new_y="NEXT")
    assert "an aggressive cleaning agent, which" in opened(tmp_path, bytes(pdf.output())).text
