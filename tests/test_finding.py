"""Retrieval alone on gold questions: scored by hand, grouped, and a whole run with the fakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rag import build
from rag.errors import DataError, NoIndex
from rag.evaluate.finding import Search, evaluate_gold, figures, search_all
from rag.evaluate.gold import Question, groups_of
from rag.settings import Settings
from rag.types import Chunk, History, Kind, Passage, Query


def question(id: str, **given: Any) -> Question:
    source = {"document": "a.md", "quote": "within 30 days"}
    plain = {"id": id, "lang": "en", "question": "How long?", "answer": "30 days", "answerable": True, "kind": "single"}
    return Question.model_validate({**plain, "sources": [source], **given})


def passage(id: str, text: str) -> Passage:
    chunk = Chunk(id=id, document="a.md", entry="", ordinal=0, kind=Kind.PAGE, title="", headings=(), text=text)
    return Passage(chunk, 1.0)


HELD, OTHER = passage("a.md#1", "You may return it\nwithin 30  days."), passage("a.md#2", "within 3 days")


def search(item: Question, *passages: Passage) -> Search:
    def find(text: str, history: History, k: int) -> tuple[Query, list[Passage]]:
        return Query(text, text, "en"), list(passages)[:k]

    [found] = search_all(find, [item], [HELD.chunk, OTHER.chunk])
    return found


def test_a_search_is_scored_by_hand() -> None:
    third = search(question("q1"), OTHER, OTHER, HELD)
    assert (third.rank, third.relevant) == (3, 1)
    assert third.marks() == {
        "reachable": 1,
        "recall@1": 0,
        "recall@5": 1,
        "recall@10": 1,
        "mrr@10": pytest.approx(1 / 3),
        "ndcg@10": pytest.approx(1 / 2),
    }
    missed = search(question("q2"), OTHER)
    assert missed.rank == 0 and missed.marks()["ndcg@10"] == 0
    assert figures([third, missed])["mrr@10"].value == pytest.approx(1 / 6)


def test_a_source_that_names_a_row_counts_in_that_row_only() -> None:
    item = question("q1", sources=[{"document": "a.md", "quote": "within 30 days", "entry": "row 7"}])
    assert search(item, HELD).rank == 0 and search(item, HELD).marks()["reachable"] == 0


def test_questions_across_languages_stand_apart() -> None:
    assert groups_of(question("q1", kind="cross")) == {"all", "en, cross", "first turns"}
    turns = [{"role": "user", "text": "Hi"}]
    assert groups_of(question("q2", lang="zh", kind="dialogue", history=turns)) == {
        "all",
        "all but cross",
        "zh, all but cross",
        "zh, dialogue",
        "later turns",
    }


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "a.md").write_text("# Returns\n\nYou may return any product within 30 days.\n", encoding="utf-8")
    return Settings(home=tmp_path / "home", corpus=tmp_path / "shop", fakes=True)


def gold(tmp_path: Path, *items: Question) -> Path:
    path = tmp_path / "gold.jsonl"
    path.write_text("".join(item.model_dump_json() + "\n" for item in items), encoding="utf-8")
    return path


def test_a_whole_run_with_the_fakes(settings: Settings, tmp_path: Path) -> None:
    build.run_ingest(settings)
    declined = question("q9", answer="", answerable=False, sources=[], kind="off_topic")
    path = gold(tmp_path, question("q1", question="return product days"), question("q2", kind="cross", lang="zh"), declined)
    result = evaluate_gold(settings, path)
    assert list(result.groups) == ["all", "all but cross", "en, all but cross", "first turns", "en, single", "zh, cross"]
    assert result.groups["all"]["recall@5"].n == 2 and result.groups["en, single"]["recall@1"].value == 1.0
    assert "zh, cross" in result.table()
    shown = json.loads(json.dumps(result.as_dict()))
    assert [(row["id"], row["rank"]) for row in shown["rows"]] == [("q1", 1), ("q2", 1)]
    assert list(evaluate_gold(settings, path, ["cross"]).groups) == ["all", "first turns", "zh, cross"]


def test_nothing_to_ask_and_nowhere_to_search(settings: Settings, tmp_path: Path) -> None:
    path = gold(tmp_path, question("q1"))
    with pytest.raises(DataError, match="expected an answerable question of kind cross in .*; found none"):
        evaluate_gold(settings, path, ["cross"])
    with pytest.raises(DataError, match="expected kinds of single, .*; found crss; correct --kind"):
        evaluate_gold(settings, path, ["crss"])
    with pytest.raises(NoIndex):
        evaluate_gold(settings, path)
