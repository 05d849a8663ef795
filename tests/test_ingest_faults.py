"""What goes wrong around an ingest: the old generation serves, nothing is lost, and the message says what to do."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from indexing import in_this_process
from machines import free_port
from test_ingest_flow import Shop

from rag.errors import HomeError
from rag.fakes import HashEmbedder
from rag.index import draft
from rag.index.catalog import Catalog
from rag.index.generation import Generations
from rag.ingest import flow
from rag.ingest.read import read
from rag.types import Document

CLI = """
import resource, signal, sys, time
from rag import __main__, build, loading
from rag.fakes import HashEmbedder
corpus, home, limit, delay = sys.argv[1:]

class Slow(HashEmbedder):
    def embed(self, texts):
        print("embedding", file=sys.stderr, flush=True)
        time.sleep(float(delay))
        return super().embed(texts)

build.build_embedder = loading.build_embedder = lambda settings: Slow(32)
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
sys.argv = ["rag", "ingest", "--corpus", corpus, "--home", home]
__main__.main()
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    in_this_process(monkeypatch)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """The old corpus is live; a page has changed since."""
    shop = Shop(tmp_path)
    shop.ingest()
    shop.write("shipping.md", "# Shipping\n\nParcels leave the house within three days.\n")
    return shop


def is_old(shop: Shop) -> bool:
    texts = shop.texts()
    assert ("two days" in texts) != ("three days" in texts)
    return "two days" in texts


def test_nothing(shop: Shop) -> None:
    assert is_old(shop)
    shop.ingest()
    assert not is_old(shop)


# --- a disk that fills up ---

SEAMS: tuple[tuple[Any, str], ...] = (
    (os, "fsync"),
    (Path, "replace"),
    (Path, "mkdir"),
    (Path, "write_text"),
    (draft, "write_apart"),
)


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/home/index")


def from_the(nth: int, real: Callable[..., Any]) -> Callable[..., Any]:
    """`real`, with a disk that is full from the n-th call on."""
    calls = [0]

    def call(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        return full() if calls[0] >= nth else real(*arguments, **named)

    return call


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("seam", SEAMS, ids=lambda seam: seam[1])
def test_a_disk_that_is_full_at_a_call(shop: Shop, monkeypatch: pytest.MonkeyPatch, seam: tuple[Any, str], nth: int) -> None:
    owner, name = seam
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, from_the(nth, getattr(owner, name)))
        try:
            shop.ingest()
        except HomeError as error:
            assert "No space left on device" in error.found and "free some room" in error.remedy
            assert is_old(shop)
        else:
            assert nth > 1, "it was not called so often"
    embedded = len(shop.embedder.embedded)  # type: ignore[attr-defined]
    shop.ingest()
    assert not is_old(shop)
    assert len(shop.embedder.embedded) - embedded <= 2, "nothing is embedded again"  # type: ignore[attr-defined]


