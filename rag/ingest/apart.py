"""Reads files in a child process (rag.ingest.worker), so that none of them can hang, crash or starve the one that ingests.

The child reads many files, one after the other; it is replaced when it dies, takes too long, says too much or keeps memory.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from rag.errors import ShoptalkError, Unreadable
from rag.ingest.readers import recognize
from rag.ingest.worker import (
    BEYOND,
    DOCUMENT,
    DOCUMENTS,
    ENTRIES,
    ENTRY_LISTS,
    FRAME,
    HEAD,
    MORE,
    READY,
    REASONS,
    REJECTED,
    SPENT,
    SPLIT,
    TEXT,
    UNREADABLE,
    Frame,
)
from rag.types import Document, Entry

ReadFile = Callable[[Path, str], Document]  # path and id, as rag.ingest.read.read; raises Unreadable

COMMAND = (sys.executable, "-B", "-m", "rag.ingest.worker")
_START = 60  # seconds that a child may take before its first file
# Keys and passwords are not for it.
_TOLD = ("PATH", "HOME", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "SYSTEMROOT", "TZ")
_FRUGAL = {"MALLOC_ARENA_MAX": "2", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # threads take addresses


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one file may take. Memory is limited by the child: worker.MEGABYTES."""

    seconds: float = 15
    seconds_per_megabyte: float = 0.5  # of the file from the sixth one on: a thick manual is no attack
    most_seconds: float = 60
    most_in_parts: float = 600  # with what pages and pictures add
    output: int = 64_000_000  # bytes

    def time(self, size: int) -> float:
        """Seconds for a file of `size` bytes."""
        return min(self.most_seconds, self.seconds + self.seconds_per_megabyte * max(0, size / 1_000_000 - 5))


@contextmanager
def reading_apart(limits: Limits | None = None, command: Sequence[str] = COMMAND) -> Iterator[ReadFile]:
    """Give a function that reads as rag.ingest.read.read does; no process is started before the first file.

    It raises Unreadable for what the child could not read or did not survive, ShoptalkError where no child can be started.
    """
    desk = _Desk(limits or Limits(), command)
    try:
        yield desk.read
    finally:
        desk.close()


class _Failed(Exception):
    """The child is of no use any more; `reason` holds if it was the file's fault."""

    def __init__(self, reason: Unreadable) -> None:
        self.reason = reason


class _Desk:
    """The child there is, if any, and what reading may take."""

    def __init__(self, limits: Limits, command: Sequence[str]) -> None:
        self._limits, self._command = limits, command
        self._child: _Child | None = None

    def read(self, path: Path, id: str) -> Document:
        """Read one file. What a child fails at is given to a fresh one, so that no file pays for those before it."""
        try:
            given = self._limits.time(path.stat().st_size)
        except OSError as error:
            raise Unreadable(
                expected="a file that can be opened", found=str(error.strerror), remedy="ingest again when it is there"
            ) from error
        started = time.monotonic()
        while True:
            child = self._child = self._child or _Child(self._command)
            left = given - (time.monotonic() - started)
            try:
                return child.read(path, id, left, self._limits)
            except _Failed as failure:
                child.spent = True
                if child.files == 1 or child.overdue:
                    raise _timely(failure.reason, child.overdue, given) from failure
            finally:
                if child.spent:
                    self.close()

    def close(self) -> None:
        """End the child."""
        if self._child:
            self._child.close()
        self._child = None


class TookTooLong(Unreadable):
    """The file's time was up; a machine that has more of it may read the file."""


def _timely(reason: Unreadable, overdue: bool, seconds: float) -> Unreadable:
    if not overdue:
        return reason
    found = f"that it takes longer (gave up after {seconds:.0f} s)"
    return TookTooLong(expected=f"a file that can be read in {seconds:.0f} s", found=found, remedy=SPLIT)


