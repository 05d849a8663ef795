"""Verbs that look after the index: `verify`, `rollback`, `purge`."""

from __future__ import annotations

from typing import Annotated

import typer

from rag import keeping
from rag.terminal import Home, load

upkeep = typer.Typer()


@upkeep.command()
def verify(
    deleted: Annotated[bool, typer.Option("--deleted", help="Look for what was removed or edited, in every file")] = False,
    home: Home = None,
) -> None:
    """Check the live index exhaustively: every chunk there, found by its own vector, nothing altered."""
    chosen = load(home=home)
    generations = keeping.build_generations(chosen)
    problems = keeping.left_behind(chosen) if deleted else generations.verify()
    for problem in problems:
        typer.echo(problem, err=True)
    live = generations.live()
    if not deleted:
        typer.echo(f"generation {live.number if live else '-'}: {'damaged' if problems else 'whole'}")
    elif problems:
        typer.echo("something is left of what was removed; `python -m rag purge` takes it out")
    else:
        typer.echo("nothing is left of what was removed, but what is kept for a rollback")
    raise typer.Exit(1 if problems else 0)


@upkeep.command()
def rollback(home: Home = None) -> None:
    """Make the generation before the live one live again."""
    typer.echo(f"generation {keeping.build_generations(load(home=home)).rollback()} is live")


@upkeep.command()
def purge(home: Home = None) -> None:
    """Take what was removed from the documents out of every file now: earlier generations, and recorded answers that quote it."""
    generations, turns = keeping.purge(load(home=home))
    typer.echo(f"{generations} earlier generations removed; {turns} recorded turns emptied of what is no longer said")
