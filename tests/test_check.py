"""Sentences that stand and sentences that fall."""

from __future__ import annotations

import dataclasses
import time

import pytest
from answering import CHUNKS, LAMP, PAY, RETURNS, RETURNS_ZH
from indexing import rarity_of

from rag.answer.check import check
from rag.types import Passage

RARITY = rarity_of(chunk.search_text for chunk in CHUNKS)
PASSAGES = [Passage(RETURNS, 3.0), Passage(LAMP, 2.0), Passage(PAY, 1.0), Passage(RETURNS_ZH, 0.5)]


def kept(text: str, prompt: str = "") -> list[tuple[str, str]]:
    found = check(text, PASSAGES, RARITY, 0.6, prompt)
    return [(sentence, passage.chunk.text[slice(*where)]) for sentence, passage, where in found]


def test_each_sentence_stands_for_itself() -> None:
    text = "You can return a product within 30 days. The Ember 400 weighs 86 g and costs 12 EUR. We accept Visa [2]. It is red."
    assert kept(text) == [
        ("You can return a product within 30 days.", "You can return any product within 30 days of delivery."),
        ("We accept Visa.", "We accept Visa and Mastercard."),
    ]


def test_a_negation_stands_only_word_for_word() -> None:
    source = "The Ember 400 is protected to IPX6: heavy rain does no harm, but it is not made for diving."
    passage = Passage(dataclasses.replace(LAMP, text=source), 1.0)
    assert not check("The Ember 400 is not protected to IPX6.", [passage], RARITY, 0.6)
    assert check("It is not made for diving.", [passage], RARITY, 0.6)


def test_a_marker_decides_between_passages_that_both_carry_it() -> None:
    passages = [Passage(RETURNS, 1.0), Passage(RETURNS, 1.0)]
    (first,) = check("Return any product within 30 days. [2]", passages, RARITY, 0.6)
    assert first[1] is passages[1]


@pytest.mark.parametrize(
    "sentence",
    [
        "You can return any product within 30 months of delivery.",
        "You can return any product within a fortnight of delivery.",
        "You can return any product within 30 % of delivery.",
        "A return label costs 4.90 USD.",
        "A return label costs 49 EUR.",
        "You cannot return any product within 30 days of delivery.",
        "Used ear tips can be returned.",
        "Can you return any product within 30 days of delivery?",
        "Return any product within 30 days of delivery to https://refund.example/x.",
        "Return any product within 30 days of delivery, call +49 900 1234567.",
        "Return any product within 30 days of delivery: mail a@b.example.",
        "Return any product within 30 days of delivery <b>now</b>.",
        "Return any product ![ok](x) within 30 days of delivery.",
        "Return any product PB-HL211 within 30 days of delivery.",
        "签收后十天内可以无理由退货。",
        "签收后七天内不可以无理由退货。",
        "Return any product within 30 days of delivery (see no. 5).",
        "NO ANSWER",
        "The passages do not mention the return of any product within 30 days of delivery.",
    ],
)
def test_a_sentence_that_invents_falls(sentence: str) -> None:
    assert kept(sentence) == []


@pytest.mark.parametrize(
    "sentence",
    [
        "Return any product within thirty days of delivery.",
        "1. Return any product within 30 days of delivery.",
        "A return label costs €4.90.",
        "A return label costs 4,90 EUR.",
        "签收后7天内可以无理由退货。",
        "簽收後七天內可以無理由退貨。",
        "退货运费一般为 １２ 元。",
    ],
)
def test_another_spelling_of_the_same_stands(sentence: str) -> None:
    assert len(kept(sentence)) == 1


def test_words_from_all_over_a_passage_do_not_make_a_sentence() -> None:
    assert kept("The used label costs delivery days.") == []


def test_a_recital_of_the_prompt_falls() -> None:
    prompt = "You are the assistant of the shop and you can return any product within 30 days of delivery"
    assert kept("You can return any product within 30 days of delivery.") and not kept(
        "You can return any product within 30 days of delivery.", prompt
    )


def test_a_repeated_sentence_is_said_once() -> None:
    assert len(kept("Return any product within 30 days of delivery. " * 3)) == 1


def test_a_check_takes_milliseconds() -> None:
    text = "You can return a product within 30 days. A return label costs 4.90 EUR. The Ember 400 weighs 86 g."
    kept(text)
    started = time.thread_time()
    for _ in range(10):
        kept(text)
    assert (time.thread_time() - started) / 10 < 0.02
