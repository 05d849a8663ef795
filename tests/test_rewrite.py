from __future__ import annotations

import time

import pytest

from rag.retrieve.entities import Entities, Titles
from rag.retrieve.products import Products
from rag.retrieve.rewrite import CONTEXT_CHARACTERS, rewrite
from rag.types import History, Query, Turn

CATALOGUE = Products(
    {
        "PB-HL210": "PB-HL210",
        "Ember 400 Headlamp": "PB-HL210",
        "余烬 400 头灯": "PB-HL210",
        "PB-HL310": "PB-HL310",
        "Lynx 800 Headlamp": "PB-HL310",
        "猞猁 800 头灯": "PB-HL310",
        "PB-HL902": "PB-HL902",
        "Helmet Clip 4": "PB-HL902",
    }
)
PRODUCTS = Entities(CATALOGUE, Titles({"ACORN HOUSE": 3}, {}), {}, {"PB-HL210", "PB-HL310", "PB-HL902"})


def turns(*texts: str) -> History:
    return tuple(Turn("assistant" if place % 2 else "user", text) for place, text in enumerate(texts))


LAMP = turns("How bright is the Ember 400?", "It gives up to 400 lm.")
LONG_QUESTION = "My parcel has a dent, the driver rang nobody and left it in the rain, who refunds the delivery charge?"
LAMP_ZH = turns("余烬400头灯有多亮？", "最高 400 流明。")
RETURN = turns("Can I return an opened headlamp?", "Yes, within 30 days.")
LONGER = (*RETURN, *turns("how long does that take?", "14 days."))
HELMET = turns("Does the Ember 400 fit a helmet?", "Yes, with the Helmet Clip 4.")
EITHER = turns("Ember 400 or Lynx 800?", "Both are fine.")
RETURN_ZH = turns("怎么申请退货？", "在“我的订单”里提交。")


@pytest.mark.parametrize("question", ["How bright is the Ember 400?", "it", "那个多少钱", "", "  ", "?"])
def test_a_first_turn_passes_through(question: str) -> None:
    query = rewrite(question, (), PRODUCTS)
    assert (query.text, query.question, query.context) == (question, question, "")


@pytest.mark.parametrize(
    ("history", "question", "expected"),
    [
        # what points at a product gets its name
        (LAMP, "how long does it last?", "Ember 400: how long does it last?"),
        (LAMP, "and the battery?", "Ember 400: and the battery?"),
        (LAMP, "What about its weight?", "Ember 400: What about its weight?"),
        (LAMP_ZH, "那个防水吗？", "余烬 400 头灯：那个防水吗？"),
        (LAMP_ZH, "它的保修期是多久？", "余烬 400 头灯：它的保修期是多久？"),
        (LAMP_ZH, "续航时间呢？", "余烬 400 头灯：续航时间呢？"),
        # a question without words of its own gets the last question's, too
        (LAMP, "how so?", "Ember 400 bright: how so?"),
        (RETURN, "and how long does that take?", "return opened headlamp: and how long does that take?"),
        (RETURN_ZH, "要多久？", "申请 退货：要多久？"),
        # another product instead asks the same of that
        (LAMP, "and the Lynx 800?", "bright: and the Lynx 800?"),
        (LAMP_ZH, "那猞猁 800 呢？", "有多亮：那猞猁 800 呢？"),
        # the topic outlives follow-ups in between
        (
            LONGER,
            "who pays for it?",
            "return opened headlamp: who pays for it?",
        ),
        # the product named last counts, whoever named it
        (
            HELMET,
            "how much is it?",
            "Helmet Clip 4 fit helmet: how much is it?",
        ),
        (
            EITHER,
            "which of those is lighter?",
            "Ember 400 Lynx 800: which of those is lighter?",
        ),
        # what stands alone passes through
        (LAMP, "Do you ship to Norway?", "Do you ship to Norway?"),
        (LAMP, LONG_QUESTION, LONG_QUESTION),
        (LAMP, "Is the Lynx 800 waterproof?", "Is the Lynx 800 waterproof?"),
        (LAMP_ZH, "猞猁 800 防水吗？", "猞猁 800 防水吗？"),
        (RETURN_ZH, "支持微信支付吗？", "支持微信支付吗？"),
    ],
)
def test_a_follow_up_gets_what_it_leaves_out(history: History, question: str, expected: str) -> None:
    assert rewrite(question, history, PRODUCTS).text == expected


def test_the_typed_question_is_kept_and_the_last_exchange_goes_along() -> None:
    history = (*turns("hello", "Hi!"), *LAMP)
    query = rewrite("how long does it last?", history, PRODUCTS)
    assert query == Query(
        "Ember 400: how long does it last?",
        "how long does it last?",
        "en",
        "How bright is the Ember 400? It gives up to 400 lm.",
        carried=(("PB-HL210",),),
    )


def test_what_was_spoken_of_is_carried_newest_first() -> None:
    history = (
        *LAMP,
        *turns("And the Lynx 800?", "Ah.", "Is the Acorn House near?", "Yes, and the Ember 400 and the Lynx 800 are there."),
    )
    query = rewrite("Can I park?", history, PRODUCTS)
    assert query.text == "Can I park?"
    assert query.carried == (("PB-HL210", "PB-HL310"), ("ACORN HOUSE",), ("PB-HL310",), ("PB-HL210",))
    assert rewrite("Does it have parking?", history[:-1], PRODUCTS).text == "ACORN HOUSE: Does it have parking?"
    assert rewrite("Can I park?", (), PRODUCTS).carried == ()


def test_the_context_is_bounded() -> None:
    assert len(rewrite("and?", turns("a" * 9_000, "b" * 9_000), PRODUCTS).context) == CONTEXT_CHARACTERS


def test_without_products_the_words_carry() -> None:
    assert rewrite("how long does it last?", LAMP).text == "bright ember 400: how long does it last?"


@pytest.mark.parametrize(
    ("question", "history", "language"),
    [
        ("How bright?", (), "en"),
        ("多亮？", (), "zh"),
        ("Ember 400 多少钱", (), "zh"),
        ("12.5?", LAMP_ZH, "zh"),
        ("?", LAMP, "en"),
        ("Сколько стоит?", LAMP_ZH, "zh"),
        ("Сколько стоит?", (), "en"),
        ("英文", turns("Hello", "Hi"), "zh"),
    ],
)
def test_the_language_is_the_questions_or_else_the_conversations(question: str, history: History, language: str) -> None:
    assert rewrite(question, history, PRODUCTS).language == language


def test_it_takes_less_than_a_millisecond() -> None:
    history = LAMP * 3
    rewrite("and how long does it last?", history, PRODUCTS)
    started = time.thread_time()
    for number in range(50):
        rewrite(f"and how long does it last {number}?", history, PRODUCTS)
    assert (time.thread_time() - started) / 50 < 0.005  # five times the goal, for busy machines


def test_who_changes_the_language_starts_anew() -> None:
    history = turns("How long do refunds take?", "Refunds take 14 days.")
    assert rewrite("你们的保修期多久", history, PRODUCTS).context == ""
    assert rewrite("and for gift cards?", history, PRODUCTS).context == "How long do refunds take? Refunds take 14 days."
    assert rewrite("PB-HL210?", history, PRODUCTS).context, "a code is in no language"
