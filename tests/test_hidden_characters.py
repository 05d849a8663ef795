"""What nobody sees does not reach the index, the prompt, the record or the log; what is seen arrives unchanged."""

from __future__ import annotations

import io
import json
import logging
import random
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docx
import pytest
from answering import GOOD_EN, chunk, make_parts
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Pt, RGBColor
from indexing import in_this_process
from test_ingest_flow import Shop

from rag.answer.contract import as_dict
from rag.answer.flow import answer, collect
from rag.errors import Unreadable
from rag.ingest.clean import clean
from rag.ingest.read import read
from rag.language import seen
from rag.record.store import Recorder
from rag.types import Document, Turn

NULS = 10_291  # as many in one document broke a full-text index
BIDI = [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]
TAGS = [*range(0xE0000, 0xE0080)]
CONTROLS = [*range(0x00, 0x09), *range(0x0E, 0x20), *range(0x7F, 0x85), *range(0x86, 0xA0)]
WIDTHLESS = [0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x00AD]
VARIANTS = [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]
SURROGATES = [0xD800, 0xDBFF, 0xDC00, 0xDFFF]
FORBIDDEN = {chr(code) for code in (*CONTROLS, *BIDI, *TAGS, *SURROGATES, 0x200B, 0x2060, 0xFEFF, 0xAD)}
GROUPS = {
    "bidi": BIDI,
    "tags": TAGS,
    "controls": CONTROLS,
    "widthless": WIDTHLESS,
    "variants": VARIANTS,
    "surrogates": SURROGATES,
}
PLAIN = "You can return a lamp within 30 days."


def smuggled(codes: list[int]) -> str:
    """PLAIN with one of the characters behind every letter, and all of them in a row at the end."""
    between = "".join(letter + chr(codes[i % len(codes)]) for i, letter in enumerate(PLAIN))
    return between + "".join(map(chr, codes))


@pytest.mark.parametrize("group", GROUPS)
def test_nothing_hides_between_letters(group: str) -> None:
    assert clean(smuggled(GROUPS[group])) == PLAIN
    assert seen(smuggled(GROUPS[group])) == PLAIN


def everywhere() -> str:
    """All of them in one text."""
    return f" {PLAIN}" * 40 + "".join(map(smuggled, GROUPS.values()))  # so many controls in little text would be no text


# --- the index ---


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    in_this_process(monkeypatch)


def stored(shop: Shop) -> str:
    """All that the live generation holds as text, ids, titles and questions, too."""
    generation = shop.generations.open(shop.embedder.fingerprint)
    return repr([chunk for chunk in generation.store.chunks()]).replace("\\n", "").replace("\\t", "") + "".join(
        piece.text + piece.title + piece.answer + "".join((*piece.aliases, *piece.negatives, *piece.headings, *piece.tags))
        for piece in generation.store.chunks()
    )


