"""What every command of the terminal shares: the options, the settings with the options on top, the progress bar."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from rag import settings
from rag.ports import Progress

Home = Annotated[Path | None, typer.Option(help="Where everything made at run time lives [default: ./.shoptalk]")]
Corpus = Annotated[Path | None, typer.Option(help="Folder of documents [default: corpus/shop]")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON")]


def load(**overrides: Any) -> settings.Settings:  # noqa: ANN401 - each setting has its own type, checked by Settings
    """Settings with the options given on the command line on top."""
    return settings.load(**{key: value for key, value in overrides.items() if value is not None})


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar on stderr with one line per stage of ingest."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    bar = Bar(*Bar.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn(), console=Console(stderr=True))
    tasks: dict[str, Any] = {}

    def advance(stage: str, done: int, total: int) -> None:
        bar.start()  # only now: a command that fails early prints its error and nothing else
        if stage not in tasks:
            tasks[stage] = bar.add_task(stage, total=total)
        bar.update(tasks[stage], completed=done, total=total)

    try:
        yield advance
    finally:
        if tasks:
            bar.stop()
