"""How a sentence is read, and in which points it differs from its source."""

from __future__ import annotations

import dataclasses

import pytest
from answering import RETURNS
from indexing import rarity_of

from rag.answer.check import check
from rag.answer.compare import POINTS, Source, carries, fitted, points
from rag.answer.statements import answer, clauses
from rag.answer.units import units
from rag.types import Chunk, Kind, Passage


def page(text: str, title: str = "") -> Chunk:
    return Chunk("", "", "", 0, Kind.PAGE, title, (), text)


def differing(sentence: str, text: str) -> set[str]:
    """The points in which a sentence differs from a text."""
    found = points(sentence, Source.of(page(text), 0, len(text)), fitted()["zh" if text[0] > "z" else "en"])
    return {name for name, value in zip(POINTS[1:], found[1:], strict=True) if value}


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        (
            "The remote needs two batteries, which are not included.",
            [["remot", "NEED", "2", "batteri"], ["which", "NOT", "INCLUDE"]],
        ),
        ("It comes in grey, green and mustard.", [["grey", "green", "mustard"]]),
        ("It prints 22 pages in black and 16 pages in colour.", [["print", "22", "page", "black"], ["16", "page", "colour"]]),
        ("请勿倒入超过60℃的液体。", [["NOT", "CAN", "倒", "入", "60", "的", "液", "体"]]),
        ("Yes.", []),
    ],
)
def test_a_text_is_read_as_clauses_of_marks(text: str, marks: list[list[str]]) -> None:
    assert [[mark.value for mark in clause] for clause in clauses(text)] == marks


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("up to 8 hours", {"LE"}),
        ("at least 8 hours", {"GE"}),
        ("8 hours or more", {"GE"}),
        ("no more than 8 hours", {"LE"}),
        ("8 hours at most", {"LE"}),
        ("within 8 hours after delivery", {"LE"}),
        ("8小时以上", {"GE"}),
        ("最多8小时", {"LE"}),
        ("8小时内", {"LE"}),
        ("8小时后", {"AFTER"}),
        ("室内8小时", set()),
    ],
)
def test_bounds_belong_to_their_quantity(text: str, bounds: set[str]) -> None:
    (mark,) = [mark for clause in clauses(text) for mark in clause if mark.quantity]
    assert mark.bounds == bounds


@pytest.mark.parametrize(
    ("sentence", "text", "expected"),
    [
        ("The lamp is made of oak.", "The lamp is made of walnut.", {"new", "swapped"}),
        ("Rain covers are included.", "Rain covers are not included.", {"turned"}),
        ("The right does not expire.", "The right expires.", {"turned"}),
        ("It carries at least 70 kg.", "It carries up to 70 kg.", {"reversed"}),
        ("Orders can be cancelled after dispatch.", "Orders can be cancelled before dispatch.", {"reversed"}),
        ("Only teachers receive vouchers.", "Teachers receive vouchers.", {"only_added"}),
        ("All sizes are in stock.", "Most sizes are in stock.", {"every_added", "some_dropped"}),
        ("It lasts 5 working days.", "It lasts 5 days.", {"new_quantity", "swapped"}),
        ("帽子不可拆卸。", "帽子可拆卸。", {"turned"}),
        ("岩火烤炉仅限室内使用。", "岩火烤炉仅限室外使用。", {"new", "swapped", "gap"}),
        ("硬地板可用25分钟。", "硬地板可用45分钟。", {"new_quantity", "swapped"}),
        ("You can return it within thirty days.", "You may return it within 30 days.", set()),
        ("我们不接受货到付款。", "不接受货到付款。", set()),
    ],
)
def test_a_point_is_found(sentence: str, text: str, expected: set[str]) -> None:
    assert differing(sentence, text) == expected


def test_a_number_of_another_clause_is_not_this_one_s() -> None:
    text = "New cameras carry a 24-month warranty; used cameras carry 12 months."
    assert carries("Used cameras carry 12 months.", page(text), 0, len(text))
    assert not carries("Used cameras carry a 24-month warranty.", page(text), 0, len(text))


def test_what_it_stands_for_may_be_named() -> None:
    text = "The Fenwick tent sleeps three people. It weighs 4 kg."
    assert carries("The Fenwick tent weighs 4 kg.", page(text), text.index("It"), len(text))
    assert carries("The Fenwick tent weighs 4 kg.", page("It weighs 4 kg.", "Fenwick tent"), 0, 15)


def test_a_question_states_nothing() -> None:
    text = "Can I use the heater with salt water? No, the heater is made for fresh water."
    assert answer("No, it is not.") == "no" and answer("是的，可以。") == "yes" and answer("Nobody knows.") == ""
    passages, rarity = [Passage(page(text), 1.0)], rarity_of([text])
    assert check("No, the heater is made for fresh water.", passages, rarity, 0.6)
    assert not check("Yes, you can use the heater with salt water.", passages, rarity, 0.6)
    assert not check("Yes, the heater is made for fresh water.", passages, rarity, 0.6)


def test_a_decimal_is_no_list_number() -> None:
    text = "8.5 W are enough. It weighs 2 kg."
    assert [unit.text for unit in units(page(text)) if not unit.is_whole] == ["8.5 W are enough.", "It weighs 2 kg."]


def test_headings_stand_before_what_is_quoted() -> None:
    chunk = dataclasses.replace(RETURNS, headings=("Ear tips",))
    assert "tip" in Source.of(chunk, 0, 10).before


def test_there_is_a_weight_for_each_point() -> None:
    assert {language: weights.shape for language, weights in fitted().items()} == {"en": (len(POINTS),), "zh": (len(POINTS),)}
