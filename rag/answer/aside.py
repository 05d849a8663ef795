"""Work that may hang, done in a thread of its own, so that whoever waits for it can leave.

A model inside a forward pass, or a server that keeps a connection open, cannot be interrupted from outside; it can be left
behind. The thread makes one item when one is asked for and never runs ahead, so work that behaves costs what it would cost here.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from rag.errors import ModelFailed

log = logging.getLogger(__name__)
T = TypeVar("T")
PULSE = 0.02  # seconds between two looks at whether to stop, while nothing comes
GRACE = 0.5  # seconds to end in once it is too late: the shopper is waiting
PATIENCE = 10.0  # seconds to end in once it was stopped: nobody is waiting
Stop = Callable[[], bool]


class _Endless(ModelFailed):
    """Work goes on although it was told to end, and was waited for."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """There are no more items; `error` is what the work raised."""

    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class _Desk(Generic[T]):
    """Where the thread and whoever waits for it meet."""

    mail: queue.SimpleQueue[tuple[T] | _Ended] = field(default_factory=queue.SimpleQueue)
    asked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    left: threading.Event = field(default_factory=threading.Event)  # nobody waits any more


class Aside:
    """Does work aside, and knows what of it was left behind. Threads may share it."""

    def __init__(self) -> None:
        self._left: list[tuple[threading.Thread, float]] = []  # with the time it was begun
        self._guard = threading.Lock()

    def stuck(self, seconds: float) -> bool:
        """Whether work that was left behind has been going on for longer than that: more of it would only hang, too."""
        with self._guard:
            self._left = [(thread, begun) for thread, begun in self._left if thread.is_alive()]
            return any(time.monotonic() - begun > seconds for _, begun in self._left)

    def items(self, work: Callable[[Stop], Iterator[T]], halted: Stop, late: Stop) -> Generator[T, None, None]:
        """The items of `work(stop)`, whose `stop()` is true once `halted()` is or the items are closed.

        What the work raises is raised here. Raises ModelFailed if it goes on, silent or not, for GRACE seconds after `halted()`
        when it is `late()`, for PATIENCE seconds when it is not. Closing the items waits as long for the work to end.
        """
        desk: _Desk[T] = _Desk()
        thread = threading.Thread(target=_run, args=(desk, work, halted), name="aside", daemon=True)
        begun = time.monotonic()
        thread.start()
        waited = False
        try:
            yield from _items(desk, halted, late)
        except _Endless:
            waited = True
            raise
        finally:
            desk.left.set()
            desk.asked.release()
            thread.join(0.0 if waited else GRACE if late() else PATIENCE)
            if thread.is_alive():
                log.error("work did not end when it was told to; it is left behind")
                with self._guard:
                    self._left.append((thread, begun))


def _items(desk: _Desk[T], halted: Stop, late: Stop) -> Generator[T, None, None]:
    since = math.inf  # when it was first seen that the work should end
    while True:
        desk.asked.release()
        mail: tuple[T] | _Ended | None = None
        while mail is None:
            with suppress(queue.Empty):
                mail = desk.mail.get(timeout=PULSE)
            if halted():
                since = min(since, time.monotonic())
            if not isinstance(mail, _Ended) and time.monotonic() - since > (GRACE if late() else PATIENCE):
                raise _Endless(expected="work that ends when it is told to", found="more of it", remedy="look into its log")
        if isinstance(mail, _Ended):
            if mail.error:
                raise mail.error
            return
        yield mail[0]


def _run(desk: _Desk[T], work: Callable[[Stop], Iterator[T]], halted: Stop) -> None:
    """The thread: an item whenever one is asked for, until there are none or nobody waits."""
    try:
        items = work(lambda: desk.left.is_set() or halted())
        try:
            while True:
                desk.asked.acquire()
                if desk.left.is_set():
                    return
                desk.mail.put((next(items),))
        finally:
            if isinstance(items, Generator):
                items.close()  # the model stops now, not when memory is next cleaned
    except StopIteration:
        desk.mail.put(_Ended())
    except BaseException as error:  # noqa: BLE001 - handed to whoever waits, who raises it
        desk.mail.put(_Ended(error))
