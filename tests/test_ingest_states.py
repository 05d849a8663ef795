"""Any sequence of changes, ingests, kills, restarts and rollbacks, held against a dict: what is live is what the dict says.

EXAMPLES=200 STEPS=30 python -m pytest tests/test_ingest_states.py     runs the long form, with real kills among the others.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from indexing import in_this_process

from rag.errors import CorpusEmpty, HomeError
from rag.fakes import HashEmbedder
from rag.index.catalog import Catalog
from rag.index.generation import Generations
from rag.index.opened import Generation
from rag.ingest.flow import Chunking, ingest
from rag.ingest.report import IngestReport
from rag.types import Query

EXAMPLES, STEPS = int(os.environ.get("EXAMPLES", "3")), int(os.environ.get("STEPS", "12"))
LONG = "EXAMPLES" in os.environ
pytestmark = pytest.mark.timeout(4 * 3600 if LONG else 300)

NAMES = ("returns.md", "lamps/trail.md", "lamps/cave.txt", "about.html", "faq.csv", "long.md", "灯.md")
BROKEN = {
    "empty": b"",
    "blank": b" \n\t\n",
    "binary": b"\0\1\2\3" * 500,
    "half": "灯光".encode() * 20 + b"\n\xff" + "灯光".encode() * 20,
}
WORD = re.compile(r"\bzz[bcdfghjklm]+q\b")  # see word()
# Where an ingest dies: the owner, the name of what is called there. Before or after it, at the first call or a later one.
SEAMS: tuple[tuple[Any, str], ...] = (
    (HashEmbedder, "embed"),
    (Path, "replace"),
    (shutil, "rmtree"),
    (os, "fsync"),
    (Generations, "make_live"),
    (Generations, "prune"),
    (sqlite3, "connect"),
    (Catalog, "put"),
    (Catalog, "keep"),
    (Catalog, "enlist"),
    (Catalog, "terms"),
    (Catalog, "prune"),
)
STAGES = ("read", "embed", "write", "check")

CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[5])
from indexing import canary_here, write_here
from rag.fakes import HashEmbedder
from rag.index import draft, generation
from rag.index.catalog import Catalog
from rag.index.generation import Generations
from rag.ingest.flow import Chunking, ingest
generation.canary = canary_here
draft.write_apart = write_here
folder, stage, tokens, overlap = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
def progress(seen, done, total):
    if seen == stage:
        import os
        os.kill(os.getpid(), 9)
with Catalog(folder / "home" / "catalog.sqlite") as catalog:
    ingest(folder / "corpus", Generations(folder / "home"), catalog, HashEmbedder(32), Chunking(tokens, overlap), progress)
"""


class Killed(BaseException):
    """What stands for a kill: nothing catches it."""


Said = set[tuple[str, str]]  # (document, word); every sentence that a file ever held has a word of its own


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    in_this_process(monkeypatch)


