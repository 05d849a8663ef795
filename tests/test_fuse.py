from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import pytest

from rag.retrieve.fuse import CONTEXT, NEGATIVE, OWN_LANGUAGE, OWN_PRODUCT, FusedSource, holds
from rag.retrieve.products import Products
from rag.types import Chunk, Facets, Kind, Language, Passage, Query

TODAY = date(2026, 5, 1)


def chunk(id: str, **more: object) -> Chunk:
    facets = more.pop("facets", Facets(language="en"))
    return Chunk(id, "page.md", "", 0, Kind.PAGE, str(more.pop("title", "")), (), id, facets=facets, **more)  # type: ignore[arg-type]


class Fixed:
    """A source that always finds the same; as the dense one, it gives 0.2 to chunks it did not find itself."""

    def __init__(self, name: str, scores: dict[str, float], chunks: dict[str, Chunk] | None = None) -> None:
        self.name = name
        self.passages = [Passage((chunks or {}).get(id) or chunk(id), score, {name: score}) for id, score in scores.items()]
        self.asked: list[int] = []

    def find(self, query: Query, k: int, including: Iterable[Chunk] = ()) -> list[Passage]:
        self.asked.append(k)
        found = self.passages[:k]
        known = {passage.chunk.id for passage in found}
        return found + [Passage(item, 0.2, {self.name: 0.2}) for item in including if item.id not in known]


def fused(
    dense: dict[str, float],
    lexical: dict[str, float],
    chunks: dict[str, Chunk] | None = None,
    en: float = 0.25,
    candidates: int = 50,
) -> FusedSource:
    weights: dict[Language, float] = {"en": 0.25, "zh": 1.0}
    return FusedSource(Fixed("dense", dense, chunks), Fixed("lexical", lexical, chunks), weights, candidates, today=lambda: TODAY)


def query(text: str = "?", language: Language = "en") -> Query:
    return Query(text, text, language)


def scores(found: list[Passage]) -> dict[str, float]:
    return {passage.chunk.id: passage.score for passage in found}


def test_scores_are_parts_of_the_best_and_weighed() -> None:
    found = fused({"a": 0.8, "b": 0.4}, {"b": 6.0, "c": 3.0}).find(query(), 5)
    # dense parts: a 0.8/0.8, b 0.4/0.8, c asked for by id 0.2/0.8; lexical parts: a 0, b 6/6, c 3/6
    expected = {"a": 0.75 * 1 + 0, "b": 0.75 * 0.5 + 0.25 * 1, "c": 0.75 * 0.25 + 0.25 * 0.5}
    assert scores(found) == {id: pytest.approx(score + OWN_LANGUAGE) for id, score in expected.items()}
    assert [passage.chunk.id for passage in found] == ["a", "b", "c"]
    assert [dict(passage.scores) for passage in found] == [
        {"dense": 0.8},
        {"dense": 0.4, "lexical": 6.0},
        {"dense": 0.2, "lexical": 3.0},
    ]


def test_the_weight_goes_by_the_language_of_the_question() -> None:
    source = fused({"a": 0.8, "b": 0.4}, {"b": 6.0})
    assert [passage.chunk.id for passage in source.find(query(language="en"), 1)] == ["a"]
    assert [passage.chunk.id for passage in source.find(query(language="zh"), 1)] == ["b"]


def test_each_source_is_asked_for_the_candidates_and_no_fewer_than_k() -> None:
    source = fused({"a": 0.5}, {"a": 1.0}, candidates=3)
    source.find(query(), 2)
    source.find(query(), 7)
    assert source._dense.asked == source._lexical.asked == [3, 7]  # type: ignore[attr-defined]


def test_ties_go_by_id_and_k_cuts() -> None:
    found = fused({"b": 0.5, "a": 0.5, "c": 0.5}, {}).find(query(), 2)
    assert [passage.chunk.id for passage in found] == ["a", "b"]


def test_nothing_found_is_nothing() -> None:
    assert fused({}, {}).find(query(), 5) == []


def test_negative_cosines_count_as_none() -> None:
    found = fused({"a": 0.4, "b": -0.2}, {"b": 1.0}).find(query(), 5)
    assert scores(found) == {"a": pytest.approx(0.75 + OWN_LANGUAGE), "b": pytest.approx(0.25 + OWN_LANGUAGE)}
    found = fused({"a": -0.2}, {}).find(query(), 5)
    assert scores(found) == {"a": pytest.approx(OWN_LANGUAGE)}


def test_the_questions_language_is_preferred_but_not_required() -> None:
    chunks = {"en": chunk("en"), "zh": chunk("zh", facets=Facets(language="zh")), "both": chunk("both", facets=Facets())}
    found = fused({"zh": 0.5, "en": 0.5, "both": 0.5}, {}, chunks).find(query(), 5)
    assert [passage.chunk.id for passage in found] == ["both", "en", "zh"]


