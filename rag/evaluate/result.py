"""What an evaluation found: figures of the system and the baselines, by language and kind, verdicts; as text, JSON and a page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

from rag.evaluate import risk
from rag.evaluate.balance import shares_a_quote
from rag.evaluate.gold import GROUPS, KINDS, Question, groups_of
from rag.evaluate.rows import Row
from rag.evaluate.score import Case, Figures, Marks, figures, grouped, marks, relevant_chunks, rungs
from rag.evaluate.verdicts import Verdict, expectations, judge, passed
from rag.types import Chunk


@dataclass(frozen=True)
class EvaluationResult:
    """Everything the table, the JSON and the report show. `overall` is system -> metric -> figure, ours first."""

    data: Mapping[str, str]  # name, path, digest, questions
    system: Mapping[str, str]  # generation, documents, chunks, embedder, generator
    overall: Mapping[str, Figures]
    languages: Mapping[str, Figures]
    kinds: Mapping[str, Figures]
    apart: Mapping[str, Figures]  # by across() and by_learnt(); empty if there are none across languages, and nothing learnt
    verdicts: Sequence[Verdict]
    judged: bool  # False for a part of the set: then there are no verdicts
    cases: Sequence[Case]
    marks: Sequence[Marks]

    @property
    def passed(self) -> bool:
        """No verdict is FAIL."""
        return passed(self.verdicts)

    @property
    def ours(self) -> Figures:
        """The figures of the system measured."""
        return next(iter(self.overall.values()))

    @property
    def risk_curve(self) -> list[risk.Point]:
        """Share of answers that are wrong against the share of all questions answered; empty if nothing was answered."""
        answered = risk.answers(self.cases, self.marks)
        return risk.curve(answered, len(self.cases)) if answered else []

    def as_dict(self) -> dict[str, Any]:
        """The JSON form: README, `eval answers`."""
        return {
            "data": dict(self.data),
            "system": dict(self.system),
            "passed": self.passed,
            "judged": self.judged,
            "verdicts": [verdict.as_dict() for verdict in self.verdicts],
            "overall": {name: _plain(group) for name, group in self.overall.items()},
            "languages": {name: _plain(group) for name, group in self.languages.items()},
            "kinds": {name: _plain(group) for name, group in self.kinds.items()},
            "apart": {name: _plain(group) for name, group in self.apart.items()},
            "rungs": rungs(self.cases),
            "risk_coverage": [astuple(point) for point in self.risk_curve],
            "retrieval_risk": {
                name: {"area": risk.area(points), "curve": [astuple(point) for point in points]}
                for name, questions in risk.retrieval(self.cases).items()
                for points in [risk.curve(questions)]
            },
            "rows": [
                {**case.row.model_dump(exclude={"found", "passages"}), "marks": dict(mark)}
                for case, mark in zip(self.cases, self.marks, strict=True)
            ],
        }

    def table(self) -> str:
        """For the terminal."""
        from rag.evaluate.tables import answers_text

        return answers_text(self)

    def write(self, out: Path) -> None:
        """Write the JSON to `out` and the report page beside it."""
        from rag.evaluate.report import page

        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(self.as_dict(), ensure_ascii=False, indent=1), encoding="utf-8")
        out.with_suffix(".html").write_text(page(self), encoding="utf-8")


def _plain(group: Figures) -> dict[str, dict[str, float | int]]:
    return {name: {key: value for key, value in asdict(figure).items() if value is not None} for name, figure in group.items()}


def conclude(
    data: Mapping[str, str],
    system: Mapping[str, str],
    items: Sequence[Question],
    rows: Sequence[Row],
    baselines: Mapping[str, Sequence[Row]],
    chunks: Sequence[Chunk],
    judged: bool = True,
    learnt: Sequence[Question] = (),
) -> EvaluationResult:
    """Score `rows` and the baselines' rows on the same questions; judge by expected.toml if the set was asked whole.

    `learnt` are questions that models learnt from: those measured whose answer is the same sentence are also given apart.
    """
    relevant = relevant_chunks(items, chunks)

    def score(given: Sequence[Row]) -> tuple[list[Case], list[Marks]]:
        cases = [Case(item, row, relevant[item.id]) for item, row in zip(items, given, strict=True)]
        return cases, [marks(case) for case in cases]

    cases, ours = score(rows)
    overall = {"Shoptalk": figures(ours, intervals=True)} | {name: figures(score(b)[1]) for name, b in baselines.items()}
    languages = grouped(cases, ours, lambda case: case.item.lang)
    kinds = dict(sorted(grouped(cases, ours, lambda case: case.item.kind).items(), key=lambda pair: KINDS.index(pair[0])))
    apart = (across(cases, ours) if "cross" in kinds else {}) | (by_learnt(cases, ours, learnt) if learnt else {})
    expected = expectations("answers", data["name"]) if judged else []
    verdicts = judge(expected, {"all": overall["Shoptalk"], **languages, **kinds, **apart})
    return EvaluationResult(data, system, overall, languages, kinds, apart, verdicts, judged, cases, ours)


def by_learnt(cases: Sequence[Case], all_marks: Sequence[Marks], learnt: Sequence[Question]) -> dict[str, Figures]:
    """Figures of the answerable questions, but those across languages, whose answering sentence answers a `learnt` one, and of
    the others.
    """
    is_learnt = shares_a_quote(learnt)
    names = {True: "answer learnt", False: "answer not learnt"}
    own = [(c, m) for c, m in zip(cases, all_marks, strict=True) if c.item.answerable and c.item.kind != "cross"]
    return grouped([case for case, _ in own], [mark for _, mark in own], lambda case: names[is_learnt(case.item)])


def across(cases: Sequence[Case], all_marks: Sequence[Marks]) -> dict[str, Figures]:
    """Figures of the questions across languages and of all others, each also by language."""
    names = [name for name in GROUPS if "cross" in name]
    pairs = list(zip(cases, all_marks, strict=True))
    chosen = {name: [mark for case, mark in pairs if name in groups_of(case.item)] for name in names}
    return {name: figures(marked) for name, marked in chosen.items() if marked}
