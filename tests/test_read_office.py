"""PDF and Word files, made here as an office program would make them."""

from __future__ import annotations

import io
import zipfile
from datetime import date
from pathlib import Path

import docx
import pypdf
import pytest
from fpdf import FPDF

from rag.errors import Unreadable
from rag.ingest.read import read
from rag.ingest.readers import office
from rag.ingest.readers.pdf import _join, _paragraphs
from rag.types import Document, Facets

WRAPPED = (
    "Press the button twice to switch the lamp on. The lamp remembers the brightness that you chose last and returns to it "
    "when you switch it on again, even after the battery has been changed."
)


def opened(folder: Path, name: str, data: bytes) -> Document:
    path = folder / name
    path.write_bytes(data)
    return read(path, name)


def rejects(folder: Path, name: str, data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        opened(folder, name, data)


def manual() -> FPDF:
    pdf = FPDF()
    pdf.set_keywords("region: EU; product: PB-1; valid_to: 2026-12-31; colour: red")
    for page in (1, 2):
        pdf.add_page()
        if page == 1:
            put(pdf, "Ember 400: manual", 20)
            put(pdf, "First steps", 14)
        put(pdf, WRAPPED)
        put(pdf, "- Charge it.\n- Wear it.")
        put(pdf, "Care" if page == 1 else "Safety", 11, "B")
        put(pdf, "Wipe it dry." if page == 1 else "Keep it away from children.")
    return pdf


def put(pdf: FPDF, text: str, size: int = 11, style: str = "") -> None:
    pdf.set_font("helvetica", style, size)
    pdf.multi_cell(0, size * 0.6, text, new_x="LMARGIN", new_y="NEXT")


def saved(pdf: FPDF) -> bytes:
    return bytes(pdf.output())


def test_pdf(tmp_path: Path) -> None:
    document = opened(tmp_path, "manual.pdf", saved(manual()))
    assert document.text == (
        f"# Ember 400: manual\n\n## Page 1\n\n### First steps\n\n{WRAPPED}\n- Charge it.\n- Wear it.\n\n"
        "### Care\n\nWipe it dry.\n\n"
        f"## Page 2\n\n### Care\n\n{WRAPPED}\n- Charge it.\n- Wear it.\n\n### Safety\n\nKeep it away from children."
    )
    assert document.title == "Ember 400: manual"
    assert document.facets == Facets(language="en", region="EU", product="PB-1", valid_to=date(2026, 12, 31))


def test_pdf_drops_what_stands_on_every_page(tmp_path: Path) -> None:
    pdf = FPDF()
    for page in range(1, 5):
        pdf.add_page()
        put(pdf, "Shop manuals")
        put(
            pdf,
            f"Chapter {'ABCD'[page - 1]} speaks of one thing, and of many more than that.\nAnd of another.\nAnd of a third.",
        )
        put(pdf, f"Page {page} of 4")
    text = opened(tmp_path, "a.pdf", saved(pdf)).text
    assert "Shop manuals" not in text
    assert "of 4" not in text
    assert text.count("And of a third.") == 4


def test_wrapped_lines() -> None:
    block = ["The rechargeable battery and the re-", "chargeable lamp are state-of-the-", "art."]
    whole = "\n".join(block) + " state-of-the-art"
    assert _paragraphs(block, 38, whole) == "The rechargeable battery and the rechargeable lamp are state-of-the-art."
    assert _paragraphs(["极地用压缩机制冷，原理和冰箱一", "样。容积很大。", "- 第一", "- 第二"], 30, "") == (
        "极地用压缩机制冷，原理和冰箱一样。容积很大。\n- 第一\n- 第二"
    )
    assert _join("容积 35 升，用", "USB 供电", "") == "容积 35 升，用 USB 供电"
    assert _paragraphs(["Short.", "Also short, but this line is the longest of all."], 48, "").count("\n") == 1


def test_pdf_without_text(tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.add_page()
    pdf.rect(10, 10, 50, 50)
    rejects(tmp_path, "scan.pdf", saved(pdf), "found 1 pages without text, and none was recognized in their pictures")


def test_encrypted_pdf(tmp_path: Path) -> None:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(saved(manual())))
    writer.encrypt("secret", algorithm="RC4-128")
    stream = io.BytesIO()
    writer.write(stream)
    rejects(tmp_path, "a.pdf", stream.getvalue(), "expected a PDF without a password; found an encrypted one")


@pytest.mark.parametrize("data", [b"%PDF-1.7 nothing", b"random bytes \xff\x00 of no format", b"%PDF-1.4\n" + b"\x00" * 5000])
def test_broken_pdf(tmp_path: Path, data: bytes) -> None:
    rejects(tmp_path, "a.pdf", data, "expected a PDF file; found a damaged file or another format")


def test_pdf_cut_in_half(tmp_path: Path) -> None:
    data = saved(manual())
    rejects(tmp_path, "a.pdf", data[: len(data) // 2], "expected a PDF")


def word() -> bytes:
    document = docx.Document()
    document.core_properties.keywords = "region=EU, valid_to=2026-12-31"
    document.add_heading("Warranty", 1)
    document.add_paragraph("Two years.")
    document.add_heading("What is not covered", 2)
    document.add_paragraph("Scratches", style="List Bullet")
    document.add_paragraph("Call us", style="List Number")
    table = document.add_table(2, 2)
    for row, cells in zip(table.rows, (("Part", "Years"), ("Battery", "1")), strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    document.add_paragraph("中文段落。")
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def test_docx(tmp_path: Path) -> None:
    document = opened(tmp_path, "a.docx", word())
    assert document.text == (
        "# Warranty\n\nTwo years.\n\n## What is not covered\n\n- Scratches\n\n1. Call us\n\n"
        "| Part | Years |\n| --- | --- |\n| Battery | 1 |\n\n中文段落。"
    )
    assert document.title == "Warranty"
    assert document.facets == Facets(language="en", region="EU", valid_to=date(2026, 12, 31))


def replaced(data: bytes, member: str, content: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, content if name == member else old.read(name))
    return stream.getvalue()


W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
LAUGHS = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
BODY = f'<w:document xmlns:w="{W}"><w:body><w:p><w:r><w:t>&a9;&x;</w:t></w:r></w:p></w:body></w:document>'


@pytest.mark.parametrize(
    "xml",
    ["<a>", f'<!DOCTYPE l [<!ENTITY a0 "lol">{LAUGHS}<!ENTITY x "">]>{BODY}', "<a>" * 20_000],
    ids=["cut off", "billion laughs", "deep"],
)
def test_docx_that_is_damaged_or_meant_to_hang(tmp_path: Path, xml: str) -> None:
    rejects(
        tmp_path, "a.docx", replaced(word(), "word/document.xml", xml), r"expected a Word file \(.docx\); found a damaged file"
    )


def test_docx_reads_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("SECRET")
    xml = f'<!DOCTYPE l [<!ENTITY a9 "ok"><!ENTITY x SYSTEM "file://{tmp_path}/secret">]>{BODY}'
    assert "SECRET" not in opened(tmp_path, "a.docx", replaced(word(), "word/document.xml", xml)).text


@pytest.mark.parametrize("data", [b"no zip", b"PK\x03\x04cut"])
def test_docx_that_is_none(tmp_path: Path, data: bytes) -> None:
    rejects(tmp_path, "a.docx", data, "found a damaged file or another format")


def test_docx_that_would_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office, "_TEXT", 1_000_000)
    bomb = replaced(word(), "word/document.xml", " " * 3_000_000)
    assert len(bomb) < 100_000
    rejects(tmp_path, "a.docx", bomb, "expected at most 1 MB of text after unpacking; found 3 MB; split the file")
    monkeypatch.setattr(office, "_TOTAL", 10_000)
    rejects(tmp_path, "a.docx", word(), "expected at most 0 MB of content after unpacking")
