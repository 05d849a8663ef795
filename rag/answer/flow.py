"""Question -> events, one ladder for every door: the page, the HTTP service, the command line and the evaluation.

guard -> small talk -> rewrite -> retrieve -> a vetted question -> evidence -> clarify -> FAQ -> fact -> generate, check, cite
-> quote -> across languages -> refusal
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace

from rag.answer.across import across
from rag.answer.clarify import clarify
from rag.answer.fact import fact
from rag.answer.faq import at_once, faq
from rag.answer.generate import generated
from rag.answer.guard import guard, open_case
from rag.answer.parts import Case, Parts, Reply
from rag.answer.quote import quote
from rag.answer.refuse import refuse
from rag.answer.smalltalk import talk
from rag.errors import ModelFailed
from rag.types import Answer, Done, Event, Filter, HandOver, History, Refused, Sources, Token

# Each yields tokens, if it has any before it is sure, and returns its reply, or None to let the next one try.
Rung = Callable[[Case], Generator[Token, None, Reply | None]]
ANYTHING = Filter()
RUNGS: dict[str, Rung] = {"clarify": clarify, "faq": faq, "fact": fact, "generated": generated, "quote": quote, "across": across}


def answer(
    question: str, history: History, parts: Parts, stopped: Callable[[], bool] = lambda: False, chosen: Filter = ANYTHING
) -> Iterator[Event]:
    """The events of one turn; the last is Done, Refused or HandOver.

    Refusing is a value. What search and the embedder raise (ModelFailed, ...) passes through: failing is not refusing. A
    generator that fails or hangs costs its own rung alone: it is logged and noted in Answer.failed. Generating ends soon after
    `stopped()` is true, the deadline is near or the iterator is closed. Only what `chosen` lets pass is looked at.
    """
    case = open_case(question, history, parts, stopped)
    if settled := guard(case) or talk(case):
        yield settled
        return
    case.query = replace(case.clock.timed("rewrite", parts.rewrite, case.query.question, history), filter=chosen)
    case.passages = tuple(case.clock.timed("retrieve", parts.source.find, case.query, parts.passages))
    yield Sources(case.query, case.passages)
    name, reply = "faq", case.clock.timed("faq", at_once, case) if "faq" in parts.policy.rungs else None
    if reply is None:
        case.clock.timed("rank", case.weigh)
        for name in parts.policy.rungs:
            reply = (yield from RUNGS[name](case)) if name in RUNGS else None
            if reply:
                break
    yield Done(case.close(reply.outcome, reply.text, name, citations=reply.citations)) if reply else refuse(case)


def collect(events: Iterable[Event]) -> Answer:
    """Run to the end: the answer of the closing event. Raises ModelFailed if there is none."""
    last = None
    for last in events:  # noqa: B007 - to the very end, so that the iterator finishes its work
        pass
    if isinstance(last, Done | Refused | HandOver):
        return last.answer
    raise ModelFailed(expected="a closing event", found=str(last), remedy="ask again")
