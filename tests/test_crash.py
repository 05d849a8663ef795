"""kill -9 of an ingest, at random and at named instants: the old index serves, and a new run ends as if nothing had been.

KILLS=50 python -m pytest tests/test_crash.py     runs the long form.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from scale import scaled

from rag.fakes import HashEmbedder
from rag.index.catalog import Catalog
from rag.index.generation import Generations
from rag.types import Query

KILLS = int(os.environ.get("KILLS", "10"))
IN_A_ROW = 5  # kills of one home before it may finish
SEED = 20260101

CHILD = """
import os, shutil, sys, time
from pathlib import Path
from rag.fakes import HashEmbedder
from rag.index import chroma, draft, generation, manifest, writer
from rag.index.catalog import Catalog
from rag.index.chroma import ChromaStore
from rag.index.generation import Generations
from rag.ingest import flow

folder, instant = Path(sys.argv[1]), sys.argv[2]
flow.BATCH, flow.WINDOW, chroma.BATCH = 10, 40, 10

def die(*_, **__):
    os.kill(os.getpid(), 9)

def dying(real, nth=1, after=False):
    calls = [0]
    def call(*args, **kwargs):
        calls[0] += 1
        if calls[0] == nth and not after:
            die()
        result = real(*args, **kwargs)
        if calls[0] == nth:
            die()
        return result
    return call

class Slow(HashEmbedder):
    def embed(self, texts):
        time.sleep(0.02)
        return super().embed(texts)

points = {
    "first-commit": (Catalog, "put", 1, True),
    "mid-embed": (Catalog, "put", 3, False),
    "after-keep": (Catalog, "keep", 2, True),
    "before-enlist": (Catalog, "enlist", 1, False),
    "before-write": (draft.GenerationDraft, "write", 1, False),
    "after-write": (draft.GenerationDraft, "write", 1, True),
    "before-canary": (draft, "load_ledger", 1, False),
    "before-seal": (draft, "save_manifest", 1, False),
    "in-seal": (Path, "replace", 3, False),  # LAST and where.json came before
    "after-seal": (draft, "save_manifest", 1, True),
    "before-flip": (Generations, "make_live", 1, False),
    "in-flip": (Path, "replace", 4, False),
    "after-flip": (Generations, "make_live", 1, True),
    "before-forgetting": (Catalog, "prune", 1, False),
    "in-removal": (shutil, "rmtree", 1, False),
}
points_of_writer = {
    "mid-terms": (Catalog, "terms", 3, False),
    "mid-write": (ChromaStore, "add", 4, True),
    "before-questions": (writer.Questions, "save", 1, False),
    "after-questions": (writer.Questions, "save", 1, True),
    "mid-sentences": (writer.Sentences, "write", 1, True),
}

def write_here(folder, path, number, embedder, count, progress):
    with Catalog(path) as held:
        writer.write(folder, held, number, embedder, count, progress)

if instant in points_of_writer:
    draft.write_apart = write_here
if instant:
    owner, name, nth, after = (points | points_of_writer)[instant]
    setattr(owner, name, dying(getattr(owner, name), nth, after))
print("started", flush=True)
with Catalog(folder / "home" / "catalog.sqlite") as catalog:
    generations = Generations(folder / "home", keep=1)
    flow.ingest(folder / "corpus", generations, catalog, Slow(32), flow.Chunking(160, 0))
