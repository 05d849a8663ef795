"""From a folder of sets to a reranker and its card. `python -m rag tune reranker`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rag.language import detect
from rag.models.embed import SentenceEmbedder
from rag.tune.reranker.lists import Ranking, chosen, mined
from rag.tune.reranker.train import Plan, judged, start, train
from rag.tune.retriever.sources import LICENCES, gather

SHOWN = 7  # wrong passages beside the right one, where the model is judged
JUDGED = 400  # lists at most
SHARE_ALIKE = "CC BY-SA"
NOTICE = "Sets under CC BY-SA ask to be named, and that what is derived from them be shared under the same terms."
NAMES = {"hetpqa": "amazon_hetpqa_gen", "shop": "written"}  # group of pairs -> set, where they differ


def tune_reranker(base: Path, data: Path, out: Path, plan: Plan, command: str) -> dict[str, dict[str, float]]:
    """Train on what may be trained on under `data`, write the model and its card to out/model, and return its figures.

    Figures: language of the question -> way of ordering (rag.tune.reranker.train.judged) -> mean reciprocal rank on questions
    whose passages were held out. A killed run goes on from its checkpoint in `out`. Raises DataError for missing sets.
    """
    started = time.monotonic()
    embedder = SentenceEmbedder(base, dtype="auto")
    pairs = chosen(gather(data, {}, plan.seed).pairs, plan.pairs)
    lists = mined(pairs, embedder.embed, SHOWN, plan.seed)
    lessons = [Ranking(one.question, *_first(one, plan.wrong + 1)) for one in lists if not one.is_held_out]
    kept = [one for one in lists if one.is_held_out][:JUDGED]
    model = start(base, plan)
    train(model, lessons, plan, out)
    groups = {
        "en": [one for one in kept if detect(one.question) != "zh"],
        "zh": [one for one in kept if detect(one.question) == "zh"],
    }
    figures = {name: {"questions": float(len(group)), **judged(model, group)} for name, group in groups.items() if group}
    model.half().save(str(out / "model"), create_model_card=False)
    sets = sorted({group.partition("/")[0] for _, _, group in pairs})
    card = _card(embedder.fingerprint, plan, command, sets, len(lessons), figures, time.monotonic() - started)
    (out / "model" / "README.md").write_text(card, encoding="utf-8")
    return figures


def _first(one: Ranking, count: int) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """The right passage and the first wrong ones."""
    return one.texts[:count], one.cosines[:count]


def _card(
    base: str,
    plan: Plan,
    command: str,
    sets: Sequence[str],
    lessons: int,
    figures: Mapping[str, Mapping[str, float]],
    seconds: float,
) -> str:
    used = {name: LICENCES[NAMES.get(name, name)] for name in sets}
    share_alike = any(SHARE_ALIKE in licence for licence in used.values())
    lines = [
        "# A light reranker",
        "",
        f"A cross-encoder from the first {plan.layers or 'all'} layers of {base}, with a new head: one score for a question",
        "and a passage. English and Chinese, for a shop's documents.",
        "",
        f"Made by `{command}` in {seconds:.0f} s.",
        "",
        "## Learned from",
        "",
        f"{lessons} lists of one passage that answers and {plan.wrong} that the embedder finds for the question, too.",
        "",
        *(f"- {name}: {licence}" for name, licence in used.items()),
        *(["", NOTICE] if share_alike else []),
        "",
        "## Before and after",
        "",
        "Mean reciprocal rank of the passage that answers, among eight, where no passage with that answer was trained on:",
        "",
        "| language | questions | embedder | reranker | both |",
        "|---|---|---|---|---|",
    ]
    for name, group in figures.items():
        ranks = " | ".join(f"{group[way]:.3f}" for way in ("embedder", "reranker", "both"))
        lines.append(f"| {name} | {group['questions']:.0f} | {ranks} |")
    lines += ["", "## Numbers of the run", "", *(f"- {name}: {value}" for name, value in asdict(plan).items()), ""]
    return "\n".join(lines)
