"""PDF -> Markdown: a heading for each page (citations name it) and for each line set larger or bolder, wrapped lines joined."""

from __future__ import annotations

import io
import itertools
import logging
import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pdfplumber
from pypdf import PageObject, PdfReader
from pypdf.errors import DependencyError

from rag.errors import Unreadable
from rag.ingest.clean import clean
from rag.ingest.readers.columns import CJK, Line, lines, width
from rag.ingest.readers.content import Page
from rag.ingest.readers.effort import expect
from rag.ingest.readers.office import described, parsing
from rag.language import detect
from rag.types import Language
from rag.wording import say

_PAGES = 3000  # more is no shop document
_SECONDS = 2  # that a page may take; most take a tenth of one
_LARGER = 1.12  # a heading's size against the body's
_HEADING_LENGTH = 100
_FULL = 0.85  # of the longest line: a line with the next word added is then taken as wrapped
_LIST = re.compile(r"(?:[-–•·*▪●○◦]|\d{1,3}[.)、]|[(（]\d{1,3}[)）])\s*\S")
_HYPHEN = re.compile(r"([^\W\d_]{1,40})-$")
_WORD = re.compile(r"[^\W\d_]+")
_SENTENCE = (".", "。", "!", "！", "?", "？", ";", "；", ",", "，", ":", "：")
_NUMBER = re.compile(r"\d+")
_BLANK_LINES = re.compile(r"\n{3,}")
_RUNNING = 3  # lines of a header or footer
_EDGE = 0.1  # of the page's height
_FOLIO = re.compile(
    r"[-–—\s]*(?:page|seite|第)?\s*#\s*(?:页|頁)?\s*(?:(?:of|/|,?\s*共)\s*#\s*(?:页|頁)?)?[-–—\s]*", re.IGNORECASE
)


def read(data: bytes) -> Page:
    """Raises Unreadable for a PDF that is encrypted, damaged or without any text, be it in pictures."""
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it reports every oddity of every file
    with parsing("a PDF file"):
        reader = PdfReader(io.BytesIO(data))
        _unlock(reader)
        with pdfplumber.open(io.BytesIO(data)) as opened:
            pages = [_lines(page) for page in opened.pages[:_PAGES]]
        info = reader.metadata
        meta = described(clean(info.title or "").strip(), clean(str(info.get("/Keywords", "")))) if info else {}
    body = _body([line for page in pages for line in page if line.text])
    pages = [lines if any(line.text for line in lines) else _scanned(reader.pages[i], body) for i, lines in enumerate(pages)]
    if not any(line.text for page in pages for line in page):
        raise Unreadable(
            expected="a PDF with text in it",
            found=f"{len(pages)} pages without text, and none was recognized in their pictures",
            remedy="leave it out, or save the text itself",
        )
    return _page(_without_running_lines(pages), meta)


def _unlock(reader: PdfReader) -> None:
    """An empty password opens files that only forbid printing."""
    try:
        opened = not reader.is_encrypted or bool(reader.decrypt(""))
    except DependencyError:  # a cipher that is not at hand
        opened = False
    if not opened:
        raise Unreadable(expected="a PDF without a password", found="an encrypted one", remedy="save it without the password")


def _lines(page: Any) -> list[Line]:  # noqa: ANN401 - pdfplumber ships no types
    expect(_SECONDS)
    try:
        return lines(page)
    finally:
        page.close()  # it keeps every letter otherwise


def _scanned(page: PageObject, body: float) -> list[Line]:
    """A page without a text layer, by what is recognized in its pictures; what stands below a heading is one line."""
    from rag.ingest.readers import scanned  # a document with its text at hand needs no models

    return [
        Line(text, size, bold=False)
        for part in scanned.parts(page)
        for text, size in ((part.heading, 2 * body), (part.text, body))
        if text
    ]


