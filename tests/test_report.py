"""From gold questions to rows, figures, table, JSON and page, with a stand-in for the assistant."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rag import build
from rag.errors import ModelFailed
from rag.evaluate.answers import Asker, evaluate_answers, fingerprint
from rag.evaluate.baselines import BestSentence, always_refuse
from rag.evaluate.gold import Message, Question, Source
from rag.evaluate.report import worst
from rag.evaluate.result import EvaluationResult, conclude
from rag.evaluate.rows import Row, RowFile
from rag.evaluate.score import Case, marks, relevant_chunks
from rag.settings import Settings
from rag.types import Answer, Chunk, Citation, Done, Event, History, Kind, Outcome, Passage, Query, Refused, Token, Turn

RETURNS = "You can return any product within 30 days of delivery. Opened packs are fine."
SHIPPING = "Standard delivery costs 4.95 EUR in the EU."
LAMP = "余烬 400 头灯的续航为 12 小时。"


def chunk(document: str, text: str) -> Chunk:
    return Chunk(
        id=f"{document}#1", document=document, entry="", ordinal=0, kind=Kind.PAGE, title=document, headings=(), text=text
    )


CHUNKS = [chunk("returns.md", RETURNS), chunk("shipping.md", SHIPPING), chunk("lamp.md", LAMP)]


def question(id: str, text: str, answer: str = "", document: str = "", quote: str = "", **other: object) -> Question:
    sources = [Source(document=document, quote=quote)] if quote else []
    given = {
        "id": id,
        "lang": "en",
        "question": text,
        "answer": answer,
        "answerable": bool(answer),
        "sources": sources,
        "kind": "single",
    }
    return Question.model_validate(given | other)


ITEMS = [
    question("q1", "How long can I return it?", "30 days", "returns.md", "within 30 days of delivery"),
    question("q2", "What does delivery cost?", "4.95 EUR", "shipping.md", "Standard delivery costs 4.95 EUR"),
    question("q3", "余烬 400 能用多久？", "12 小时", "lamp.md", "续航为 12 小时", lang="zh"),
    question("q4", "Do you sell tents?", kind="neighbour"),
    question("q5", "Will it rain <b>tomorrow</b>?", kind="off_topic"),
    question("q6", "And opened?", "Yes, opened packs are fine", "returns.md", "Opened packs are fine.", kind="dialogue",
             history=[Message(role="user", text="Can I return a lamp?"), Message(role="assistant", text="Yes.")]),
]  # fmt: skip


class Stub:
    """Answers q1 right with a citation, q2 with the wrong price, refuses q3 and q5, answers q4, fails on q6."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, History]] = []

    def find(self, question: str, history: History = (), k: int = 10) -> tuple[Query, list[Passage]]:
        order = CHUNKS if "return" in question else CHUNKS[::-1]
        return Query(question, question, "en"), [Passage(c, 1 - 0.1 * i, {"dense": 0.9 - 0.1 * i}) for i, c in enumerate(order)][
            :k
        ]

    def evidence(self, answer: Answer) -> float:
        return max(passage.scores["dense"] for passage in answer.passages)

    def answer(self, question: str, history: History = ()) -> Iterator[Event]:
        self.asked.append((question, history))
        query, passages = self.find(question, history)
        base = Answer("a", Outcome.ANSWERED, "", "generated", "en", query, 1, passages=tuple(passages))
        if "opened" in question:
            raise ModelFailed(expected="text", found="nothing", remedy="try again")
        if "余烬" in question or "rain" in question:
            yield Refused(replace(base, outcome=Outcome.REFUSED, text="I can't find that.", rung="refusal", reason="no_answer"))
            return
        yield Token("You ")
        if "return" in question:
            cited = Citation(1, "returns.md", "returns.md#1", RETURNS[:54], 0, 54)
            yield Done(replace(base, text="You can return it within 30 days [1].", citations=(cited,)))
        elif "cost" in question:
            cited = Citation(1, "lamp.md", "lamp.md#1", "made up", 0, 7)
            yield Done(replace(base, text="It costs 9.95 EUR [1].", citations=(cited,)))
        else:
            yield Done(replace(base, text="Yes, of course."))


