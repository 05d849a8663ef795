"""Verbs that look without answering: `search`, and `expiring`."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from rag import build
from rag.errors import DataError
from rag.terminal import Home, Json, load
from rag.types import Filter

verbs = typer.Typer()

Language = Annotated[str, typer.Option(help="Only documents in this language, such as en")]
Region = Annotated[str, typer.Option(help="Only what holds in this region")]
Product = Annotated[str, typer.Option(help="Only what is about this product: its id or name")]
Audience = Annotated[str, typer.Option(help="Only what is for this audience")]
History = Annotated[Path | None, typer.Option(help='JSON: [{"role": "user", "text": "..."}, ...], oldest first')]


@verbs.command()
def search(
    question: Annotated[str, typer.Argument(help="What the shopper asks")],
    history: History = None,
    language: Language = "",
    region: Region = "",
    product: Product = "",
    audience: Audience = "",
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="Passages at most")] = 5,
    explain: Annotated[bool, typer.Option("--explain", help="Show each candidate's scores, and why it was dropped")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Find passages and show them; nothing is answered. Documents without a language, region, ... pass every filter."""
    from rag.answer.contract import read_history
    from rag.retrieve import explain as tables
    from rag.retrieve.trace import found

    if not any(character.isalnum() for character in question):
        raise DataError(
            expected="a question with a letter or a digit", found=repr(question[:80]), remedy="ask what a shopper would ask"
        )
    turns, chosen = read_history(history) if history else (), Filter(language, region, product, audience)
    with build.searching(load(home=home)) as (searcher, _):
        if explain:
            trace = searcher.explain(question, turns, k, chosen)
            shown = trace.as_dict() if as_json else [*tables.heading(trace), tables.trace_table(trace)]
        else:
            query, passages = searcher.find(question, turns, k, chosen)
            listed = [found(rank, passage) for rank, passage in enumerate(passages, start=1)]
            shown = {"query": query.text, "passages": listed} if as_json else [tables.found_table(query, passages)]
    _show(shown)


@verbs.command()
def expiring(
    within: Annotated[
        int | None, typer.Option(min=0, help="Only what ends or begins in so many days, or ended as lately")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Report what documents say for a time only: what ends next, what has ended, what is not yet in force."""
    from rag.retrieve import explain as tables
    from rag.retrieve.expiring import expiring as terms_of

    chosen = load(home=home)
    with build.searching(chosen) as (_, generation):
        terms = terms_of(generation.store.chunks(), chosen.answer.today or date.today(), within)
    if as_json:
        _show([term.as_dict() for term in terms])
    elif terms:
        _show([tables.terms_table(terms)])
    else:
        typer.echo("nothing ends or begins" + (f" within {within} days" if within is not None else ""))


def _show(result: object) -> None:
    """JSON for what is JSON, else lines and tables as wide as the terminal, and wide where there is none."""
    from rich.console import Console
    from rich.table import Table

    if not isinstance(result, list) or not any(isinstance(item, Table) for item in result):
        typer.echo(json.dumps(result, ensure_ascii=False, indent=2))
        return
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console = Console(markup=False, highlight=False, width=200)
    for item in result:
        console.print(item)