def _body(lines: Sequence[Line]) -> float:
    """The size that most of the text is set in; 1 where there is none."""
    return statistics.mode([line.size for line in lines for _ in range(1 + len(line.text) // 10)] or [1.0])


def _without_running_lines(pages: list[list[Line]]) -> list[list[Line]]:
    """Drop headers and footers: a first or last line that returns, page numbers aside, on most pages, or is but a page's number.

    Further lines of them are dropped one by one, as long as they stand at the page's upper or lower edge.
    """
    for layer in range(_RUNNING):
        inked = [[line for line in page if line.text] for page in pages]
        edges = [_edges(page, at_edge=layer > 0) for page in inked]
        seen = Counter(text for page in edges for text in set(page.values()))
        running = {text for text, count in seen.items() if count >= max(3, 0.4 * len(pages)) or _FOLIO.fullmatch(text)}
        dropped = {place for page in edges for place, text in page.items() if text in running}
        pages = [[line for line in page if id(line) not in dropped] for page in pages]
    return pages


def _edges(page: list[Line], at_edge: bool) -> dict[int, str]:
    """The ids of the first and the last line -> their texts with # for numbers; with `at_edge` only of what stands there."""
    first, last = page[:1], page[-1:]
    if at_edge:
        first, last = [line for line in first if line.top < _EDGE], [line for line in last if line.top > 1 - _EDGE]
    return {id(line): _NUMBER.sub("#", line.text) for line in [*first, *last] if len(page) > 2 and not line.is_table}


def _page(pages: list[list[Line]], meta: dict[str, str]) -> Page:
    inked = [line for page in pages for line in page if line.text]
    body = _body(inked)
    everything = "\n".join(line.text for line in inked)
    parts: list[str] = []
    if _is_heading(inked[0], body):
        meta = {"title": inked[0].text} | meta
        parts.append(f"# {inked[0].text}")
        pages = [[line for line in page if line is not inked[0]] for page in pages]
    parts += _sections(pages, body, everything)
    return Page("\n\n".join(parts), meta)


def _sections(pages: list[list[Line]], body: float, everything: str) -> Iterator[str]:
    """Page headings, section headings (again where a section goes on overleaf) and paragraphs, in order."""
    language: Language = detect(everything[:2000]) or "en"
    section = ""
    for number, page in enumerate(pages, start=1):
        blocks: list[tuple[str, list[Line]]] = [(section, [])]
        for line in page:
            if _is_heading(line, body):
                section = line.text
                blocks.append((section, []))
            else:
                blocks[-1][1].append(line)
        written = [(heading, text) for heading, block in blocks if (text := _text(block, everything))]
        if written:
            yield f"## {say('page_heading', language, number=number)}"
        for heading, text in written:
            yield f"### {heading}\n\n{text}" if heading else text


def _text(block: Sequence[Line], everything: str) -> str:
    """Paragraphs and tables; a paragraph may go on in the next column."""
    parts: list[str] = []
    for (is_table, room), run in itertools.groupby(block, key=lambda line: (line.is_table, line.room)):
        texts = [line.text for line in run]
        parts.append("\n\n".join(texts) if is_table else _paragraphs(texts, room, everything))
    return "\n\n".join(filter(None, parts))


def _is_heading(line: Line, body: float) -> bool:
    if not line.text or line.is_table or len(line.text) > _HEADING_LENGTH or not any(map(str.isalpha, line.text)):
        return False
    return line.size > body * _LARGER or (line.bold and line.size >= body and not line.text.endswith(_SENTENCE))


def _paragraphs(block: list[str], widest: int, everything: str) -> str:
    """The lines with wrapped ones joined; `widest` is the page's longest line. Empty lines stay as they are set."""
    joined: list[str] = []
    for previous, text in zip(["", *block], block, strict=False):
        if previous and text and not _LIST.match(text) and (_is_full(previous, text, widest) or _splits_word(previous, text)):
            joined[-1] = _join(joined[-1], text, everything)
        else:
            joined.append(text)
    return _BLANK_LINES.sub("\n\n", "\n".join(joined)).strip("\n")


def _is_full(line: str, following: str, widest: int) -> bool:
    """Whether the next line's first word had no room in this one."""
    word = following[:1] if CJK.match(following) else following.split(" ", 1)[0]
    return width(line) + 1 + width(word) >= _FULL * widest


def _splits_word(line: str, following: str) -> bool:
    return bool(_HYPHEN.search(line)) and following[0].islower()


def _join(left: str, right: str, everything: str) -> str:
    hyphen, word = _HYPHEN.search(left), _WORD.match(right)
    if hyphen and word and _splits_word(left, right):
        compound = f"{hyphen[1]}-{word[0]}" in everything  # written so elsewhere too
        return left + right if compound else left[:-1] + right
    between = "" if CJK.match(left[-1]) and CJK.match(right[0]) else " "
    return left + between + right
