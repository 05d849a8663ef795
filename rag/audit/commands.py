"""The verb `report`: what the live index holds, for the people who write the documents."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from rag import build
from rag.errors import DataError
from rag.terminal import Home, Json, load, progress_bar

auditing = typer.Typer()


@auditing.command()
def report(
    html: Annotated[Path | None, typer.Option(help="Also write the report to this file, as one page")] = None,
    sample: Annotated[
        int, typer.Option(min=0, help="Passages that are looked for by their own words; each costs a search")
    ] = 200,
    within: Annotated[int, typer.Option(min=0, help="Days within which something ends or begins")] = 30,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 where files were refused or documents disagree")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Report what came in, what was refused, what is double or contradictory, what ends soon, and what nobody can find."""
    from rag.audit.flow import audit
    from rag.audit.page import page
    from rag.audit.tables import tables
    from rag.evaluate.gate import last_changes

    chosen = load(home=home)
    day = chosen.answer.today or date.today()
    if html and not (html.parent.is_dir() and not html.is_dir()):  # told now, not when all the work is done
        raise _unwritable(html, "a folder" if html.is_dir() else f"no folder {html.parent}")
    with build.searching(chosen) as (search, generation), progress_bar() as progress:
        found = audit(search, generation, last_changes(chosen.home), day, sample, chosen.retrieve.passages, within, progress)
    if html:
        try:
            html.write_text(page(found), encoding="utf-8")
        except OSError as error:
            raise _unwritable(html, str(error.strerror)) from error
    if as_json:
        typer.echo(json.dumps(found.as_dict(), ensure_ascii=False, indent=2))
    else:
        _show(*tables(found))
    raise typer.Exit(1 if strict and not found.is_clean else 0)


def _unwritable(path: Path, found: str) -> DataError:
    return DataError(expected=f"a file that can be written at {path}", found=found, remedy="name another with --html")


def _show(*parts: object) -> None:
    """As wide as the terminal, and wide where there is none."""
    from rich.console import Console

    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console = Console(markup=False, highlight=False, width=160)
    for part in parts:
        if part:
            console.print(part)