class _Child:
    """One process. It is spent when it cannot or should not read another file."""

    def __init__(self, command: Sequence[str]) -> None:
        self.files, self.spent, self.overdue, self._most = 0, False, False, 0.0
        environment = {name: os.environ[name] for name in _TOLD if name in os.environ} | _FRUGAL
        package = Path(__file__).resolve().parents[2]
        try:
            self._process = subprocess.Popen(
                command, cwd=package, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            raise _no_child(str(error)) from error
        assert self._process.stdin and self._process.stdout
        self._requests, self._replies = self._process.stdin, self._process.stdout
        try:
            with self._stopped_after(_START):
                list(self._frames())
        except _Failed as failure:
            self.close()
            raise _no_child(failure.reason.found) from failure

    def read(self, path: Path, id: str, seconds: float, limits: Limits) -> Document:
        """Raises Unreadable, _Failed."""
        self.files += 1
        request = json.dumps([str(path.absolute()), id, seconds, recognize.threads()])
        self._most = limits.most_in_parts - seconds
        with self._stopped_after(seconds):
            try:
                self._requests.write(request.encode() + b"\n")
                self._requests.flush()
            except OSError as error:
                raise self._failed() from error
            try:
                return self._document(id, limits.output)
            except ValueError as error:  # not JSON, not UTF-8, not the fields there should be
                raise _Failed(_garbled(str(error).split("\n")[0])) from error

    def close(self) -> None:
        """Kill it: it has nothing to lose."""
        self._process.kill()
        self._process.wait()
        self._replies.close()
        with suppress(OSError):  # it may hold a request that no one took
            self._requests.close()

    @contextmanager
    def _stopped_after(self, seconds: float) -> Iterator[None]:
        self._until = time.monotonic() + seconds
        self._start_clock()
        try:
            yield
        finally:
            self._clock.cancel()

    def _start_clock(self) -> None:
        self._clock = threading.Timer(max(0.0, self._until - time.monotonic()), self._stop)
        self._clock.daemon = True
        self._clock.start()

    def _allow(self, seconds: float) -> None:
        more = min(seconds, self._most)
        self._most -= more
        self._until += more
        self._clock.cancel()
        self._start_clock()

    def _stop(self) -> None:
        self.overdue = self.spent = True
        self._process.kill()

    def _document(self, id: str, output: int) -> Document:
        """What the frames say."""
        texts: list[str] = []
        entries: list[Entry] = []
        rejected: list[str] = []
        document: Document | None = None
        reason: Unreadable | None = None
        for kind, content in self._frames():
            output -= HEAD.size + len(content)
            if output < 0:
                raise _Failed(Unreadable(expected="a document of normal size", found="that far more comes of it", remedy=SPLIT))
            if kind == TEXT:
                texts.append(content.decode("utf-8", "surrogatepass"))
            elif kind == ENTRIES:
                entries += ENTRY_LISTS.validate_json(content)
            elif kind == REJECTED:
                rejected += REASONS.validate_json(content)
            elif kind == DOCUMENT:
                document = DOCUMENTS.validate_json(content)
            elif kind in (UNREADABLE, BEYOND):
                expected, found, remedy = REASONS.validate_json(content)
                reason = Unreadable(expected=expected, found=found, remedy=remedy)
                if kind == BEYOND:
                    raise _Failed(reason)
        if reason or not document:
            raise reason or _Failed(_garbled("no document"))
        return replace(document, id=id, text="".join(texts), entries=tuple(entries), rejected=tuple(rejected))

    def _frames(self) -> Iterator[Frame]:
        """The frames up to READY or SPENT."""
        while True:
            kind, size = HEAD.unpack(self._bytes(HEAD.size))
            if size > FRAME:
                raise _Failed(Unreadable(expected="rows of normal size", found="one of several megabytes", remedy=SPLIT))
            content = self._bytes(size)
            if kind in (READY, SPENT):
                self.spent |= kind == SPENT
                return
            if kind == MORE:
                self._allow(float(content))
                continue
            yield kind, content

    def _bytes(self, count: int) -> bytes:
        content = self._replies.read(count)
        if len(content) < count:
            raise self._failed()
        return content

    def _failed(self) -> _Failed:
        """Why the child says no more."""
        try:
            code = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return _Failed(_garbled("an end too early"))
        if sys.platform != "win32" and code == -signal.SIGXCPU:
            self.overdue = True
        end = f"died with signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"ended with code {code}"
        return _Failed(Unreadable(expected="a file that its reader survives", found=f"that the reader {end}", remedy=SPLIT))


def _garbled(found: str) -> Unreadable:
    return Unreadable(expected="a document from the reader", found=found, remedy=SPLIT)


def _no_child(found: str) -> ShoptalkError:
    return ShoptalkError(
        expected="a process of its own for reading documents",
        found=found,
        remedy="look at the limits on memory and processes of this machine",
    )
