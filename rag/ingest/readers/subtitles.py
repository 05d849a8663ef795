"""Subtitles of a video (.srt, .vtt) -> Markdown: a heading with the time for each stretch of it, so that citations name it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pysubs2

from rag.errors import Unreadable
from rag.ingest.clean import decode
from rag.ingest.readers.content import Page
from rag.ingest.readers.office import parsing
from rag.language import HAN

STRETCH = 45_000  # milliseconds after which the next sentence begins another stretch
PAUSE = 4_000  # ... or a pause as long
_KIND = "subtitles (.srt or .vtt)"
_MARKUP = re.compile(r"<[^>\n]{0,80}>|\{\\[^}\n]{0,80}\}")
_END = (".", "!", "?", "。", "！", "？", "…")
_CJK = re.compile(f"[{HAN}\u3000-\u303f\uff00-\uffef]")

Cue = tuple[int, int, str]  # start and end in milliseconds, what is said


def read(data: bytes) -> Page:
    """Raises Unreadable for a file in which no line has a time."""
    text = decode(data)
    with parsing(_KIND):
        cues = [(event.start, event.end, said) for event in pysubs2.SSAFile.from_string(text) if (said := _said(event.text))]
    if not cues:
        raise Unreadable(expected=f"{_KIND} with times", found="none", remedy="export the subtitles again")
    return Page("\n\n".join(f"## {_clock(start)}\n\n{said}" for start, said in _stretches(cues)))


def _said(text: str) -> str:
    return " ".join(_MARKUP.sub("", text.replace(r"\N", "\n").replace(r"\h", " ")).split())


def _stretches(cues: Sequence[Cue]) -> Iterator[tuple[int, str]]:
    """When each begins and what is said in it; none ends within a sentence, unless nothing ever ends one."""
    begun, said, last = cues[0][0], "", cues[0][1]
    previous = ""
    for start, end, text in cues:
        ended = said.endswith(_END)
        if said and ((start - begun >= STRETCH and ended) or start - last >= PAUSE or start - begun >= 3 * STRETCH):
            yield begun, said
            begun, said = start, ""
        if text != previous:  # rolling captions say each line twice
            between = "" if not said or (_CJK.match(said[-1]) and _CJK.match(text[0])) else " "
            said += between + text
        previous, last = text, end
    yield begun, said


def _clock(milliseconds: int) -> str:
    """01:20 or 1:02:03, as players show it."""
    minutes, seconds = divmod(milliseconds // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes:02}:{seconds:02}"
