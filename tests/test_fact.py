"""The fact and the clarify rung: the bundled catalogue's facts, and a shop of our own for the rest."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from answering import chunk, make_parts
from test_answer import ask, quotes_are_verbatim

from rag.answer.asked import read
from rag.answer.catalogue import Catalogue, Fact, row_names
from rag.answer.parts import Parts
from rag.evaluate.rows import row_of
from rag.fakes import HashEmbedder
from rag.ingest.chunk import chunk as chunks_of
from rag.ingest.read import read as read_document
from rag.retrieve.entities import Entities
from rag.retrieve.products import Products
from rag.retrieve.rewrite import rewrite
from rag.types import Answer, Chunk, Facets, Filter, History, Kind, Outcome, Turn
from rag.wording import holes, say

TESTS = Path(__file__).parent
GOLDEN = [json.loads(line) for line in (TESTS / "golden" / "facts.jsonl").read_text(encoding="utf-8").splitlines()]
RUNGS = ("clarify", "faq", "fact")


def parts_of(chunks: list[Chunk], **policy: object) -> Parts:
    """Parts over these chunks, wired as rag/build.py does."""
    entities = Entities.of(chunks, {})
    names = frozenset(name for item in chunks if item.kind is Kind.PRODUCT for name in (item.title, *item.aliases))
    return dataclasses.replace(
        make_parts(chunks=chunks, **{"rungs": RUNGS, **policy}),
        rewrite=lambda question, history: rewrite(question, history, entities),
        names=names,
        catalogue=Catalogue.of(chunks, entities.mentioned, Products(row_names(chunks)).mentioned),
    )


@pytest.fixture(scope="module")
def shop() -> Parts:
    document = read_document(TESTS.parent / "corpus/shop/catalogue/products.jsonl", "catalogue/products.jsonl")
    return parts_of(chunks_of(document, HashEmbedder().count, 400, 0))


def turns(*texts: str) -> History:
    return tuple(Turn("assistant" if place % 2 else "user", text) for place, text in enumerate(texts))


@pytest.mark.parametrize("item", GOLDEN, ids=lambda item: item["question"])
def test_the_bundled_catalogue(shop: Parts, item: dict[str, list[str]]) -> None:
    given = ask(str(item["question"]), shop, turns(*item.get("history", ())))
    assert given.rung == (item["rung"] or "refusal"), given.text
    assert all(said in given.text for said in item["said"]), given.text
    assert quotes_are_verbatim(given)
    assert bool(given.citations) is (item["rung"] == "fact")


def test_a_label_asked_for_by_its_own_name_is_never_answered_with_another(shop: Parts) -> None:
    answered = 0
    records = [record for known in list(shop.catalogue.records.values())[::16] for record in known.values()]
    for record in records:
        for fact in record.facts[4:]:
            pattern = "What is the {} of the {}?" if record.chunk.facets.language == "en" else "{1}的{0}是多少？"
            given = ask(pattern.format(fact.label.lower(), record.name), shop)
            assert given.rung != "fact" or (fact.label in given.text and fact.value in given.text), given.text
            answered += given.rung == "fact"
    assert answered / sum(len(record.facts[4:]) for record in records) > 0.8


def lamp(name: str, weight: str, language: str = "en", **more: object) -> Chunk:
    label = "Weight: " if language == "en" else "重量："
    facets = Facets(language=language, product=name.split(" ")[1])
    text = f"{name}\n{label}{weight}"
    return chunk(f"products.csv#{name}", text, name, Kind.PRODUCT, facets=facets, **more)


def test_the_only_language_that_states_it_will_do_where_the_value_is_a_measure() -> None:
    parts = parts_of([lamp("余烬 400 头灯", "86 克。", "zh", aliases=("Ember 400 Headlamp",))])
    assert ask("How heavy is the Ember 400?", parts).text == "Ember 400 Headlamp – Weight: 86 g. [1]"
    assert ask("How heavy is the Ember 400?", parts).citations[0].quote == "重量：86 克。"
    worded = parts_of([lamp("余烬 400 头灯", "不到一个苹果。", "zh", aliases=("Ember 400 Headlamp",))])
    assert ask("How heavy is the Ember 400?", worded).outcome is Outcome.REFUSED


def test_a_row_is_called_what_its_first_line_says() -> None:
    rows = [
        chunk(f"fees.csv#{n}", f"Service: {n}\nPrice (EUR): {p}", "Fees", Kind.ROW)
        for n, p in (("Engraving", 9), ("Gift box", 4))
    ]
    assert ask("How much is the engraving?", parts_of(rows)).text == "Engraving – Price (EUR): 9. [1]"
    assert ask("How much is the engraving?", parts_of([*rows, dataclasses.replace(rows[0], id="x")])).rung == "refusal"


def test_a_shop_with_one_region_states_its_own_prices(shop: Parts) -> None:
    from rag.answer.flow import answer, collect

    given = collect(answer("How much is the Ember 400?", (), shop, chosen=Filter(region="EU")))
    assert given.text.endswith("Price: 49.90 EUR. [1]")


def test_a_chunk_that_the_search_missed_is_among_the_passages(shop: Parts) -> None:
    class Blind:
        def find(self, query: object, k: int) -> list[object]:
            return []

    given = ask("How heavy is the Ember 400?", dataclasses.replace(shop, source=Blind()))  # type: ignore[arg-type]
    assert given.rung == "fact" and quotes_are_verbatim(given)


FACTS = (Fact("Weight", "86 g", 0, 10), Fact("Battery life", "12 h", 11, 30), Fact("Stock (EU)", "in stock", 31, 50))


@pytest.mark.parametrize(
    ("bare", "key"),
    [
        ("how heavy is the ?", "weight"),
        ("hi, could you tell me how heavy the is please", "weight"),
        ("battery life of the", "battery life"),
        ("how many days does the weigh?", None),  # grams are no days
        ("the weight and the battery life of the ?", None),
        ("how heavy is the dusty ?", None),
        ("is the in stock in china", None),
        ("how long does the take to charge", None),  # asked for, and not there
        ("x" * 300, None),
        ("", None),
    ],
)
def test_one_attribute_and_nothing_else(bare: str, key: str | None) -> None:
    asked = read(bare, FACTS, ())
    assert (asked.key if asked else None) == key


def test_every_verdict_has_its_words() -> None:
    from rag.answer.asked import _tables

    verdicts = {word for attribute, *_ in _tables().attributes for word in attribute.verdict}
    assert {"lighter", "heavier", "cheaper"} <= verdicts
    for word in verdicts:
        assert say(word, "en", product="X") and say(word, "zh", product="X")


EU = chunk("eu.md#1", "Standard delivery costs 4.90 EUR.", "Delivery", facets=Facets("en", "EU"))
UK = chunk("uk.md#1", "Standard delivery costs 3.50 GBP.", "Delivery", facets=Facets("en", "UK"))
DEAR = chunk("eu2.md#1", "Standard delivery costs 4.90 EUR.", "Delivery", facets=Facets("en", "UK"))
ANYWHERE = chunk("all.md#1", "Standard delivery costs 2 EUR anywhere.", "Delivery", facets=Facets("en"))
SHIPPING = "How much is standard delivery?"


def outcome(question: str, *chunks: Chunk, history: History = ()) -> Answer:
    return ask(question, parts_of(list(chunks), rungs=("clarify", "quote")), history)


def test_regions_that_differ_are_asked_about() -> None:
    given = outcome(SHIPPING, EU, UK)
    assert (given.outcome, given.rung, given.citations) == (Outcome.CLARIFICATION, "clarify", ())
    assert holes("which_place", "en", given.text) and {"EU", "UK"} <= set(re.findall(r"[A-Z]{2}", given.text))


def test_asking_back_counts_as_declined() -> None:
    row = row_of("1", "", outcome(SHIPPING, EU, UK), (), None, 1.0, 1.0)
    assert row.declined and not row.answered


def test_nothing_is_asked_back_where_one_answer_will_do() -> None:
    assert outcome(SHIPPING, EU).rung == "quote"
    assert outcome(SHIPPING, EU, DEAR).rung == "quote", "they say the same"
    assert outcome("How much is standard delivery to Germany?", EU, UK).rung == "quote"
    assert outcome(SHIPPING, ANYWHERE, EU).rung == "quote"
    assert outcome("Is there standard delivery?", EU, UK).rung == "quote", "no amount is asked for"


@pytest.mark.parametrize(("choice", "said"), [("the EU one", "4.90 EUR"), ("UK please", "3.50 GBP"), ("UK", "3.50 GBP")])
def test_the_choice_of_a_region_is_answered(choice: str, said: str) -> None:
    history = turns(SHIPPING, outcome(SHIPPING, EU, UK).text)
    given = outcome(choice, EU, UK, history=history)
    assert given.outcome is Outcome.ANSWERED and said in given.text


@pytest.mark.parametrize(
    ("question", "choice", "said"),
    [
        ("How heavy is the Ember?", "the 400", "86 g"),
        ("How heavy is the Ember?", "Ember 300", "92 g"),
        ("营地灯多重？", "林间500", "林间 500 营地灯"),
    ],
)
def test_the_choice_of_a_product_is_answered(shop: Parts, question: str, choice: str, said: str) -> None:
    asked = ask(question, shop)
    assert asked.outcome is Outcome.CLARIFICATION
    given = ask(choice, shop, turns(question, asked.text))
    assert given.rung == "fact" and said in given.text


def test_another_question_instead_of_a_choice_stands_alone(shop: Parts) -> None:
    history = turns("How heavy is the Ember?", ask("How heavy is the Ember?", shop).text)
    assert "400 lm" in ask("How bright is the Ember 400?", shop, history).text
