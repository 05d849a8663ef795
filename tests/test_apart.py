"""A reader may do anything; whoever ingests gets a document or a reason, in time, and reads the next file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rag.errors import ShoptalkError, Unreadable
from rag.ingest.apart import Limits, ReadFile, reading_apart
from rag.ingest.read import read
from rag.types import Document

ROOT = Path(__file__).parents[1]

PATIENT = Limits(seconds=30, output=100_000)
HURRY = Limits(seconds=2, output=100_000)
SCRIPTED = """
import ctypes, os, signal, socket, subprocess, sys, time, urllib.request
from dataclasses import replace
from pathlib import Path
from rag.ingest import worker

real, kept = worker.read, []
worker.MEGABYTES = 100

def read(path, id):
    text, document = path.read_text(), real(path, id)
    if text.startswith("do "):
        exec(text[3:], globals())
    return replace(document, text=said) if "said" in globals() else document

worker.read = read
worker.main()
"""
LIAR = """
import json, os, sys, time
from rag.ingest.worker import *
from rag.types import Facets

def frame(kind, content=b""):
    os.write(1, HEAD.pack(kind, len(content)) + content)

frame(READY)
for line in sys.stdin:
    if "good" in line:
        frame(DOCUMENT, DOCUMENTS.dump_json(Document("x", "Lies", "", Facets(), "")))
        frame(READY)
        continue
    {lie}