class Shop(RuleBasedStateMachine):
    """`files` and `broken` are the folder, `said` what each generation must hold, by number; `live` is the one served."""

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="states-"))
        self.corpus, self.home = self.folder / "corpus", self.folder / "home"
        self.corpus.mkdir()
        self.files: dict[str, str] = {}
        self.broken: set[str] = set()
        self.said: dict[int, Said] = {}
        self.live = 0
        self.chunking = Chunking(60, 0)
        self.words = 0
        self.reader = Generations(self.home)  # as a server has it, for as long as it runs
        self.restart()

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            for path in self.home.glob("*.sqlite"):
                with closing(sqlite3.connect(path)) as database:
                    assert database.execute("PRAGMA quick_check").fetchall() == [("ok",)]
            shutil.rmtree(self.folder)

    # --- the folder ---

    @rule(name=st.sampled_from(NAMES), sentences=st.integers(1, 12))
    def write(self, name: str, sentences: int) -> None:
        """Add, edit, mend or re-add."""
        self.put(name, self.text(name, sentences))

    @rule(data=st.data(), name=st.sampled_from(NAMES))
    @precondition(lambda self: self.files)
    def duplicate(self, data: st.DataObject, name: str) -> None:
        source = data.draw(st.sampled_from(sorted(self.files)))
        if Path(source).suffix == Path(name).suffix:
            self.put(name, self.files[source])

    @rule(data=st.data(), name=st.sampled_from([*NAMES, "moved/here.md", "moved/there.txt", "moved/faq.csv"]))
    @precondition(lambda self: self.files)
    def rename(self, data: st.DataObject, name: str) -> None:
        source = data.draw(st.sampled_from(sorted(self.files)))
        if source != name and Path(source).suffix == Path(name).suffix:
            text = self.files[source]
            self.remove(source)
            self.put(name, text)

    @rule(data=st.data())
    @precondition(lambda self: self.files or self.broken)
    def delete(self, data: st.DataObject) -> None:
        self.remove(data.draw(st.sampled_from(sorted({*self.files, *self.broken}))))

    @rule(name=st.sampled_from([*NAMES, "photo.xyz"]), how=st.sampled_from(sorted(BROKEN)))
    def corrupt(self, name: str, how: str) -> None:
        self.remove(name)
        self.place(name, BROKEN[how])
        self.broken.add(name)

    @rule(tokens=st.sampled_from([40, 60, 160]), overlap=st.sampled_from([0, 8]))
    def resize(self, tokens: int, overlap: int) -> None:
        self.chunking = Chunking(tokens, overlap)

    # --- the index ---

    @rule()
    def restart(self) -> None:
        self.generations, self.embedder = Generations(self.home), HashEmbedder(32)

    @rule()
    def restart_reader(self) -> None:
        self.reader = Generations(self.home)

    @rule()
    def ingest(self) -> None:
        if not self.files:
            with pytest.raises(CorpusEmpty):
                self.run()
            return self.check()
        before = len(self.embedder.embedded)
        report = self.run()
        embedded = self.embedder.embedded[before:]
        assert report.embedded == len(embedded) == len(set(embedded)), "a text is embedded once"
        self.went_live()
        self.check_report(report)
        self.check()

    @rule()
    @precondition(lambda self: self.files)
    def ingest_twice(self) -> None:
        self.ingest()
        before, embedded = self.written(), len(self.embedder.embedded)
        report = self.run()
        assert (report.changed, report.embedded, report.added, report.removed) == (False, 0, 0, 0)
        assert len(self.embedder.embedded) == embedded
        assert self.written() == before
        self.check_report(report)

    @rule(seam=st.sampled_from(SEAMS), nth=st.integers(1, 4), after=st.booleans())
    @precondition(lambda self: self.files)
    def kill_at_a_call(self, seam: tuple[Any, str], nth: int, after: bool) -> None:
        owner, name = seam
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, dying(getattr(owner, name), nth, after))
            with suppress(Killed):
                self.run()
        self.survived()

    @rule(stage=st.sampled_from(STAGES), nth=st.integers(1, 3))
    @precondition(lambda self: self.files)
    def kill_in_a_stage(self, stage: str, nth: int) -> None:
        seen = [0]

        def progress(now: str, done: int, total: int) -> None:
            seen[0] += now == stage
            if seen[0] == nth:
                raise Killed

        with suppress(Killed):
            self.run(progress)
        self.survived()

    @rule(stage=st.sampled_from(STAGES))
    @precondition(lambda self: LONG and self.files)
    def kill_for_real(self, stage: str) -> None:
        arguments = [str(self.folder), stage, str(self.chunking.tokens), str(self.chunking.overlap), str(Path(__file__).parent)]
        done = subprocess.run([sys.executable, "-c", CHILD, *arguments], capture_output=True, check=False)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
        self.survived()

    @rule()
    @precondition(lambda self: self.live)
    def rollback(self) -> None:
        try:
            number = self.generations.rollback()
        except HomeError:
            assert len(list((self.home / "index").glob("gen-*/manifest.json"))) < 2 or self.live == min(self.sealed())
            return
        assert number < self.live
        self.live = number
        self.check()

    @rule(data=st.data())
    @precondition(lambda self: self.live)
    def query(self, data: st.DataObject) -> None:
        """By a word of what is live, or of what was once."""
        asked = word(data.draw(st.integers(1, self.words)))
        manifest = self.reader.live()
        assert manifest == Generations(self.home).live(), "a server sees what a new process sees"
        generation = self.reader.open("hash-32")
        found = generation.lexical.find(Query(asked, asked, "en"), 100)
        assert {hit.chunk.document for hit in found} == {id for id, said in self.said[self.live] if said == asked}

    # --- what the rules are made of ---

    def text(self, name: str, count: int) -> str:
        """`count` sentences in the form that the name asks for."""
        said = []
        for _ in range(count):
            self.words += 1
            said.append(f"Lamp number {self.words} shines for {self.words % 90} hours, see {word(self.words)}.")
        match Path(name).suffix:
            case ".csv":
                return "question,answer\n" + "".join(f'"How long, {line[:14]}?","{line}"\n' for line in said)
            case ".html":
                return f"<html><body><h1>Lamps</h1>{''.join(f'<p>{line}</p>' for line in said)}</body></html>"
            case ".md":
                return "# Lamps\n\n" + "\n\n".join(
                    f"## Part {i // 3}\n\n{line}" if i % 3 == 0 else line for i, line in enumerate(said)
                )
            case _:
                return "\n\n".join(said)

    def place(self, name: str, data: bytes) -> None:
        path = self.corpus / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def put(self, name: str, text: str) -> None:
        self.place(name, text.encode())
        self.broken.discard(name)
        self.files[name] = text

    def remove(self, name: str) -> None:
        (self.corpus / name).unlink(missing_ok=True)
        self.files.pop(name, None)
        self.broken.discard(name)

    def run(self, progress: Callable[[str, int, int], None] = lambda stage, done, total: None) -> IngestReport:
        with Catalog(self.home / "catalog.sqlite") as catalog:
            return ingest(self.corpus, self.generations, catalog, self.embedder, self.chunking, progress)

    def sealed(self) -> list[int]:
        return [int(path.parent.name[4:]) for path in (self.home / "index").glob("gen-*/manifest.json")]

    def written(self) -> dict[Path, int]:
        """When every file of the home was last written, but for the lock and what SQLite keeps while it is open."""
        files = (path for path in self.home.rglob("*") if path.is_file())
        return {
            path: path.stat().st_mtime_ns for path in files if path.name != "lock" and not path.name.endswith(("-shm", "-wal"))
        }

    def wanted(self) -> Said:
        return {(name, word) for name, text in self.files.items() for word in WORD.findall(text)}

    def went_live(self) -> None:
        """What the folder holds now is what the live generation must hold."""
        manifest = Generations(self.home).live()
        assert manifest is not None
        self.live = manifest.number
        self.said[self.live] = self.wanted()

    def survived(self) -> None:
        """After a kill: either nothing has happened, or all of it."""
        manifest = Generations(self.home).live()
        if manifest and said(Generations(self.home).open("hash-32")) != self.said.get(self.live):
            self.went_live()
        elif manifest:
            self.live = manifest.number
            self.said[self.live] = said(Generations(self.home).open("hash-32"))
        self.check()

    def check_report(self, report: IngestReport) -> None:
        """Every file is live or left out for a reason, and the totals add up."""
        live = Generations(self.home).live()
        assert live is not None
        assert live.documents.keys() == self.files.keys()
        assert all(live.documents.values())
        assert sorted(rejection.file for rejection in report.rejected) == sorted(self.broken)
        assert all("; " in rejection.reason for rejection in report.rejected)
        assert live.sources.keys() == {*self.files, *self.broken}
        assert report.generation == live.number
        assert report.documents == len(self.files)
        assert report.added + report.unchanged == live.count == sum(live.documents.values())

    def check(self) -> None:
        """What is live says what it must and nothing else; all of it can be found."""
        if not self.live:
            assert Generations(self.home).live() is None
            return
        generation = Generations(self.home).open("hash-32")
        assert said(generation) == self.said[self.live]
        for chunk in generation.store.chunks():
            vector = self.embed(chunk.search_text)
            best, score = generation.store.search(vector, 1)[0]
            assert score == pytest.approx(1, abs=1e-5)
            assert generation.store.cosines(vector, [chunk.id]) == pytest.approx([score], abs=1e-5)
            for asked in WORD.findall(chunk.text)[:2]:
                hits = generation.lexical.find(Query(asked, asked, "en"), 100)
                assert chunk.id in {hit.chunk.id for hit in hits}

    def embed(self, text: str) -> Any:
        return HashEmbedder(32).embed([text])[0]


def word(number: int) -> str:
    """A word of letters alone, which no stemmer shortens and no splitter takes apart."""
    return f"zz{str(number).translate(str.maketrans('0123456789', 'bcdfghjklm'))}q"


def said(generation: Generation) -> Said:
    chunks = list(generation.store.chunks())
    assert len(chunks) == generation.manifest.count
    return {(chunk.document, word) for chunk in chunks for word in WORD.findall(chunk.text)}


def dying(real: Callable[..., Any], nth: int, after: bool) -> Callable[..., Any]:
    """`real`, but its n-th call ends in Killed, before or after its work."""
    calls = [0]

    def call(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == nth and not after:
            raise Killed
        result = real(*arguments, **named)
        if calls[0] == nth:
            raise Killed
        return result

    return call


Shop.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    derandomize=not LONG,
    database=None,
    phases=[Phase.generate],  # to shrink a failure takes minutes
    suppress_health_check=list(HealthCheck),
)
TestShop = Shop.TestCase
