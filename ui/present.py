"""Events -> what the page shows, as pure functions. Everything foreign goes through ui/markup.py or html.escape.

A Reply is what is known of one answer so far; advance() folds a step into it, render() draws it. Being stopped, refused and
failed are different phases and look different: refusing is a result, failing is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from html import escape
from pathlib import Path
from typing import Literal

from rag.errors import Overdue, Starting, TooBusy
from rag.types import Answer, Chunk, Citation, Done, Facets, HandOver, Kind, Language, Passage, Refused, Sources, Token
from rag.wording import say as look_up
from ui import markup
from ui.turns import Pulse, Step, Stopped, Waiting

WORDING = Path(__file__).parent / "wording"
LANGUAGES: tuple[Language, ...] = ("en", "zh")
_NO_ANSWER = ("", "no_answer", "nearest")  # reasons that mean: the documents do not hold it
_SHOWN_QUESTION = 4_000  # characters of a question that the page repeats

Phase = Literal["searching", "waiting", "reading", "writing", "answered", "refused", "handed_over", "stopped", "failed", "busy"]


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer as far as it has come. `contact` is the shop's, in the language of the question."""

    language: Language
    contact: str
    phase: Phase = "searching"
    text: str = ""  # tokens so far; from the last event on, the answer's own text
    found: int = 0  # passages that the tokens' markers may name
    answer: Answer | None = None
    title: str = ""  # of the card a failure is told on
    trace: str = ""  # under which the log tells more about a failure


def say(key: str, language: Language, **holes: object) -> str:
    """A sentence of the page's own catalogue."""
    return look_up(key, language, WORDING, **holes)


def both(key: str, **holes: object) -> str:
    """A sentence in all languages, escaped; the page's language decides which one is seen."""
    spans = (
        f'<span class="in-{language}" lang="{language}">{escape(say(key, language, **holes))}</span>' for language in LANGUAGES
    )
    return "".join(spans)


def advance(reply: Reply, step: Step) -> Reply:
    """The reply after one more step."""
    match step:
        case Waiting():
            return replace(reply, phase="waiting")
        case Sources(passages=passages):
            return replace(reply, phase="reading", found=len(passages))
        case Token(text=piece):
            return replace(reply, phase="writing", text=reply.text + piece)
        case Done(answer=answer):
            return replace(reply, phase="answered", text=answer.text, answer=answer, language=answer.language)
        case Refused(answer=answer):
            return replace(reply, phase="refused", text=answer.text, answer=answer, language=answer.language)
        case HandOver(answer=answer):
            return replace(reply, phase="handed_over", text=answer.text, answer=answer, language=answer.language)
        case Stopped():
            return replace(reply, phase="stopped")
        case Pulse():
            return reply


def fail(reply: Reply, error: Exception, trace: str) -> Reply:
    """The reply after a failure. What the error says stays in the log; the shopper reads what to do."""
    if isinstance(error, TooBusy | Starting):
        key = "busy" if isinstance(error, TooBusy) else "starting"
        return replace(reply, phase="busy", title=say(f"{key}_title", reply.language), text=say(key, reply.language))
    title = say("failed_title", reply.language)
    if isinstance(error, Overdue):
        return replace(
            reply, phase="failed", title=title, text=say("overdue", reply.language, contact=reply.contact), trace=trace
        )
    return replace(reply, phase="failed", title=title, text=look_up("failed", reply.language, contact=reply.contact), trace=trace)


def question(text: str) -> str:
    """The shopper's own words, as typed."""
    shown = text if len(text) <= _SHOWN_QUESTION else f"{text[:_SHOWN_QUESTION]} …"
    return f'<div class="asked">{markup.plain(shown)}</div>'


def render(reply: Reply) -> str:
    """The reply as one HTML block without blank lines."""
    match reply.phase:
        case "searching" | "waiting" | "reading":
            wait = f'<p class="wait"><span class="dots"></span>{escape(say(reply.phase, reply.language))}</p>'
            return _block(reply, wait)
        case "writing":
            return _block(reply, f'<div class="text">{markup.streaming(reply.text, reply.found)}</div>')
        case "stopped":
            note = f'<p class="note">{escape(say("stopped", reply.language))}</p>'
            return _block(reply, f'<div class="text">{markup.streaming(reply.text, reply.found)}</div>{note}')
        case "answered":
            return _block(reply, _answered(reply))
        case _:
            return _block(reply, _card(reply) + (sources(reply.answer) + _actions(reply) if reply.answer else ""))


def sources(answer: Answer) -> str:
    """The cited passages, one card a marker, closed; the quoted words are marked. Uncited passages are not shown."""
    if not answer.citations:
        return ""
    passages = {passage.chunk.id: passage for passage in answer.passages}
    cards = []
    for number in sorted({citation.n for citation in answer.citations}):
        cited = [citation for citation in answer.citations if citation.n == number and citation.chunk in passages]
        if cited:
            cards.append(_source(answer, number, passages[cited[0].chunk], cited))
    title = escape(say("sources", answer.language))
    return f'<div class="sources"><p class="sources-title">{title}</p>{"".join(cards)}</div>' if cards else ""


