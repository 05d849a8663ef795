"""The commands of `python -m rag eval`: each scores one thing and prints its table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from rag.terminal import Home, load, progress_bar

evaluation = typer.Typer(no_args_is_help=True, help="Score retrieval, answers or the corpus; judge them by expected.toml.")
Limit = Annotated[int, typer.Option(help="Only the first N questions; 0: all")]
Out = Annotated[Path | None, typer.Option("--json", help="Where the result goes")]


@evaluation.command("answers")
def eval_answers(
    gold: Annotated[Path, typer.Option(help="Gold questions: a .jsonl file or a folder of them")],
    out: Annotated[Path, typer.Option("--json", help="Where the result goes; the report page lies beside it as .html")],
    home: Home = None,
    limit: Limit = 0,
    learnt: Annotated[
        Path | None, typer.Option(help="Gold questions that models learnt from: shows figures by whether the answer is theirs")
    ] = None,
) -> None:
    """Ask every gold question the way a shopper would and score retrieval, answers, refusals and citations."""
    from rag.evaluate.answers import evaluate_answers

    with progress_bar() as progress:
        result = evaluate_answers(load(home=home), gold, out, limit, progress, learnt)
    typer.echo(result.table())
    raise typer.Exit(0 if result.passed else 1)


@evaluation.command("retrieval")
def eval_retrieval(
    folder: Annotated[Path, typer.Option("--set", help="A data set in the BEIR layout")],
    home: Home = None,
    limit: Limit = 0,
    queries: Annotated[str, typer.Option(help="The set's file of queries")] = "queries.jsonl",
    out: Out = None,
) -> None:
    """Ingest a BEIR-layout data set into a home of its own and score retrieval on it."""
    from rag.evaluate.retrieval import evaluate_retrieval

    with progress_bar() as progress:
        result = evaluate_retrieval(load(home=home), folder, limit, queries, progress)
    if out:
        out.write_text(json.dumps(result.as_dict(), ensure_ascii=False, indent=2), encoding="utf-8")
    typer.echo(result.table())
    raise typer.Exit(0 if result.passed else 1)


@evaluation.command("gold")
def eval_gold(
    gold: Annotated[Path, typer.Option(help="Gold questions: a .jsonl file or a folder of them")],
    kind: Annotated[list[str] | None, typer.Option(help="Only questions of this kind; may be given again")] = None,
    documents: Annotated[str, typer.Option(help="As if there were documents in this language only: en or zh")] = "",
    home: Home = None,
    limit: Limit = 0,
    out: Out = None,
) -> None:
    """Score retrieval alone on gold questions, by language, kind and turn; nothing is answered, so it is quick."""
    from rag.evaluate.finding import evaluate_gold

    with progress_bar() as progress:
        result = evaluate_gold(load(home=home), gold, kind or (), limit, progress, documents)
    if out:
        out.write_text(json.dumps(result.as_dict(), ensure_ascii=False, indent=2), encoding="utf-8")
    typer.echo(result.table())


@evaluation.command("noise")
def eval_noise(
    gold: Annotated[Path, typer.Option(help="Gold questions: a .jsonl file or a folder of them")],
    home: Home = None,
    limit: Limit = 0,
    seed: Annotated[int, typer.Option(help="Another seed, other slips; only 0 is judged")] = 0,
    out: Annotated[Path | None, typer.Option("--json", help="Where the result goes; the page lies beside it as .html")] = None,
) -> None:
    """Garble gold questions by type of noise and score retrieval on them, with and without repair of the spelling."""
    from rag.evaluate.noise import evaluate_noise

    with progress_bar() as progress:
        result = evaluate_noise(load(home=home), gold, seed, limit, progress)
    if out:
        out.write_text(json.dumps(result.as_dict(), ensure_ascii=False, indent=2), encoding="utf-8")
        out.with_suffix(".html").write_text(result.page(), encoding="utf-8")
    typer.echo(result.table())
    raise typer.Exit(0 if result.passed else 1)


@evaluation.command("public")
def eval_public(
    data: Annotated[Path, typer.Option(help="The folder that holds the data sets, each a folder in the BEIR layout")],
    chosen: Annotated[list[str] | None, typer.Option("--set", help="Only this set; may be given again")] = None,
    home: Home = None,
    limit: Limit = 0,
    out: Out = None,
) -> None:
    """Score retrieval on public data sets with one configuration for all, beside what peers reach."""
    from rag.evaluate.public import evaluate_public

    with progress_bar() as progress:
        result = evaluate_public(load(home=home), data, chosen or (), limit, progress)
    if out:
        out.write_text(json.dumps(result.as_dict(), ensure_ascii=False, indent=2), encoding="utf-8")
    typer.echo(result.table())
    raise typer.Exit(0 if result.passed else 1)


@evaluation.command("intents")
def eval_intents(
    folder: Annotated[Path, typer.Option("--set", help="A folder with labelled questions to learn from and to be asked")],
    train: Annotated[str, typer.Option(help="The set's file to learn from")] = "v1_train.jsonl",
    test: Annotated[str, typer.Option(help="The set's file of questions to be asked")] = "v1_test.jsonl",
    far: Annotated[Path | None, typer.Option(help="JSONL of general questions of another domain, out of scope")] = None,
    label: Annotated[str, typer.Option("--out-of-scope", help="The label of what is out of scope")] = "NO_NODES_DETECTED",
    home: Home = None,
    out: Out = None,
) -> None:
    """Tell intents by the nearest utterances, or that a question has none; the threshold is fitted on the training file."""
    from rag.evaluate.intents import evaluate_intents

    with progress_bar() as progress:
        result = evaluate_intents(load(home=home), folder, train, test, far, label, progress)
    if out:
        out.write_text(json.dumps(result.as_dict(), ensure_ascii=False, indent=2), encoding="utf-8")
    typer.echo(result.table())


@evaluation.command("reader")
def eval_reader(
    folder: Annotated[Path, typer.Option("--set", help="A folder with a reading comprehension set")],
    file: Annotated[str, typer.Option(help="The set's file of questions, where the folder has several")] = "",
    home: Home = None,
    limit: Annotated[int, typer.Option(help="Only N questions, spread over the set; 0: all")] = 0,
    out: Out = None,
    base: Annotated[bool, typer.Option("--base", help="A second time without models.adapter, side by side")] = False,
) -> None:
    """Score the generator alone, on questions that come with the passages to answer from; nothing is searched.

    The set is JSON in SQuAD's form, or corpus.jsonl with queries.jsonl and answers.jsonl, or JSONL with one object a line: id,
    lang (en or zh), passages (a list of texts, or one text as passage), title, question, answers (a list, empty where the
    passages hold no answer). Only question, passages and answers must be there. A run with --json that was cut off goes on.
    """
    from rag.evaluate.reader import evaluate_reader

    with progress_bar() as progress:
        result = evaluate_reader(load(home=home), folder, file, out, limit, base, progress)
    if out:
        out.write_text(json.dumps(result.as_dict(), ensure_ascii=False, indent=2), encoding="utf-8")
    typer.echo(result.table())


@evaluation.command("prompts")
def eval_prompts(
    gold: Annotated[Path, typer.Option(help="Gold questions: a .jsonl file or a folder of them")],
    prompt: Annotated[
        list[str] | None, typer.Option(help="tuned, general or a folder of prompt files; may be given again [default: both]")
    ] = None,
    examples: Annotated[
        list[int] | None,
        typer.Option(min=0, max=6, help="Worked examples in the prompt; may be given again [default: as the settings say]"),
    ] = None,
    home: Home = None,
    limit: Annotated[int, typer.Option(help="Only N questions, spread over the set; 0: all")] = 0,
    out: Out = None,
) -> None:
    """Ask the same gold questions with each prompt, side by side: which one suits the generator that is set.

    A run with --json that was cut off goes on.
    """
    from rag.evaluate.prompts import evaluate_prompts

    with progress_bar() as progress:
        result = evaluate_prompts(load(home=home), gold, prompt or (), examples or (), out, limit, progress)
    if out:
        out.write_text(json.dumps(result.as_dict(), ensure_ascii=False, indent=2), encoding="utf-8")
    typer.echo(result.table())


@evaluation.command("corpus")
def eval_corpus(
    corpus: Annotated[Path, typer.Option(help="The folder that holds shop/, gold/ and facts.csv")] = Path("corpus"),
) -> None:
    """Prove that every price, period and capacity agrees with the catalogue and every gold quote is verbatim."""
    from rag.evaluate.facts import check_corpus

    problems = check_corpus(corpus)
    for problem in problems:
        typer.echo(problem, err=True)
    typer.echo(f"{len(problems)} problems in {corpus}")
    raise typer.Exit(1 if problems else 0)