"""
POINTS = (
    "first-commit mid-embed after-keep before-enlist before-write mid-terms mid-write before-questions after-questions"
    " mid-sentences after-write before-canary before-seal in-seal after-seal before-flip in-flip after-flip"
    " before-forgetting in-removal"
).split()


def start(folder: Path, instant: str = "") -> subprocess.Popen[str]:
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(folder), instant], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "started\n"
    return child


def state(folder: Path) -> str:
    """The digest of what is live, after checking that all of it is there and answers."""
    generations = Generations(folder / "home", keep=1)
    generation = generations.open("hash-32")  # compares everything with the digest
    vector = HashEmbedder(32).embed(["lamp number 17 shines"])[0]
    assert len(generation.store.search(vector, 5)) == 5
    for chunk in generation.store.chunks():
        question = HashEmbedder(32).embed([chunk.title])[0]
        assert generation.questions.cosines(question, [chunk.id]) == pytest.approx([1], abs=1e-6)
    assert len(generation.lexical.find(Query("shines", "shines", "en"), 1000)) == generation.manifest.count
    return generation.manifest.digest


def used(folder: Path) -> int:
    """Texts that have a vector."""
    with sqlite3.connect(folder / "home" / "catalog.sqlite") as database:
        return int(database.execute("SELECT count(DISTINCT text) FROM texts").fetchone()[0])


def finish(folder: Path) -> str:
    """Run to the end; the digest of what is live then."""
    assert start(folder).wait() == 0
    return state(folder)


def write_corpus(folder: Path, name: str, pages: int) -> None:
    """Short pages; between two names, half of them differ."""
    for number in range(pages):
        path = folder / "corpus" / f"{number % 20:02}" / f"lamp-{number:03}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        version = name if number % 2 else "always"
        title = f"How long does lamp {number} shine in its {version} edition?"
        path.write_text(f"# {title}\n\nLamp number {number} shines for {number * 3} hours. Edition {version}.\n")


@dataclass(frozen=True)
class Shop:
    """A folder with the old index live and a changed corpus."""

    folder: Path
    old: str  # digest
    new: str  # digest after an undisturbed ingest
    seconds: float  # which that took


def prepare(folder: Path, pages: int) -> Shop:
    base, undisturbed = folder / "base", folder / "undisturbed"
    write_corpus(base, "old", pages)
    old = finish(base)
    write_corpus(base, "new", pages)
    shutil.copytree(base, undisturbed)
    started = time.monotonic()
    assert start(undisturbed).wait() == 0
    return Shop(base, old, state(undisturbed), time.monotonic() - started)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return prepare(tmp_path_factory.mktemp("small"), 100)


@pytest.mark.slow
@pytest.mark.parametrize("instant", POINTS)
def test_killed_at_a_named_instant(small: Shop, tmp_path: Path, instant: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(small.folder, folder)
    assert start(folder, instant).wait() == -signal.SIGKILL
    flipped = instant in ("after-flip", "before-forgetting", "in-removal")
    assert state(folder) == (small.new if flipped else small.old)
    assert finish(folder) == small.new
    generations = Generations(folder / "home", keep=1)
    (left,) = (folder / "home" / "index").glob("gen-*")
    assert left.name == f"gen-{generations.live().number:04}", "nothing of the dead ingest is left"  # type: ignore[union-attr]
    with Catalog(folder / "home" / "catalog.sqlite") as catalog:
        assert catalog.count() == used(folder) > 200, "a text, a question and sentences a page, and nothing of the dead ingest"


@pytest.mark.slow
def test_answers_go_on_while_ingests_run_and_die(small: Shop, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(small.folder, folder)
    expected = {small.old, small.new}
    seen: list[str] = []
    problems: list[BaseException] = []
    done = threading.Event()

    def ask() -> None:
        generations = Generations(folder / "home", keep=1)
        try:
            generation = generations.open("hash-32")
            while not done.is_set():
                live = generations.live()
                assert live is not None
                if live.number != generation.number:
                    generation = generations.open("hash-32")
                found = generation.store.search(HashEmbedder(32).embed(["lamp number 17 shines"])[0], 5)
                assert len(found) == 5
                assert {chunk.text.rsplit(" ", 1)[1] for chunk in generation.store.chunks()} <= {"always.", "old.", "new."}
                seen.append(generation.manifest.digest)
                time.sleep(0.02)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test fails of it
            problems.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(scaled(4, 20)):
        start(folder, "mid-write" if turn % 2 else "").wait()
        write_corpus(folder, ("old", "new")[turn % 2], 100)
    done.set()
    for thread in threads:
        thread.join()
    assert problems == []
    assert set(seen) == expected


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_random_instants(tmp_path: Path) -> None:
    shop = prepare(tmp_path / "shop", 400)
    chance = random.Random(SEED)
    outcomes: list[str] = []
    for group in range(0, KILLS, IN_A_ROW):
        folder = tmp_path / f"{group}"
        shutil.copytree(shop.folder, folder)
        for kill in range(group, min(group + IN_A_ROW, KILLS)):
            child = start(folder)
            time.sleep(chance.uniform(0, shop.seconds))
            child.send_signal(signal.SIGKILL)
            child.wait()
            found = state(folder)
            assert found in (shop.old, shop.new), f"kill {kill} of seed {SEED} left something between old and new"
            assert Generations(folder / "home").verify() == []
            outcomes.append("old" if found == shop.old else "new")
        assert finish(folder) == shop.new, f"the run after kill {kill} of seed {SEED}"
        shutil.rmtree(folder)
    assert "old" in outcomes
