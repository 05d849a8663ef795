"""Whatever a generator does, the shopper is answered without it: quoted or refused, never half a claim, and in time."""

from __future__ import annotations

import dataclasses
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from answering import GOOD_EN as GOOD
from answering import make_parts

from rag.answer.aside import Aside
from rag.answer.flow import answer, collect
from rag.answer.parts import Parts
from rag.answer.rank import Ranker, Said
from rag.errors import ModelFailed
from rag.types import Answer, Event, History, Outcome, Passage, Piece, Query, Token, Turn

QUESTION = "How long can I return a product?"
FIRST = GOOD.removesuffix(" [1]")
CRASH = ModelFailed(expected="tokens", found="a crash", remedy="restart")


class Script:
    """A generator of given pieces: an exception among them is raised, an event waited for, anything else yielded as it is."""

    fingerprint = "script"

    def __init__(self, *pieces: Any, count: Callable[[], int] = lambda: 1) -> None:
        self.pieces = pieces
        self._count = count
        self.asked = 0

    def load(self) -> None:
        """Nothing to load."""

    def count(self, messages: Sequence[Turn]) -> int:
        return self._count()

    def stream(self, messages: Sequence[Turn], max_tokens: int, stopped: Callable[[], bool]) -> Iterator[Piece]:
        self.asked += 1
        for piece in self.pieces:
            if isinstance(piece, BaseException):
                raise piece
            if isinstance(piece, threading.Event):
                piece.wait()
            elif isinstance(piece, str):
                yield Piece(piece, 0.0)
            else:
                yield piece


def parts_with(*pieces: Any, **policy: Any) -> Parts:
    return dataclasses.replace(make_parts(**policy), generator=Script(*pieces))


def run(parts: Parts, history: History = ()) -> tuple[Answer, str]:
    """The answer, and what was shown before it."""
    events: list[Event] = list(answer(QUESTION, history, parts))
    return collect(events), "".join(event.text for event in events if isinstance(event, Token))


def working() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "aside"]


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    yield
    assert not working()


@pytest.fixture
def hung() -> Iterator[threading.Event]:
    """What a generator waits for until the test is over."""
    event = threading.Event()
    yield event
    event.set()
    for thread in working():
        thread.join(5)


FAULTS = {
    "raises at once": [CRASH],
    "raises midway": ["You can return any product within ", CRASH],
    "an unforeseen error": ["You can ", RuntimeError("secret detail")],
    "no memory": ["You ", MemoryError()],
    "an end where none may be": [StopIteration()],
    "nothing": [],
    "empty pieces": ["", "", ""],
    "spaces": [" \n\t  "],
    "half characters": ["\ud800\udfff"],
    "control characters": ["\0\x1b\x08\u202e"],
    "broken bytes": ["\ufffd\ufffd\ufffd"],
    "no pieces": [None],
    "no text": [Piece(None, 0.0)],  # type: ignore[arg-type]
    "no number": [Piece("You can ", "high")],  # type: ignore[arg-type]
}