def facts(facets: Facets, language: Language) -> list[str]:
    """What a shopper should know about a source: when and where it holds, and whether the shop wrote it."""
    first, last = (_day(day, language) if day else "" for day in (facets.valid_from, facets.valid_to))
    told = []
    if first and last:
        told.append(say("valid_between", language, first=first, last=last))
    elif first:
        told.append(say("valid_from", language, first=first))
    elif last:
        told.append(say("valid_to", language, last=last))
    if facets.region:
        told.append(say("region", language, region=facets.region))
    if facets.trust != "official":
        told.append(say("community", language))
    return told


def _block(reply: Reply, inner: str) -> str:
    # A blank line would end the HTML block that Gradio's Markdown takes this for.
    return f'<div class="reply {reply.phase}" lang="{reply.language}">{" ".join(inner.splitlines())}</div>'


def _answered(reply: Reply) -> str:
    answer = reply.answer
    assert answer is not None  # only advance() sets the phase
    known = {passage.chunk.id for passage in answer.passages}
    links = {
        citation.n: (_card_id(answer, citation.n), say("source", answer.language, n=citation.n))
        for citation in answer.citations
        if citation.chunk in known
    }
    return f'<div class="text">{markup.answer(answer.text, links)}</div>{sources(answer)}{_actions(reply)}'


def _source(answer: Answer, number: int, passage: Passage, cited: Sequence[Citation]) -> str:
    chunk, language = passage.chunk, answer.language
    path = [part for part in dict.fromkeys(chunk.headings) if part != chunk.title]
    where = f'<span class="path">{escape(" › ".join(path))}</span>' if path else ""
    told = [*map(escape, facts(chunk.facets, language)), markup.page(chunk.document, chunk.url)]
    begin = _after_title(chunk, cited)
    quotes = [(citation.start - begin, citation.end - begin) for citation in cited]
    body = markup.passage(chunk.text[begin:], quotes, chunk.kind is not Kind.PAGE)
    return (
        f'<details class="source" id="{_card_id(answer, number)}"><summary><span class="number">{number}</span>'
        f'<span class="what"><span class="title">{escape(chunk.title)}</span>{where}</span></summary>'
        f'<div class="passage">{body}</div>'
        f'<p class="facts">{"".join(f"<span>{fact}</span>" for fact in told)}</p></details>'
    )


def _after_title(chunk: Chunk, cited: Sequence[Citation]) -> int:
    """Where the text goes on after a first line that only repeats the card's title, unless that line is quoted."""
    begin = len(chunk.title) + 1
    repeats = chunk.text.startswith(f"{chunk.title}\n") and all(citation.start >= begin for citation in cited)
    return begin if repeats else 0


def _card(reply: Reply) -> str:
    """A refusal, a hand-over or a failure: icon (by class), title, text with the contact to click."""
    title = reply.title
    if reply.answer and reply.phase == "handed_over":
        title = say("handed_over_title", reply.language)
    elif reply.answer:
        title = say("refused_title" if reply.answer.reason in _NO_ANSWER else "declined_title", reply.language)
    text = markup.plain(reply.text).replace(escape(reply.contact), markup.contact(reply.contact))
    retry = trace = ""
    if reply.phase in ("failed", "busy"):
        retry = f'<button type="button" class="retry">{escape(say("retry", reply.language))}</button>'
    if reply.trace:
        trace = f'<span class="trace">{escape(say("reference", reply.language, trace=reply.trace))}</span>'
    foot = f'<div class="foot">{retry}{trace}</div>' if retry else ""
    return f'<div class="card"><p class="card-title">{escape(title)}</p><p class="card-text">{text}</p>{foot}</div>'


def _actions(reply: Reply) -> str:
    """Copy and thumbs; the buttons' ids carry the answer's."""
    assert reply.answer is not None
    name = escape(reply.answer.id)
    buttons = (("copy", "copy"), ("vote-up", "helpful"), ("vote-down", "unhelpful"))
    drawn = (
        f'<button type="button" class="action {kind}" id="{kind}-{name}" title="{escape(say(key, reply.language))}">'
        f'<span class="sr">{escape(say(key, reply.language))}</span></button>'
        for kind, key in buttons
    )
    return f'<div class="actions">{"".join(drawn)}</div>'


def _card_id(answer: Answer, number: int) -> str:
    return escape(f"source-{answer.id}-{number}")


def _day(day: date, language: Language) -> str:
    return f"{day.year}年{day.month}月{day.day}日" if language == "zh" else f"{day.day} {day:%b %Y}"
