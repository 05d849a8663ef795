"""Reads files in a process of its own: `python -m rag.ingest.worker`; rag.ingest.apart starts it and tells it what to read.

stdin   a line per file: [path, id, seconds, threads for pictures] as JSON; the end of stdin ends the process
stdout  frames: a kind (one byte), a length (four bytes, big-endian), so many bytes. READY once; then for each file MORE with the
        seconds that a page or a picture may take beside, TEXT, ENTRIES and REJECTED, as many as it takes, then DOCUMENT or
        UNREADABLE or BEYOND, then READY, or SPENT if this was the last

A hostile file may own this process. So what comes out of it is text and JSON, never pickled objects, and memory, processor time
and the size of files are limited; while a file is read, no other document, no socket and no program can be opened.
"""

from __future__ import annotations

import gc
import importlib
import json
import math
import os
import re
import struct
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from pydantic import TypeAdapter

from rag.errors import Unreadable
from rag.ingest.read import READERS, read, suffix_of
from rag.ingest.readers import effort
from rag.types import Document, Entry

READY, SPENT, MORE, TEXT, ENTRIES, REJECTED, DOCUMENT, UNREADABLE, BEYOND = (bytes([letter]) for letter in b"rsmtejdux")
HEAD = struct.Struct(">cI")
FRAME = 4_000_000  # bytes at most in one frame: who decodes it needs a multiple of them
MEGABYTES = 512  # memory that reading may take
MODELS_MEGABYTES = 1500  # ... and what the models that recognize text take beside it
SPLIT = "save it again with the program that made it, or split it"
DOCUMENTS, ENTRY_LISTS, REASONS = TypeAdapter(Document), TypeAdapter(tuple[Entry, ...]), TypeAdapter(tuple[str, ...])

_PIECE = 250_000  # characters, or bytes of JSON, that are enough for a frame
_KEPT = 200_000_000  # bytes in use between two files above which there is no next one
_MODELS = 700_000_000  # ... where models for pictures are among them
_UNTOLD = 256_000_000  # bytes of addresses taken to be in use where the system does not tell
_OPEN_FILES = 64
_SAID = 300  # characters of what an error says
_SITEMAP = re.compile(r"sitemap.*\.xml")  # a page's address is told there
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_DENIED = tuple(
    "socket. subprocess. urllib. ftplib. http.client. smtplib. pty. os.system os.exec os.fork os.posix_spawn os.spawn "
    "os.startfile os.kill os.link os.symlink os.mkdir os.rmdir os.remove os.rename os.truncate os.chmod os.chown os.utime".split()
)

Frame = tuple[bytes, bytes]  # kind, content


class Guard:
    """An audit hook that denies what no reader has any business with, while a file is read."""

    def __init__(self) -> None:
        self._path = ""
        places = [sys.prefix, sys.base_prefix, sys.exec_prefix, str(Path(__file__).parents[1])]
        places += [place for place in sys.path if Path(place).name in ("site-packages", "dist-packages")]
        places += map(os.path.realpath, tuple(places))  # some look up where they really are
        self._roots = tuple(place + os.sep for place in places)  # libraries open their own data and modules
        sys.addaudithook(self._check)

    @contextmanager
    def only(self, path: Path) -> Iterator[None]:
        """Of all documents, let only this one be opened."""
        self._path = str(path)
        try:
            yield
        finally:
            self._path = ""

    def _check(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self._path:
            return
        if event == "open":
            file, _, flags = arguments
            if isinstance(file, str | bytes) and file != self._path:
                name = os.path.normpath(os.fsdecode(file))
                known = name.startswith(self._roots) or _SITEMAP.fullmatch(os.path.basename(name))  # noqa: PTH119 - text
                if not known or (isinstance(flags, int) and flags & _WRITING):
                    raise PermissionError(f"its reader wanted to open {name[:_SAID]}")
        elif event.startswith(_DENIED):
            raise PermissionError(f"its reader wanted {event}")


def main() -> None:
    """Read what stdin names, until it ends or the process holds on to too much."""
    with os.fdopen(os.dup(1), "wb") as replies, Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)  # a library that prints must not garble the frames
        desk = Desk(replies)
        desk.send(READY)
        os.dup2(nowhere.fileno(), 2)  # until here, what goes wrong is for people to see
        for line in sys.stdin.buffer:
            path, id, seconds, threads = json.loads(line)
            desk.prepare(Path(path), seconds, threads)
            for kind, content in desk.answer(Path(path), id):
                desk.send(kind, content)
            if kind == BEYOND or desk.is_spent():
                desk.send(SPENT)
                return
            desk.send(READY)