def test_a_disk_that_cannot_remove_what_is_old_has_the_new_live(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in ("four", "five"):
        shop.ingest()
        shop.write("shipping.md", f"# Shipping\n\nParcels leave the house within {day} days.\n")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", full)
        with pytest.raises(HomeError, match="free some room"):
            shop.ingest()
    assert "five days" in shop.texts()
    assert shop.ingest().generation == shop.generations.live().number  # type: ignore[union-attr]
    assert len(list((shop.home / "index").glob("gen-*"))) == 2


def command(shop: Shop, limit: str = "", delay: float = 0) -> subprocess.Popen[str]:
    arguments = [str(shop.corpus), str(shop.home), limit, str(delay)]
    root = Path(__file__).parent.parent
    return subprocess.Popen([sys.executable, "-c", CLI, *arguments], cwd=root, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, told = process.communicate()
    assert "Traceback" not in told
    return process.returncode, told.strip().splitlines()[-1] if told.strip() else ""


@pytest.mark.slow
@pytest.mark.parametrize("limit", ["0", "60000", "150000"])
def test_a_disk_that_is_full_for_real(shop: Shop, limit: str) -> None:
    """No file may grow beyond the limit: SQLite, Chroma and the process that writes meet it, each in its own way."""
    for number in range(40):
        shop.write(f"lamps/{number}.md", f"# Lamp {number}\n\n" + f"Lamp {number} shines for {number} hours. " * 20)
    code, told = ended(command(shop, limit))
    assert code == 2 and told.startswith("shoptalk: expected ") and told.count("; ") >= 2, told
    assert "stays as it is" in told
    assert is_old(shop)
    assert shop.generations.verify() == []
    assert ended(command(shop))[0] == 0
    assert not is_old(shop)


# --- a home that cannot be written ---


@pytest.mark.parametrize("home", ["/proc/shoptalk", "/dev/null/shoptalk"])
def test_a_home_that_cannot_be_made(tmp_path: Path, home: str) -> None:
    shop = Shop(tmp_path)
    shop.home = Path(home)
    shop.generations = Generations(shop.home)
    with pytest.raises(HomeError, match=rf"expected room and permission to write under {home}; .*; free some room there, or see"):
        shop.ingest()
    with pytest.raises(HomeError, match="room and permission"):
        shop.generations.rollback()


def test_a_home_that_became_read_only(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.open

    def open(path: Path, mode: str = "r", *more: Any, **named: Any) -> Any:
        if set(mode) & set("wax+"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return real(path, mode, *more, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open)
        with pytest.raises(HomeError, match="found .*Read-only file system: .*lock"):
            shop.ingest()
        assert is_old(shop)
    log = shop.home / "catalog.sqlite-wal"
    log.mkdir()  # SQLite opens files itself: this keeps it from writing
    with pytest.raises(HomeError, match="room and permission"):
        shop.ingest()
    log.rmdir()
    assert is_old(shop)
    assert shop.ingest().changed


@pytest.mark.slow
def test_the_command_line_says_so_and_ends_with_two(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.home = Path("/proc/shoptalk")
    code, told = ended(command(shop))
    assert (code, told.startswith("shoptalk: expected room and permission to write under /proc/shoptalk")) == (2, True)


# --- a clock that jumps ---


def test_a_clock_that_jumps_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    class Past(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(1999, 1, 1, tzinfo=UTC)

    monkeypatch.setattr(draft, "datetime", Past)
    monkeypatch.setattr(time, "time", lambda: 915_148_800.0)
    os.utime(shop.corpus / "shipping.md", (915_148_800, 915_148_800))
    report = shop.ingest()
    assert (report.generation, report.changed) == (2, True)
    assert not is_old(shop)
    assert not shop.ingest().changed
    assert shop.generations.rollback() == 1


# --- documents that change meanwhile ---


def meanwhile(monkeypatch: pytest.MonkeyPatch, name: str, change: Callable[[Path], object]) -> None:
    """Change the file just before it is read."""

    def changed_first(path: Path, id: str) -> Document:
        if id == name:
            change(path)
        return read(path, id)

    monkeypatch.setattr(flow, "reading_apart", lambda: nullcontext(changed_first))


def test_a_document_that_disappears_while_it_is_read(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.write("new.md", "# New\n\nA new lamp.\n")
    with monkeypatch.context() as patch:
        meanwhile(patch, "shipping.md", Path.unlink)
        report = shop.ingest()
    [told] = report.rejected
    assert told.file == "shipping.md" and "No such file" in told.reason and told.reason.count("; ") == 2
    assert "A new lamp" in shop.texts() and "Parcels" not in shop.texts()
    assert shop.ingest().rejected == ()


def test_a_document_that_changes_while_it_is_read(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        meanwhile(patch, "shipping.md", lambda path: path.write_text("# Shipping\n\nParcels leave the house in an hour.\n"))
        shop.ingest()
    assert "in an hour" in shop.texts()
    shop.ingest()
    assert "in an hour" in shop.texts()
    assert not shop.ingest().changed


def test_a_folder_that_disappears(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        meanwhile(patch, "shipping.md", lambda path: shutil.rmtree(path.parent))
        shop.ingest()  # what was read before is in the catalogue
    assert "Parcels" not in shop.texts()


# --- two at once ---


@pytest.mark.slow
def test_two_ingests_at_once(shop: Shop) -> None:
    first = command(shop, delay=3)
    assert first.stderr is not None
    while "embedding" not in first.stderr.readline():
        pass
    code, told = ended(command(shop))
    assert (code, f"process {first.pid} (ingest)" in told) == (2, True)
    assert is_old(shop)
    assert ended(first)[0] == 0
    assert not is_old(shop)


# --- a Chroma server that goes away ---


class Server:
    """A Chroma server on loopback that can be started again where it was."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        chroma = str(Path(sys.executable).with_name("chroma"))
        arguments = ["run", "--host", "127.0.0.1", "--port", str(self.port), "--path", str(self.folder)]
        self.process = subprocess.Popen([chroma, *arguments], stdout=subprocess.DEVNULL)
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "server")
    yield server
    server.stop()


@pytest.mark.slow
def test_a_chroma_server_that_goes_away_midway(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.index.chroma.BATCH", 2)
    shop = Shop(tmp_path)
    shop.generations = Generations(shop.home, server.url)
    shop.ingest()
    serving = shop.generations.open("hash-32")
    shop.write("shipping.md", "# Shipping\n\nParcels leave the house within three days.\n")

    def progress(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("write", 2):
            server.stop()

    with pytest.raises(HomeError, match="expected the Chroma server to answer; found that it went away .*; start it and ingest"):
        with Catalog(shop.home / "catalog.sqlite") as held:
            flow.ingest(shop.corpus, shop.generations, held, shop.embedder, flow.Chunking(160, 0), progress)
    best, _ = serving.store.search(HashEmbedder(32).embed(["Parcels leave the house within two days."])[0], 1)[0]
    assert "two days" in best.text, "what serves goes on without it"
    with pytest.raises(HomeError, match="a Chroma server at"):
        shop.ingest()
    server.start()
    assert is_old(shop)
    embedded = len(shop.embedder.embedded)  # type: ignore[attr-defined]
    assert shop.ingest().embedded == len(shop.embedder.embedded) - embedded == 0  # type: ignore[attr-defined]
    assert not is_old(shop)
