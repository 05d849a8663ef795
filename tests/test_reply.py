"""The form of a reply: its first word decides, and says how sure the model is."""

from __future__ import annotations

import math

import pytest

from rag.answer.reply import bare, declines, reading
from rag.types import Piece


@pytest.mark.parametrize("reply", ["None", "none.", "NONE [1]", " None\n", "NO ANSWER", "没有相关信息。", "", "  "])
def test_a_reply_that_declines(reply: str) -> None:
    assert declines(reply) and reading(reply, [Piece(reply, -0.1)]).text == ""


@pytest.mark.parametrize(
    "reply", ["Found: None of the lamps float. [1]", "Nonetheless it floats.", "没有运费。", "No, it does not."]
)
def test_a_reply_that_says_something(reply: str) -> None:
    assert not declines(reply)


def test_the_first_word_is_no_part_of_the_answer() -> None:
    assert bare("Found: 30 days. [1]") == "30 days. [1]"
    assert bare("found：30 天。") == "30 天。"
    assert bare("30 days, found under Returns.") == "30 days, found under Returns."


def test_the_first_word_tells_the_odds_and_the_rest_how_sure_the_words_are() -> None:
    pieces = [Piece("Found", math.log(0.8)), Piece(":", 0.0), Piece(" 30 days", -0.6), Piece(" [2]", 0.0)]
    found = reading("Found: 30 days [2]", pieces)
    assert (found.text, found.marker) == ("30 days [2]", 2)
    assert found.odds == pytest.approx(math.log(4)) and found.surety == pytest.approx(-0.2)
    declined = reading("None", [Piece("None", math.log(0.8))])
    assert declined.odds == pytest.approx(-math.log(4)) and declined.surety == 0.0


def test_a_server_that_tells_no_probabilities_is_neither_sure_nor_unsure() -> None:
    found = reading("Found: 30 days", [Piece("Found", math.nan), Piece(": 30 days", math.nan)])
    assert (found.odds, found.surety) == (0.0, 0.0)
    assert math.isfinite(reading("Found: x", [Piece("Found: x", 0.0)]).odds)