@pytest.fixture
def rows(tmp_path: Path) -> list[Row]:
    return Asker(Stub(), "key").ask_all(ITEMS, RowFile(tmp_path / "rows.jsonl"))


@pytest.fixture
def result(rows: list[Row]) -> EvaluationResult:
    sentence = BestSentence(CHUNKS)
    baselines = {"best sentence": [sentence.answer(item) for item in ITEMS], "always refuse": always_refuse(ITEMS)}
    data = {"name": "test", "path": "gold/test", "digest": "abc", "questions": "6"}
    return conclude(data, {"generation": "1"}, ITEMS, rows, baselines, CHUNKS)


def value(result: EvaluationResult, metric: str, system: str = "Shoptalk") -> float:
    return result.overall[system][metric].value


def test_a_row_keeps_what_the_shopper_saw(rows: list[Row]) -> None:
    first, failed = rows[0], rows[5]
    assert (first.outcome, first.text, first.rung, first.evidence) == (
        "answered",
        "You can return it within 30 days [1].",
        "generated",
        0.9,
    )
    assert [passage.document for passage in first.found] == ["returns.md", "shipping.md", "lamp.md"]
    assert first.first_ms is not None and first.total_ms is not None and 0 < first.first_ms <= first.total_ms
    assert failed.outcome == "failed" and failed.reason == "expected text; found nothing; try again"


def test_history_reaches_the_assistant(tmp_path: Path) -> None:
    stub = Stub()
    Asker(stub, "key").ask_all(ITEMS[:1] + ITEMS[5:], RowFile(tmp_path / "rows.jsonl"))
    assert stub.asked[1] == ("And opened?", (Turn("user", "Can I return a lamp?"), Turn("assistant", "Yes.")))


