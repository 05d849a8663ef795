"""Document -> Chunks that fit the embedder's window: by headings first, then by paragraphs, lines and sentences."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from langchain_text_splitters import MarkdownHeaderTextSplitter, RecursiveCharacterTextSplitter

from rag.types import Chunk, Document, Entry, Kind

_HEADERS = [("#" * level, str(level)) for level in range(1, 7)]
_HEADING_LINE = re.compile(r"#{1,6}(?:\s|$)")
_PAGE_HEADING = re.compile(
    r"Page \d+|第 \d+ 页|Slide \d+|第 \d+ 张|(?:\d+:)?\d\d:\d\d"
)  # a passage keeps to its page, slide, time
_SEPARATORS = [
    r"\n[ \t]*\n",  # paragraphs
    r"\n(?=[ \t]*(?:[-*+>|#]|\d{1,3}[.)]\s))",  # items of a list, rows of a table
    r"(?<=[。！？；])(?![”’」』）)】])|(?<=。[”’」』）)】])|(?<=[.!?])\s|(?<=[.!?][\"')\]])\s",  # sentences
    r"\n",
    r"[,;:，、：]\s?",
    r"\s",
    r"\S{24}",  # of what has no end: far faster than one by one
    "",
]
_TABLE = re.compile(r"^([ \t]*\|.*)\n[ \t]*\|[ \t:|-]+$", re.MULTILINE)  # its header's line
_REPEATS = 50  # of one piece in one document: vectors that are equal by the thousand hide others from Chroma's graph
_SMALL = 8  # a piece below an eighth of the budget joins a neighbour
_LABEL = 1000  # characters of a heading, or of a table's columns, above which it is not repeated for every chunk below
_LEAST = 16  # tokens left for text, however long the headings are
_CHARACTERS = 12  # per token: a word that no tokenizer knows counts as one token, however long


@dataclass(frozen=True, slots=True)
class Span:
    """text[start:end] of a page, under `headings`; its heading's line starts at `above` (None: further up in the section)."""

    start: int
    end: int
    above: int | None
    headings: tuple[str, ...]
    tokens: int = 0


