"""Rows -> marks -> figures: what each question is worth, then means over all, by language and by kind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rag.evaluate import metrics
from rag.evaluate.gold import Question
from rag.evaluate.metrics import Figure
from rag.evaluate.numerals import numbers
from rag.evaluate.rows import Found, Row
from rag.language import detect
from rag.types import Chunk

Marks = Mapping[str, float]
Figures = dict[str, Figure]

_MARKER = re.compile(r"\s?\[\d+\]")  # of a citation, no word of the answer

# metric -> what it says, in the order of the tables
METRICS = {
    "score": "+1 right, 0 declined, -1 wrong, over all questions",
    "retrieval.reachable": "answerable questions whose quote stands in some passage of the index",
    "retrieval.recall@1": "answerable questions with a passage that holds the answer at rank 1",
    "retrieval.recall@5": "... among the first 5",
    "retrieval.recall@10": "... among the first 10",
    "retrieval.mrr@10": "mean of 1 / rank of the first passage that holds the answer",
    "retrieval.ndcg@10": "discounted gain against the best possible order",
    "answers.right": "answerable questions answered right (rules in metrics.right)",
    "answers.wrong": "all questions answered wrong, unanswerable ones included",
    "answers.token_f1": "English: shared words with the gold answer; a refusal counts 0",
    "answers.character_f1": "Chinese: shared characters with the gold answer; a refusal counts 0",
    "answers.f1": "... of the answers given to answerable questions, in either language",
    "answers.rouge_l": "longest common subsequence with the gold answer; a refusal counts 0",
    "answers.numbers_exact": "answers given, with numbers in them or in the gold answer: all are right",
    "refusals.precision": "refusals that were due",
    "refusals.recall": "unanswerable questions that were refused",
    "refusals.false": "answerable questions that were refused",
    "citations.cited": "answers given that cite something",
    "citations.verbatim": "answers with citations: every quote stands in its passage, character by character",
    "citations.supporting": "answers with citations: one quotes the gold words, or a passage that holds them",
    "citations.document": "answers with citations: one points to a document that holds the answer",
    "failures": "questions whose turn raised an error",
    "latency.first_token_p50": "ms until the first word, median",
    "latency.first_token_p95": "ms until the first word, 95th percentile",
    "latency.total_p50": "ms until the answer stands, median",
    "latency.total_p95": "ms until the answer stands, 95th percentile",
}
LOWER_IS_BETTER = ("answers.wrong", "refusals.false", "failures", "latency.")
WITH_INTERVAL = ("score", "retrieval.recall@5", "answers.right", "answers.token_f1", "answers.character_f1", "refusals.recall")


@dataclass(frozen=True, slots=True)
class Case:
    """A gold question, the row it got, and how many passages of the index hold its answer."""

    item: Question
    row: Row
    relevant: int


def relevant_chunks(items: Sequence[Question], chunks: Iterable[Chunk]) -> dict[str, int]:
    """Id -> number of chunks that hold one of the question's quotes, see `holds`."""
    texts = [(metrics.squeeze(chunk.text), chunk.entry) for chunk in chunks]
    return {
        item.id: sum(any(quote in text and key in ("", entry) for quote, key in wanted) for text, entry in texts)
        for item in items
        for wanted in [[(metrics.squeeze(source.quote), source.entry) for source in item.sources]]
    }


def holds(passage: Found, item: Question) -> bool:
    """Whether a passage holds the answer: one of the gold quotes, in whatever document, but in the row that the source names."""
    return metrics.holds(passage.text, [source.quote for source in item.sources if source.entry in ("", passage.entry)])


def marks(case: Case) -> Marks:
    """What one row is worth under each metric that applies to it."""
    found: dict[str, float] = {"failures": case.row.failed, "score": verdict(case)}
    if case.item.answerable:
        found |= _retrieval(case) | _text(case)
        found["refusals.false"] = case.row.declined
    else:
        found["refusals.recall"] = case.row.declined
    if case.row.declined:
        found["refusals.precision"] = not case.item.answerable
    found["answers.wrong"] = found["score"] < 0
    if case.row.answered:
        found |= _citations(case)
    if case.row.first_ms is not None and case.row.total_ms is not None:
        found |= {"latency.first_token": case.row.first_ms, "latency.total": case.row.total_ms}
    return found


