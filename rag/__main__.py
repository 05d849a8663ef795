"""The command line: `python -m rag VERB`. Results go to stdout, progress and errors to stderr.

Exit codes: 0 done; 1 a verdict failed or an index is damaged; 2 bad input, nothing was done; 3 done, but some input was rejected.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from rag import build, settings
from rag.errors import HomeError, ShoptalkError
from rag.types import Done, HandOver, History, Refused, Token, Turn

if TYPE_CHECKING:
    from rag.build import Assistant, Progress

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
evaluation = typer.Typer(no_args_is_help=True, help="Score retrieval, answers or the corpus; judge them by expected.toml.")
app.add_typer(evaluation, name="eval")

Home = Annotated[Path | None, typer.Option(help="Where everything made at run time lives [default: ./.shoptalk]")]
Corpus = Annotated[Path | None, typer.Option(help="Folder of documents [default: corpus/shop]")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON")]
Limit = Annotated[int, typer.Option(help="Only the first N questions; 0: all")]


@app.command()
def ingest(corpus: Corpus = None, home: Home = None, as_json: Json = False) -> None:
    """Read the corpus into a new index generation and make it live; unchanged input costs nothing."""
    with progress_bar() as progress:
        report = build.run_ingest(load(corpus=corpus, home=home), progress)
    if as_json:
        print(json.dumps(report.as_dict(), ensure_ascii=False, indent=2))
    else:
        state = "live" if report.changed else "unchanged"
        print(
            f"generation {report.generation} is {state}: {report.documents} documents; chunks: {report.added} added, "
            f"{report.unchanged} unchanged, {report.removed} removed; {report.embedded} embedded; {report.seconds:.1f} s"
        )
        for rejection in report.rejected:
            print(f"rejected {rejection.file}: {rejection.reason}", file=sys.stderr)
    raise typer.Exit(3 if report.rejected else 0)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="What the shopper asks")] = "",
    history: Annotated[Path | None, typer.Option(help='JSON: [{"role": "user", "text": "..."}, ...], oldest first')] = None,
    batch: Annotated[
        Path | None, typer.Option(help="JSONL of questions in the gold form; one answer object a line comes out")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Answer one question, or a batch with the models loaded once."""
    from rag.answer.contract import as_dict, read_history, read_questions
    from rag.answer.flow import collect

    questions = read_questions(batch) if batch else []
    turns = read_history(history) if history else ()
    assistant = build.Assistant(load(home=home))
    for item in questions:
        answer = collect(assistant.answer(item.question, item.history))
        print(json.dumps({**as_dict(answer), "id": item.id}, ensure_ascii=False), flush=True)
    if batch:
        return
    if as_json:
        print(json.dumps(as_dict(collect(assistant.answer(question, turns))), ensure_ascii=False, indent=2))
    else:
        say(assistant, question, turns)


@app.command()
def chat(corpus: Corpus = None, home: Home = None) -> None:
    """Chat in the terminal; an empty line ends it."""
    chosen = load(corpus=corpus, home=home)
    if build.build_generations(chosen).live() is None:
        ingest_apart(chosen)
    assistant = build.Assistant(chosen)
    history: History = ()
    while question := input("\n> ").strip():
        history += (Turn("user", question), Turn("assistant", say(assistant, question, history)))


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
    chosen = load(corpus=corpus, home=home, **({"serve": given} if given else {}))

    def ready() -> Assistant:
        if build.build_generations(chosen).live() is None:
            ingest_apart(chosen)
        assistant = build.Assistant(chosen)
        assistant.warm_up()
        return assistant

    service.serve(ready, chosen, announce=lambda line: print(line, flush=True))


@app.command()
def verify(home: Home = None) -> None:
    """Check the live index exhaustively: every chunk there, found by its own vector, nothing altered."""
    generations = build.build_generations(load(home=home))
    problems = generations.verify()
    for problem in problems:
        print(problem, file=sys.stderr)
    live = generations.live()
    print(f"generation {live.number if live else '-'}: {'damaged' if problems else 'whole'}")
    raise typer.Exit(1 if problems else 0)


@app.command()
def rollback(home: Home = None) -> None:
    """Make the generation before the live one live again."""
    print(f"generation {build.build_generations(load(home=home)).rollback()} is live")


