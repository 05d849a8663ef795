"""The form of a reply: its first word decides, and says how sure the model is."""

from __future__ import annotations

import math

import pytest

from rag.answer.reply import bare, declines, reading
from rag.types import Piece


@pytest.mark.parametrize(
    "reply",
    [
        "NO ANSWER",
        "None",
        "",
        "  ",
        "NO ANSWER.",
        " NO ANSWER [1]",
        "[2] NO ANSWER",
        "NO ANSWER: the passages speak of something else.",
        "NO ANSWER in the passages",
        "**No answer.**",
        '"no answer"',
        "No answer [1].",
        "no_answer\nThe passages speak of lamps.",
        "NONE",
        "NONE in the passages",
        "None.",
        "- none",
        "没有相关信息",
        "没有相关信息。",
        "【1】没有相关信息",
        "沒有相關信息",
        "没有相关的信息，请联系客服。",
    ],
)
def test_set_phrases_decline(reply: str) -> None:
    assert declines(reply) and reading(reply, [Piece(reply, -0.1)]).text == ""


@pytest.mark.parametrize(
    "reply",
    [
        "Found: None of them float. [1]",
        "30 days [1].",
        "None of the lamps is waterproof [1].",
        "NONE of the lamps is waterproof [1].",
        "None, delivery is free above 50 EUR [1].",
        "No answer is given by phone after 6 pm [1].",
        "No. Answer the mail within a week [1].",
        "Nonetheless it is covered.",
        "Standard delivery is free. NO ANSWER",
        "没有信息费 [1]。",
        "信息没有相关性。",
    ],
)
def test_answers_do_not(reply: str) -> None:
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
