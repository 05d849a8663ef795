"""`python -m rag watch`: an ingest whenever the documents change, as long as it runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from rag.errors import CorpusEmpty, HomeBusy, ShoptalkError
from rag.ingest.report import IngestReport

QUIET = 200  # milliseconds without a change after which an ingest begins
LONGEST = 5_000  # ... or after the first of them, where they do not end
AGAIN = 5.0  # seconds until what another process stood in the way of is tried again


def watch(
    corpus: Path,
    ingest: Callable[[], IngestReport],
    tell: Callable[[IngestReport | ShoptalkError], None],
    stop: threading.Event,
    quiet: int = QUIET,
    again: float = AGAIN,
) -> None:
    """Ingest now and after each change under `corpus`, until `stop` is set; reports and errors go to `tell`.

    An error leaves what is live as it is, and the next change is another try. Raises CorpusEmpty if there is no such folder.
    """
    from watchfiles import watch as changes

    if not corpus.is_dir():
        raise CorpusEmpty(expected=f"a folder at {corpus}", found="none", remedy="name the folder that holds the documents")
    due = time.monotonic()  # the first is made while changes are already being noted
    waiting = max(int(again * 1000 / 4), 1)
    for found in changes(
        corpus, debounce=LONGEST, step=quiet, stop_event=stop, rust_timeout=waiting, yield_on_timeout=True, raise_interrupt=False
    ):
        if found or (due and time.monotonic() >= due):
            due = _tried(ingest, tell, again)


def _tried(ingest: Callable[[], IngestReport], tell: Callable[[IngestReport | ShoptalkError], None], again: float) -> float:
    """When to try again of one's own accord; 0: at the next change."""
    try:
        tell(ingest())
    except HomeBusy as error:
        tell(error)
        return time.monotonic() + again
    except ShoptalkError as error:
        tell(error)
    return 0.0
