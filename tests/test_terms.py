from __future__ import annotations

import hashlib

import numpy as np
import pytest

import rag.concepts
from rag.content import term_set
from rag.index.terms import VERSION, analyze, hash_terms, tokens


@pytest.mark.parametrize(
    "text, expected",
    [
        ("How do I return it?", ["return"]),
        ("Returned RETURNS returning", ["return"] * 3),
        ("the PB-HL210", ["pbhl210", "pb", "hl210", "hl", "210"]),
        ("12.5 or 3/4", ["12.5", "3/4"]),
        ("1,299.00 1299 1,299 0.50 10 1.5.0", ["1299", "1299", "1299", "0.5", "10", "1.5.0"]),
        ("12.50h", ["12.50h", "12.5", "h"]),
        ("2-3 days", ["2-3", "2", "3", "day"]),
        ("USB-A/USB-C", ["usba", "usb", "usbc", "usb", "c"]),  # "a" alone says nothing
        ("shop’s what's", ["shop"]),
        ("Crème brûlée", ["creme", "brule"]),
        ("不能退貨嗎", ["不能", "能退", "退货", "货吗"]),
        ("防水", ["防水"]),
        ("保修期", ["保修期", "保修", "修期"]),
        ("灯", ["灯"]),
        ("ＰＢ３０ ３０Ｗ", ["pb30", "pb", "30", "30w", "30", "w"]),
        ("", []),
        ("？！…", []),
        ("👍🏽", []),
        ("----", []),
    ],
)
def test_tokens(text: str, expected: list[str]) -> None:
    assert sorted(tokens(text)) == sorted(expected)


@pytest.mark.parametrize(
    "asked, written",
    [
        ("Ember400", "Ember 400"),
        ("Ember400", "ember-400"),
        ("ember-400", "Ember 400"),
        ("ember-400", "EMBER400"),
        ("Ember 400", "ember400"),
        ("1500W", "1500 W"),
        ("1500 w", "1500W"),
        ("hl210", "PB-HL210"),
        ("pbhl210", "PB-HL210"),
        ("pb hl 210", "PB-HL210"),
        ("wifi", "Wi-Fi"),
        ("wi fi", "Wi-Fi"),
        ("emails", "E-mail"),
        ("IPX4", "IPX 4"),
        ("12.5小时", "12.5 小时"),
        ("12.5", "12.50"),
        ("１５００Ｗ", "1500 W"),
        ("1500瓦", "1500 瓦"),
        ("余烬400", "餘燼 400"),
        ("防水等級", "防水等级"),
        ("退貨", "退货政策"),
        ("裡面", "里面"),
        ("cafe", "Café"),
        ("returned", "Returns"),
    ],
)
def test_two_ways_of_writing_meet(asked: str, written: str) -> None:
    terms = set(tokens(asked))
    assert len(terms & set(tokens(written))) * 2 >= len(terms), "at least half of what was asked"


@pytest.mark.parametrize(
    "one, other",
    [("12.5", "125"), ("12.5", "12"), ("12.5", "5"), ("3/4", "4"), ("2-3", "23"), ("Ember 400", "Swift 360"), ("1500", "150")],
)
def test_what_is_another_thing_does_not_meet(one: str, other: str) -> None:
    assert not set(tokens(one)) & set(tokens(other))


def test_a_term_keeps_its_hash() -> None:
    assert hash_terms(["lamp", "灯"]).tolist() == [7711560049442028586, 3899400385904161413], "or every saved index would miss it"
    assert hash_terms([]).shape == (0,)
    assert len(np.unique(hash_terms(f"term {n}" for n in range(200_000)))) == 200_000


def test_analyze_gives_terms_in_order_and_words_once() -> None:
    found = analyze("Lamps, lamps and 头灯 PB-HL210")
    assert np.array_equal(found.hashes, hash_terms(tokens("Lamps, lamps and 头灯 PB-HL210")))
    assert found.words.split(" ") == ["and", "lamps", "pb-hl210", "头灯"]
    assert np.array_equal(found.content, hash_terms(sorted(term_set("Lamps, lamps and 头灯 PB-HL210"))))
    assert analyze("…").words == ""


def test_what_was_counted_before_is_not_taken_for_what_would_be_counted_now() -> None:
    concepts = hashlib.sha256(rag.concepts.FILE.read_bytes()).hexdigest()
    assert (VERSION, concepts[:8]) == (3, "575adaf5"), "raise VERSION in rag/index/terms.py, and SCHEMA"
