from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from indexing import lexical_index, question_index, sentence_index

from rag.fakes import HashEmbedder, MemoryStore
from rag.retrieve.entities import NOTHING, Entities
from rag.retrieve.features import FEATURES, fitted
from rag.retrieve.fuse import FEW, FusedSource
from rag.retrieve.trace import Dropped
from rag.types import Chunk, Facets, Filter, Kind, Language, Query

TODAY = date(2026, 5, 1)
EXPIRED = Facets("en", valid_to=date(2026, 4, 30))
SOON = Facets("en", valid_from=date(2026, 6, 1))


def chunk(id: str, text: str, **more: object) -> Chunk:
    facets = more.pop("facets", Facets(language="en"))
    kind, title = more.pop("kind", Kind.PAGE), str(more.pop("title", ""))
    return Chunk(id, "page.md", "", 0, kind, title, (), text, facets=facets, **more)  # type: ignore[arg-type]


SHOP = [
    chunk("battery", "The battery lasts twelve hours."),
    chunk("charge", "Charging the battery takes three hours."),
    chunk("return", "You can return a lamp within thirty days."),
    chunk("tent", "Our tents are waterproof."),
]


class Counting(HashEmbedder):
    """Counts the calls."""

    calls = 0

    def embed(self, texts: Sequence[str]) -> np.ndarray:  # type: ignore[type-arg]
        self.calls += 1
        return super().embed(texts)


def weights(**named: float) -> Mapping[Language, np.ndarray]:  # type: ignore[type-arg]
    row = np.array([named.get(name, 0.0) for name in FEATURES])
    assert set(named) <= set(FEATURES)
    return {"en": row, "zh": row}


def fused(chunks: Sequence[Chunk] = SHOP, entities: Entities | None = None, candidates: int = 50, **named: float) -> FusedSource:
    store, embedder = MemoryStore(), Counting(dimension=256)
    if chunks:
        store.add(chunks, embedder.embed([item.search_text for item in chunks]))
    embedder.calls = 0
    words, questions = lexical_index(chunks), question_index(chunks, embedder.embed)
    subjects = entities or NOTHING
    sentences = sentence_index(chunks, embedder.embed)
    embedder.calls = 0
    return FusedSource(
        store, embedder, words, questions, sentences, subjects, weights(**named) if named else None, candidates, lambda: TODAY
    )


def subjects(chunks: Sequence[Chunk]) -> Entities:
    ordered = sorted(chunks, key=lambda item: item.id)
    return Entities.of(ordered, lexical_index(ordered).words)


def query(text: str = "battery", **more: object) -> Query:
    return Query(text, text, "en", **more)  # type: ignore[arg-type]


def ids(source: FusedSource, asked: Query, k: int = 5) -> list[str]:
    return [passage.chunk.id for passage in source.find(asked, k)]


def test_the_score_is_the_weighted_sum_of_the_features() -> None:
    [first, second, *_] = fused(dense=2.0, lexical_part=1.0, language=0.25).find(query("how long does the battery last"), 4)
    assert first.chunk.id == "battery"
    assert first.score == pytest.approx(2 * first.scores["dense"] + 1 + 0.25, abs=1e-5)
    part = second.scores["lexical"] / first.scores["lexical"]
    assert second.score == pytest.approx(2 * second.scores["dense"] + part + 0.25, abs=1e-5)


def test_scores_hold_what_each_search_gave() -> None:
    faq = chunk("faq", "Can I post it back? Yes.", kind=Kind.FAQ, title="Can I post it back?", answer="Yes.")
    found = {passage.chunk.id: passage.scores for passage in fused([*SHOP, faq]).find(query("can I post it back"), 5)}
    assert set(found["faq"]) == {"dense", "lexical", "question"} and found["faq"]["question"] > 0.9
    assert set(found["tent"]) == {"dense"}


def test_each_search_brings_its_own_candidates() -> None:
    chunks = [chunk(f"{number:02}", f"unrelated {number} words") for number in range(20)]
    chunks += [
        chunk("meaning", "battery battery life"),
        chunk("words", "one two three four five six seven eight nine ten eleven twelve battery"),
        chunk("faq", "x", kind=Kind.FAQ, title="What of the battery?", answer="x"),
    ]
    found = set(ids(fused(chunks, candidates=1), query("what of the battery"), 1))
    pool = {one.passage.chunk.id for one in fused(chunks, candidates=1).explain(query("what of the battery"), 1).considered}
    assert found <= pool == {"meaning", "faq"} or pool == {"meaning", "words", "faq"}


def test_ties_go_by_id_and_k_cuts() -> None:
    same = [chunk(id, "battery") for id in ("c", "a", "b")]
    assert ids(fused(same), query(), 2) == ["a", "b"]


