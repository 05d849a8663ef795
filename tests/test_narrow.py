"""Rows that a question rules out by naming another one, or an amount."""

from __future__ import annotations

import dataclasses

import pytest
from answering import chunk

from rag.answer.narrow import narrowed
from rag.answer.rank import Candidate
from rag.answer.units import units
from rag.types import Kind, Passage


def rows(**texts: str) -> list[Candidate]:
    """Every line of rows by name, equally likely; "none of them" has a fifth."""
    chunks = [chunk(f"t.csv#{name}", text, "Rates", Kind.ROW) for name, text in texts.items()]
    named = [(item, name.replace("_", " ")) for item, name in zip(chunks, texts, strict=True)]
    passages = [Passage(dataclasses.replace(item, headings=("Delivery", name)), 1.0) for item, name in named]
    found = [(passage, unit) for passage in passages for unit in units(passage.chunk)]
    return [Candidate(0.8 / len(found), passage, unit) for passage, unit in found]


RATES = rows(
    Outer_Isles="Days: 5\nup to 2 kg: 9 EUR\nup to 10 kg: 14 EUR\nover 10 kg: 20 EUR",
    Isles="Days: 4\nup to 2 kg: 7 EUR",
    Coast="Days: 2",
)


def said(question: str) -> list[str]:
    return [f"{one.passage.chunk.headings[-1]} {one.unit.text}" for one in narrowed(question, RATES)]


@pytest.mark.parametrize(
    ("question", "lines"),
    [
        ("How many days to the coast?", ["Coast Days: 2"]),
        ("How long to the outer isles?", [text for text in said("") if text.startswith("Outer")]),
        ("Isle or coast?", [text for text in said("") if not text.startswith("Outer")]),
        ("What does it cost?", said("")),
        ("Outer Isles, 8 kg?", ["Outer Isles Days: 5", "Outer Isles up to 10 kg: 14 EUR"]),
        ("Outer Isles, 500 g?", ["Outer Isles Days: 5", "Outer Isles up to 2 kg: 9 EUR"]),
        ("Outer Isles, 12 kg?", ["Outer Isles Days: 5", "Outer Isles over 10 kg: 20 EUR"]),
    ],
)
def test_what_is_left(question: str, lines: list[str]) -> None:
    assert said(question) == lines


def test_likelihoods_are_those_without_what_is_ruled_out() -> None:
    [left] = narrowed("coast", RATES)
    share = 0.8 / len(RATES)
    assert left.probability == pytest.approx(share / (share + 0.2))


def test_sizes_and_chinese_names() -> None:
    sizes = rows(Wren_S="Length: 43 cm", Wren_M="Length: 46 cm")
    assert [one.unit.text for one in narrowed("the Wren in medium", sizes)] == ["Length: 46 cm"]
    lamps = rows(余烬灯="价格: 189 元", 灯="价格: 9 元")
    assert [one.unit.text for one in narrowed("余烬灯多少钱？", lamps)] == ["价格: 189 元"]
