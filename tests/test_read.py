"""Pages: Markdown, text and HTML as a shop writes them, encodings, what a page says about itself."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import pytest

from rag.errors import Unreadable
from rag.ingest.clean import clean, decode
from rag.ingest.read import read
from rag.types import Document, Facets

ZH = "请在收到商品后三十天内申请退货，运费由我们承担。头灯的续航为 12 小时，防水等级为 IP67。"


def page(folder: Path, name: str, content: str | bytes) -> Document:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read(path, name)


def rejects(folder: Path, name: str, content: str | bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        page(folder, name, content)


def test_markdown_is_kept_as_written(tmp_path: Path) -> None:
    text = "# Returns\n\nSend it *back* within **30 days**.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n    code  here\n"
    document = page(tmp_path, "returns.md", text)
    assert document.text == text
    assert document.title == "Returns"
    assert document.facets == Facets(language="en")
    assert document.digest == hashlib.sha256(text.encode()).hexdigest()
    assert document.entries == document.rejected == ()


def test_front_matter(tmp_path: Path) -> None:
    head = "---\ntitle: 退货政策\nLanguage: zh-CN\nregion: cn\nproduct: PB-1\ntrust: community\naudience: Customer\n"
    document = page(tmp_path, "a.md", head + "valid_from: 2026-01-01\nvalid_to: 2026-12-31\ncolour: red\n---\n\nText.\n")
    assert document.text == "Text.\n"
    assert document.title == "退货政策"
    expected = Facets("zh", "CN", "customer", "community", "PB-1", date(2026, 1, 1), date(2026, 12, 31))
    assert document.facets == expected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("valid_to: 31.12.2026", r"expected valid_to as YYYY-MM-DD \(2026-11-24\); found '31.12.2026'; correct valid_to"),
        ("valid_from: 2026-13-01", "expected valid_from as YYYY-MM-DD"),
        ("valid_from: 2026-02-01\nvalid_to: 2026-01-01", "expected valid_from before valid_to"),
        ("trust: nobody", "expected trust to be official or community; found 'nobody'"),
        ("language: 12", "expected language to be a code such as en or zh"),
        ("title: a: b: c", "something else in line 2"),
        ("title: [1, 2", "expected front matter"),
    ],
)
def test_front_matter_that_cannot_be_right_keeps_the_file_out(tmp_path: Path, line: str, reason: str) -> None:
    rejects(tmp_path, "a.md", f"---\n{line}\n---\nText.", reason)


@pytest.mark.parametrize("text", ["---\n\nA rule above.\n\n---\n\nAnd below.", "--- no\ntitle: x\n---\n", "---\nno end: here\n"])
def test_rules_are_not_front_matter(tmp_path: Path, text: str) -> None:
    assert page(tmp_path, "a.md", text).text == text


def test_a_title_without_front_matter(tmp_path: Path) -> None:
    assert page(tmp_path, "shipping_costs-EU.txt", "We ship.").title == "Shipping costs EU"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", ZH),
        ("utf-8-sig", ZH),
        ("utf-16", ZH),
        ("utf-16-le", ZH + "\n" + ZH),
        ("gb18030", ZH),
        ("gb18030", "退货政策"),
        ("cp1252", "Café, Müllabfuhr – 30 € naïve écran"),
    ],
)
def test_encodings(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_text_that_cannot_be_told(tmp_path: Path) -> None:
    noise = b"".join(hashlib.sha256(bytes([i])).digest() for i in range(100))
    rejects(tmp_path, "a.txt", noise, "expected text")
    rejects(tmp_path, "b.txt", b"\0" * 10_291, "found binary data; check that the file's name has the right ending")
    rejects(tmp_path, "c.txt", ZH.encode() + b"\n\xff" + ZH.encode(), "found a byte that does not belong there in line 2")
    rejects(tmp_path, "d.txt", ZH.encode("utf-16")[:-1], "expected text in UTF-16")


def test_characters_nobody_sees_are_gone() -> None:
    hidden = "".join(map(chr, [0, 7, 0x85, 0x200B, 0x202E, 0x2066, 0x2069, 0xAD, 0xFEFF, 0xD800, 0xE0041, 0xE007F]))
    assert clean(f"a{hidden}b") == "a\nb"  # U+0085 ends a line
    assert clean("a\r\nb\rc\u2028d\u00a0e") == "a\nb\nc\nd e"
    assert clean("e\u0301") == "é"


@pytest.mark.parametrize("text", ["👨‍👩‍👧 family", "می‌خواهم", "مرحبا", "中文，标点。", "x\ty", "−5 °C – 3 × 2 €", "ﬁt", "한국어"])
def test_what_is_seen_stays(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize("content", ["", " \n\t\n", "---\ntitle: x\n---\n \n", "\ufeff\u200b"])
def test_nothing_to_read(tmp_path: Path, content: str) -> None:
    rejects(tmp_path, "a.md", content, "expected something to read")


def test_one_character(tmp_path: Path) -> None:
    assert page(tmp_path, "a.txt", "5").text == "5"


def test_a_file_that_vanished(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="expected a file that can be opened"):
        read(tmp_path / "gone.md", "gone.md")


HTML = """<!DOCTYPE html><html lang="en-GB"><head><title>Privacy | Shop</title>
<meta name="region" content="EU"><meta name="valid_to" content="2026-12-31"><style>p {color: red}</style></head><body>
<header><h1>Shop</h1></header><nav><a href="/">Home</a></nav>
<main><header><h1>Privacy</h1></header><p>We keep
  <b>chats</b> for 90&nbsp;days. <a href="/more">More</a>, <a href="https://a.example/x">form</a>.</p>