"""


@contextmanager
def scripted(program: str = SCRIPTED, limits: Limits = PATIENT) -> Iterator[ReadFile]:
    """Readers that do what a file tells them."""
    with reading_apart(limits, (sys.executable, "-c", program)) as reader:
        yield reader


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def reason(reader: ReadFile, path: Path) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        reader(path, path.name)
    return caught.value


def test_a_file_reads_the_same_as_here(tmp_path: Path) -> None:
    page = write(tmp_path, "灯.md", "---\ntitle: 灯\nvalid_to: 2027-01-31\n---\n# 灯\n\n" + "It shines 40 小时。\n\n" * 30_000)
    table = write(
        tmp_path,
        "faq.csv",
        "question,answer,similar_questions,region\nHow?,So,why|when,EU\nbad\x00,\n"
        + "".join(f"q{n},a{n},,\n" for n in range(9000)),
    )
    with reading_apart() as apart:
        for path in (page, table):
            assert apart(path, path.name) == read(path, path.name)
    assert read(table, "faq.csv").rejected, "rejected rows are among what is compared"


def test_what_a_reader_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    path = write(tmp_path, "empty.md", " ")
    with pytest.raises(Unreadable) as here:
        read(path, "empty.md")
    with reading_apart() as apart:
        assert str(reason(apart, path)) == str(here.value)
        assert "one of" in str(reason(apart, write(tmp_path, "photo.xyz", "?")))


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("while True: pass", "gave up after 2 s"),
        ("time.sleep(60)", "gave up after 2 s"),
        ("os.abort()", "died with signal 6"),
        ("signal.raise_signal(11)", "died with signal 11"),
        ("sys.exit(3)", "ended with code 3"),
        ("bytearray(200_000_000)", "100 MB of memory"),
        ("kept.append([[] for _ in range(10**7)])", "100 MB of memory"),
        ("global said; said = 'flood ' * 10**6", "far more comes of it"),
        ("os.write(1, b'garbage'); print('x' * 10**6); raise ValueError('odd')", "ValueError: odd"),
        ("def deeper(): deeper()\ndeeper()", "RecursionError"),
        ("raise ValueError('\\ud800')", "ValueError: ?"),
    ],
)
def test_whatever_a_reader_does_costs_its_file_alone(script: str, told: str, tmp_path: Path) -> None:
    good, bad = write(tmp_path, "good.md", "Fine."), write(tmp_path, "bad.md", f"do {script}")
    with scripted(limits=HURRY if "gave up" in told else PATIENT) as reader:
        assert reader(good, "good.md").text == "Fine."
        started = time.monotonic()
        assert told in str(reason(reader, bad))
        assert time.monotonic() - started < 10
        assert reader(good, "good.md").text == "Fine."


@pytest.mark.parametrize(
    "script",
    [
        "Path(CANARY).read_text()",
        "os.open(CANARY, os.O_RDONLY)",
        "Path(CANARY).write_text('gone')",
        "Path(CANARY).unlink()",
        "Path(sys.prefix, 'planted.py').write_text('')",
        "urllib.request.urlopen(Path(CANARY).as_uri())",
        "socket.socket().connect(('127.0.0.1', 9))",
        "socket.getaddrinfo('localhost', 9)",
        "subprocess.run(['true'])",
        "os.system('true')",
        "os.fork()",
    ],
)
def test_a_reader_sees_its_file_and_nothing_else(script: str, tmp_path: Path) -> None:
    canary = write(tmp_path, "canary.txt", "secret")
    bad = write(tmp_path, "bad.md", f"do CANARY = {str(canary)!r}\n{script}")
    with scripted() as reader:
        assert "its reader wanted" in str(reason(reader, bad))
    assert canary.read_text() == "secret"
    assert not Path(sys.prefix, "planted.py").exists()


def test_libraries_may_stand_behind_a_link(tmp_path: Path) -> None:
    """As under a "current" that points at the newest release: some libraries look up where they really are."""
    (tmp_path / "current").symlink_to(sys.prefix)
    manual = ROOT / "corpus" / "shop" / "products" / "polar_35_zh.pdf"
    code = f"from rag.ingest.apart import *\nwith reading_apart() as read: print(read(Path({str(manual)!r}), 'a.pdf').text)"
    command = [tmp_path / "current" / "bin" / "python", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env={"PYTHONUTF8": "1"})
    assert read(manual, "a.pdf").text in done.stdout, done.stderr


def test_a_reader_knows_no_secrets_and_writes_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPTALK_API_KEY", "secret")
    bad = write(tmp_path, "bad.md", "do raise ValueError(sorted(os.environ))")
    with scripted() as reader:
        assert "SHOPTALK" not in str(reason(reader, bad))
    resource = pytest.importorskip("resource")
    limits = "[resource.getrlimit(getattr(resource, n))[1] for n in ('RLIMIT_FSIZE', 'RLIMIT_CORE')]"
    bad.write_text(f"do import resource; raise ValueError({limits})", encoding="utf-8")
    with scripted() as reader:
        assert "[0, 0]" in str(reason(reader, bad))
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] != 0


def test_processor_time_is_limited_where_no_one_waits(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    bad = write(tmp_path, "bad.md", "do worker._limit('CPU', 1, hard=False)\nwhile True: pass")
    with scripted(limits=PATIENT) as reader:
        assert "gave up" in str(reason(reader, bad))


def test_no_file_pays_for_those_before_it(tmp_path: Path) -> None:
    """60 MB kept and 60 MB more are too much for the child that keeps, not for a fresh one."""
    keeper = write(tmp_path, "keeper.md", "do kept.append(bytearray(60_000_000))")
    with scripted() as reader:
        for _ in range(5):
            assert reader(keeper, "keeper.md")


def test_a_child_that_keeps_memory_is_replaced(tmp_path: Path) -> None:
    keeper = write(tmp_path, "keeper.md", "do kept.append(bytearray(60_000_000))\nglobal said; said = str(os.getpid())")
    program = SCRIPTED.replace("worker.MEGABYTES = 100", "worker._KEPT = 70_000_000")
    with scripted(program) as reader:
        pids = [reader(keeper, "keeper.md").text for _ in range(4)]
    assert len(set(pids)) == 4


def test_one_process_reads_many_files_and_ends_with_the_last(tmp_path: Path) -> None:
    path = write(tmp_path, "who.md", "do global said; said = str(os.getpid())")
    with scripted() as reader:
        pids = {reader(path, "who.md").text for _ in range(50)}
        (pid,) = map(int, pids)
        os.kill(pid, signal.SIGKILL)  # as the system does when memory is short
        assert reader(path, "who.md").text != str(pid)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    "lie",
    [
        "frame(DOCUMENT, b'[1, 2]'); frame(READY)",
        "frame(DOCUMENT, b'{'); frame(READY)",
        "frame(TEXT, bytes([255])); frame(READY)",
        "frame(ENTRIES, json.dumps([{'key': 1}]).encode()); frame(READY)",
        "frame(UNREADABLE, b'[]'); frame(READY)",
        "frame(READY)",
        "os.write(1, b'x' * 99)",
        "os.write(1, HEAD.pack(TEXT, 2**32 - 1))",
        "[frame(TEXT) for _ in range(10**6)]",
        "os.close(1); time.sleep(60)",
        "os.write(1, HEAD.pack(TEXT, 99)); sys.exit()",
    ],
)
def test_what_a_child_says_is_data(lie: str, tmp_path: Path) -> None:
    good, bad = write(tmp_path, "good.md", "Fine."), write(tmp_path, "bad.md", "?")
    with scripted(LIAR.replace("{lie}", lie)) as reader:
        assert reader(good, "good.md").title == "Lies"
        assert reason(reader, bad)
        document = reader(good, "good.md")
    assert isinstance(document, Document)
    assert document.id == "good.md", "a child does not say which file it was"


def test_a_file_that_is_gone_has_a_reason(tmp_path: Path) -> None:
    with reading_apart() as apart:
        assert "No such file" in str(reason(apart, tmp_path / "gone.md"))


def test_a_thick_manual_has_more_time() -> None:
    limits = Limits()
    assert limits.time(4_000_000) == 15
    assert limits.time(25_000_000) == 25
    assert limits.time(10**9) == 60


def test_without_a_child_nothing_is_blamed_on_a_file(tmp_path: Path) -> None:
    path = write(tmp_path, "good.md", "Fine.")
    for command in ((sys.executable, "-c", "raise SystemExit(7)"), (str(tmp_path / "none"),)):
        with pytest.raises(ShoptalkError, match="a process of its own") as caught, reading_apart(command=command) as apart:
            apart(path, "good.md")
        assert not isinstance(caught.value, Unreadable)


def test_a_picture_has_more_time_and_memory(tmp_path: Path) -> None:
    program = SCRIPTED.replace("worker.MEGABYTES = 100", "worker.MEGABYTES = 100\nfrom rag.ingest.readers import effort")
    look = "effort.expect(10, True); kept.append(bytearray(150_000_000)); time.sleep(0.5)\n"
    path = write(tmp_path, "scan.md", f"do {look * 3}time.sleep(2)")
    with scripted(program, HURRY) as reader:
        assert reader(path, "scan.md")
    short = Limits(seconds=2, most_in_parts=2)
    with scripted(program, short) as reader:
        assert "gave up after 2 s" in str(reason(reader, path))
