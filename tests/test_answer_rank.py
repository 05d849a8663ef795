"""Candidates, their probabilities, and how weights are fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from answering import CHUNKS, LAMP, PAY, RETURNS, WEIGHTS, chunk
from indexing import rarity_of

from rag.answer.dimensions import wanted
from rag.answer.evidence import heard, usable
from rag.answer.fit import fit
from rag.answer.rank import FEATURES, Ranker
from rag.answer.similarity import Similarity
from rag.answer.subjects import Subjects
from rag.content import term_set
from rag.fakes import HashEmbedder
from rag.ports import Layout
from rag.types import Facets, Passage, Query

NAMES = ("Pinebeck Ember 400 Headlamp", "Pinebeck Ember 300 Headlamp", "余烬 400 头灯", "Pinebeck Dune Brush Set 6", "Gift box")


def ranker(weights: np.ndarray = WEIGHTS) -> Ranker:
    rarity = rarity_of(item.search_text for item in CHUNKS)
    return Ranker(rarity, Subjects(NAMES), Similarity(HashEmbedder()), weights)


def query(text: str, language: str = "en") -> Query:
    return Query(text, text, language)  # type: ignore[arg-type]


def column(name: str, text: str, *chunks: object, language: str = "en") -> list[float]:
    passages = [Passage(item, 1.0) for item in chunks]  # type: ignore[arg-type]
    return [float(value) for value in ranker().features(query(text, language), passages)[:, FEATURES.index(name)]]


def test_probabilities_are_a_softmax_with_none_of_them() -> None:
    flat = ranker(np.zeros(len(FEATURES))).rank(query("anything"), [Passage(RETURNS, 1.0)])
    assert [candidate.probability for candidate in flat] == pytest.approx([1 / 5] * 4)
    best, *rest = ranker().rank(query("What does a return label cost?"), [Passage(RETURNS, 1.0), Passage(LAMP, 1.0)])
    assert best.unit.text == "A return label costs 4.90 EUR."
    assert best.probability + sum(candidate.probability for candidate in rest) < 1
    assert ranker().rank(query("anything"), []) == []


def test_no_units_no_candidates() -> None:
    assert ranker().rank(query("anything"), [Passage(chunk("a.md#1", "# Heading"), 1.0)]) == []


def test_what_the_features_see() -> None:
    assert column("about", "How heavy is the ember400?", LAMP, PAY) == [1.0] * 4 + [0.0] * 3
    assert column("about", "How heavy is it?", LAMP) == [0.5] * 4
    assert column("unknown", "How heavy is the Ember 500?", LAMP) == [1.0] * 4
    assert column("concepts", "how much does it weigh", LAMP) == [0.0, 0.0, 1.0, 0.0]
    assert column("concepts", "余烬 400 多重", LAMP, language="zh") == [0.0, 0.0, 1.0, 0.0]
    assert column("quantity", "How long can I return it?", RETURNS) == [1.0, 1.0, -1.0, 1.0]
    assert column("unit", "How long can I return it?", RETURNS) == [1.0, 1.0, -1.0, -1.0]
    assert column("unit", "退货运费多少钱？", RETURNS, language="zh") == [-1.0, 1.0, -1.0, 1.0]
    assert column("whole_unit", "What does it cost?", RETURNS) == [0.0, 1.0, 0.0, 0.0]
    assert column("abroad", "多少钱", LAMP, language="zh") == [1.0, 0.0, 0.0, 0.0]
    assert column("abroad", "多少欧元", LAMP, language="zh") == [0.0, 0.0, 0.0, 0.0]
    assert column("other", "How heavy is the Ember 300?", chunk("a.md#1", "The Ember 400 is new. It is red.")) == [1.0, 1.0, 0.0]
    assert column("faq", "Which cards?", PAY, LAMP) == [1.0] * 3 + [0.0] * 4
    assert column("asked_before", "Can I pay by credit card?", PAY)[0] == pytest.approx(1.0)
    assert column("denied", "Do you sell gift cards?", PAY)[0] == pytest.approx(1.0)
    assert column("is_whole", "Which cards?", PAY) == [0.0, 1.0, 0.0]


class Telling:
    """A selector that finds the answer in what names steel."""

    fingerprint = "telling@1"

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, int]] = []

    def load(self) -> None:
        """Nothing to load."""

    def score(self, question: str, passages: Sequence[Layout], before: str = "") -> np.ndarray:
        said = [" ".join(one.pieces[first:end]) for one in passages for first, end in one.units]
        self.asked.append((question, before, len(said)))
        return np.array([5.0 if "steel" in unit else -10.0 for unit in said])


def test_a_selector_tells_what_states_it_here_and_in_another_language() -> None:
    lid, other = chunk("a.md#1", "It is red. Its lid is steel.", "Kettle"), chunk("b.md#1", "盖子是 steel 做的。", "水壶")
    selector = Telling()
    telling = replace(ranker(), selector=selector)
    states, elsewhere = FEATURES.index("states"), FEATURES.index("elsewhere")
    asked = replace(query("what is teh lid"), repaired="what is the lid", context="The Ember kettle? Yes.")
    alone = telling.features(asked, [Passage(lid, 1.0)])
    assert alone[:, states].tolist() == [-2.0, 1.0, 1.0] and set(alone[:, elsewhere]) == {-1.0}  # a sentence, both, a sentence
    both = telling.features(asked, [Passage(lid, 1.0)], [Passage(other, 1.0)])
    assert both[:, states].tolist() == alone[:, states].tolist() and set(both[:, elsewhere]) == {1.0}
    assert selector.asked == [("what is the lid", "The Ember kettle? Yes.", count) for count in (3, 4)]
    telling.features(asked, [Passage(lid, 1.0)])
    assert len(selector.asked) == 2  # a turn that weighs again does not ask again
    assert set(ranker().features(asked, [Passage(lid, 1.0)], [Passage(other, 1.0)])[:, states]) == {0.0}


def test_subjects_are_lines_with_numbers_and_names_without() -> None:
    subjects = Subjects(NAMES)
    assert subjects.mentioned("EMBER-400 or the gift box?") == {"ember 400", "gift box"}
    assert subjects.mentioned("请问余烬400多重") == {"余烬 400"} and not subjects.mentioned("within 400 days")
    assert subjects.unknown("the Ember 500") == {"ember 500"} and not subjects.unknown("set 5 alarms, Ember 300")
    assert not Subjects(()).mentioned("Ember 400")


@pytest.mark.parametrize(
    ("question", "units"),
    [
        ("how heavy is it", {"g"}),
        ("how many working days", {"day", "working day"}),
        ("安检要是问它多少瓦时", {"wh"}),
        ("保修几年", {"month"}),
        ("最多翻得过几毫米", {"mm"}),
        ("How much is it?", {"eur", "cny", "usd", "gbp"}),
        ("is it red", set()),
    ],
)
def test_which_unit_a_question_asks_for(question: str, units: set[str]) -> None:
    assert wanted(question) == units


def test_concepts_meet_across_wordings_and_languages() -> None:
    for question in ("how much is it", "多少钱", "What does it cost?"):
        assert "~price" in term_set(question) & term_set("Price: 49.90 EUR")
    assert "~return" in term_set("can I send it back") & term_set("无理由退货")


def test_rarity_weighs_what_few_texts_say() -> None:
    rarity = rarity_of(["lamp red", "lamp blue", "lamp green", "lamp"])
    assert rarity.weight("never") == pytest.approx(1.0) and rarity.weight("lamp") < rarity.weight("red") < 1
    assert rarity.coverage({"red", "lamp"}, {"lamp"}) < 0.5 and rarity.coverage(set(), {"lamp"}) == 0
    assert rarity.unseen({"lamp", "never"}) > 0.5


def test_fitting_finds_what_tells_right_from_wrong() -> None:
    one, tells = FEATURES.index("one"), FEATURES.index("cov_text")
    rng = np.random.default_rng(0)
    examples = []
    for number in range(60):
        features = np.zeros((5, len(FEATURES)))
        features[:, one] = 1.0
        features[:, tells] = rng.uniform(0, 0.3, 5)
        answerable = number % 3 > 0
        features[2, tells] += 0.7 * answerable
        examples.append((features, [answerable and row == 2 for row in range(5)]))
    weights = fit(examples)
    assert weights[tells] > 3 and weights[one] < -1 and np.allclose(np.delete(weights, [one, tells]), 0)
    assert np.array_equal(weights, fit(examples))


def test_officials_are_heard_first() -> None:
    rumour = Passage(chunk("tips.md#1", "A return label costs nothing.", "Tips", facets=Facets("en", trust="community")), 1.0)
    ranked = ranker().rank(query("What does a return label cost?"), [rumour, Passage(RETURNS, 1.0)])
    assert all(candidate.passage.chunk is RETURNS for candidate in heard(ranked, 0.1))
    assert heard(ranked, 0.99) == ranked


def test_usable_passages_are_native_where_any_is() -> None:
    foreign, any_language = chunk("c.md#1", "以后。"), chunk("b.md#1", "5 kg", facets=Facets())
    found = [Passage(item, 1.0) for item in (foreign, RETURNS, any_language)]
    assert [passage.chunk for passage in usable(found, "en")] == [RETURNS, any_language]
    assert [passage.chunk for passage in usable(found[:1], "en")] == [foreign]