def verdict(case: Case) -> float:
    """+1 right, 0 no claim made, -1 wrong (the scoring of the CRAG benchmark, Yang et al. 2024, with rules for a judge)."""
    if not case.row.answered:
        return 0.0
    return 1.0 if case.item.answerable and is_right(case) else -1.0


def is_right(case: Case) -> bool:
    """metrics.right; or it says a gold quote word for word, in the question's language and not too long.

    "You must be at least 16 years old" answers a mother of a child of fourteen without the gold answer's "no". Numbers may also
    come from a passage that holds the answer, since vetted answers say more than asked.
    """
    text, lang = case.row.text, case.item.lang
    if metrics.holds(text, case.item.quotes) and metrics.is_short(text, lang) and detect(text) in (None, lang):
        return True
    source = [passage.text for passage in case.row.passages if holds(passage, case.item)]
    return metrics.right(case.row.text, case.item.answer, case.item.lang, [*_known(case), *source])


def _known(case: Case) -> list[str]:
    return [*case.item.quotes, case.item.question, *(turn.text for turn in case.item.history)]


def _retrieval(case: Case) -> dict[str, float]:
    relevances = [holds(passage, case.item) for passage in case.row.found]
    # Each passage that holds a quote holds the whole answer, so one found is all that is needed: recall against a total of 1.
    found = {f"retrieval.recall@{k}": float(any(relevances[:k])) for k in (1, 5, 10)}
    found["retrieval.reachable"] = float(case.relevant > 0)
    found["retrieval.mrr@10"] = metrics.reciprocal_rank(relevances)
    found["retrieval.ndcg@10"] = metrics.ndcg(relevances, max(case.relevant, sum(relevances), 1))
    return found


def _text(case: Case) -> dict[str, float]:
    given, item = _MARKER.sub("", case.row.text) if case.row.answered else "", case.item
    name = "answers.character_f1" if item.lang == "zh" else "answers.token_f1"
    found = {
        name: metrics.answer_f1(given, item.answer, item.lang),
        "answers.rouge_l": metrics.rouge_l(given, item.answer, item.lang),
        "answers.right": float(case.row.answered and is_right(case)),
    }
    if case.row.answered:
        found["answers.f1"] = found[name]
    if given and (numbers(given) or numbers(item.answer)):
        found["answers.numbers_exact"] = metrics.numbers_exact(given, item.answer, _known(case))
    return found


def _citations(case: Case) -> dict[str, float]:
    cited = case.row.citations
    found: dict[str, float] = {"citations.cited": bool(cited)}
    if not cited:
        return found
    texts = {passage.id: passage.text for passage in case.row.passages}
    found["citations.verbatim"] = all(texts.get(c.chunk, "")[c.start : c.end] == c.quote != "" for c in cited)
    if case.item.answerable:
        proofs = {passage.id for passage in case.row.passages if holds(passage, case.item)}
        found["citations.supporting"] = any(metrics.overlaps(c.quote, case.item.quotes) or c.chunk in proofs for c in cited)
        found["citations.document"] = any(c.document in {source.document for source in case.item.sources} for c in cited)
    return found


def figures(all_marks: Sequence[Marks], intervals: bool = False) -> Figures:
    """The mean of every metric over the rows it applies to; percentiles for latency. Metrics without a row are left out."""
    found: Figures = {}
    for name in METRICS:
        plain, _, share = name.rpartition("_p") if name.startswith("latency.") else (name, "", "")
        values = [row[plain] for row in all_marks if plain in row]
        if values and share:
            found[name] = metrics.percentile(values, float(share))
        elif values:
            found[name] = metrics.mean(values, intervals and name in WITH_INTERVAL)
    return found


def grouped(cases: Sequence[Case], all_marks: Sequence[Marks], key: Callable[[Case], str]) -> dict[str, Figures]:
    """Figures by group, the groups in the order they first come."""
    names = dict.fromkeys(key(case) for case in cases)
    return {name: figures([m for case, m in zip(cases, all_marks, strict=True) if key(case) == name]) for name in names}


def rungs(cases: Iterable[Case]) -> dict[str, int]:
    """How many turns each rung ended, most first."""
    return dict(Counter(case.row.rung or case.row.outcome for case in cases).most_common())
