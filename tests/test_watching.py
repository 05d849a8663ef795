"""rag/ingest/watching.py: what is saved goes live, whatever happened before."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rag import build
from rag.errors import CorpusEmpty, HomeBusy, ShoptalkError
from rag.index.lock import home_lock
from rag.ingest.report import IngestReport
from rag.ingest.watching import watch
from rag.settings import Settings

Told = list[IngestReport | ShoptalkError]


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    """What a watch over tmp_path/shop tells."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "lamp.md").write_text("The lamp weighs 86 g.", encoding="utf-8")
    settings = Settings(home=tmp_path / "home", corpus=tmp_path / "shop", fakes=True)
    found: Told = []
    stop = threading.Event()
    thread = threading.Thread(
        target=watch, args=(settings.corpus, lambda: build.run_ingest(settings), found.append, stop, 50, 0.2), daemon=True
    )
    thread.start()
    yield found
    stop.set()
    thread.join(20)
    assert not thread.is_alive()


def test_every_change_goes_live_and_an_error_does_not_end_it(told: Told, tmp_path: Path) -> None:
    until(lambda: told)
    (tmp_path / "shop" / "strap.md").write_text("The strap is red.", encoding="utf-8")
    until(lambda: len(told) == 2)
    (tmp_path / "shop" / "strap.md").unlink()
    (tmp_path / "shop" / "lamp.md").unlink()
    until(lambda: isinstance(told[-1], CorpusEmpty))
    count = len(told)
    (tmp_path / "shop" / "lamp.md").write_text("The lamp weighs 90 g.", encoding="utf-8")
    until(lambda: len(told) > count)
    first, second, last = told[0], told[1], told[-1]
    assert isinstance(first, IngestReport) and isinstance(second, IngestReport) and isinstance(last, IngestReport)
    assert (first.added, second.added, last.added) == (1, 1, 1)
    assert last.generation == second.generation + 1


def test_what_another_process_stood_in_the_way_of_is_tried_again(told: Told, tmp_path: Path) -> None:
    until(lambda: told)
    with home_lock(tmp_path / "home", "a backup"):
        (tmp_path / "shop" / "strap.md").write_text("The strap is red.", encoding="utf-8")
        until(lambda: isinstance(told[-1], HomeBusy))
    until(lambda: isinstance(told[-1], IngestReport))


def test_what_changes_during_the_first_ingest_is_not_missed(tmp_path: Path) -> None:
    (tmp_path / "lamp.md").write_text("The lamp weighs 86 g.", encoding="utf-8")
    stop, seen = threading.Event(), list[list[str]]()

    def ingest() -> IngestReport:
        seen.append(sorted(path.name for path in tmp_path.iterdir()))
        (tmp_path / "strap.md").write_text("The strap is red.", encoding="utf-8")
        if len(seen) > 1:
            stop.set()
        return IngestReport(1, 0, 0, 0, 0, (), 0, 0.0, changed=True)

    watch(tmp_path, ingest, lambda _: None, stop, 50, 0.2)
    assert seen == [["lamp.md"], ["lamp.md", "strap.md"]]


def test_there_must_be_a_folder(tmp_path: Path) -> None:
    with pytest.raises(CorpusEmpty, match="a folder"):
        watch(tmp_path / "no", lambda: pytest.fail("nothing to ingest"), lambda _: None, threading.Event())
