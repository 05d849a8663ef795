"""PDF -> text: a heading for each page (citations name it) and for each line set larger or bolder, wrapped lines joined."""

from __future__ import annotations

import io
import logging
import math
import re
import statistics
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pypdf import PageObject, PdfReader
from pypdf.errors import DependencyError

from rag.errors import Unreadable
from rag.ingest.clean import clean
from rag.ingest.readers.content import Page
from rag.ingest.readers.office import described, parsing
from rag.language import HAN, detect
from rag.types import Language
from rag.wording import say

_PAGES = 3000  # more is no shop document
_LARGER = 1.12  # a heading's size against the body's
_HEADING_LENGTH = 100
_FULL = 0.85  # of the longest line: a line with the next word added is then taken as wrapped
_LIST = re.compile(r"(?:[-–•·*▪●○◦]|\d{1,3}[.)、]|[(（]\d{1,3}[)）])\s*\S")
_HYPHEN = re.compile(r"([^\W\d_]{1,40})-$")
_WORD = re.compile(r"[^\W\d_]+")
_CJK = re.compile(f"[{HAN}\u3000-\u303f\uff00-\uffef“”‘’]")
_SENTENCE = (".", "。", "!", "！", "?", "？", ";", "；", ",", "，", ":", "：")
_NUMBER = re.compile(r"\d+")
_BLANK_LINES = re.compile(r"\n{3,}")
_SPACES = re.compile(r"[ \t]+")


@dataclass(frozen=True, slots=True)
class Line:
    """One line as set: `size` in points, 0 where unknown."""

    text: str
    size: float
    bold: bool


def read(data: bytes) -> Page:
    """Raises Unreadable for a PDF that is encrypted, damaged or without any text, be it in pictures."""
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it reports every oddity of every file
    with parsing("a PDF file"):
        reader = PdfReader(io.BytesIO(data))
        _unlock(reader)
        pages = [_lines(page) for page, _ in zip(reader.pages, range(_PAGES), strict=False)]
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


def _lines(page: PageObject) -> list[Line]:
    """The page's lines in the order of its content stream."""
    runs: list[list[tuple[str, float, bool]]] = [[]]

    def visit(text: str, cm: Sequence[float], tm: Sequence[float], font: Any, size: float) -> None:  # noqa: ANN401 - pypdf's
        scale = math.sqrt(abs(tm[0] * tm[3] - tm[1] * tm[2]) * abs(cm[0] * cm[3] - cm[1] * cm[2]))
        name = str((font or {}).get("/BaseFont", "")).casefold()
        bold = any(word in name for word in ("bold", "black", "heavy"))
        for i, part in enumerate(clean(text).split("\n")):
            if i:
                runs.append([])
            runs[-1].append((part, abs(size) * scale, bold))

    page.extract_text(visitor_text=visit)
    return [_line(run) for run in runs]


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


def _line(run: list[tuple[str, float, bool]]) -> Line:
    inked = [part for part in run if part[0].strip()]
    text = _SPACES.sub(" ", "".join(part[0] for part in run)).strip()
    size = max((part[1] for part in inked), default=0.0)
    return Line(text, round(size, 1), bool(inked) and all(part[2] for part in inked))


def _without_running_lines(pages: list[list[Line]]) -> list[list[Line]]:
    """Drop headers and footers: a first or last line that returns, page numbers aside, on most pages."""
    inked = [[line for line in page if line.text] for page in pages]
    seen = Counter(
        _NUMBER.sub("#", text) for page in inked for text in {line.text for line in [*page[:1], *page[-1:]] if len(page) > 2}
    )
    running = {text for text, count in seen.items() if count >= max(3, 0.6 * len(pages))}
    kept: list[list[Line]] = []
    for page, lines in zip(pages, inked, strict=True):
        edges = {id(line) for line in [*lines[:1], *lines[-1:]] if _NUMBER.sub("#", line.text) in running}
        kept.append([line for line in page if id(line) not in edges])
    return kept


def _page(pages: list[list[Line]], meta: dict[str, str]) -> Page:
    lines = [line for page in pages for line in page if line.text]
    body = _body(lines)
    everything = "\n".join(line.text for line in lines)
    parts: list[str] = []
    if _is_heading(lines[0], body):
        meta = {"title": lines[0].text} | meta
        parts.append(f"# {lines[0].text}")
        pages = [[line for line in page if line is not lines[0]] for page in pages]
    parts += _sections(pages, body, everything)
    return Page("\n\n".join(parts), meta)


def _sections(pages: list[list[Line]], body: float, everything: str) -> Iterator[str]:
    """Page headings, section headings (again where a section goes on overleaf) and paragraphs, in order."""
    language: Language = detect(everything[:2000]) or "en"
    section = ""
    for number, page in enumerate(pages, start=1):
        widest = max((_width(line.text) for line in page), default=0)
        blocks: list[tuple[str, list[str]]] = [(section, [])]
        for line in page:
            if _is_heading(line, body):
                section = line.text
                blocks.append((section, []))
            else:
                blocks[-1][1].append(line.text)
        written = [(heading, text) for heading, block in blocks if (text := _paragraphs(block, widest, everything))]
        if written:
            yield f"## {say('page_heading', language, number=number)}"
        for heading, text in written:
            yield f"### {heading}\n\n{text}" if heading else text


def _is_heading(line: Line, body: float) -> bool:
    if not line.text or len(line.text) > _HEADING_LENGTH or not any(map(str.isalpha, line.text)):
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
    word = following[:1] if _CJK.match(following) else following.split(" ", 1)[0]
    return _width(line) + 1 + _width(word) >= _FULL * widest


def _splits_word(line: str, following: str) -> bool:
    return bool(_HYPHEN.search(line)) and following[0].islower()


def _width(text: str) -> int:
    """Columns: a Chinese character is as wide as two letters."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _join(left: str, right: str, everything: str) -> str:
    hyphen, word = _HYPHEN.search(left), _WORD.match(right)
    if hyphen and word and _splits_word(left, right):
        compound = f"{hyphen[1]}-{word[0]}" in everything  # written so elsewhere too
        return left + right if compound else left[:-1] + right
    between = "" if _CJK.match(left[-1]) and _CJK.match(right[0]) else " "
    return left + between + right
