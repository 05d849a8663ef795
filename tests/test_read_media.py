"""Slides, e-books and subtitles, made here as their programs would make them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from pptx import Presentation
from pptx.util import Inches

from rag.errors import Unreadable
from rag.ingest.chunk import chunk
from rag.ingest.read import read
from rag.types import Document


def opened(folder: Path, name: str, data: bytes) -> Document:
    path = folder / name
    path.write_bytes(data)
    return read(path, name)


def slides() -> bytes:
    show = Presentation()
    show.core_properties.keywords = "region: EU"
    first = show.slides.add_slide(show.slide_layouts[0])
    first.shapes.title.text = "Ember 400"
    first.placeholders[1].text = "A headlamp for runners."
    second = show.slides.add_slide(show.slide_layouts[5])
    second.shapes.title.text = "Prices"
    low = second.shapes.add_textbox(Inches(1), Inches(5), Inches(4), Inches(1)).text_frame
    low.text = "All prices with VAT."
    item = low.add_paragraph()
    item.text, item.level = "Shipping is extra.", 1
    group = second.shapes.add_group_shape()
    group.shapes.add_textbox(Inches(1), Inches(1), Inches(4), Inches(1)).text_frame.text = "From May on:"
    table = second.shapes.add_table(3, 3, Inches(1), Inches(2), Inches(6), Inches(2)).table
    for row, texts in enumerate([("", "2025", "2026"), ("Lamp", "49.90 EUR", "52 EUR"), ("Strap|band", "", "9 EUR")]):
        for column, text in enumerate(texts):
            table.cell(row, column).text = text
    table.cell(1, 1).merge(table.cell(2, 1))
    second.notes_slide.notes_text_frame.text = "Until the end of June."
    show.slides.add_slide(show.slide_layouts[6])  # empty
    data = io.BytesIO()
    show.save(data)
    return data.getvalue()


def test_slides_keep_their_numbers_order_tables_and_notes(tmp_path: Path) -> None:
    document = opened(tmp_path, "show.pptx", slides())
    assert (document.title, document.facets.region) == ("Ember 400", "EU")
    assert document.text == (
        "# Ember 400\n\n## Slide 1\n\n### Ember 400\n\nA headlamp for runners.\n\n"
        "## Slide 2\n\n### Prices\n\nFrom May on:\n\n"
        "|  | 2025 | 2026 |\n| --- | --- | --- |\n| Lamp | 49.90 EUR | 52 EUR |\n| Strap/band | 49.90 EUR | 9 EUR |\n\n"
        "All prices with VAT.\n- Shipping is extra.\n\nUntil the end of June."
    )
    found = chunk(document, lambda text: len(text.split()), 200, 0)
    assert [one.headings for one in found] == [("Slide 1", "Ember 400"), ("Slide 2", "Prices")]


def book(**more: str) -> bytes:
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
    )
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        "<metadata><dc:title>Lamp care</dc:title><dc:language>en-GB</dc:language></metadata>"
        '<manifest><item id="b" href="text/b%20two.xhtml"/><item id="a" href="text/a.xhtml"/>'
        '<item id="no" href="no.xhtml"/></manifest>'
        '<spine><itemref idref="a"/><itemref idref="b"/><itemref idref="no"/></spine></package>'
    )
    page = '<?xml version="1.0" encoding="utf-8"?><html><head><title>{}</title></head><body>{}</body></html>'
    files = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": container,
        "OPS/book.opf": package,
        "OPS/text/a.xhtml": page.format("Cleaning", "<h1>Cleaning</h1><p>Wipe it dry.</p><h2>Salt</h2><p>Rinse it.</p>"),
        "OPS/text/b two.xhtml": page.format("Storing", "<p>Keep it cool.</p>"),
        **more,
    }
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return data.getvalue()


def test_a_book_is_read_chapter_by_chapter(tmp_path: Path) -> None:
    document = opened(tmp_path, "book.epub", book())
    assert (document.title, document.facets.language) == ("Lamp care", "en")
    assert document.text == ("# Lamp care\n\n## Cleaning\n\nWipe it dry.\n\n### Salt\n\nRinse it.\n\n## Storing\n\nKeep it cool.")


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("book.epub", book(**{"META-INF/rights.xml": "<rights/>"}), "a protected one"),
        ("book.epub", book(**{"META-INF/container.xml": "<container/>"}), "without a list of chapters"),
        ("book.epub", book(**{"OPS/book.opf": "<package"}), "a damaged file"),
        ("book.epub", b"PK\x03\x04 no zip", "a damaged file"),
        ("show.pptx", slides()[:2000], "a damaged file"),
        ("show.pptx", book(), "a damaged file"),
        ("film.srt", b"nothing with a time", "a damaged file|none"),
        ("film.vtt", b"WEBVTT\n\n", "none|damaged"),
    ],
)
def test_what_is_not_whole_is_refused_with_the_reason(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        opened(tmp_path, name, data)


SRT = """1
00:00:01,000 --> 00:00:03,500
<i>Hold the button</i> for three

2
00:00:03,500 --> 00:00:06,000
seconds to pair the lamp.

3
00:00:50,000 --> 00:00:53,000
{\\an8}The strap is washed at 30 degrees.

4
00:00:53,000 --> 00:00:54,000
The strap is washed at 30 degrees.

5
01:02:03,000 --> 01:02:05,000
Bye.
"""


def test_subtitles_are_cut_where_the_film_pauses_and_named_by_time(tmp_path: Path) -> None:
    document = opened(tmp_path, "pair_the_lamp.srt", SRT.encode("utf-16"))
    assert document.title == "Pair the lamp"
    assert document.text == (
        "## 00:01\n\nHold the button for three seconds to pair the lamp.\n\n"
        "## 00:50\n\nThe strap is washed at 30 degrees.\n\n## 1:02:03\n\nBye."
    )
    found = chunk(document, lambda text: len(text.split()), 200, 0)
    assert [one.headings for one in found] == [("00:01",), ("00:50",), ("1:02:03",)]


def test_chinese_subtitles_are_joined_without_spaces_and_no_sentence_is_cut(tmp_path: Path) -> None:
    def clock(seconds: int) -> str:
        return f"00:{seconds // 60:02}:{seconds % 60:02}.000"

    lines = ["WEBVTT", ""]
    for start in range(0, 90, 3):
        lines += [f"{clock(start)} --> {clock(start + 3)}", "灯会闪烁两下。" if start % 2 else "长按按键三秒", ""]
    document = opened(tmp_path, "film.vtt", "\n".join(lines).encode())
    stretches = document.text.split("## ")[1:]
    assert len(stretches) == 2
    for stretch in stretches:
        time, said = stretch.split("\n\n", 1)
        assert said.strip().endswith("。") and " " not in said.strip() and time[:2] in ("00", "01")
