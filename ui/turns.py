"""One door to the assistant for page and API: so many turns run, so many wait, the rest are told to come back.

Each turn runs in a worker thread and posts its events into a mailbox of the event loop. Whoever reads the mailbox may leave
at any moment (a closed tab, a stop button, a deadline): the worker then closes the assistant's iterator, which ends the work.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import math
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from rag.errors import Overdue, Starting, TooBusy
from rag.types import Event, Filter, History
from ui.metrics import Metrics

log = logging.getLogger(__name__)
ANYTHING = Filter()
PATIENCE = 10.0  # seconds that work may go on after its reader left; then its place is given away, whatever it does
PULSE = 0.5  # seconds without an event after which readers are woken, so that they notice who has left


class Assistant(Protocol):
    """What the page and the API need of rag.assistant.Assistant."""

    def answer(
        self, question: str, history: History, conversation: str, stopped: Callable[[], bool], chosen: Filter
    ) -> Iterator[Event]:
        """The events of one turn; closing the iterator or `stopped()` turning true ends the work. Raises WrongFilter."""

    def vote(self, answer_id: str, value: int, comment: str = "") -> None:
        """Keep a shopper's thumb (+1 or -1). Raises DataError for an unknown answer."""

    def describe(self) -> dict[str, str]:
        """What is loaded."""

    def close(self) -> None:
        """Release files and connections."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The turn is in the queue."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """Nothing new for PULSE seconds."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The shopper stopped the turn; quietly, if a new conversation takes its place."""

    quiet: bool = False


@dataclass(frozen=True, slots=True)
class _Ended:
    """The worker is done; `error` is what the assistant raised."""

    error: Exception | None = None


Step = Event | Waiting | Pulse | Stopped
_Mail = Event | Waiting | Stopped | _Ended


@dataclass(slots=True)
class _Running:
    """One turn on its way."""

    mailbox: asyncio.Queue[_Mail] = field(default_factory=asyncio.Queue)
    left: threading.Event = field(default_factory=threading.Event)  # nobody reads any more
    over: asyncio.Event = field(default_factory=asyncio.Event)  # the reader is gone
    began: float = 0.0  # when it got its slot; 0 while it waits, and again when the slot is free
    stopped: Stopped | None = None  # read before anything that still lies in the mailbox