@pytest.mark.parametrize(
    ("facets", "expected"),
    [
        (Facets(), True),
        (Facets(valid_from=TODAY), True),
        (Facets(valid_to=TODAY), True),
        (Facets(valid_from=date(2026, 5, 2)), False),
        (Facets(valid_to=date(2026, 4, 30)), False),
        (Facets(valid_from=date(2026, 1, 1), valid_to=date(2026, 12, 31)), True),
    ],
)
def test_only_what_is_in_force_is_found(facets: Facets, expected: bool) -> None:
    assert holds(facets, TODAY) is expected
    found = fused({"a": 0.9}, {"a": 1.0}, {"a": chunk("a", facets=facets)}).find(query(), 5)
    assert bool(found) is expected


FAQ = chunk(
    "faq",
    title="Can I return a used headlamp?",
    aliases=("May I send back an opened lamp?",),
    negatives=("Can I return a used sleeping bag?", "可以退睡袋吗？"),
)


@pytest.mark.parametrize(
    ("text", "pushed"),
    [
        ("Can I return a used headlamp?", False),
        ("can i RETURN a used sleeping-bag", False),  # one word for the tokenizer: nearer to the question it answers
        ("Can I return a used sleeping bag?", True),
        ("can I return a sleeping bag", True),
        ("可以退睡袋嗎", True),
        ("How bright is it?", False),
    ],
)
def test_a_faq_is_pushed_down_by_a_question_it_does_not_answer(text: str, pushed: bool) -> None:
    [found] = fused({"faq": 0.9}, {}, {"faq": FAQ}).find(query(text), 5)
    assert found.score == pytest.approx(0.75 + OWN_LANGUAGE - (NEGATIVE if pushed else 0))


LAMPS = Products({"HL210": "HL210", "Ember 400 Lamp": "HL210", "余烬 400 头灯": "HL210"})


class Echo:
    """Finds a chunk whose id is the query's text, and keeps what it was asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: list[str] = []

    def find(self, query: Query, k: int, including: Iterable[Chunk] = ()) -> list[Passage]:
        self.asked.append(query.text)
        return [Passage(chunk(query.text), len(query.text) / 10, {self.name: len(query.text) / 10})]


def echoing(products: Products = LAMPS) -> tuple[FusedSource, Echo]:
    dense = Echo("dense")
    return FusedSource(dense, Echo("lexical"), {"en": 0.25, "zh": 1.0}, products=products, today=lambda: TODAY), dense


def test_chunks_about_a_product_that_is_named_come_first() -> None:
    chunks = {
        "page": chunk("page", facets=Facets(product="HL210", language="en")),
        "faq": chunk("faq", title="How bright is the 余烬400?"),
        "other": chunk("other"),
    }
    sources = Fixed("dense", {"other": 1.0, "faq": 0.9, "page": 0.8}, chunks), Fixed("lexical", {})
    source = FusedSource(*sources, {"en": 0.0, "zh": 0.0}, products=LAMPS, today=lambda: TODAY)
    found = scores(source.find(query("is ember400 bright?"), 5))
    assert found == {
        "faq": pytest.approx(0.9 + OWN_PRODUCT + OWN_LANGUAGE),
        "page": pytest.approx(0.8 + OWN_PRODUCT + OWN_LANGUAGE),
        "other": pytest.approx(1.0 + OWN_LANGUAGE),
    }
    assert list(scores(source.find(query("is it bright?"), 5))) == ["other", "faq", "page"]
    before = Query("is it bright?", "is it bright?", "en", context="Tell me about the Ember 400.")
    assert scores(source.find(before, 5))["faq"] == pytest.approx(0.9 + CONTEXT * OWN_PRODUCT + OWN_LANGUAGE)


def test_the_catalogues_spelling_is_searched_too() -> None:
    source, dense = echoing()
    source.find(query("is ember400 bright?"), 5)
    source.find(query("is the Ember 400 bright?"), 5)
    assert dense.asked == ["is ember400 bright? Ember 400", "is the Ember 400 bright?"]


def test_the_context_is_half_of_the_search() -> None:
    source, dense = echoing()
    found = source.find(Query("how long?", "how long?", "en", context="The battery."), 5)
    assert dense.asked == ["how long?", "how long? The battery."]
    assert scores(found) == {
        "how long?": pytest.approx(0.5 + OWN_LANGUAGE),
        "how long? The battery.": pytest.approx(0.5 + OWN_LANGUAGE),
    }


def test_a_passage_of_both_searches_keeps_what_the_question_alone_was_given() -> None:
    class Growing(Fixed):
        def find(self, query: Query, k: int, including: Iterable[Chunk] = ()) -> list[Passage]:
            return [Passage(chunk("a"), score, {"dense": score}) for score in [0.1 * len(query.text)]]

    source = FusedSource(Growing("dense", {}), Fixed("lexical", {}), {"en": 0.0, "zh": 0.0}, today=lambda: TODAY)
    [found] = source.find(Query("abc", "abc", "en", context="def"), 5)
    assert found.scores == {"dense": pytest.approx(0.3)}
    assert found.score == pytest.approx(1 + OWN_LANGUAGE)
