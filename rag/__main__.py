"""The command line: `python -m rag VERB`. Results go to stdout, progress and errors to stderr.

Exit codes: 0 done; 1 a verdict failed, an index is damaged or `report --strict` found something; 2 bad input, nothing was done;
3 done, but some input was rejected.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from rag import build, keeping, loading, settings
from rag.assistant import Assistant
from rag.audit.commands import auditing
from rag.errors import HomeError, IndexDamaged, IndexMismatch, NoIndex, ShoptalkError
from rag.evaluate.commands import evaluation
from rag.ingest.report import IngestReport
from rag.searching import Audience, Language, Product, Region, verbs
from rag.terminal import Corpus, Home, Json, load, progress_bar
from rag.tune.commands import tuning
from rag.types import Done, Filter, HandOver, History, Refused, Token, Turn
from rag.upkeep import upkeep

ANYTHING = Filter()
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
app.add_typer(evaluation, name="eval")
app.add_typer(tuning, name="tune")
app.add_typer(verbs)
app.add_typer(auditing)
app.add_typer(upkeep)


@app.command()
def ingest(
    corpus: Corpus = None,
    force: Annotated[bool, typer.Option("--force", help="Go live whatever the gold questions say")] = False,
    cluster: Annotated[str, typer.Option(metavar="HOST:PORT", help="Read, chunk and embed on this Ray cluster")] = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Read the corpus into a new index generation and make it live; unchanged input costs nothing."""
    from rag.evaluate.gate import Gate

    chosen = load(corpus=corpus, home=home)
    embedder = loading.build_embedder(chosen)
    with progress_bar() as progress:
        report = build.run_ingest(chosen, progress, embedder, Gate(chosen, embedder, force), cluster)
    if as_json:
        print(json.dumps(report.as_dict(), ensure_ascii=False, indent=2))
    else:
        tell(report)
    raise typer.Exit(3 if report.rejected else 0)


@app.command()
def watch(corpus: Corpus = None, home: Home = None) -> None:
    """Ingest now and whenever the documents change, until it is stopped; what is served follows by itself."""
    from rag.evaluate.gate import Gate
    from rag.ingest.watching import watch as run

    chosen = load(corpus=corpus, home=home)
    embedder = loading.build_embedder(chosen)
    gate = Gate(chosen, embedder)
    run(chosen.corpus, lambda: build.run_ingest(chosen, embedder=embedder, check=gate), tell, threading.Event())


def tell(outcome: IngestReport | ShoptalkError) -> None:
    """What came of an ingest, for people."""
    if isinstance(outcome, ShoptalkError):
        print(f"shoptalk: {outcome}", file=sys.stderr, flush=True)
        return
    state = "live" if outcome.changed else "unchanged"
    print(
        f"generation {outcome.generation} is {state}: {outcome.documents} documents; chunks: {outcome.added} added, "
        f"{outcome.unchanged} unchanged, {outcome.removed} removed; {outcome.embedded} embedded; {outcome.seconds:.1f} s",
        flush=True,
    )
    for rejection in outcome.rejected:
        print(f"rejected {rejection.file}: {rejection.reason}", file=sys.stderr, flush=True)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="What the shopper asks")] = "",
    history: Annotated[Path | None, typer.Option(help='JSON: [{"role": "user", "text": "..."}, ...], oldest first')] = None,
    batch: Annotated[
        Path | None, typer.Option(help="JSONL of questions in the gold form; one answer object a line comes out")
    ] = None,
    language: Language = "",
    region: Region = "",
    product: Product = "",
    audience: Audience = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Answer one question, or a batch with the models loaded once."""
    from rag.answer.contract import as_dict, read_history, read_questions
    from rag.answer.flow import collect

    questions = read_questions(batch) if batch else []
    turns = read_history(history) if history else ()
    chosen = Filter(language, region, product, audience)
    assistant = Assistant(load(home=home))
    for item in questions:
        own = item.filter if item.filter != ANYTHING else chosen
        answer = collect(assistant.answer(item.question, item.history, chosen=own))
        print(json.dumps({**as_dict(answer), "id": item.id}, ensure_ascii=False), flush=True)
    if batch:
        return
    if as_json:
        print(json.dumps(as_dict(collect(assistant.answer(question, turns, chosen=chosen))), ensure_ascii=False, indent=2))
    else:
        say(assistant, question, turns, chosen)


@app.command()
def chat(corpus: Corpus = None, home: Home = None) -> None:
    """Chat in the terminal; an empty line ends it."""
    assistant = prepared(load(corpus=corpus, home=home))
    history: History = ()
    while question := input("\n> ").strip():
        try:
            history += (Turn("user", question), Turn("assistant", say(assistant, question, history)))
        except ShoptalkError as error:  # it cost this question; the next one may go well
            print(f"shoptalk: {error}", file=sys.stderr)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port [default: 7860]")] = None,
    corpus: Corpus = None,
    home: Home = None,
) -> None:
    """Serve the chat page and the HTTP API; ingests the corpus first if no index is live."""
    from ui import service

    given = {key: value for key, value in {"host": host, "port": port}.items() if value is not None}

    def chosen() -> settings.Settings:
        return load(corpus=corpus, home=home, **({"serve": given} if given else {}))

    def ready() -> Assistant:
        assistant = prepared(chosen())
        assistant.warm_up()
        assistant.follow(chosen)
        return assistant

    service.serve(ready, chosen(), announce=lambda line: print(line, flush=True))


def prepared(chosen: settings.Settings) -> Assistant:
    """The assistant. Where nothing is live, or it is damaged or of other models, the corpus is ingested before.

    If that fails, the generation before the live one serves, if it is whole. Raises HomeError.
    """
    generations = keeping.build_generations(chosen)
    try:
        return Assistant(chosen)
    except NoIndex:
        ingest_apart(chosen)
    except (IndexMismatch, IndexDamaged) as error:
        print(f"shoptalk: {error}\nIngesting ...", file=sys.stderr, flush=True)
        try:
            ingest_apart(chosen)
        except HomeError:
            print(f"shoptalk: generation {generations.rollback()} serves instead", file=sys.stderr, flush=True)
    return Assistant(chosen)


def ingest_apart(chosen: settings.Settings) -> None:
    """Ingest in a process of its own: the memory that embedding a corpus takes does not stay with the server."""
    options = [f"--corpus={chosen.corpus}", f"--home={chosen.home}"]
    done = subprocess.run([sys.executable, "-m", "rag", "ingest", *options], stdout=sys.stderr, check=False)
    if done.returncode not in (0, 3):
        raise HomeError(expected=f"{chosen.corpus} to be ingested", found="the error above", remedy="correct it and start again")


def say(assistant: Assistant, question: str, history: History, chosen: Filter = ANYTHING) -> str:
    """Print one answer as it arrives, then its sources; returns its text."""
    streamed, text = "", ""
    for event in assistant.answer(question, history, chosen=chosen):
        if isinstance(event, Token):
            streamed += event.text
            print(event.text, end="", flush=True)
        elif isinstance(event, Done | Refused | HandOver):
            text = event.answer.text
            if text.strip() != streamed.strip():
                print(f"\n{text}" if streamed else text, end="")
            print()
            for citation in event.answer.citations:
                print(f"  [{citation.n}] {citation.document}: {citation.quote}")
    return text


def main() -> NoReturn:
    """Run the command line; what Shoptalk raises on purpose is told in one line, without a stack trace."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        app()
    except ShoptalkError as error:
        print(f"shoptalk: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


if __name__ == "__main__":
    main()