@pytest.mark.parametrize("pieces", FAULTS.values(), ids=FAULTS.keys())
def test_a_failing_generator_costs_its_own_rung_alone(pieces: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    parts = parts_with(*pieces)
    given, shown = run(parts)
    assert (given.rung, given.text, given.failed, shown) == ("quote", GOOD, "generated", "")
    [record] = [record for record in caplog.records if record.name == "rag.answer.generate"]
    assert given.id in record.getMessage() and record.levelno == logging.WARNING
    again, _ = run(dataclasses.replace(parts, generator=Script(GOOD)))
    assert (again.rung, again.text, again.failed) == ("generated", GOOD, "")


def test_where_nothing_can_be_quoted_a_failing_generator_leaves_a_refusal_with_the_contact() -> None:
    given, shown = run(parts_with("You can return any product within 3", CRASH, quote_threshold_en=1.0))
    assert given.outcome is Outcome.REFUSED and "help@shop.example" in given.text and not shown
    assert "return any product within" not in given.text and given.failed == "generated"


def test_a_sentence_that_was_shown_and_stands_is_kept_when_the_generator_fails_behind_it() -> None:
    given, shown = run(parts_with(f"{GOOD} A return label costs 4.90 E", CRASH))
    assert (given.rung, given.text, given.failed, shown) == ("generated", GOOD, "generated", f"{FIRST} ")


def test_a_failure_to_count_tokens_is_one_of_the_generator() -> None:
    def failing() -> int:
        raise CRASH

    given, _ = run(dataclasses.replace(make_parts(), generator=Script(GOOD, count=failing)), (Turn("user", "Hello"),))
    assert (given.rung, given.failed) == ("quote", "generated")


def test_a_failing_embedder_stays_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Likelihoods rest on it: nothing that was found without it can be trusted."""
    rank = Ranker.rank

    def failing(self: Ranker, query: Query, passages: Sequence[Passage], said: Said | None = None, *rest: Any) -> Any:
        if said is not None:  # the generator has read
            raise CRASH
        return rank(self, query, passages, said, *rest)

    monkeypatch.setattr(Ranker, "rank", failing)
    with pytest.raises(ModelFailed, match="a crash"):
        run(make_parts([GOOD]))


@pytest.mark.parametrize("before", [[], ["You can return any product within 3"]])
def test_a_generator_that_hangs_is_left_behind_before_the_deadline(hung: threading.Event, before: list[str]) -> None:
    started = time.monotonic()
    given, shown = run(parts_with(*before, hung, deadline_seconds=1))
    assert (given.rung, given.text, given.failed, shown) == ("quote", GOOD, "generated", "")
    assert 0.9 < time.monotonic() - started < 1.7 and len(working()) == 1


def test_a_generator_that_hangs_while_it_counts_is_left_behind(hung: threading.Event) -> None:
    def waiting() -> int:
        hung.wait()
        return 1

    parts = dataclasses.replace(make_parts(deadline_seconds=0.2), generator=Script(GOOD, count=waiting))
    given, _ = run(parts, (Turn("user", "Hello"),))
    assert (given.rung, given.failed) == ("quote", "generated")


def test_a_generator_that_hung_is_not_asked_until_it_ends(hung: threading.Event) -> None:
    parts = parts_with(hung, GOOD, deadline_seconds=0.2)
    run(parts)
    started = time.monotonic()
    given, _ = run(parts)
    assert (given.rung, given.failed) == ("quote", "generated")
    assert time.monotonic() - started < 0.1 and len(working()) == 1 and parts.generator.asked == 1  # type: ignore[attr-defined]
    hung.set()
    working()[0].join(5)
    given, _ = run(parts)
    assert (given.rung, given.failed) == ("generated", "")


def test_a_generator_that_dribbles_on_is_left_behind() -> None:
    class Dribble(Script):
        def stream(self, messages: Sequence[Turn], max_tokens: int, stopped: Callable[[], bool]) -> Iterator[Piece]:
            while True:
                time.sleep(0.05)
                yield Piece("and ", 0.0)

    started = time.monotonic()
    given, _ = run(dataclasses.replace(make_parts(deadline_seconds=0.2, new_tokens=10**9), generator=Dribble()))
    assert (given.rung, given.failed) == ("quote", "generated") and time.monotonic() - started < 1.2
    time.sleep(0.2)  # what it is at


def test_one_that_is_stopped_has_time_to_end_and_is_no_failure() -> None:
    class Slow(Script):
        def stream(self, messages: Sequence[Turn], max_tokens: int, stopped: Callable[[], bool]) -> Iterator[Piece]:
            time.sleep(0.8)
            yield Piece(GOOD, 0.0)

    given = collect(answer(QUESTION, (), dataclasses.replace(make_parts(), generator=Slow()), lambda: True))
    assert (given.rung, given.failed) == ("generated", "")


@pytest.mark.parametrize(
    "pieces",
    [
        ["the " * 2_500_000],
        [f"{FIRST} " * 200_000],
        ["x" * 10_000_000],
        ["the "] * 100_000,
        ["a"] * 100_000,
        ["。"] * 100_000,
        ["1. "] * 100_000,
    ],
    ids=["megabytes of words", "megabytes of the answer", "one word of megabytes", "words", "letters", "stops", "numbers"],
)
def test_a_flood_is_cut_off(pieces: list[str]) -> None:
    started = time.monotonic()
    given, shown = run(parts_with(*pieces))
    assert given.text == GOOD and shown in ("", f"{FIRST} ") and time.monotonic() - started < 3


def test_what_no_text_holds_is_taken_out_of_a_reply() -> None:
    given, shown = run(
        parts_with("You can re\u200bturn any \ud83dproduct ", "\x1b\x00\u200e", "within 30 days\u202e of delivery. [1]")
    )
    assert (given.text, shown) == (GOOD, f"{FIRST} ")
    (given.text + shown).encode()


def test_nothing_behind_broken_bytes_is_shown() -> None:
    given, shown = run(parts_with(f"{GOOD} A return lab\ufffdel costs 4.90 EUR."))
    assert (given.rung, given.text, shown) == ("generated", GOOD, f"{FIRST} ")


@pytest.mark.parametrize("logprob", [1e9, math.inf, -math.inf, math.nan])
def test_a_probability_that_is_none_changes_nothing(logprob: float) -> None:
    given, _ = run(parts_with(Piece(GOOD, logprob)))
    assert (given.text, given.failed) == (GOOD, "")


def test_work_aside_makes_an_item_when_one_is_asked_for() -> None:
    made: list[int] = []

    def work(stop: Callable[[], bool]) -> Iterator[int]:
        for number in range(5):
            made.append(number)
            yield number

    items = Aside().items(work, lambda: False, lambda: False)
    assert [next(items), next(items)] == [0, 1] and made == [0, 1]
    items.close()
    assert made == [0, 1] and not working()
    assert list(Aside().items(work, lambda: False, lambda: False)) == [0, 1, 2, 3, 4]


def test_work_aside_is_told_when_nobody_waits_any_more() -> None:
    told = threading.Event()

    def work(stop: Callable[[], bool]) -> Iterator[int]:
        yield 1
        while not stop():
            time.sleep(0.01)
        told.set()
        yield 2

    items = Aside().items(work, lambda: False, lambda: False)
    next(items)
    items.close()
    assert not told.is_set()  # it was not at work: it waited to be asked
    stops: list[bool] = []
    threading.Timer(0.1, lambda: stops.append(True)).start()
    assert list(Aside().items(work, lambda: bool(stops), lambda: False)) == [1, 2] and told.is_set()