@evaluation.command("answers")
def eval_answers(
    gold: Annotated[Path, typer.Option(help="Gold questions: a .jsonl file or a folder of them")],
    out: Annotated[Path, typer.Option("--json", help="Where the result goes; the report page lies beside it as .html")],
    home: Home = None,
    limit: Limit = 0,
) -> None:
    """Ask every gold question the way a shopper would and score retrieval, answers, refusals and citations."""
    from rag.evaluate.answers import evaluate_answers

    with progress_bar() as progress:
        result = evaluate_answers(load(home=home), gold, out, limit, progress)
    print(result.table())
    raise typer.Exit(0 if result.passed else 1)


@evaluation.command("retrieval")
def eval_retrieval(
    folder: Annotated[Path, typer.Option("--set", help="A data set in the BEIR layout")],
    home: Home = None,
    limit: Limit = 0,
    queries: Annotated[str, typer.Option(help="The set's file of queries")] = "queries.jsonl",
    out: Annotated[Path | None, typer.Option("--json", help="Where the result goes")] = None,
) -> None:
    """Ingest a BEIR-layout data set into a home of its own and score retrieval on it."""
    from rag.evaluate.retrieval import evaluate_retrieval

    with progress_bar() as progress:
        result = evaluate_retrieval(load(home=home), folder, limit, queries, progress)
    if out:
        out.write_text(json.dumps(result.as_dict(), ensure_ascii=False, indent=2), encoding="utf-8")
    print(result.table())
    raise typer.Exit(0 if result.passed else 1)


@evaluation.command("gold")
def eval_gold(
    gold: Annotated[Path, typer.Option(help="Gold questions: a .jsonl file or a folder of them")],
    kind: Annotated[list[str] | None, typer.Option(help="Only questions of this kind; may be given again")] = None,
    home: Home = None,
    limit: Limit = 0,
    out: Annotated[Path | None, typer.Option("--json", help="Where the result goes")] = None,
) -> None:
    """Score retrieval alone on gold questions, by language, kind and turn; nothing is answered, so it is quick."""
    from rag.evaluate.finding import evaluate_gold

    with progress_bar() as progress:
        result = evaluate_gold(load(home=home), gold, kind or (), limit, progress)
    if out:
        out.write_text(json.dumps(result.as_dict(), ensure_ascii=False, indent=2), encoding="utf-8")
    print(result.table())


@evaluation.command("public")
def eval_public(
    data: Annotated[Path, typer.Option(help="The folder that holds the data sets, each a folder in the BEIR layout")],
    chosen: Annotated[list[str] | None, typer.Option("--set", help="Only this set; may be given again")] = None,
    home: Home = None,
    limit: Limit = 0,
    out: Annotated[Path | None, typer.Option("--json", help="Where the result goes")] = None,
) -> None:
    """Score retrieval on public data sets with one configuration for all, beside what peers reach."""
    from rag.evaluate.public import evaluate_public

    with progress_bar() as progress:
        result = evaluate_public(load(home=home), data, chosen or (), limit, progress)
    if out:
        out.write_text(json.dumps(result.as_dict(), ensure_ascii=False, indent=2), encoding="utf-8")
    print(result.table())
    raise typer.Exit(0 if result.passed else 1)


@evaluation.command("corpus")
def eval_corpus(
    corpus: Annotated[Path, typer.Option(help="The folder that holds shop/, gold/ and facts.csv")] = Path("corpus"),
) -> None:
    """Prove that every price, period and capacity agrees with the catalogue and every gold quote is verbatim."""
    from rag.evaluate.facts import check_corpus

    problems = check_corpus(corpus)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(problems)} problems in {corpus}")
    raise typer.Exit(1 if problems else 0)


def ingest_apart(chosen: settings.Settings) -> None:
    """Ingest in a process of its own: the memory that embedding a corpus takes does not stay with the server."""
    options = [f"--corpus={chosen.corpus}", f"--home={chosen.home}"]
    done = subprocess.run([sys.executable, "-m", "rag", "ingest", *options], stdout=sys.stderr, check=False)
    if done.returncode not in (0, 3):
        raise HomeError(expected=f"{chosen.corpus} to be ingested", found="the error above", remedy="correct it and start again")


def load(**overrides: Any) -> settings.Settings:  # noqa: ANN401 - each setting has its own type, checked by Settings
    """Settings with the options given on the command line on top."""
    return settings.load(**{key: value for key, value in overrides.items() if value is not None})


def say(assistant: Assistant, question: str, history: History) -> str:
    """Print one answer as it arrives, then its sources; returns its text."""
    streamed, text = "", ""
    for event in assistant.answer(question, history):
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


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar on stderr with one line per stage of ingest."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

    bar = Progress(*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn(), console=Console(stderr=True))
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
