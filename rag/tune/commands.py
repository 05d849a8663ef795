"""The commands of `python -m rag tune`: each teaches one model and writes it with its card."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from rag.terminal import Home, load

tuning = typer.Typer(no_args_is_help=True, help="Teach a model; what it learned from and what it gained is written beside it.")


@tuning.command("reranker")
def tune_reranker(
    data: Annotated[Path, typer.Option(help="The folder that holds the training sets, each a folder")],
    out: Annotated[Path, typer.Option(help="Where checkpoints and, in model/, the reranker go")],
    layers: Annotated[int, typer.Option(min=0, help="Layers of the embedder that are kept; 0: all")] = 3,
    steps: Annotated[int, typer.Option(min=1, help="Steps of training")] = 900,
    seed: Annotated[int, typer.Option(help="Of sampling, the new head and dropout")] = 0,
    home: Home = None,
) -> None:
    """Train a light cross-encoder from the embedder's first layers; a killed run goes on from its checkpoint."""
    from rag.models.cores import share
    from rag.models.resolve import resolve_embedder

    share()
    from rag.tune.reranker.flow import tune_reranker as run
    from rag.tune.reranker.train import Plan

    base = resolve_embedder(load(home=home).models.embedder)
    plan = replace(Plan(), steps=steps, seed=seed, layers=layers)
    command = shlex.join(["python", "-m", "rag", *sys.argv[1:]])
    for language, figures in run(base, data, out, plan, command).items():
        typer.echo(f"{language}: " + ", ".join(f"{name} {value:g}" for name, value in figures.items()))
    typer.echo(f"the reranker is in {out / 'model'}: set models.reranker to that folder")