class Desk:
    """Reads one file after the other under limits, as far as the system knows any."""

    def __init__(self, replies: BinaryIO) -> None:
        self._replies, self._guard = replies, Guard()
        self._start = _in_use(0) or _UNTOLD
        self._most = self._start + (MEGABYTES + MODELS_MEGABYTES) * 1_000_000
        self._seconds = 0.0
        for name, value in (("AS", self._most), ("FSIZE", 0), ("CORE", 0), ("NOFILE", _OPEN_FILES)):
            _limit(name, value)

    def prepare(self, path: Path, seconds: float, threads: int) -> None:
        """Import what reads this file, and set its limits. Memory is counted from the start, or with the models for pictures."""
        if suffix_of(path) in READERS:
            importlib.import_module(f"rag.ingest.readers.{READERS[suffix_of(path)]}")
        if recognize := sys.modules.get("rag.ingest.readers.recognize"):
            recognize.limit(threads)
        effort.announce(self._allow)
        self._seconds = time.process_time() + seconds + 1
        _limit("CPU", math.ceil(self._seconds), hard=False)
        held = _in_use(0) if "onnxruntime" in sys.modules else self._start
        _limit("AS", min(held + MEGABYTES * 1_000_000, self._most), hard=False)

    def send(self, kind: bytes, content: bytes = b"") -> None:
        """Write a frame."""
        self._replies.write(HEAD.pack(kind, len(content)))
        self._replies.write(content)
        if kind in (READY, SPENT, MORE):
            self._replies.flush()

    def is_spent(self) -> bool:
        """Whether too much is in use for another file."""
        most = _MODELS if "onnxruntime" in sys.modules else _KEPT
        if _in_use(1) > most:
            gc.collect()
        return _in_use(1) > most

    def answer(self, path: Path, id: str) -> Iterator[Frame]:
        """Read one file: the frames of its document, or one that says why there is none."""
        return answer(path, id, self._guard)

    def _allow(self, seconds: float, models: bool) -> None:
        self._seconds += seconds * (os.cpu_count() or 1)
        _limit("CPU", math.ceil(self._seconds), hard=False)
        if models:
            _limit("AS", self._most, hard=False)
        self.send(MORE, str(seconds).encode())


def answer(path: Path, id: str, guard: Guard) -> Iterator[Frame]:
    """Read one file: the frames of its document, or one that says why there is none."""
    try:
        with guard.only(path):
            document = read(path, id)
        yield from packed(document)
        return
    except Unreadable as error:
        kind, parts = UNREADABLE, (error.expected, error.found, error.remedy)
    except MemoryError:
        kind, parts = BEYOND, (f"a file that can be read in {MEGABYTES} MB of memory", "that it needs more", SPLIT)
    except Exception as error:  # noqa: BLE001 - a parser may raise anything, and other files wait
        kind, parts = BEYOND, ("a file that its reader understands", f"{type(error).__name__}: {error}", SPLIT)
    yield kind, REASONS.dump_json(tuple(part.encode("utf-8", "replace").decode()[:_SAID] for part in parts))


def packed(document: Document) -> Iterator[Frame]:
    """The document in frames, the last one of kind DOCUMENT: all but text, entries and rejected rows."""
    for start in range(0, len(document.text), _PIECE):
        yield TEXT, document.text[start : start + _PIECE].encode("utf-8", "surrogatepass")
    yield from _batches(ENTRIES, (ENTRY_LISTS.dump_json((entry,)) for entry in document.entries))
    yield from _batches(REJECTED, (REASONS.dump_json((reason,)) for reason in document.rejected))
    yield DOCUMENT, DOCUMENTS.dump_json(replace(document, text="", entries=(), rejected=()))


def _batches(kind: bytes, lists: Iterable[bytes]) -> Iterator[Frame]:
    """JSON lists of one item, joined to longer ones."""
    batch: list[bytes] = []
    size = 0
    for item in lists:
        batch.append(item[1:-1])
        size += len(item)
        if size > _PIECE:
            yield kind, b"[" + b",".join(batch) + b"]"
            batch, size = [], 0
    if batch:
        yield kind, b"[" + b",".join(batch) + b"]"


def _in_use(field: int) -> int:
    """Bytes: of addresses (0), of memory (1). 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[field]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _limit(name: str, value: int, *, hard: bool = True) -> None:
    try:
        import resource
    except ImportError:  # not on this system: time is limited by whoever waits
        return
    kind = getattr(resource, f"RLIMIT_{name}")
    with suppress(ValueError, OSError):  # not above what the parent set, and not every system has every limit
        resource.setrlimit(kind, (value, value if hard else resource.getrlimit(kind)[1]))


if __name__ == "__main__":
    main()