def test_what_was_asked_is_not_asked_again(tmp_path: Path) -> None:
    file = RowFile(tmp_path / "rows.jsonl")
    before = Asker(Stub(), "key").ask_all(ITEMS, file)
    with (tmp_path / "rows.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"id": "q9", "cut o')  # a crash
    again = Stub()
    after = Asker(again, "key").ask_all(ITEMS, file)
    assert [asked for asked, _ in again.asked] == ["And opened?"]  # only the one that failed
    assert after == before
    other = Stub()
    Asker(other, "other settings").ask_all(ITEMS, file)
    assert len(other.asked) == len(ITEMS)
    changed = ITEMS[0].model_copy(update={"question": "How long may I return it?"})
    last = Stub()
    Asker(last, "other settings").ask_all([changed, *ITEMS[1:]], file)
    assert [asked for asked, _ in last.asked] == ["How long may I return it?", "And opened?"]


def test_figures_by_hand(result: EvaluationResult) -> None:
    assert value(result, "score") == pytest.approx((1 - 1 + 0 - 1 + 0 + 0) / 6)
    assert value(result, "answers.right") == 1 / 4
    assert value(result, "answers.wrong") == 2 / 6
    assert value(result, "answers.numbers_exact") == 1 / 2  # q1 of q1 and q2; q3 was refused
    assert value(result, "refusals.recall") == 1 / 2
    assert value(result, "refusals.precision") == 1 / 2
    assert value(result, "refusals.false") == 1 / 4
    assert value(result, "failures") == 1 / 6
    assert value(result, "citations.cited") == 2 / 3
    assert value(result, "citations.verbatim") == 1 / 2
    assert value(result, "citations.supporting") == 1 / 2
    assert value(result, "citations.document") == 1 / 2
    # ranks of the passage with the quote: q1 1, q2 2, q3 1, q6 3
    assert value(result, "retrieval.recall@1") == 2 / 4
    assert value(result, "retrieval.recall@5") == 1.0
    assert value(result, "retrieval.mrr@10") == pytest.approx((1 + 1 / 2 + 1 + 1 / 3) / 4)
    assert result.ours["latency.total_p95"].n == 5
    assert result.ours["score"].low is not None
    assert set(result.languages) == {"en", "zh"} and set(result.kinds) == {"single", "neighbour", "off_topic", "dialogue"}
    assert result.kinds["neighbour"]["score"].value == -1


def test_baselines_by_hand(result: EvaluationResult) -> None:
    assert value(result, "score", "always refuse") == 0
    assert value(result, "refusals.recall", "always refuse") == 1
    assert value(result, "refusals.false", "always refuse") == 1
    assert value(result, "citations.verbatim", "best sentence") == 1
    assert value(result, "retrieval.recall@10", "best sentence") == 1
    assert value(result, "refusals.recall", "best sentence") == 0


def test_best_sentence() -> None:
    row = BestSentence(CHUNKS).answer(ITEMS[1])
    assert row.text == SHIPPING
    assert row.citations[0].document == "shipping.md"
    opened = BestSentence(CHUNKS).answer(ITEMS[5])
    assert opened.text in ("Opened packs are fine.", RETURNS[:54])  # the turn before is part of the question


def test_every_chunk_with_a_quote_counts() -> None:
    copies = [*CHUNKS, chunk("copy.md", RETURNS.replace(" within ", "\nwithin "))]
    assert relevant_chunks(ITEMS, copies) == {"q1": 2, "q2": 1, "q3": 1, "q4": 0, "q5": 0, "q6": 2}


def test_risk_coverage(result: EvaluationResult) -> None:
    graded = [replace(case, row=case.row.model_copy(update={"evidence": 0.9 - n / 10})) for n, case in enumerate(result.cases)]
    curve = replace(result, cases=graded).risk_curve
    assert [point.coverage for point in curve] == [1 / 6, 2 / 6, 3 / 6]  # of all questions, declined ones among them
    assert curve[-1].risk == pytest.approx(2 / 3)  # two of three answers are wrong
    assert result.as_dict()["risk_coverage"] == [(0.9, 0.5, pytest.approx(2 / 3))]  # no threshold parts equal evidence
    place = next(n for n, case in enumerate(result.cases) if case.row.declined)
    silent = replace(result, cases=result.cases[place : place + 1], marks=result.marks[place : place + 1])
    assert silent.risk_curve == [] and silent.as_dict()["risk_coverage"] == []


def test_failed_turns_fail_the_verdict(result: EvaluationResult) -> None:
    assert not result.passed
    assert {(v.metric, v.verdict) for v in result.verdicts} >= {("failures", "FAIL"), ("citations.verbatim", "FAIL")}


def test_the_table(result: EvaluationResult) -> None:
    text = result.table()
    assert "gold/test (digest abc, 6 questions); generation 1" in text
    assert "best sentence" in text and "always refuse" in text
    assert "ended by: generated 3, refusal 2, failed 1" in text
    assert "verdicts FAIL" in text
    assert "0.250" in text


def test_questions_across_languages_stand_apart(rows: list[Row]) -> None:
    items = [item.model_copy(update={"kind": "cross"}) if item.id == "q3" else item for item in ITEMS]
    data = {"name": "x", "path": "x", "digest": "x", "questions": "6"}
    apart = conclude(data, {}, items, rows, {}, CHUNKS)
    assert {name: group["score"].n for name, group in apart.apart.items()} == {
        "all but cross": 5,
        "en, all but cross": 5,
        "zh, cross": 1,
    }
    assert apart.ours["score"].n == 6 and "all but cross" in apart.table()
    assert apart.as_dict()["apart"]["zh, cross"]["retrieval.recall@5"]["n"] == 1
    assert conclude(data, {}, ITEMS, rows, {}, CHUNKS).apart == {}


def test_questions_whose_answer_was_learnt_stand_apart(rows: list[Row]) -> None:
    known = [item for item in ITEMS if item.answerable][:1]
    data = {"name": "x", "path": "x", "digest": "x", "questions": "6"}
    apart = conclude(data, {}, ITEMS, rows, {}, CHUNKS, learnt=known).apart
    answerable = [item for item in ITEMS if item.answerable]
    alike = [item for item in answerable if set(item.quotes) & set(known[0].quotes)]
    assert {name: group["score"].n for name, group in apart.items()} == {
        "answer learnt": len(alike),
        "answer not learnt": len(answerable) - len(alike),
    }


def test_a_part_of_the_set_is_not_judged(rows: list[Row]) -> None:
    data = {"name": "test", "path": "gold/test", "digest": "abc", "questions": "6"}
    part = conclude(data, {}, ITEMS, rows, {}, CHUNKS, judged=False)
    assert part.passed and not part.verdicts
    assert "not judged" in part.table()


def test_json_and_page(result: EvaluationResult, tmp_path: Path) -> None:
    result.write(tmp_path / "out" / "test.json")
    written = json.loads((tmp_path / "out" / "test.json").read_text(encoding="utf-8"))
    assert written["overall"]["Shoptalk"]["answers.right"]["value"] == 0.25
    assert written["passed"] is False
    assert written["rows"][1]["marks"]["score"] == -1
    page = (tmp_path / "out" / "test.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;tomorrow" in page or "<b>tomorrow" not in page  # questions are escaped
    assert page.count("<svg") == 7
    assert written["retrieval_risk"]["zh"] == {"area": 0.0, "curve": [[0.9, 1.0, 0.0]]}
    assert "src=" not in page and "<script" not in page and 'href="http' not in page  # self-contained
    assert "余烬 400 能用多久？" in page


def test_the_worst_come_first(result: EvaluationResult) -> None:
    assert [case.item.id for case, _ in worst(result)] == ["q6", "q2", "q4", "q3"]


def test_a_metric_that_raises_ends_the_run(rows: list[Row], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> float:
        raise ValueError("broken metric")

    monkeypatch.setattr("rag.evaluate.metrics.rouge_l", broken)
    with pytest.raises(ValueError, match="broken metric"):
        conclude({"name": "x", "path": "x", "digest": "x", "questions": "6"}, {}, ITEMS, rows, {}, CHUNKS)


def test_the_whole_way_with_the_fakes(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    for piece in CHUNKS:
        (tmp_path / "shop" / piece.document).write_text(f"# {piece.document}\n\n{piece.text}\n", encoding="utf-8")
    gold = tmp_path / "gold" / "mine"
    gold.mkdir(parents=True)
    lines = (item.model_dump_json() + "\n" for item in ITEMS)
    (gold / "questions.jsonl").write_text("".join(lines), encoding="utf-8")
    (tmp_path / "gold" / "gold.toml").write_text("today = 2026-11-24\n", encoding="utf-8")
    settings = Settings(home=tmp_path / "home", corpus=tmp_path / "shop", fakes=True)
    build.run_ingest(settings)
    result = evaluate_answers(settings, gold, tmp_path / "out.json")
    assert result.data["name"] == "mine" and result.data["today"] == "2026-11-24"
    assert value(result, "retrieval.reachable") == 1.0
    assert value(result, "citations.verbatim", "best sentence") == 1.0
    assert result.overall["Shoptalk"]["failures"].value == 0
    assert not (tmp_path / "home" / "record.sqlite").exists()  # an evaluation is no conversation of the shop
    before = (tmp_path / "out.rows.jsonl").read_text(encoding="utf-8")
    again = evaluate_answers(settings, gold, tmp_path / "out.json")
    assert (tmp_path / "out.rows.jsonl").read_text(encoding="utf-8") == before and again.as_dict() == result.as_dict()
    assert (tmp_path / "out.html").is_file()


def test_everything_an_answer_depends_on_is_in_the_fingerprint(tmp_path: Path) -> None:
    settings = Settings()
    base = fingerprint(settings, "index", "model")
    assert base == fingerprint(settings.model_copy(update={"home": Path("elsewhere")}), "index", "model")
    (tmp_path / "fitted.toml").write_text("what is fitted for this home", encoding="utf-8")
    assert base != fingerprint(settings.model_copy(update={"home": tmp_path}), "index", "model")
    assert base != fingerprint(settings, "index 2", "model")
    assert base != fingerprint(settings, "index", "model 2")
    other = settings.model_copy(update={"retrieve": settings.retrieve.model_copy(update={"passages": 3})})
    assert base != fingerprint(other, "index", "model")


def test_a_marker_is_no_word_of_the_answer_and_refusals_have_an_f1_of_their_own() -> None:
    texts = ("30 days [1].", "I can't find that.")
    answered, refused = (
        marks(Case(ITEMS[0], Row(id="q1", fingerprint="", outcome=outcome, text=text), 1))
        for outcome, text in zip(("answered", "refused"), texts, strict=True)
    )
    assert answered["answers.f1"] == answered["answers.token_f1"] == 1
    assert refused["answers.token_f1"] == 0 and "answers.f1" not in refused
