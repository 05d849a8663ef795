"""The public sets: what others reach on them is stated in full, one run over several sets, what is absent is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rag.errors import DataError
from rag.evaluate.public import UPPER_BOUND, evaluate_public, public_sets
from rag.settings import Settings
from tests.test_retrieval_sets import QRELS, write


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", fakes=True)


def test_every_set_states_its_goal_and_the_same_peers() -> None:
    for chosen in public_sets():
        assert chosen.goal and set(chosen.peers) == {"BM25", "MiniLM", "fusion"}, chosen.name
        assert all(peer.keys() == {"recall@5", "ndcg@10"} for peer in chosen.peers.values()), chosen.name
    assert {chosen.name for chosen in public_sets() if chosen.pool} == {"mtrag_fiqa", "mtrag_clapnq"}


def test_the_sets_that_are_there_are_scored_into_one_table(settings: Settings, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    write(data / "mtrag_fiqa")
    write(data / "stackfaq")
    stages: list[str] = []
    result = evaluate_public(settings, data, progress=lambda stage, done, total: stages.append(stage))
    assert list(result.results) == ["mtrag_fiqa", "stackfaq"]
    assert "hint3_sofmattress" in result.absent
    assert {"mtrag_fiqa: embed", "stackfaq: ask"} <= set(stages)
    fiqa, stack = (line for line in result.table().splitlines() if line.strip().startswith(("mtrag_fiqa", "stackfaq")))
    assert fiqa.split()[:6] == ["mtrag_fiqa", "*", "3", "1.000", "1.000", "1.000"] and "reached" in fiqa
    assert stack.split()[:2] == ["stackfaq", "3"] and "0.994 / 0.957" in stack
    assert UPPER_BOUND in result.table() and "not in the folder: mtrag_clapnq" in result.table()
    shown = json.loads(json.dumps(result.as_dict()))["sets"]
    assert shown["mtrag_fiqa"]["note"] and not shown["stackfaq"]["note"]
    assert shown["stackfaq"]["goal"] == {"ndcg@10": 0.97} and shown["stackfaq"]["reached"] is True
    stages.clear()
    evaluate_public(settings, data, ["stackfaq"], progress=lambda stage, done, total: stages.append(stage))
    assert set(stages) == {"stackfaq: ask"}  # nothing is read, embedded or written a second time


def test_a_missed_goal_is_shown(settings: Settings, tmp_path: Path) -> None:
    queries = [{"_id": "q1", "text": "delivery delivery delivery"}]
    write(tmp_path / "data_stackfaq", queries=queries, qrels=QRELS[:2])
    (tmp_path / "data_stackfaq").rename(tmp_path / "stackfaq")
    result = evaluate_public(settings, tmp_path, ["stackfaq"], limit=1)
    assert not result.reached(next(chosen for chosen in public_sets() if chosen.name == "stackfaq"))
    assert "missed" in result.table() and "UPPER" not in result.table()


def test_what_is_absent_or_unknown_is_told(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected the folders mtrag_fiqa, .* found no such folder; bring"):
        evaluate_public(settings, tmp_path / "no")
    write(tmp_path / "stackfaq")
    with pytest.raises(DataError, match=r"expected the folders stackfaq, zh_cmrc2018 in .*; found no zh_cmrc2018; bring"):
        evaluate_public(settings, tmp_path, ["stackfaq", "zh_cmrc2018"])
    with pytest.raises(DataError, match=r"expected sets of mtrag_fiqa, .*; found trec; correct --set"):
        evaluate_public(settings, tmp_path, ["trec"])


def test_a_set_that_does_not_hang_together_ends_the_run(settings: Settings, tmp_path: Path) -> None:
    write(tmp_path / "stackfaq", qrels=[*QRELS, "q1\tno\t1"])
    with pytest.raises(DataError, match=r"every passage of qrels\.tsv .*stackfaq.*; found 1 that are not there: no"):
        evaluate_public(settings, tmp_path)
