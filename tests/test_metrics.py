"""Metrics against hand-computed cases, and against reference implementations."""

from __future__ import annotations

import math
import random

import pytest
from sklearn.metrics import ndcg_score

from rag.evaluate import metrics, score
from rag.evaluate.gold import Question, Source
from rag.evaluate.numerals import numbers
from rag.evaluate.rows import Row

R, N = True, False


@pytest.mark.parametrize(
    ("relevances", "total", "k", "expected"),
    [([R, N, R], 2, 1, 0.5), ([R, N, R], 2, 3, 1.0), ([N, N], 1, 2, 0.0), ([N, R], 4, 2, 0.25)],
)
def test_recall(relevances: list[bool], total: int, k: int, expected: float) -> None:
    assert metrics.recall_at(relevances, total, k) == expected


@pytest.mark.parametrize(("relevances", "expected"), [([R], 1.0), ([N, N, R, R], 1 / 3), ([N] * 10 + [R], 0.0), ([], 0.0)])
def test_reciprocal_rank(relevances: list[bool], expected: float) -> None:
    assert metrics.reciprocal_rank(relevances) == expected


def test_ndcg_by_hand() -> None:
    # relevant at ranks 1 and 3 of three relevant ones: (1 + 1/2) / (1 + 1/log2(3) + 1/2)
    assert metrics.ndcg([R, N, R], 3) == pytest.approx(1.5 / (1.5 + 1 / math.log2(3)))
    assert metrics.ndcg([R, R], 2) == 1.0
    assert metrics.ndcg([N] * 10 + [R], 1) == 0.0


def test_ndcg_agrees_with_scikit_learn() -> None:
    chance = random.Random(7)
    for _ in range(50):
        truth = [chance.random() < 0.2 for _ in range(30)]
        truth[chance.randrange(30)] = True
        order = chance.sample(range(30), 30)
        scores = [0.0] * 30
        for rank, index in enumerate(order):
            scores[index] = -float(rank)
        reference = ndcg_score([[float(relevant) for relevant in truth]], [scores], k=10)
        assert metrics.ndcg([truth[index] for index in order], sum(truth)) == pytest.approx(reference)


def test_token_f1_is_squads() -> None:
    # normalised: "cat sat" against "cat sat on mat": 2 shared, 2 / 2 precision, 2 / 4 recall
    assert metrics.answer_f1("The cat sat!", "a cat sat on the mat", "en") == pytest.approx(2 / 3)
    assert metrics.answer_f1("Within 30 days.", "within 30 days", "en") == 1.0
    assert metrics.answer_f1("", "30 days", "en") == 0.0
    assert metrics.answer_f1("", "", "en") == 1.0


def test_character_f1() -> None:
    # 三 天 内 against 3 天 内: two of three characters each
    assert metrics.answer_f1("三天内", "3 天内", "zh") == pytest.approx(2 / 3)
    assert metrics.answer_f1("可以退貨。", "可以退货", "zh") == 1.0  # script and punctuation do not count


def test_rouge_l() -> None:
    # longest common subsequence "police the gunman", 3 of 4 words each
    assert metrics.rouge_l("police kill the gunman", "police killed the gunman", "en") == pytest.approx(0.75)
    # 天 alone is common to 三十天 and 30天 (tokens 30, 天): P 1/3, R 1/2
    assert metrics.rouge_l("三十天", "30 天", "zh") == pytest.approx(0.4)
    assert metrics.rouge_l("a b c d", "d c b a", "en") == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It costs 1,299.00 EUR", {"1299"}),
        ("1.299,00 € or 49,90 €", {"1299", "49.9"}),
        ("１４ 天内", {"14"}),
        ("三十天，两年，一千零五十元，百分之二十", {"30", "2", "1050", "20"}),
        ("1.5 万次", {"15000"}),
        ("thirty-five days, two weeks, one of them", {"35", "2"}),
        ("until 30 November 2026", {"30", "11", "2026"}),
        ("截至 2026 年 11 月 30 日", {"30", "11", "2026"}),
        ("-10 °C to 65 °C, 3–5 days", {"-10", "65", "3", "5"}),
        ("[1] The Ember 400 [2], 20000mAh, IP67", {"400", "20000", "67"}),
        ("1. Press it\n2) Wait 2.0 s", {"2"}),
        ("十分好，万一，统一，一些，两三天，千克", set()),
        ("2014 年", {"2014"}),
        ("二〇二六年", {"2026"}),
    ],
)
def test_numbers(text: str, expected: set[str]) -> None:
    assert numbers(text) == expected


def test_numbers_exact() -> None:
    assert metrics.numbers_exact("You have thirty days.", "30 days")
    assert not metrics.numbers_exact("You have 14 days.", "30 days")
    assert not metrics.numbers_exact("You have time.", "30 days")
    assert not metrics.numbers_exact("30 days, then 5 more", "30 days")
    assert metrics.numbers_exact("30 days, then 5 more", "30 days", known=["5 more"])
    assert metrics.numbers_exact("退货期三十天", "30 天")


