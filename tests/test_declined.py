"""A declined reply is told from an answer that begins alike."""

from __future__ import annotations

import pytest

from rag.answer.declined import declines


@pytest.mark.parametrize(
    "reply",
    [
        "NO ANSWER",
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
    assert declines(reply)


@pytest.mark.parametrize(
    "reply",
    [
        "",
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