class Counter:
    """Tokens of a text without the special ones; each text is counted once."""

    def __init__(self, count: Callable[[str], int]) -> None:
        self._count = count
        self._known: dict[str, int] = {}
        self.special = count("")

    def __call__(self, text: str) -> int:
        """Adds up over the pieces of a text, as far as these are whole words."""
        known = self._known.get(text)
        if known is None:
            known = max(self._count(text) - self.special, len(text) // _CHARACTERS) if text.strip() else 0
            self._known[text] = known
        return known


def chunk(document: Document, count: Callable[[str], int], tokens: int, overlap: int) -> list[Chunk]:
    """Chunks in reading order, each with at most `tokens` tokens of headings and text.

    `count` gives the tokens of a text, special ones included. FAQ pairs, products and rows are never split, so they may be
    longer. `overlap` tokens are repeated where a section had to be cut. Aliases are not counted: what the window cuts off
    is searched by words all the same.
    """
    counter = Counter(count)
    spans = _spans(document, counter, tokens, overlap) if document.text else []
    pieces = [(None, span.headings, document.text[span.start : span.end]) for span in spans]
    rows = (
        (entry, entry.headings, text) for entry in document.entries for text in _pieces(entry, document, counter, tokens, overlap)
    )
    return _named(document, itertools.chain(pieces, rows))


def _named(document: Document, pieces: Iterable[tuple[Entry | None, tuple[str, ...], str]]) -> list[Chunk]:
    """The pieces as chunks; the id says what stands in one, so it survives changes elsewhere in the document."""
    chunks: list[Chunk] = []
    repeats: dict[str, int] = {}
    for entry, headings, text in pieces:
        key = entry.key if entry else ""
        name = hashlib.sha256("\x1f".join((key, *headings, text)).encode()).hexdigest()[:12]
        repeats[name] = repeats.get(name, 0) + 1
        if repeats[name] > _REPEATS:
            continue
        again = f"-{repeats[name]}" if repeats[name] > 1 else ""
        chunks.append(
            Chunk(
                id=f"{document.id}#{name}{again}",
                document=document.id,
                entry=key,
                ordinal=len(chunks),
                kind=entry.kind if entry else Kind.PAGE,
                title=(entry.title if entry else "") or document.title,
                headings=headings,
                text=text,
                answer=entry.answer if entry else "",
                aliases=entry.aliases if entry else (),
                negatives=entry.negatives if entry else (),
                tags=entry.tags if entry else (),
                facets=entry.facets if entry else document.facets,
                url=document.url,
            )
        )
    return chunks


def _pieces(entry: Entry, document: Document, counter: Counter, tokens: int, overlap: int) -> list[str]:
    if entry.kind is not Kind.PASSAGE:
        return [entry.text]
    budget = _budget((entry.title or document.title,), counter, tokens)
    return [entry.text[start:end] for start, end in _split(entry.text, counter, budget, overlap)]


def _budget(path: tuple[str, ...], counter: Counter, tokens: int) -> int:
    return max(_LEAST, tokens - counter.special - counter(" > ".join(dict.fromkeys(path))))


def _split(text: str, counter: Counter, budget: int, overlap: int) -> Iterator[tuple[int, int]]:
    """(start, end) of pieces of at most `budget` tokens, without the space around them."""
    parts = [text]
    if counter(text) > budget:
        splitter = RecursiveCharacterTextSplitter(
            separators=_SEPARATORS,
            is_separator_regex=True,
            keep_separator="end",
            strip_whitespace=False,
            chunk_size=budget,
            chunk_overlap=min(overlap, budget // 2),
            length_function=counter,
        )
        parts = splitter.split_text(text)
    at = 0
    for part in parts:
        start = text.index(part, at)
        # space counts for nothing, so the splitter may repeat it even where pieces are not to overlap
        at = start + 1 if overlap else start + len(part.rstrip())
        inner = part.strip()
        if inner:
            left = start + part.index(inner)
            yield left, left + len(inner)


def _spans(document: Document, counter: Counter, tokens: int, overlap: int) -> list[Span]:
    """The page's sections, cut where they are too long, joined where they are too short."""
    spans: list[Span] = []
    for section in _sections(document.text):
        path = _below_title(section.headings, document.title)
        above = section.above
        budget = _budget((document.title, *path), counter, tokens)
        body = document.text[section.start : section.end]
        if counter(body) > budget:
            budget = max(_LEAST, budget - max((counter(f" > {_columns(row)}") for row in _TABLE.findall(body)), default=0))
        columns = ""
        for start, end in _split(body, counter, budget, overlap):
            text = body[start:end]
            own = (*path, columns) if columns and text.startswith("|") else path
            spans.append(Span(section.start + start, section.start + end, above, own, counter(text)))
            above, columns = None, _open_table(text, columns)
    return _joined(spans, document, counter, tokens)


def _open_table(text: str, columns: str) -> str:
    """The columns of the table that `text` ends in, so that rows cut off from their header still say what they hold."""
    rows = list(itertools.takewhile(lambda line: line.lstrip().startswith("|"), reversed(text.split("\n"))))
    if not rows:
        return ""
    continues = columns and len(rows) == text.count("\n") + 1
    return columns if continues else _columns(rows[-1])


def _columns(row: str) -> str:
    columns = " | ".join(cell.strip() for cell in row.strip().strip("|").split("|"))
    return columns if len(columns) <= _LABEL else ""


def _below_title(headings: tuple[str, ...], title: str) -> tuple[str, ...]:
    """The headings without a first one that only says the title again."""
    return headings[1:] if headings and headings[0].casefold() in title.casefold() else headings


def _sections(text: str) -> list[Span]:
    """One span per heading, its line left out; a heading without text counts as text unless another one follows below it.

    The splitter tells which lines are headings and how they nest, but changes white space, so its lines are found again.
    """
    lines = text.split("\n")
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line) + 1)
    splitter = MarkdownHeaderTextSplitter(_HEADERS, return_each_line=True, strip_headers=False)
    starts: list[tuple[int, tuple[str, ...]]] = [(-1, ())]  # (number of the heading's line, headings)
    at = 0
    for block in splitter.split_text(text):
        for i, content in enumerate(block.page_content.split("\n")):
            while "".join(filter(str.isprintable, lines[at].strip())) != content:
                at += 1
            if i == 0 and len(content) <= _LABEL and _HEADING_LINE.match(content):
                starts.append((at, tuple(_plain(block.metadata[key]) for key in sorted(block.metadata))))
            at += 1
    sections: list[Span] = []
    last: tuple[int, tuple[str, ...]] = (len(lines), ())
    for (number, headings), (following, below) in zip(starts, [*starts[1:], last], strict=True):
        above, start, end = offsets[max(number, 0)], offsets[number + 1], min(offsets[following], len(text))
        if text[start:end].strip():
            sections.append(Span(start, end, above, headings))
        elif number >= 0 and len(below) <= len(headings):
            sections.append(Span(above, end, above, headings))
    return sections


def _plain(heading: str) -> str:
    return heading.rstrip("# ").strip("*_` ")


def _joined(spans: list[Span], document: Document, counter: Counter, tokens: int) -> list[Span]:
    """Small pieces joined to the next one of their section, or else to the one before."""
    forward: list[Span] = []
    for span in spans:
        previous = forward[-1] if forward else None
        if previous and previous.tokens < tokens // _SMALL and (both := _join(previous, span, document, counter, tokens)):
            forward[-1] = both
        else:
            forward.append(span)
    kept: list[Span] = []
    for span in forward:
        if kept and span.tokens < tokens // _SMALL and (both := _join(kept[-1], span, document, counter, tokens)):
            kept[-1] = both
        else:
            kept.append(span)
    return kept


def _join(first: Span, second: Span, document: Document, counter: Counter, tokens: int) -> Span | None:
    """Both as one, under the headings they share; None if they are not of one section, or too long together."""
    pairs = zip(first.headings, second.headings, strict=False)
    shared = tuple(a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    if len(shared) < max(len(first.headings), len(second.headings)) - 1:
        return None
    own = [*first.headings[len(shared) :], *second.headings[len(shared) :]]
    start = first.start if len(first.headings) == len(shared) else first.above
    if start is None or any(map(_PAGE_HEADING.fullmatch, own)):
        return None
    size = counter(document.text[start : second.end])
    if size > _budget((document.title, *shared), counter, tokens):
        return None
    return Span(start, second.end, first.above, shared, size)
