"""Searches and terms as tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rag.retrieve.trace import Considered, Trace
from rag.types import Passage, Query

if TYPE_CHECKING:
    from rich.table import Table

    from rag.retrieve.expiring import Term

SNIPPET = 60  # characters of a passage
# What the names of those features hold that compare texts.
SEARCHES = ("dense", "lexical", "coverage", "question", "sentence", "against", "title")
STATES = {"ends": "in {days} days", "ended": "{days} days ago", "begins": "begins in {days} days"}


def found_table(query: Query, passages: Sequence[Passage]) -> Table:
    """What a search found, best first."""
    table = _table("#", "score", "document", "passage", title=_line(query.text))
    for rank, passage in enumerate(passages, start=1):
        table.add_row(str(rank), f"{passage.score:.3f}", passage.chunk.document, _snippet(passage))
    return table


def heading(trace: Trace) -> list[str]:
    """The lines above the candidates: what was searched, for what, in what."""
    query = trace.query
    lines = [f"question   {_line(query.question)}"]
    names = {"text": "rewritten", "repaired": "repaired", "context": "wider"}
    lines += [
        f"{names[form]:<10} {_line(text)}" for form, text in trace.forms.items() if form != "text" or text != query.question
    ]
    if trace.named:
        lines.append("names      " + ", ".join(f"{name} ({' / '.join(ids)})" for name, ids in trace.named.items()))
    elif query.carried:
        lines.append(f"carried    {'; '.join(', '.join(ids) for ids in query.carried)}")
    chosen = [
        f"{name}={value}" for name in ("language", "region", "product", "audience") if (value := getattr(query.filter, name))
    ]
    if trace.confidence is not None:
        lines.append(f"confidence {trace.confidence:.3f}, by the scores alone, that a passage found holds the answer")
    return [*lines, f"searched   {', '.join(chosen) or 'everything'} in force on {trace.day.isoformat()}, as {query.language}"]


def trace_table(trace: Trace) -> Table:
    """One line a candidate: each search's own score, what its features add, what became of it."""
    reranked = ["rerank"] if any("rerank" in one.passage.scores for one in trace.considered) else []
    table = _table("#", "dense", "BM25", "FAQ", "against", "bonus", *reranked, "score", "passage", "dropped because")
    for rank, one in enumerate(trace.considered, start=1):
        scores = one.passage.scores
        competes = bool(one.features)
        numbers = [scores.get(name) for name in ("dense", "lexical", "question")]
        numbers += [one.features.get("against"), _bonus(one) if competes else None, *map(scores.get, reranked)]
        numbers += [one.passage.score if competes else None]
        about = f"{one.passage.chunk.document}: {_snippet(one.passage)}"
        asked = f"\nanswers: {_line(one.question)}" if one.question and one.question != one.passage.chunk.title else ""
        table.add_row(str(rank), *map(_number, numbers), about + asked, str(one.dropped or ""))
    return table


def terms_table(terms: Sequence[Term]) -> Table:
    """What holds only for a time."""
    table = _table("when", "from", "to", "document", "title", "passages")
    for term in terms:
        days = STATES[term.state].format(days=abs(term.days)) if term.days else "today is the last day"
        dates = (term.valid_from.isoformat() if term.valid_from else "", term.valid_to.isoformat() if term.valid_to else "")
        table.add_row(days, *dates, term.document, term.title, str(term.chunks))
    return table


def _bonus(one: Considered) -> float:
    """What the score owes to anything but the comparison of texts."""
    return sum(part for name, part in one.parts.items() if not any(word in name for word in SEARCHES))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _snippet(passage: Passage) -> str:
    return _line(passage.chunk.text, SNIPPET)


def _line(text: str, most: int = 200) -> str:
    """The text in one line, cut."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _table(*columns: str, title: str = "") -> Table:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE, title=title or None, title_justify="left", title_style="")
    for column in columns:
        table.add_column(
            column, justify="right" if column in ("#", "score", "dense", "BM25", "FAQ", "against", "bonus", "rerank") else "left"
        )
    return table