<ul><li>one</li><li>two</li></ul><table><tr><td>Data</td><td>Kept</td></tr><tr><td>Chats</td><td>90 days</td></tr></table>
<p style="display: none">SECRET</p><p hidden>SECRET</p><span style="font-size:0px">SECRET</span>
<div aria-hidden="true">SECRET</div>
<!-- SECRET --><script>SECRET</script><form>SECRET</form><img alt="SECRET" src="x"><p>中文换
  行在 这里。</p><pre>a
  b</pre></main><aside>SECRET</aside><footer>SECRET</footer></body></html>"""


def test_html(tmp_path: Path) -> None:
    document = page(tmp_path, "a.html", HTML)
    assert document.title == "Privacy"
    assert document.facets == Facets(language="en", region="EU", valid_to=date(2026, 12, 31))
    assert document.text == (
        "# Privacy\n\nWe keep **chats** for 90 days. More, [form](https://a.example/x).\n\n- one\n- two\n\n"
        "| Data | Kept |\n| --- | --- |\n| Chats | 90 days |\n\n中文换行在 这里。\n\n```\na\n  b\n```"
    )


def test_html_declares_its_encoding(tmp_path: Path) -> None:
    markup = f'<html><head><meta charset="gb2312"></head><body><p>{ZH}</p></body></html>'
    document = page(tmp_path, "a.htm", markup.encode("gb18030"))
    assert (document.text, document.facets.language, document.title) == (ZH, "zh", "A")


def test_html_from_the_web_is_not_rejected_for_its_own_tags(tmp_path: Path) -> None:
    markup = '<html lang="de"><meta name="language" content="Deutsch!"><meta name="robots" content="all"><p>Hallo Welt</p></html>'
    assert page(tmp_path, "a.html", markup).facets.language == "de"


def test_html_with_a_wrong_date(tmp_path: Path) -> None:
    rejects(tmp_path, "a.html", '<meta name="valid_to" content="soon"><p>x</p>', "expected valid_to as YYYY-MM-DD")


@pytest.mark.parametrize(
    "markup",
    [
        "<div>" * 30_000 + "deep",
        "<div>" * 5_000 + "deep" + "</div>" * 5_000,
        "<a " * 20_000 + "deep",
        "<p>deep</p>" + "<!--" * 20_000,
    ],
    ids=["deep", "closed", "unclosed", "comments"],
)
@pytest.mark.timeout(20)
def test_html_meant_to_hang(tmp_path: Path, markup: str) -> None:
    assert "deep" in page(tmp_path, "a.html", markup).text


def test_html_without_text(tmp_path: Path) -> None:
    rejects(tmp_path, "a.html", "<html><body><script>x</script></body></html>", "found a page without text")


def test_a_page_that_would_take_minutes_to_cut_is_refused(tmp_path: Path) -> None:
    rejects(tmp_path, "long.txt", "lamp " * 400_001, "at most 2,000,000 characters; found 2,000,005; split the file")
    rejects(tmp_path, "headings.md", "# a\n" * 20_002, "at most 20,000 headings; found 20,001")
    rejects(tmp_path, "tags.html", "<b>" * 400_001, "at most 400,000 tags; found 400,001")


def test_a_title_is_one_line_of_a_page(tmp_path: Path) -> None:
    assert page(tmp_path, "title.md", "# " + "lamp " * 1000).title == ("lamp " * 60)[:300]