def test_all_forms_are_embedded_in_one_call_and_count_each_for_itself() -> None:
    source = fused(dense=1.0, repaired_dense=10.0, context_dense=100.0)
    asked = query("batery", repaired="battery", context="twelve hours")
    found = source.find(asked, 1)[0]
    embedder = source._embedder
    assert embedder.calls == 1 and embedder.embedded[-3:] == ["batery", "battery", "battery twelve hours"]  # type: ignore[attr-defined]
    forms = embedder.embed(["batery", "battery", "battery twelve hours"]) @ embedder.embed([found.chunk.search_text])[0]
    assert found.score == pytest.approx(np.maximum(forms, 0) @ [1, 10, 100], abs=1e-4)


def test_a_form_that_is_missing_counts_as_the_text() -> None:
    source = fused(dense=1.0, repaired_dense=1.0, context_dense=1.0)
    [found] = source.find(query("battery lasts"), 1)
    assert source._embedder.embedded[-1] == "battery lasts"  # type: ignore[attr-defined]
    assert found.score == pytest.approx(3 * found.scores["dense"], abs=1e-5)


@pytest.mark.parametrize("facets", [EXPIRED, SOON])
def test_what_is_not_in_force_takes_no_place(facets: Facets) -> None:
    chunks = [*SHOP, *(chunk(f"promotion {n}", "battery battery battery", facets=facets) for n in range(5))]
    assert ids(fused(chunks, candidates=1), query(), 1) == ["battery"]
    assert not any(id.startswith("promotion") for id in ids(fused(chunks), query("battery promotion"), 20))


def test_only_what_the_filter_lets_pass_is_found() -> None:
    chunks = [*SHOP, chunk("cn", "battery battery", facets=Facets("en", region="CN"))]
    assert "cn" in ids(fused(chunks), query(filter=Filter(region="CN")))
    assert "cn" not in ids(fused(chunks), query(filter=Filter(region="EU")))


def test_where_nothing_may_be_found_nothing_is() -> None:
    source = fused([chunk("promotion", "battery", facets=EXPIRED)])
    assert source.find(query(), 5) == []
    [dropped] = source.explain(query(), 5).considered
    assert dropped.dropped == Dropped("expired", "2026-04-30") and dropped.features == {}


NEGATIVE = chunk(
    "faq", "Can I return a used lamp? Yes.", kind=Kind.FAQ, title="Can I return a used lamp?", answer="Yes.",
    negatives=("Can I return a used sleeping bag?",),
)  # fmt: skip


@pytest.mark.parametrize(("text", "pushed"), [("can I return a used lamp", False), ("can I return a used sleeping bag", True)])
def test_a_faq_is_pushed_down_by_a_question_it_does_not_answer(text: str, pushed: bool) -> None:
    [found] = fused([NEGATIVE], against=-1.0).find(query(text), 1)
    assert (found.score < -0.05) is pushed


LAMP = chunk("lamp", "Bright.", kind=Kind.PRODUCT, title="Swift 360 Lamp", facets=Facets("en", product="HL1"))
TORCH = chunk("torch", "Bright.", kind=Kind.PRODUCT, title="Lynx 800 Torch", facets=Facets("en", product="HL2"))
PLACES = [
    chunk(f"{name}{n}", f"Review {n}: parking.", title=name.upper()) for name in ("kohinoor", "gonville hotel") for n in (1, 2)
]


def test_the_catalogues_spelling_is_searched_too() -> None:
    source = fused([LAMP, TORCH], subjects([LAMP, TORCH]))
    source.find(query("is swift360 bright?"), 1)
    source.find(query("is the Swift 360 bright?"), 1)
    assert source._embedder.embedded[-2:] == ["is swift360 bright? Swift 360", "is the Swift 360 bright?"]  # type: ignore[attr-defined]


def test_chunks_about_what_is_named_or_was_come_first() -> None:
    chunks = [*SHOP, LAMP, TORCH, *PLACES]
    source = fused(chunks, subjects(chunks), product=1.0, entity=1.0, product_carried=0.5, entity_carried=0.5, other_product=-1.0)
    score = {p.chunk.id: p.score for p in source.find(query("is the lynx 800 bright?"), 20)}
    assert (score["torch"], score["lamp"], score["tent"]) == (1.0, -1.0, 0.0)
    score = {p.chunk.id: p.score for p in source.find(query("is parking free at the gonville hotel?"), 20)}
    assert (score["gonville hotel1"], score["kohinoor1"], score["lamp"]) == (1.0, 0.0, 0.0)
    before = query("is parking free?", carried=(("KOHINOOR",), ("GONVILLE HOTEL", "HL2")))
    score = {p.chunk.id: p.score for p in source.find(before, 20)}
    assert (score["kohinoor2"], score["gonville hotel2"], score["torch"], score["lamp"]) == (0.5, 0.25, 0.25, -1.0)
    named = replace(before, text="is parking free at the kohinoor?")
    assert {p.chunk.id: p.score for p in source.find(named, 20)}["gonville hotel1"] == 0.0


