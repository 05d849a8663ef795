"""rag/retrieve/rerank.py: the first passages in a better order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from test_fuse import EXPIRED, SHOP, chunk, fused, query

from rag.errors import ModelFailed
from rag.ports import Scores
from rag.retrieve.explain import trace_table
from rag.retrieve.rerank import RerankedSource
from rag.retrieve.trace import Dropped
from rag.types import Chunk, Query

ASKED = query("how long does the battery last")
MANY = [chunk(f"{n:02}", "battery " * (20 - n) + "word " * n) for n in range(12)]


class Opinion:
    """Scores by what the texts hold; everything else is worth 0."""

    fingerprint = "opinion"

    def __init__(self, worth: Mapping[str, float]) -> None:
        self.worth = worth
        self.asked: list[tuple[str, list[str]]] = []

    def load(self) -> None:
        """Nothing to load."""

    def score(self, query: str, texts: Sequence[str]) -> Scores:
        self.asked.append((query, list(texts)))
        return np.array([max((worth for word, worth in self.worth.items() if word in text), default=0.0) for text in texts])


def reranked(
    worth: Mapping[str, float], chunks: Sequence[Chunk] = SHOP, candidates: int = 8, weight: float = 1.0
) -> RerankedSource:
    return RerankedSource(fused(chunks), Opinion(worth), candidates, weight)


def ids(source: RerankedSource, k: int = 4, asked: Query = ASKED) -> list[str]:
    return [passage.chunk.id for passage in source.find(asked, k)]


def test_opinion_and_fused_score_are_added_each_in_its_own_deviations() -> None:
    source = reranked({"lasts": 3.0, "tents": 9.0}, weight=0.7)
    found = source.find(ASKED, 4)
    old = np.array([passage.scores["fused"] for passage in found])
    opinions = np.array([passage.scores["rerank"] for passage in found])
    assert sorted(opinions) == [0, 0, 3, 9]
    total = (old - old.mean()) / old.std() + 0.7 * (opinions - opinions.mean()) / opinions.std()
    np.testing.assert_allclose([(passage.score - old.mean()) / old.std() for passage in found], total, atol=1e-6)
    assert np.all(np.diff(total) <= 0)
    assert {p.chunk.id: p.scores["fused"] for p in found} == {p.chunk.id: p.score for p in fused().find(ASKED, 4)}


def test_a_strong_opinion_wins_and_none_changes_nothing() -> None:
    plain = [passage.chunk.id for passage in fused().find(ASKED, 4)]
    assert plain[0] == "battery"
    assert ids(reranked({"tents": 1.0}, weight=9.0))[0] == "tent"
    assert ids(reranked({"tents": 1.0}, weight=0.0)) == plain
    assert ids(reranked({})) == plain  # all alike


def test_equal_fused_scores_are_parted_by_the_opinion() -> None:
    same = [chunk(id, "battery") for id in ("a", "b", "c")]
    source = RerankedSource(fused(same, faq=1.0), Opinion({"battery": 1.0}))
    assert ids(source, 3) == ["a", "b", "c"]
    source = RerankedSource(fused([*same, chunk("d", "battery life")], faq=1.0), Opinion({"life": 1.0}))
    assert ids(source, 2) == ["d", "a"]


def test_only_the_candidates_are_read_and_none_falls_behind_the_rest() -> None:
    plain = [passage.chunk.id for passage in fused(MANY).find(ASKED, 12)]
    opinion = Opinion({"battery": -1.0, f" {'word ' * 3}": 5.0})
    source = RerankedSource(fused(MANY), opinion, candidates=5, weight=50.0)
    found = source.find(ASKED, 12)
    assert len(opinion.asked) == 1 and len(opinion.asked[0][1]) == 5
    assert {p.chunk.id for p in found[:5]} == set(plain[:5]) and [p.chunk.id for p in found[5:]] == plain[5:]
    assert [p.chunk.id for p in found[:5]] != plain[:5]
    scores = [passage.score for passage in found]
    assert scores == sorted(scores, reverse=True)
    assert all("rerank" in p.scores for p in found[:5]) and not any("rerank" in p.scores for p in found[5:])


@pytest.mark.parametrize("k", [1, 3, 5, 7, 20])
def test_k_cuts_one_and_the_same_list(k: int) -> None:
    source = reranked({f"{'word ' * 4}": 1.0}, MANY, candidates=5, weight=2.0)
    assert source.find(ASKED, k) == source.find(ASKED, 20)[:k]


def test_nothing_or_one_passage_is_not_read() -> None:
    opinion = Opinion({})
    assert RerankedSource(fused([chunk("promotion", "battery", facets=EXPIRED)]), opinion).find(ASKED, 5) == []
    [only] = RerankedSource(fused([SHOP[0]]), opinion).find(ASKED, 5)
    assert opinion.asked == [] and "rerank" not in only.scores


def test_the_repaired_question_and_the_whole_passage_are_read() -> None:
    opinion = Opinion({})
    titled = [replace(item, title="Guide", headings=("Power",)) for item in SHOP]
    RerankedSource(fused(titled), opinion).find(query("batery", repaired="battery"), 2)
    RerankedSource(fused(titled), opinion).find(query("battery"), 2)
    assert [asked for asked, _ in opinion.asked] == ["battery", "battery"]
    assert "Guide > Power\nThe battery lasts twelve hours." in opinion.asked[0][1]


def test_explain_keeps_what_find_finds_and_names_what_was_reranked_away() -> None:
    late = chunk("promo", "battery sale", facets=EXPIRED)
    source = reranked({"tents": 1.0}, [*SHOP, *MANY, late], candidates=16, weight=9.0)
    plain = [passage.chunk.id for passage in fused([*SHOP, *MANY, late]).find(ASKED, 3)]
    trace = source.explain(ASKED, 3)
    kept = [one.passage for one in trace.considered if one.dropped is None]
    assert kept == source.find(ASKED, 3)
    away = {one.passage.chunk.id: one.dropped for one in trace.considered if one.dropped and one.dropped.reason == "rerank"}
    assert away == {plain[2]: Dropped("rerank", "3")} and str(away[plain[2]]) == "reranked away, was number 3"
    assert trace.considered[-1].passage.chunk.id == "promo"
    assert {one.dropped.reason for one in trace.considered if one.dropped} == {"rerank", "rank", "expired"}
    assert len({one.passage.chunk.id for one in trace.considered}) == len(trace.considered)
    assert trace.as_dict()["considered"][0]["scores"]["rerank"] == 1.0
    titles = [str(column.header) for column in trace_table(trace).columns]
    assert titles[6:8] == ["rerank", "score"]
    assert "rerank" not in [str(column.header) for column in trace_table(fused().explain(ASKED, 3)).columns]


def test_a_failing_reranker_is_no_empty_result() -> None:
    class Broken(Opinion):
        def score(self, query: str, texts: Sequence[str]) -> Scores:
            raise ModelFailed(expected="scores", found="none", remedy="another")

    with pytest.raises(ModelFailed):
        RerankedSource(fused(), Broken({})).find(ASKED, 3)


def test_names_and_filters_are_the_sources() -> None:
    source = fused()
    reranking = RerankedSource(source, Opinion({}))
    assert reranking.entities is source.entities and reranking.filters is source.filters