def test_no_format_brings_them_into_the_index(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    dirty, escaped = everywhere().encode("utf-8", "replace").decode(), json.dumps(everywhere())
    shop.write("a.md", f"\ufeff---\ntitle: {json.dumps('Lamp' + everywhere())}\n---\n# {dirty.strip(chr(0))}\n\n{dirty}\n")
    shop.write("nul.txt", "".join(f"Lamp {i} shines on.\0 " for i in range(NULS)))
    shop.write(
        "b.html", f"<title>{dirty}</title><h1>Lamp&#8238;&#0;&#917569;</h1><p>{dirty} &#x200b;&#x202e;&#xe0041;&#x2066;</p>"
    )
    shop.write("c.csv", f'question,answer,similar_questions\n"{dirty}?","{dirty}","{dirty}"\n')
    shop.write("d.jsonl", f'{{"_id": "1", "title": {escaped}, "text": {escaped}}}\n')
    shop.write("e.srt", f"1\n00:00:01,000 --> 00:00:04,000\n{dirty.replace(chr(0), '')}\n")
    report = shop.ingest()
    assert [rejection.file for rejection in report.rejected] == []
    held = stored(shop)
    assert not FORBIDDEN & set(held)
    assert not any(f"\\u{code:04x}" in held or f"\\U{code:08x}" in held for code in (*BIDI, *TAGS, *SURROGATES, 0x200B))
    assert "\\x00" not in held and held.count("You can return a lamp within 30 days") >= 12
    for path in [shop.home / "catalog.sqlite", *shop.home.rglob("chroma.sqlite3")]:
        with closing(sqlite3.connect(path)) as database:
            assert database.execute("PRAGMA quick_check").fetchall() == [("ok",)]


def test_a_document_of_nothing_but_nul_is_told(tmp_path: Path) -> None:
    (tmp_path / "nul.txt").write_bytes(b"\0" * NULS)
    with pytest.raises(Unreadable, match="found binary data"):
        read(tmp_path / "nul.txt", "nul.txt")


def test_a_name_with_such_characters_is_told_without_them(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.write("price\u202egpj.md", "# Price\n\nA lamp costs 5 EUR.\n")
    shop.write("نرخ\u200cها.md", "# Prices\n\nA lamp costs 6 EUR.\n")
    report = shop.ingest()
    assert [rejection.file for rejection in report.rejected] == [r"price\u202egpj.md"]
    assert "6 EUR" in shop.texts() and "5 EUR" not in shop.texts()


CLEAN = {
    "emoji": ["👨‍👩‍👧 family", "🏳️‍🌈 flag", "❤️‍🔥", "1️⃣ 2️⃣", "👩🏽‍💻 codes", "☎️ 020"],
    "Persian": ["می‌خواهم", "کتاب‌ها", "نمی‌دانم", "USB‌ها"],
    "Arabic": ["مرحبا", "السعر ١٢ درهم", "شُكْرًا", "الإرجاع خلال ٣٠ يومًا"],
    "Hebrew": ["שלום", "מחיר: 20 ₪", "בְּרֵאשִׁית"],
    "Devanagari": ["क्ष", "क्‍ष", "र्‍य", "नमस्ते", "श्री"],
    "Bengali and Sinhala": ["বাংলা", "র‍্যাব", "ශ්‍රී"],
    "Chinese": ["三十天内可退货。", "价格：¥99", "「燈」", "葛󠄀城"],
    "others": ["Привет", "Γειά", "日本語", "ｶﾀｶﾅ", "한국어", "ไทย", "naïve café", "Straße", "−5 °C – 3 × 2 €", "x\ty", "ﬁt"],
}


def clean_lines(count: int) -> Iterator[str]:
    chance = random.Random(20260101)
    pieces = [piece for group in CLEAN.values() for piece in group]
    for number in range(count):
        yield f"{' '.join(chance.sample(pieces, chance.randint(1, 5)))} {number}"


def test_a_thousand_clean_lines_in_many_scripts_are_unchanged(tmp_path: Path) -> None:
    lines = list(clean_lines(1000))
    assert [line for line in lines if clean(line) != line or seen(line) != line] == []
    (tmp_path / "a.md").write_text("\n\n".join(lines), encoding="utf-8")
    document = read(tmp_path / "a.md", "a.md")
    assert document.text.split("\n\n") == lines
    assert document.rejected == ()


def test_look_alike_letters_stay_as_written() -> None:
    for word in ("раypal", "Ѕhор", "ｇｏｏｇｌｅ", "аррӏе"):
        assert clean(word) == word


# --- text that markup hides ---


def html(folder: Path, body: str, head: str = "") -> Document:
    return written(
        folder, "a.html", f"<html><head>{head}</head><body><p>Seen first.</p>{body}<p>Seen last.</p></body></html>".encode()
    )


def written(folder: Path, name: str, data: bytes) -> Document:
    (folder / name).write_bytes(data)
    return read(folder / name, name)


def told(count: str) -> str:
    return f"hidden text: expected text that shoppers can see; found {count} characters that styles or markup hide"


HIDING = [
    "display:none", "DISPLAY : None !important", "display/**/:none", "d\\69splay:none", "visibility:hidden",
    "visibility: collapse", "font-size:0", "font-size: 0px", "font-size:1px", "font-size:0.01em", "opacity:0", "opacity:0.0",
    "opacity:.01", "opacity: 0%", "color:white", "color:#fff", "color:#FFFFFF", "color:#fefefe", "color:rgb(255,255,255)",
    "color:rgb(255 255 255 / 90%)", "color:hsl(0,0%,100%)", "color:transparent", "color:rgba(0,0,0,0)",
    "color:#000;background:#000", "background:red;color:#ff0000", "color:black;background-color:rgb(2,2,2)",
    "position:absolute;left:-9999px", "position:fixed;top:-200em", "text-indent:-9999px",
    "position:absolute;clip:rect(0 0 0 0)", "clip:rect(1px, 1px, 1px, 1px)", "clip-path:inset(50%)", "transform:scale(0)",
    "transform:translateX(-9999px)", "width:1px;height:1px;overflow:hidden", "max-height:0;overflow:hidden",
    "margin-left:-9999px", "content-visibility:hidden",
]  # fmt: skip


@pytest.mark.parametrize("style", HIDING)
def test_a_style_that_hides(tmp_path: Path, style: str) -> None:
    document = html(tmp_path, f'<div><p style="{style}">SECRET words</p></div>')
    assert document.text == "Seen first.\n\nSeen last."
    assert [note.partition(", which")[0] for note in document.rejected] == [told("12")]
    for selector in (".x", "p.x", "#y", "p#y.x.z", ".other, .x", ".X,.x"):
        other = html(tmp_path, '<p class="x z" id="y">SECRET words</p>', f"<style>{selector} {{ {style} }}</style>")
        assert other.text == "Seen first.\n\nSeen last.", selector
        assert other.rejected


@pytest.mark.parametrize(
    "markup",
    [
        "<p hidden>SECRET words</p>",
        "<p hidden=until-found>SECRET words</p>",
        '<font color="#ffffff">SECRET words</font>',
        '<table><tr><td bgcolor="#336699"><font color="#336699">SECRET words</font></td></tr></table>',
        '<div style="background:#123456"><p><b style="color:#123456">SECRET words</b></p></div>',
        '<div style="display:none"><p style="display:block">SECRET words</p></div>',
        '<style>.a{display:block} .a{display:none}</style><p class="a">SECRET words</p>',
        '<style>@media all {.a{display:none}}</style><p class="a">SECRET words</p>',
        '<p style="display:none;clip:' + "rect(" * 5000 + '">SECRET words</p>',
        '<p style="color:white">SECRET words</p>' + "<div>" * 200 + "Seen last." + "</div>" * 200,
    ],
)
def test_other_ways_to_hide(tmp_path: Path, markup: str) -> None:
    document = html(tmp_path, markup)
    assert "SECRET" not in document.text and "Seen last." in document.text
    assert document.rejected[0].startswith(told("12"))


@pytest.mark.parametrize(
    "markup",
    [
        '<p style="color:white;background:#036">SEEN</p>',
        '<div style="background-color:navy"><p style="color:#fff">SEEN</p></div>',
        '<table><tr><td bgcolor="#003366"><font color="#ffffff">SEEN</font></td></tr></table>',
        '<div style="background:url(night.jpg)"><p style="color:white">SEEN</p></div>',
        '<div style="background-image:linear-gradient(#000,#111)"><p style="color:white">SEEN</p></div>',
        '<div style="font-size:0"><span style="font-size:16px">SEEN</span></div>',
        '<p style="opacity:0.5;font-size:10px;visibility:visible;display:inline">SEEN</p>',
        '<style>@media print{.a{display:none}} @media (max-width:600px){.a{display:none}}</style><p class="a">SEEN</p>',
        '<style media="print">.a{display:none}</style><p class="a">SEEN</p>',
        '<style>.a{display:none} .a.open{display:block}</style><p class="a open">SEEN</p>',
        '<style>.a{display:none}</style><p class="a" style="display:block">SEEN</p>',
        '<style>p{display:none} .a{display:block}</style><div class="a">SEEN</div>',
        '<p style="text-indent:-2em;margin-left:2em">SEEN</p>',
        '<style>.white{color:#fff}</style><p class="whiter">SEEN</p>',
    ],
)
def test_what_shows_is_kept(tmp_path: Path, markup: str) -> None:
    document = html(tmp_path, markup)
    assert "SEEN" in document.text


@pytest.mark.parametrize(
    "hidden",
    [
        r"$\color{white}{SECRET words}$",
        r"$\color{white} SECRET words$",
        r"$\textcolor{#FFF}{SECRET \text{words}}$",
        r"$a = \phantom{SECRET}$",
        '<span style="color:white">SECRET</span>',
        '<div style="display:none">\n\nSECRET <div>SECRET</div> SECRET\n\n</div>',
        "<p hidden>SECRET",
        "<!-- SECRET\n\nSECRET -->",
        "<style>SECRET</style>",
    ],
)
def test_markdown_hides_text_too(tmp_path: Path, hidden: str) -> None:
    document = written(tmp_path, "a.md", f"# Seen\n\nSeen first. {hidden}\n\nSeen last.\n".encode())
    assert "SECRET" not in document.text and "words" not in document.text
    assert "Seen first. " in document.text and "Seen last." in document.text
    assert document.rejected[0].startswith("hidden text: expected text that shoppers can see; found ")


@pytest.mark.parametrize(
    "text",
    [
        "```html\n<p hidden>a</p> <!-- b -->\n```",
        "Write `<!-- b -->` or `<p hidden>` and go on.",
        "<b>bold</b> and 3 < 5 > 2, <span style='color:red'>red</span>",
        r"$\color{red}{x}$ and \color{blue} y",
        "~~~\n<!-- a\n~~~\n-->",
    ],
)
def test_markdown_that_shows_is_kept(tmp_path: Path, text: str) -> None:
    document = written(tmp_path, "a.md", text.encode())
    assert (document.text, document.rejected) == (text, ())


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text",
    [
        "<!--",
        "<p hidden>",
        "<p hidden>\n\n",
        "<div hidden>",
        r"\color{white}{",
        r"\color{white}{{",
        "`",
        "<a style='",
        "```\n",
        "<p ",
    ],
)
def test_markdown_meant_to_hang(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.md").write_text("Seen. " + text * (80_000 // len(text)))
    read(tmp_path / "a.md", "a.md")


def word_file() -> bytes:
    document = docx.Document()
    paragraph = document.add_paragraph("Seen first. ")
    paragraph.add_run("SECRET one").font.hidden = True
    paragraph.add_run("SECRET two").font.color.rgb = RGBColor(255, 255, 255)
    paragraph.add_run("SECRET 333").font.size = Pt(1)
    style = document.styles.add_style("Ghost", 2)
    style.font.hidden = True
    paragraph.add_run("SECRET 444", style="Ghost")
    table = document.add_table(1, 1)
    cell = table.rows[0].cells[0]
    cell.paragraphs[0].add_run("Seen white on blue.").font.color.rgb = RGBColor(255, 255, 255)
    shade = OxmlElement("w:shd")
    shade.set(qn("w:fill"), "003366")
    cell._tc.get_or_add_tcPr().append(shade)
    document.add_paragraph("Seen last.")
    held = io.BytesIO()
    document.save(held)
    return held.getvalue()


def test_word_files_hide_text_too(tmp_path: Path) -> None:
    document = written(tmp_path, "a.docx", word_file())
    assert "SECRET" not in document.text
    assert all(part in document.text for part in ("Seen first.", "Seen white on blue.", "Seen last."))
    assert document.rejected[0].startswith(told("40"))


def test_books_hide_text_too(tmp_path: Path) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as book:
        spaces = "urn:oasis:names:tc:opendocument:xmlns:container"
        root = f'<container xmlns="{spaces}"><rootfiles><rootfile full-path="b.opf"/></rootfiles></container>'
        book.writestr("META-INF/container.xml", root)
        listed = '<manifest><item id="a" href="a.xhtml"/></manifest><spine><itemref idref="a"/></spine>'
        book.writestr("b.opf", f'<package xmlns="http://www.idpf.org/2007/opf">{listed}</package>')
        book.writestr("a.xhtml", '<html><body><h1>One</h1><p>Seen.</p><p style="display:none">SECRET words</p></body></html>')
    document = written(tmp_path, "a.epub", held.getvalue())
    assert "Seen." in document.text and "SECRET" not in document.text
    assert document.rejected[0].startswith(told("12"))


def test_the_report_tells_of_hidden_text_each_time(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.write("about.html", '<h1>About</h1><p>We sell lamps.</p><p style="color:white">SECRET words</p>')
    for _ in range(2):
        report = shop.ingest()
        [note] = report.rejected
        assert note.file == "about.html:hidden text"
        assert note.reason.startswith("expected text that shoppers can see; found 12 characters")
    assert "We sell lamps." in shop.texts() and "SECRET" not in shop.texts()
    shop.write("about.html", '<p style="display:none">SECRET words</p>')
    assert [note.reason for note in shop.ingest().rejected] == [
        "expected something to read; found a page whose text is all hidden; fill the file or remove it"
    ]


# --- questions, prompts, record, log ---


@pytest.mark.parametrize("group", GROUPS)
def test_neither_question_history_nor_passage_bring_them_into_the_prompt(group: str) -> None:
    dirty = smuggled(GROUPS[group])
    parts = make_parts(
        [GOOD_EN], chunks=(chunk("a.md#1", f"{PLAIN} {dirty}", f"Return{dirty}"),), prompt_tokens=100_000, history_turns=4
    )
    question = f"How long can I return a product? {dirty}"
    history = (Turn("user", dirty), Turn("assistant", dirty))
    given = collect(answer(question, history, parts))
    for prompt in parts.generator.prompts:
        assert not FORBIDDEN & set("".join(turn.text for turn in prompt))
    assert not FORBIDDEN & set(given.query.text + given.query.question)


def test_neither_record_nor_log_hold_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder(f"sqlite:///{tmp_path}/record.sqlite", as_dict)
    dirty = everywhere()
    with caplog.at_level(logging.DEBUG):
        given = collect(answer(f"How long can I return a product? {dirty}", (Turn("user", dirty),), make_parts([GOOD_EN])))
        recorder.observe("c", dirty, (Turn("user", dirty),), given)
        recorder.vote(given.id, 1, dirty)
    recorder.close()
    with closing(sqlite3.connect(tmp_path / "record.sqlite")) as database:
        assert database.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        dump = "".join(database.iterdump())
    assert PLAIN in dump
    for text in (dump, caplog.text):
        assert not (FORBIDDEN - {"\x1b"}) & set(text)