def test_chunks_about_what_is_named_are_candidates_whatever_they_say() -> None:
    chunks = [chunk(f"{n:03}", "is parking free at this place") for n in range(30)]
    chunks += [chunk(f"kohinoor{n}", "No idea.", title="KOHINOOR") for n in (1, 2)]
    source = fused(chunks, subjects(chunks), candidates=2, entity_carried=1.0)
    assert ids(source, query("is parking free", carried=(("KOHINOOR",),)), 2) == ["kohinoor1", "kohinoor2"]
    many = [chunk(f"k{n:04}", f"Review {n}.", title="KOHINOOR") for n in range(FEW + 1)]
    source = fused(many, subjects(many), candidates=2, entity_carried=1.0)
    assert len(source.find(query("is parking free", carried=(("KOHINOOR",),), filter=Filter(language="en")), 5)) == 5


def test_explain_keeps_what_find_finds_and_says_why_the_rest_is_dropped() -> None:
    late = [chunk("promo", "battery sale", facets=EXPIRED), chunk("cn", "battery", facets=Facets("en", region="CN"))]
    source = fused([*SHOP, NEGATIVE, *late])
    asked = query("can I return a used sleeping bag with a battery", filter=Filter(region="EU"))
    trace = source.explain(asked, 2)
    kept = [one.passage for one in trace.considered if one.dropped is None]
    assert kept == source.find(asked, 2)
    dropped = {one.passage.chunk.id: one.dropped for one in trace.considered if one.dropped}
    assert dropped["promo"] == Dropped("expired", "2026-04-30") and dropped["cn"] == Dropped("region", "CN")
    assert dropped["tent"] == Dropped("rank", "2")
    assert set(dropped) | {p.chunk.id for p in kept} == {item.id for item in (*SHOP, NEGATIVE, *late)}
    [faq] = [one for one in source.explain(asked, 1, shown=9).considered if one.passage.chunk.id == "faq"]
    assert faq.negative == "Can I return a used sleeping bag?" and faq.question == "Can I return a used lamp?"
    assert faq.passage.score == pytest.approx(sum(faq.parts.values()))
    weight = fitted()["en"][FEATURES.index("against")]
    assert weight < 0 and faq.parts["against"] == pytest.approx(weight * faq.features["against"])
    assert trace.forms == {"text": asked.text} and trace.day == TODAY


@pytest.mark.parametrize("text", ["x" * 10_000, "b", "🙂🙂", "ما هي سياسة الإرجاع؟", "", " ", "\x00"])
def test_odd_queries_find_something_or_nothing(text: str) -> None:
    source = fused()
    assert len(source.find(query(text), 3)) <= 3
    assert source.explain(query(text), 3).as_dict()["question"] == text


def entry(id: str, language: str, text: str, product: str = "PB-1") -> Chunk:
    facets = Facets(language, product=product)
    return Chunk(f"products#{id}", "products", id, 0, Kind.PRODUCT, "Lamp", (), text, facets=facets)


def test_of_an_entry_in_two_languages_the_questions_own_is_kept() -> None:
    twins = [entry("en", "en", "lamp battery"), entry("zh", "zh", "头灯 battery lasts")]
    source = fused([*twins, chunk("page", "battery of the lamp")], dense=1.0)
    for language, kept, gone in (("en", "products#en", "products#zh"), ("zh", "products#zh", "products#en")):
        asked = replace(query("lamp battery"), language=language)
        found = [passage.chunk.id for passage in source.find(asked, 5)]
        assert found == [kept, "page"], "the better one's place, the question's language"
        dropped = {one.passage.chunk.id: one.dropped for one in source.explain(asked, 5).considered if one.dropped}
        assert dropped == {gone: Dropped("twin", kept)}


def test_two_entries_of_a_product_in_one_language_are_both_kept() -> None:
    variants = [entry("red", "en", "lamp battery red"), entry("blue", "en", "lamp battery blue")]
    foreign = entry("solo", "zh", "lamp battery 灯", product="PB-2")
    found = [passage.chunk.id for passage in fused([*variants, foreign], dense=1.0).find(query("lamp battery"), 5)]
    assert sorted(found) == ["products#blue", "products#red", "products#solo"]