@pytest.mark.parametrize(
    ("given", "gold", "language"),
    [
        ("You can return it within 30 days of delivery.", "30 days", "en"),
        ("You have two years of warranty on it.", "2 years", "en"),
        ("The price is €49.90.", "49.90 EUR", "en"),
        ("- battery life: 12 h", "12 hours", "en"),
        ("Returns are free for faulty items; we send you a label.", "Yes, returns of faulty items are free", "en"),
        ("您可以在签收后 7 天内申请退货。", "七天", "zh"),
        ("续航：12 小时", "可以用 12 小时", "zh"),
        ("保修期为两年。", "2 年", "zh"),
        ("支持无理由退货，运费由您承担。", "运费由顾客承担", "zh"),
    ],
)
def test_right(given: str, gold: str, language: str) -> None:
    assert metrics.right(given, gold, language)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "gold", "language"),
    [
        ("You can return it within 14 days of delivery.", "30 days", "en"),  # the number
        ("You have 30 hours.", "30 days", "en"),  # the unit
        ("Yes, it is waterproof.", "No, it is not waterproof.", "en"),  # yes for no
        ("The Lynx is waterproof.", "The Lynx is not waterproof.", "en"),  # the negation dropped
        ("We are happy to help you.", "Only by mail", "en"),  # something else
        ("word " * 150 + "only by mail", "Only by mail", "en"),  # the whole page
        ("您可以在签收后 15 天内申请退货。", "七天", "zh"),
        ("可以用 12 天", "可以用 12 小时", "zh"),
        ("支持无理由退货", "不支持无理由退货", "zh"),
        ("可以，带上飞机没有问题", "不可以带上飞机", "zh"),
        ("很高兴为您服务", "运费由顾客承担", "zh"),
    ],
)
def test_not_right(given: str, gold: str, language: str) -> None:
    assert not metrics.right(given, gold, language)  # type: ignore[arg-type]


def test_numbers_of_the_source_do_not_make_an_answer_wrong() -> None:
    given, gold, quote = "支持七天无理由退货，运费由您承担。", "运费由顾客承担", "七天无理由退货，运费由您承担"
    assert not metrics.right(given, gold, "zh")
    assert metrics.right(given, gold, "zh", known=[quote])


def test_units_agree() -> None:
    assert metrics.units_agree("It lasts 12 h", "12 hours")
    assert metrics.units_agree("12", "12 hours")
    assert metrics.units_agree("24 months, 12 days", "2 years")
    assert not metrics.units_agree("12 days", "12 hours")


def test_holds_ignores_white_space_only() -> None:
    assert metrics.holds("Returns:\n  within 30\ndays.", ["within 30 days"])
    assert not metrics.holds("within 30 days", ["Within 30 days"])
    assert not metrics.holds("anything", [])


def test_overlaps() -> None:
    gold = ["You can return any product within 30 days of delivery."]
    assert metrics.overlaps("return any product within 30 days of delivery", gold)
    assert metrics.overlaps("any product within 30 days", gold)  # less than half, but all of it
    assert not metrics.overlaps("30 days", gold)
    assert not metrics.overlaps("We ship within two days of payment.", gold)


def test_mean_with_a_seeded_interval() -> None:
    figure = metrics.mean([0.0, 1.0] * 50, interval=True)
    assert (figure.value, figure.n) == (0.5, 100)
    assert figure.low is not None and figure.high is not None
    # the standard error is 0.05, so the interval is near 0.5 +- 1.96 * 0.05
    assert figure.low == pytest.approx(0.402, abs=0.02) and figure.high == pytest.approx(0.598, abs=0.02)
    assert figure == metrics.mean([0.0, 1.0] * 50, interval=True)
    assert metrics.mean([2.0]) == metrics.Figure(2.0, 1)
    with pytest.raises(ZeroDivisionError):
        metrics.mean([])


def test_percentile_is_the_nearest_rank() -> None:
    values = [float(value) for value in range(1, 101)]
    assert metrics.percentile(values, 50).value == 50
    assert metrics.percentile(values, 95).value == 95
    assert metrics.percentile([7.0], 95).value == 7


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("You must be at least 16 years old to open an account. [1]", True),  # says the rule without the gold answer's "no"
        ("You must be at least 18 years old to open an account. [1]", False),
        ("You must be at least 16 years old to open an account. " + "And so on, with one more word. " * 20, False),
        ("必须年满十六岁：You must be at least 16 years old to open an account. 才能自己注册账户，否则请家长来管理。", False),
    ],
)
def test_a_gold_quote_word_for_word_is_right_if_it_is_short_and_in_the_language(text: str, expected: bool) -> None:
    source = Source(document="a.md", quote="You must be at least 16 years old to open an account.")
    item = Question(
        id="t-en-1",
        lang="en",
        history=[],
        question="My daughter's fourteen and wants her own login, is that alright?",
        answer="No, you must be at least 16 years old to open an account.",
        answerable=True,
        sources=[source],
        kind="single",
    )
    assert score.is_right(score.Case(item, Row(id="t-en-1", fingerprint="", outcome="answered", text=text), 0)) is expected
