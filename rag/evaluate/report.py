"""The report page: one self-contained HTML file, no scripts and nothing loaded from elsewhere."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.evaluate import plots, risk
from rag.evaluate.metrics import Figure
from rag.evaluate.score import LOWER_IS_BETTER, METRICS, Case, Marks, holds, is_right
from rag.evaluate.tables import GROUP_COLUMNS, conclusion, shown

if TYPE_CHECKING:
    from rag.evaluate.result import EvaluationResult

TEMPLATE = Path(__file__).with_name("report.html")
WORST = 20
CARDS = {
    "score": "Score: +1 right, 0 declined, −1 wrong",
    "answers.right": "Answerable questions answered right",
    "retrieval.recall@5": "Answer among the first 5 passages",
    "refusals.recall": "Unanswerable questions refused",
    "citations.verbatim": "Answers whose quotes are verbatim",
    "latency.first_token_p50": "Until the first word, median",
}


def page(result: EvaluationResult) -> str:
    """The whole page as HTML; every text from the corpus, the questions and the answers is escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        result=result,
        conclusion=conclusion(result.verdicts, result.judged),
        cards=[_card(result, metric, label) for metric, label in CARDS.items() if metric in result.ours],
        metrics=_beside(result),
        columns=list(GROUP_COLUMNS.values()),
        groups=_groups(result),
        plots=_plots(result),
        worst=[_shown_case(case) for case, _ in worst(result)],
    )


def worst(result: EvaluationResult) -> list[tuple[Case, Marks]]:
    """The cases to look at first: failures, then wrong answers by falling evidence, then refusals of what was found."""
    pairs = zip(result.cases, result.marks, strict=True)
    bad = [(case, mark) for case, mark in pairs if case.row.failed or mark["score"] < 0 or mark.get("refusals.false")]

    def rank(pair: tuple[Case, Marks]) -> tuple[bool, float, float]:
        case, mark = pair
        return (not case.row.failed, mark["score"], -(case.row.evidence or 0.0))

    return sorted(bad, key=rank)[:WORST]


def _card(result: EvaluationResult, metric: str, label: str) -> dict[str, str]:
    figure = result.ours[metric]
    if metric.startswith("latency."):
        value = f"{figure.value / 1000:.2f} s"
    elif metric == "score":
        value = f"{figure.value:+.2f}"
    else:
        value = f"{100 * figure.value:.1f} %"
    interval = f"95 %: {figure.low:.2f} … {figure.high:.2f}" if figure.low is not None else f"n = {figure.n}"
    others = [f"{name} {figures[metric].value:.2f}" for name, figures in list(result.overall.items())[1:] if metric in figures]
    baseline = " · ".join(others) if not metric.startswith("latency.") else ""
    return {"label": label, "value": value, "interval": interval, "baseline": baseline}


def _beside(result: EvaluationResult) -> list[dict[str, Any]]:
    rows = []
    for metric, says in METRICS.items():
        found = [figures.get(metric) for figures in result.overall.values()]
        if not any(found):
            continue
        values = [figure.value for figure in found if figure]
        best = min(values) if metric.startswith(LOWER_IS_BETTER) else max(values)
        cells = [{"text": shown(metric, figure), "best": bool(figure and figure.value == best)} for figure in found]
        rows.append({"metric": metric, "says": says, "cells": cells, "n": found[0].n if found[0] else "–"})
    return rows


def _groups(result: EvaluationResult) -> list[dict[str, Any]]:
    blocks = (("all", {"all": result.ours}), ("language", result.languages), ("kind", result.kinds), ("apart", result.apart))
    rows = []
    for block, groups in blocks:
        for name, figures in groups.items():
            cells = [_cell(metric, figures.get(metric)) for metric in GROUP_COLUMNS]
            rows.append({"block": block, "name": name.replace("_", " "), "n": figures["score"].n, "cells": cells})
    return rows


def _cell(metric: str, figure: Figure | None) -> dict[str, Any]:
    """Text and, for shares, how good it is in percent (drives the tint of the cell)."""
    if figure is None:
        return {"text": "–", "good": None}
    share = (figure.value + 1) / 2 if metric == "score" else figure.value
    good = 1 - share if metric.startswith(LOWER_IS_BETTER) else share
    return {"text": f"{figure.value:.2f}", "good": round(100 * good)}


def _plots(result: EvaluationResult) -> dict[str, str]:
    rows = [case.row for case in result.cases if case.row.first_ms is not None and case.row.total_ms is not None]
    blocks = {"all": result.cases, **{name: [c for c in result.cases if c.item.lang == name] for name in result.languages}}
    mixes = {name: Counter(case.row.rung or case.row.outcome for case in cases) for name, cases in blocks.items()}
    answerable = {name: figures for name, figures in result.kinds.items() if "answers.right" in figures}
    refusable = {name: figures for name, figures in result.kinds.items() if "refusals.recall" in figures}
    drawn = {"mix": plots.mix(mixes)}
    if rows:
        total = [row.total_ms for row in rows if row.total_ms is not None]
        drawn["latency"] = plots.latency([row.first_ms for row in rows if row.first_ms is not None], total)
        drawn["histogram"] = plots.histogram(total)
    if result.risk_curve:
        drawn["risk"] = plots.risk_coverage(result.risk_curve)
    if judged := risk.retrieval(result.cases):
        drawn["retrieval"] = plots.retrieval_risk({name: risk.curve(questions) for name, questions in judged.items()})
    if answerable:
        drawn["answerable"] = plots.bars(
            answerable, {"retrieval.recall@5": "answer found (top 5)", "answers.right": "answered right"}
        )
    if refusable:
        drawn["refusable"] = plots.bars(refusable, {"refusals.recall": "refused, as due"})
    return drawn


def _shown_case(case: Case) -> dict[str, Any]:
    ranks = [rank for rank, passage in enumerate(case.row.found, start=1) if holds(passage, case.item)]
    return {
        "item": case.item,
        "row": case.row,
        "wrong": case.row.answered and not (case.item.answerable and is_right(case)),
        "rank": f"rank {ranks[0]}" if ranks else "not among the first 10",
        "passages": case.row.found[:3],
    }
