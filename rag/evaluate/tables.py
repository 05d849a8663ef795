"""Results as text for the terminal."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

from rag.evaluate.metrics import Figure
from rag.evaluate.score import METRICS, Figures, rungs
from rag.evaluate.verdicts import Verdict, passed

if TYPE_CHECKING:
    from rag.evaluate.finding import GoldResult
    from rag.evaluate.intents import IntentResult
    from rag.evaluate.noise import NoiseResult
    from rag.evaluate.public import PublicResult
    from rag.evaluate.result import EvaluationResult
    from rag.evaluate.retrieval import RetrievalResult

WIDTH = 122
GROUP_COLUMNS = {
    "score": "score",
    "retrieval.recall@5": "found top-5",
    "answers.right": "right",
    "answers.wrong": "wrong",
    "answers.f1": "F1 of answers",
    "answers.numbers_exact": "numbers exact",
    "refusals.false": "refused wrongly",
    "refusals.recall": "refused rightly",
    "citations.supporting": "source right",
}


def answers_text(result: EvaluationResult) -> str:
    """Figures beside the baselines, by language and kind, the rungs, the verdicts."""
    parts: list[RenderableType] = [
        f"{heading(result.data)}; {', '.join(f'{key} {value}' for key, value in result.system.items())}",
        beside(result.overall),
        by_group({"all": result.ours, **result.languages, **result.kinds, **result.apart}),
        "ended by: " + ", ".join(f"{name} {count}" for name, count in rungs(result.cases).items()),
        verdict_table(result.verdicts) if result.verdicts else "",
        conclusion(result.verdicts, result.judged),
    ]
    return render(parts)


def retrieval_text(result: RetrievalResult) -> str:
    """Figures on one data set, the verdicts."""
    left_out = f"; {result.data['unjudged']} queries without a relevant passage and {result.data['rejected']} passages left out"
    parts: list[RenderableType] = [
        f"{heading(result.data)}{left_out}; {', '.join(f'{key} {value}' for key, value in result.system.items())}",
        beside({"Shoptalk": result.figures}, list(result.figures)),
        verdict_table(result.verdicts) if result.verdicts else "",
        conclusion(result.verdicts, result.judged),
    ]
    return render(parts)


def gold_text(result: GoldResult) -> str:
    """Retrieval on gold questions, one row a group."""
    from rag.evaluate.finding import MEASURES

    table = Table(box=box.SIMPLE, caption="n: questions; p50: milliseconds of the median search", caption_justify="left")
    for name in ("group", "n", *MEASURES, "p50"):
        table.add_column(name, justify="left" if name == "group" else "right")
    for name, figures in result.groups.items():
        cells = [shown(measure, _bare(figures[measure])) for measure in (*MEASURES, "latency.p50")]
        table.add_row(name, str(figures["recall@5"].n), *cells)
    return render([f"{heading(result.data)}; {', '.join(f'{key} {value}' for key, value in result.system.items())}", table])


def noise_text(result: NoiseResult) -> str:
    """Retrieval under noise, one row a type and language, the verdicts."""
    from rag.evaluate.noise import COLUMNS

    table = Table(box=box.SIMPLE, caption="repaired: share of the questions whose spelling was changed", caption_justify="left")
    for name in ("noise, language", "n", *COLUMNS.values()):
        table.add_column(name, justify="left" if name == "noise, language" else "right")
    for name, figures in result.groups.items():
        cells = [shown(measure, _bare(figures[measure])) for measure in COLUMNS]
        table.add_row(name, str(figures["recall@5"].n), *cells)
    parts: list[RenderableType] = [
        f"{heading(result.data)}; {', '.join(f'{key} {value}' for key, value in result.system.items())}",
        table,
        verdict_table(result.verdicts) if result.verdicts else "",
        conclusion(result.verdicts, result.judged),
    ]
    return render(parts)


def public_text(result: PublicResult) -> str:
    """One row a data set: R@5, nDCG@10 and MRR@10 beside the goal, and what peers reach (R@5 / nDCG@10)."""
    from rag.evaluate.public import UPPER_BOUND, public_sets

    table = Table(box=box.SIMPLE)
    peers = list(dict.fromkeys(peer for chosen in public_sets() for peer in chosen.peers))
    for name in ("set", "n", "R@5", "nDCG@10", "MRR@10", "goal", "", *peers):
        table.add_column(name, justify="left" if name in ("set", "goal", "") else "right", no_wrap=True)
    short = {"recall@5": "R@5", "ndcg@10": "nDCG@10"}
    for chosen in public_sets():
        if chosen.name in result.results:
            figures = result.results[chosen.name].figures
            goal = ", ".join(f"{short[measure]} {value:.3g}" for measure, value in chosen.goal.items())
            cells = [shown(measure, _bare(figures[measure])) for measure in (*short, "mrr@10")]
            others = [" / ".join(f"{chosen.peers[peer][measure]:.3f}" for measure in short) for peer in peers]
            state = "reached" if result.reached(chosen) else "missed"
            n = str(figures["recall@5"].n)
            table.add_row(f"{chosen.name}{' *' if chosen.pool else ''}", n, *cells, goal, state, *others)
    pools = any(chosen.pool and chosen.name in result.results for chosen in public_sets())
    absent = f"not in the folder: {', '.join(result.absent)}" if result.absent else ""
    return render([table, f"* {UPPER_BOUND}" if pools else "", absent])


def intents_text(result: IntentResult) -> str:
    """One row a measure, beside what others published."""
    peers = result.known.peers if result.known else {}
    table = Table(box=box.SIMPLE)
    for name in ("measure", "n", "Shoptalk", *peers):
        table.add_column(name, justify="left" if name == "measure" else "right")
    for measure, figure in result.figures.items():
        others = (f"{peer[measure]:.3f}" if measure in peer else "-" for peer in peers.values())
        table.add_row(measure, str(figure.n), shown(measure, figure), *others)
    goal = f"; goal {result.known.goal:.3f}" if result.known else ""
    return render([f"{result.name}: out of scope below {result.threshold:.3f}, fitted on the training file{goal}", table])


def heading(data: Mapping[str, str]) -> str:
    """Which questions exactly."""
    return f"{data['path']} (digest {data['digest']}, {data['questions']} questions)"


def conclusion(verdicts: Sequence[Verdict], judged: bool) -> str:
    """One line to end with."""
    if not judged:
        return "only a part of the questions was asked: not judged"
    if not verdicts:
        return "expected.toml has no row for this set: not judged"
    failures = sum(verdict.verdict == "FAIL" for verdict in verdicts)
    return "all verdicts OK" if passed(verdicts) else f"{failures} of {len(verdicts)} verdicts FAIL"


def shown(metric: str, figure: Figure | None) -> str:
    """Milliseconds whole, everything else with three decimals."""
    if figure is None:
        return "-"
    value = f"{figure.value:.0f}" if metric.startswith("latency.") else f"{figure.value:.3f}"
    return f"{value} [{figure.low:.3f}, {figure.high:.3f}]" if figure.low is not None else value


def beside(overall: Mapping[str, Figures], metrics: Sequence[str] = tuple(METRICS)) -> Table:
    """One row a metric, one column a system."""
    table = Table(
        box=box.SIMPLE, caption="[95 % interval, 1000 bootstrap resamples]; - where a metric has no case", caption_justify="left"
    )
    table.add_column("metric")
    for name in overall:
        table.add_column(name, justify="right")
    table.add_column("n", justify="right")
    for metric in metrics:
        found = [figures.get(metric) for figures in overall.values()]
        if any(found):
            table.add_row(metric, *(shown(metric, figure) for figure in found), str(found[0].n if found[0] else "-"))
    return table


def by_group(groups: Mapping[str, Figures]) -> Table:
    """One row a group, one column a metric."""
    table = Table(box=box.SIMPLE)
    for name in ("group", "n", *GROUP_COLUMNS.values()):
        table.add_column(name.replace(" ", "\n"), justify="left" if name == "group" else "right", no_wrap=True)
    for name, figures in groups.items():
        cells = (shown(metric, _bare(figures.get(metric))) for metric in GROUP_COLUMNS)
        table.add_row(name, str(figures["score"].n), *cells)
    return table


def _bare(figure: Figure | None) -> Figure | None:
    return Figure(figure.value, figure.n) if figure else None


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    """Metric, expected, found, verdict."""
    table = Table(box=box.SIMPLE)
    for name in ("metric", "group", "expected", "found", "n", "verdict"):
        table.add_column(name, justify="right" if name in ("expected", "found", "n") else "left")
    for row in verdicts:
        found = "not measured" if row.found is None else f"{row.found:.4g}"
        colour = "green" if row.verdict == "OK" else "bold red"
        table.add_row(row.metric, row.group, row.expected, found, str(row.n), f"[{colour}]{row.verdict}[/]")
    return table


def render(parts: Sequence[RenderableType]) -> str:
    """Plain text; colours only where the terminal shows them."""
    probe = Console()
    console = Console(
        file=io.StringIO(), width=max(WIDTH, probe.width if probe.is_terminal else WIDTH), force_terminal=probe.is_terminal
    )
    for part in parts:
        if part != "":
            console.print(part, highlight=False, markup=not isinstance(part, str), soft_wrap=isinstance(part, str))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().rstrip()
