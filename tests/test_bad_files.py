"""No document can hang, crash or starve ingest: over a hundred bad files among fifty good ones, by the command itself.

python -m pytest tests/test_bad_files.py -m slow -s     prints the slowest files, and what the child took.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from rag.fakes import HashEmbedder
from rag.index.catalog import Catalog
from rag.index.generation import Generations
from rag.ingest.flow import Chunking, ingest
from tests.bad_files import build, build_good, said_in

SECONDS, CHILD, PARENT = 20, 512, 50  # a file; MB
FINE = """
attribute.html columns.csv comments.html cues.srt deep.html file.epub file.html heading.md kids.pdf laughs.epub
laughs.html links.html links.md million-cells.xlsx no-root.pdf outline.pdf previous.pdf quotes.md same-page.pdf
server.epub server.html size.pdf stars.md yaml.md
""".split()  # harmless to these readers, so they may be read
DRIVER = """
import json, os, threading, time
from contextlib import contextmanager
from pathlib import Path
from rag import __main__, build, loading
from rag.fakes import HashEmbedder
from rag.ingest import flow

took, grown = {}, {}
real = flow.reading_apart

def megabytes(name, process="self"):
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024 / 1e6

peak, done = [0], threading.Event()

def watch(desk):  # the peak that the system tells of dead children holds that of the process they were forked from
    while not done.wait(0.02):
        try:
            process = desk._child._process.pid
            if b"rag.ingest.worker" in Path(f"/proc/{process}/cmdline").read_bytes():
                peak[0] = max(peak[0], megabytes("VmPeak", process))
        except (AttributeError, OSError, StopIteration):
            pass

@contextmanager
def measured():
    with real() as read:
        threading.Thread(target=watch, args=[read.__self__], daemon=True).start()
        def timed(path, id):
            Path("/proc/self/clear_refs").write_text("5")  # the peak is the present
            before, started = megabytes("VmRSS"), time.monotonic()
            try:
                return read(path, id)
            finally:
                took[id], grown[id] = time.monotonic() - started, megabytes("VmHWM") - before
        yield timed
    done.set()
    Path(os.environ["FIGURES"]).write_text(json.dumps({"took": took, "grown": grown, "child": peak[0]}))

flow.reading_apart = measured
build.build_embedder = loading.build_embedder = lambda settings: HashEmbedder(256)
__main__.main()
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measures memory as Linux tells it")
def test_bad_files_cost_only_themselves(tmp_path: Path) -> None:
    corpus, canary = tmp_path / "corpus", tmp_path / "canary.txt"
    corpus.mkdir()
    canary.write_text("canary-7f3a", encoding="utf-8")
    os.utime(canary, (1, 1))  # a read would move it
    with socket.create_server(("127.0.0.1", 0)) as server:
        bad = build(corpus, canary, server.getsockname()[1])
        good = build_good(corpus)
        figures = tmp_path / "figures.json"
        command = ["ingest", "--json", f"--corpus={corpus}", f"--home={tmp_path / 'home'}"]
        environment = os.environ | {"FIGURES": str(figures)}
        done = subprocess.run([sys.executable, "-c", DRIVER, *command], env=environment, capture_output=True, text=True)
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert done.returncode == 3, done.stderr
    assert canary.stat().st_atime == 1
    assert not list(tmp_path.glob("**/*slipped*"))
    left_out = {rejection["file"].split(":")[0]: rejection["reason"] for rejection in json.loads(done.stdout)["rejected"]}
    assert not left_out.keys() & set(good)
    assert len(bad) > 100
    assert set(bad) - left_out.keys() <= set(FINE)
    assert all("expected" in reason and "found" in reason for reason in left_out.values())
    measured = json.loads(figures.read_text())
    slowest = sorted(measured["took"].items(), key=lambda item: -item[1])
    grown = sorted(measured["grown"].items(), key=lambda item: -item[1])
    sys.stdout.write(
        f"{len(bad)} bad files; slowest, s: {slowest[:3]}; parent grew, MB: {grown[:3]}; child, MB: {measured['child']}"
    )
    assert slowest[0][1] <= SECONDS
    assert grown[0][1] <= PARENT
    assert 100 < measured["child"] <= CHILD + 60, "addresses, those of the interpreter that it starts as included"
    chunks = Generations(tmp_path / "home").open("hash-256").store.chunks()
    texts = "\n".join(chunk.text for chunk in chunks)
    assert all(said_in(name) in texts for name in good)
    assert "canary-7f3a" not in texts


def test_a_file_that_vanishes_meanwhile_has_a_reason_and_one_that_changes_is_read_as_it_is_then(tmp_path: Path) -> None:
    corpus, home = tmp_path / "corpus", tmp_path / "home"
    corpus.mkdir()
    for name in ("a.md", "b.md", "c.md", "d.md"):
        (corpus / name).write_text(f"# {name}\n\nA lamp.", encoding="utf-8")

    def meddle(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("read", 1):
            (corpus / "b.md").unlink()
            (corpus / "c.md").write_text("# c.md\n\nAnother lamp.", encoding="utf-8")

    generations = Generations(home)
    with Catalog(home / "catalog.sqlite") as catalog:
        report = ingest(corpus, generations, catalog, HashEmbedder(32), Chunking(160, 0), meddle)
        assert [rejection.file for rejection in report.rejected] == ["b.md"]
        assert "No such file" in report.rejected[0].reason
        assert "Another lamp." in {chunk.text for chunk in generations.open("hash-32").store.chunks()}
        again = ingest(corpus, generations, catalog, HashEmbedder(32), Chunking(160, 0))
    assert (again.documents, again.rejected, again.embedded) == (3, (), 0)
