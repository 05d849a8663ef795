"""Sentences that a passage carries, and sentences that look as good and are wrong: what the checks let through and hold back.

The aim is to hold back 99 % of the wrong ones and at most 2 % of the right ones. The floors here are what the checks do today.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from rag.answer.check import check
from rag.answer.terms import Rarity
from rag.settings import AnswerSettings
from rag.types import Chunk, Kind, Passage

GOLDEN = Path(__file__).parent / "golden"
KINDS = {"negation", "number", "unit", "name", "scope"}


def claims(language: str) -> list[dict[str, Any]]:
    lines = (GOLDEN / f"claims_{language}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_claims_are_whole(language: str) -> None:
    rows = claims(language)
    assert len(rows) >= 140
    assert {kind for row in rows for kind, _ in row["bad"]} == KINDS
    for row in rows:
        wrong = [text for _, text in row["bad"]]
        assert len(row["good"]) == len(wrong) == 2
        assert len({row["passage"], *row["good"], *wrong}) == 5


@pytest.mark.parametrize(("language", "kind", "floor"), [
    ("en", "number", 0.94), ("en", "unit", 0.80), ("en", "negation", 0.80), ("en", "name", 0.55), ("en", "scope", 0.35),
    ("zh", "number", 0.82), ("zh", "unit", 0.78), ("zh", "negation", 0.83), ("zh", "name", 0.59), ("zh", "scope", 0.56),
])  # fmt: skip
def test_wrong_claims_are_held_back(language: str, kind: str, floor: float) -> None:
    assert held_back(language)[kind] >= floor


@pytest.mark.parametrize(("language", "ceiling"), [("en", 0.72), ("zh", 0.89)])
def test_right_claims_are_let_through(language: str, ceiling: float) -> None:
    assert held_back(language)["good"] <= ceiling


def held_back(language: str) -> dict[str, float]:
    """Kind of claim -> share that no check lets stand; "good" for the right ones."""
    rows, support = claims(language), AnswerSettings().support
    rarity = Rarity.of(row["passage"] for row in rows)
    held: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        passages = [Passage(Chunk("", "", "", 0, Kind.PAGE, "", (), row["passage"]), 1.0)]
        for kind, text in [*(("good", text) for text in row["good"]), *row["bad"]]:
            held[kind].append(not check(text, passages, rarity, support))
    return {kind: sum(values) / len(values) for kind, values in held.items()}
