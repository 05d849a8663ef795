"""The bundled corpus: it agrees with its own catalogue, its gold quotes are verbatim, dev and test share nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.evaluate.balance import counts
from rag.evaluate.catalogue import Truth, load_truth
from rag.evaluate.facts import check_corpus, read_all
from rag.evaluate.gold import KINDS, load_gold
from rag.types import Document, Kind

CORPUS = Path(__file__).parent.parent / "corpus"
SHOP = CORPUS / "shop"


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    documents, problems = read_all(SHOP)
    assert not problems
    return documents


@pytest.fixture(scope="module")
def truth() -> Truth:
    return load_truth(SHOP, CORPUS / "facts.csv")


def test_every_fact_and_quote_holds() -> None:
    assert check_corpus(CORPUS) == []


def test_there_is_enough_to_chat_with(documents: list[Document], truth: Truth) -> None:
    def below(folder: str) -> list[Document]:
        return [document for document in documents if document.id.startswith(f"{folder}/")]

    entries = [entry for document in below("faq") for entry in document.entries if entry.kind == Kind.FAQ]
    assert len(truth.products) >= 120
    assert len(below("products")) >= 45
    assert len(below("policies")) >= 14
    assert len(entries) >= 180
    assert {Path(document.id).suffix for document in documents} >= {".md", ".html", ".txt", ".docx", ".pdf", ".csv", ".jsonl"}
    assert {document.facets.language for document in below("products")} == {"en", "zh"}
    assert {entry.facets.language for entry in entries} == {"en", "zh"}
    assert any(document.facets.valid_to for document in below("policies"))
    assert {document.facets.region for document in below("policies")} >= {"EU", "CN"}


def test_products_are_complete(truth: Truth) -> None:
    for product in truth.products.values():
        row = product.row
        assert all(row[key] for key in ("name_en", "name_zh", "category", "category_zh", "summary_en", "summary_zh")), (
            product.where
        )
        assert row["price_eur"] > 0 and row["price_cny"] > 0 and row["stock_eu"] >= 0 and row["stock_cn"] >= 0, product.where
        assert len(row["attributes"]) == len(row["attributes_zh"]) >= 4, product.where
        assert {"weight", "warranty"} <= row["attributes"].keys(), product.where
    names = [product.row[key] for product in truth.products.values() for key in ("name_en", "name_zh")]
    assert len(names) == len(set(names))


def test_faq_entries_are_rich(documents: list[Document]) -> None:
    entries = [entry for document in documents for entry in document.entries if entry.kind == Kind.FAQ]
    assert sum(len(entry.aliases) >= 2 for entry in entries) >= 0.9 * len(entries)
    assert sum(bool(entry.negatives) for entry in entries) >= 0.5 * len(entries)
    assert all(entry.answer and entry.answer in entry.text for entry in entries)


@pytest.mark.parametrize("split", ["dev", "test"])
def test_both_gold_sets_are_balanced(split: str) -> None:
    questions = load_gold(CORPUS / "gold" / split)
    found = counts(questions)
    assert found["items"] >= 200 and found["dialogues"] >= 50 and found["unanswerable"] >= 40
    assert found["noisy"] >= 25 and found["attacks"] >= 15 and found["zh_share"] >= 0.4
    assert {question.kind for question in questions} == set(KINDS)


@pytest.mark.parametrize("split", ["dev", "test"])
def test_questions_across_languages_quote_the_other_language_alone(split: str, documents: list[Document]) -> None:
    languages = {document.id: document.facets.language for document in documents}
    for row in documents:  # a table names the language in its rows
        languages[row.id] = languages[row.id] or next((entry.facets.language for entry in row.entries), "")
    cross = [question for question in load_gold(CORPUS / "gold" / split) if question.kind == "cross"]
    assert sum(question.lang == "en" for question in cross) == sum(question.lang == "zh" for question in cross) == 40
    for question in cross:
        assert {languages[source.document] for source in question.sources} == {"en", "zh"} - {question.lang}, question.id
