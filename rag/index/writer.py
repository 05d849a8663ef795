"""Writes what the catalogue lists into a generation's folder, in a process of its own, and under limits.

Chroma's native core may grow its files or its memory without end, or die of a signal. Here that ends this process alone.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path

from rag import errors
from rag.errors import HomeError, ShoptalkError
from rag.index.catalog import Catalog
from rag.index.codec import Ledger, seal
from rag.index.holders import Holders
from rag.index.lexical import LexicalIndex
from rag.index.limits import confine
from rag.index.lock import reading
from rag.index.manifest import CHROMA, CONTENT, LEXICAL, QUESTIONS, REBUILD, SENTENCES, load_where, save_ledger
from rag.index.questions import Questions
from rag.index.sentences import BATCH, Sentences
from rag.index.tally import Tally
from rag.language import statements
from rag.ports import Progress, Vectors

# For glibc. What is freed is overwritten: Chroma's files hold memory that it never filled itself. And it is given back: each of
# Chroma's threads would else keep a share of its own, half as much again of 50,000 chunks.
_MEMORY = {"MALLOC_PERTURB_": "165", "MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "1000000"}
SILENCE = 300  # seconds without a page written after which the process is taken for hung


def write_apart(folder: Path, catalog: Path, number: int, embedder: str, count: int, progress: Progress) -> None:
    """Write `count` chunks from a fresh process. Raises HomeError, or what the process raised of ours."""
    command = [sys.executable, "-m", "rag.index.writer", str(folder.resolve()), str(catalog.resolve())]
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(
            [*command, str(number), embedder, str(count)],
            cwd=Path(__file__).resolve().parents[2],
            env=os.environ | _MEMORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        ) as child,
    ):
        try:
            for line in _lines(child):
                told = json.loads(line)
                if "error" in told:
                    raise getattr(errors, told.pop("error"))(**told)
                progress("write", told["done"], count)
        except BaseException:
            child.kill()
            raise
        if child.wait():
            said.seek(0)
            last = said.read().strip().splitlines()[-1:] or ["no message"]
            found = f"the process that writes {folder.name} ended with code {child.returncode}: {last[0]}"
            raise HomeError(expected="an index written", found=found, remedy=f"{REBUILD} again; the live index stays as it is")


def _lines(child: subprocess.Popen[str]) -> Iterator[str]:
    """What it says, until it ends; killed if it says nothing for too long."""
    assert child.stdout is not None
    while True:
        watchdog = threading.Timer(SILENCE, child.kill)
        watchdog.start()
        try:
            line = child.stdout.readline()
        finally:
            watchdog.cancel()
        if not line:
            return
        yield line


def write(folder: Path, catalog: Catalog, number: int, embedder: str, count: int, progress: Progress) -> None:
    """Vectors and texts into Chroma; at the same time words, questions and sentences beside it; and the ledger of all chunks."""
    from rag.index.chroma import ChromaStore, batch_of

    place, name = load_where(folder)
    vectors_of = partial(catalog.get, embedder)
    ledger: Ledger = {}
    tally = Tally()
    asked: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
    said: list[int] = []
    with closing(ChromaStore.create(folder / CHROMA, place, name, count)) as store, ThreadPoolExecutor(1) as beside:
        adding: Future[None] = beside.submit(lambda: None)
        for page in catalog.pages(number, batch_of(count)):
            chunks = [chunk for chunk, _ in page]
            texts = [chunk.search_text for chunk in chunks]
            vectors = vectors_of(texts)
            adding.result()  # no more than one page waits
            adding = beside.submit(store.add, chunks, vectors, [encoded for _, encoded in page])
            ledger |= {chunk.id: seal(chunk, vector, encoded) for (chunk, encoded), vector in zip(page, vectors, strict=True)}
            tally.add(catalog.terms(texts))
            asked += [(chunk.questions, chunk.negatives) for chunk in chunks]
            said += [len(statements(chunk.text, chunk.label)) for chunk in chunks]
            progress("write", len(ledger), count)
        LexicalIndex.of(tally).save(folder / LEXICAL)
        Holders.of(tally).save(folder / CONTENT)
        Questions.of(asked, vectors_of).save(folder / QUESTIONS)
        Sentences.write(folder / SENTENCES, said, _sentences(catalog, number, embedder), vectors.shape[1])
        save_ledger(folder, ledger)
        adding.result()


def _sentences(catalog: Catalog, number: int, embedder: str) -> Iterator[Vectors]:
    """The vectors of all sentences of a generation, in the order of chunk ids, at most BATCH at a time."""
    pages = (chunk for page in catalog.pages(number) for chunk, _ in page)
    texts = (text for chunk in pages for text in statements(chunk.text, chunk.label))
    while batch := list(islice(texts, BATCH)):
        yield catalog.get(embedder, batch)


def _say(**told: object) -> None:
    sys.stdout.write(f"{json.dumps(told)}\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    """Whoever started this holds the other end of stdin: when it is closed, nobody waits for the result."""
    os.read(0, 1)
    os._exit(1)


def main() -> None:
    """`python -m rag.index.writer FOLDER CATALOG NUMBER EMBEDDER COUNT`: progress and errors as JSON lines on stdout."""
    folder, catalog, number, embedder, count = sys.argv[1:]
    threading.Thread(target=_end_with_parent, daemon=True).start()
    confine(int(count))
    try:
        with reading(Path(folder)), Catalog(Path(catalog)) as held:
            write(Path(folder), held, int(number), embedder, int(count), lambda _, done, __: _say(done=done))
    except ShoptalkError as error:
        _say(error=type(error).__name__, expected=error.expected, found=error.found, remedy=error.remedy)
    except OSError as error:
        remedy = "free some room" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "see that it can be written"
        again = f"{remedy}, and {REBUILD} again; the live index stays as it is"
        _say(error="HomeError", expected=f"{folder} written", found=str(error), remedy=again)


if __name__ == "__main__":
    main()