class Turns:
    """Admits, runs, stops and counts turns. All methods belong to one event loop, except `ready`."""

    def __init__(self, concurrency: int, queue: int, deadline: float, metrics: Metrics) -> None:
        self.assistant: Assistant | None = None
        self.metrics = metrics
        self._admits = concurrency + queue
        self._concurrency = concurrency
        self._deadline = deadline  # seconds for a whole turn, the time in the queue included
        self._slots = asyncio.Semaphore(concurrency)
        self._admitted = 0
        self._turn_seconds = 2.0  # moving average, for Retry-After
        self._running: dict[str, _Running] = {}

    def ready(self, assistant: Assistant) -> None:
        """From now on turns are taken."""
        self.assistant = assistant

    async def events(
        self, question: str, history: History, conversation: str, channel: str, chosen: Filter = ANYTHING
    ) -> AsyncGenerator[Step, None]:
        """The steps of one turn. Raises Starting, TooBusy, Overdue, or what the assistant raises.

        Use it inside contextlib.aclosing: closing it is what stops the work.
        """
        if self.assistant is None:
            raise Starting(expected="model and index loaded", found="still loading", remedy="try again in a few seconds")
        if self._admitted >= self._admits:
            self.metrics.rejected.labels(channel).inc()
            raise TooBusy(
                expected=f"at most {self._admits} turns at once", found="one more", remedy="try again later", wait=self._wait()
            )
        started, turn = time.monotonic(), _Running()
        self._admitted += 1
        self.metrics.admitted.inc()
        self._running[conversation] = turn
        entry = asyncio.ensure_future(
            self._enter(turn, functools.partial(_events, self.assistant, question, history, conversation, chosen))
        )
        entry.add_done_callback(lambda task: self._leave() if task.cancelled() else None)
        try:
            async for step in self._read(turn, started):
                self.metrics.count(step, channel, time.monotonic() - started)
                yield step
        except Exception:  # whatever it was, it is counted, and goes on to who asked
            self.metrics.turns.labels(channel, "failed", "").inc()
            raise
        finally:
            turn.left.set()
            turn.over.set()
            entry.cancel()
            if turn.began:
                asyncio.get_running_loop().call_later(PATIENCE, self._release, turn, True)
            if self._running.get(conversation) is turn:
                del self._running[conversation]

    async def stop(self, conversation: str, quiet: bool = False, seconds: float = PATIENCE) -> None:
        """End the turn that runs for `conversation`, if any, and wait at most `seconds` until its reader has gone."""
        if turn := self._running.get(conversation):
            turn.stopped = Stopped(quiet)
            turn.mailbox.put_nowait(turn.stopped)  # wakes a reader that waits
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(turn.over.wait(), seconds)

    async def idle(self) -> None:
        """Return when no turn is running or waiting."""
        while self._admitted:
            await asyncio.sleep(0.05)

    async def _read(self, turn: _Running, started: float) -> AsyncIterator[Step]:
        while True:
            left = started + self._deadline - time.monotonic()
            if left <= 0:
                raise Overdue(
                    expected=f"an answer within {self._deadline:g} seconds", found="none", remedy="try again or ask a person"
                )
            try:
                mail = await asyncio.wait_for(turn.mailbox.get(), min(PULSE, left))
            except TimeoutError:
                yield Pulse()
                continue
            mail = turn.stopped or mail
            if isinstance(mail, _Ended):
                if mail.error:
                    raise mail.error
                return
            yield mail
            if isinstance(mail, Stopped):
                return

    async def _enter(self, turn: _Running, ask: Callable[[Callable[[], bool]], Generator[Event, None, None]]) -> None:
        """Wait for a slot, then start the worker; the slot is free again when the worker has really ended."""
        if self._slots.locked():
            turn.mailbox.put_nowait(Waiting())
        await self._slots.acquire()
        loop, turn.began = asyncio.get_running_loop(), time.monotonic()
        self.metrics.running.inc()

        def post(mail: _Mail) -> None:
            loop.call_soon_threadsafe(turn.mailbox.put_nowait, mail)

        def work() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the process is going down
                post(_run(ask(turn.left.is_set), turn.left, post))
                loop.call_soon_threadsafe(self._release, turn)

        threading.Thread(target=work, name="turn", daemon=True).start()

    def _release(self, turn: _Running, lost: bool = False) -> None:
        """Free the turn's slot, once; `lost`: the work never ended."""
        if not turn.began:
            return
        if lost:
            log.error("a turn did not end within %g seconds of being stopped; its place is given away", PATIENCE)
        self._turn_seconds += 0.2 * (time.monotonic() - turn.began - self._turn_seconds)
        turn.began = 0.0
        self._slots.release()
        self.metrics.running.dec()
        self._leave()

    def _leave(self) -> None:
        self._admitted -= 1
        self.metrics.admitted.dec()

    def _wait(self) -> int:
        """Seconds after which a place is likely free."""
        return max(1, math.ceil(self._turn_seconds / self._concurrency))


def _run(events: Generator[Event, None, None], left: threading.Event, post: Callable[[_Mail], None]) -> _Ended:
    """Post every event until nobody reads any more; closing the iterator ends the work behind it."""
    try:
        with contextlib.closing(events):
            for event in events:
                if left.is_set():
                    break
                post(event)
    except Exception as error:  # noqa: BLE001 - handed to the reader, who raises it where it is caught
        return _Ended(error)
    return _Ended()


def _events(
    assistant: Assistant, question: str, history: History, conversation: str, chosen: Filter, stopped: Callable[[], bool]
) -> Generator[Event, None, None]:
    """A generator, which can be closed, around an iterator, which may not: closing it closes what it yields from."""
    yield from assistant.answer(question, history, conversation, stopped, chosen)
