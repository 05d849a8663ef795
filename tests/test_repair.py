from __future__ import annotations

import time

import pytest

from rag.retrieve.repair import LONGEST, Repair
from rag.retrieve.rewrite import rewrite
from rag.types import Turn

WORDS = {
    **dict.fromkeys(
        "headlamp battery charge charging warranty refund return delivery order parcel the is my of a how long".split(), 40
    ),
    **dict.fromkeys("ember swift gust kestrel dune pinebeck strap invoice switch".split(), 12),
    **dict.fromkeys("退货 充电器 充电宝 发票 抬头 保修期 申请 订单 快递 礼品卡 鼓包 电池 望远镜 头灯 怎么 多久".split(), 30),
}
NAMES = ("Pinebeck Ember 400 Headlamp", "余烬 400 头灯", "雀 825 口袋望远镜", "磁吸 6 充电宝", "Swift 360 Camera")


@pytest.fixture(scope="module")
def repair() -> Repair:
    return Repair(WORDS, NAMES)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("how long is the waranty of my hedlamp", "how long is the warranty of my headlamp"),  # dropped
        ("my pacrel dind't come", "my parcel didn't come"),  # swapped
        ("the battrey wont chargee", "the battery wont charge"),  # swapped, doubled
        ("embr 400 bettery", "ember 400 battery"),  # a name
        ("kestral strap", "kestrel strap"),
        ("batterylife of the ember", "battery life of the ember"),  # a forgotten space
        ("wen can u refund my ordr pls", "when can you refund my order please"),  # chat
        ("Waranty of the Swift 360?", "warranty of the Swift 360?"),
    ],
)
def test_english_slips(repair: Repair, typed: str, meant: str) -> None:
    assert repair.repair(typed) == meant


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("冲电器坏了", "充电器坏了"),  # the same sound
        ("怎么推货", "怎么退货"),
        ("发飘抬头写错了", "发票抬头写错了"),
        ("电池股包了", "电池鼓包了"),
        ("保修其多久", "保修期多久"),
        ("余近400多亮", "余烬400多亮"),  # a name and its number
        ("保期修多久", "保修期多久"),  # changed places
        ("礼品能退吗", "礼品能退吗"),  # may be right as it is
    ],
)
def test_chinese_characters_that_sound_alike(repair: Repair, typed: str, meant: str) -> None:
    assert repair.repair(typed) == meant


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("tuihuo zenme shenqing", "退货怎么申请"),
        ("TUIHUO ZENME SHENQING", "退货怎么申请"),
        ("tui huo zen me shen qing", "退货怎么申请"),
        ("tuihuozenmeshenqing", "退货怎么申请"),
        ("tui4huo4 zen3me shen1qing3", "退货怎么申请"),
        ("tuìhuò zěnme shēnqǐng", "退货怎么申请"),
        ("zenme退货", "怎么退货"),
        ("tui货 zenme shenqing", "退货怎么申请"),
        ("yujin 400 baoxiuqi duojiu", "余烬 400 保修期多久"),
        ("fapiao taitou", "发票抬头"),
        ("shifou you baoxiuqi, dingdan zenme tuihuo?", "是否有保修期, 订单怎么退货?"),
    ],
)
def test_pinyin(repair: Repair, typed: str, meant: str) -> None:
    assert repair.repair(typed) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "?",
        "退",
        "🙂🙂",
        "كم سعر المصباح",
        "How long is the warranty of the Ember 400?",
        "Can he hang on to the pen, or send me a men's fan?",  # each of these could be pinyin
        "A man rang: who sang a song?",
        "Wang Li from Shanghai asks for an invoice",
        "I live in Chengdu",
        "my PBHL110 and pb-hl210, IP67, USB-C, 2x18650, 12.5 mm",
        "dune3 and dune4",
        "mail hlep@pinebeck.example or see https://pinebeck.example/tuihuo?x=waranty",
        "order #A10-4471 cost €49.90 on 2025/11/24",
        "café Müller, naïve",
        "the jacket's light isn't waterproof or windproof",
        "怎么退货？",
        "余烬400能用多久",
        "我的order什么时候ship",
        "帮我查一下发票抬头",
        "帳號整個註銷掉，要等多久",  # traditional script is folded elsewhere
        "這個頭燈的電池可以換嗎",
        "订单号 SO20251124007 发了吗，快递说 3 天",
        "客服邮箱是 tuihuo@pinebeck.example 吗",
    ],
)
def test_what_is_right_stays(repair: Repair, text: str) -> None:
    assert repair.repair(text) == text


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("waranty of pbhl110 and PB-HL210 for 49.90 EUR", ("pbhl110", "PB-HL210", "49.90 EUR")),
        ("hlep with htps://x.example/waranty and me@waranty.example", ("me@waranty.example",)),
        ("yujin400 zenme tuihuo, PB-HL110 99 yuan", ("400", "PB-HL110 99")),
        ("推货 SO2025 到 https://pinebeck.example/推货", ("SO2025", "https://pinebeck.example/")),
    ],
)
def test_codes_numbers_and_addresses_are_never_touched(repair: Repair, typed: str, kept: tuple[str, ...]) -> None:
    meant = repair.repair(typed)
    assert meant != typed
    assert all(part in meant for part in kept)


def test_the_documents_decide_between_likely_words() -> None:
    assert Repair({"grove": 50}).repair("grov") == "grove"
    assert Repair({"grow": 50}).repair("grov") == "grow"
    assert Repair({"余烬": 9}).repair("余近怎么充电") == "余烬怎么充电"
    assert Repair({}).repair("余近怎么充电") == "余近怎么充电"


def test_a_word_of_the_documents_is_right_however_odd() -> None:
    assert Repair({}).repair("batery") == "battery"
    assert Repair({"batery": 1}).repair("batery") == "batery"


def test_without_documents_everyday_words_are_repaired() -> None:
    assert Repair({}).repair("Becuase I recieved a wrong adress") == "because I received a wrong address"


def test_repairing_twice_changes_nothing_more(repair: Repair) -> None:
    for typed in ("wen can u refund my ordr pls", "tuihuo zenme shenqing", "冲电器坏了", "dune3 hedlamp"):
        meant = repair.repair(typed)
        assert repair.repair(meant) == meant


def test_a_long_text_is_left_alone_at_once(repair: Repair) -> None:
    text = "hlep " * (LONGEST // 4)
    started = time.thread_time()
    assert repair.repair(text) == text
    assert time.thread_time() - started < 0.05


def test_the_query_keeps_what_was_typed_beside_the_repair(repair: Repair) -> None:
    query = rewrite("tuihuo zenme shenqing", (), repair=repair.repair)
    assert (query.text, query.question, query.repaired) == ("tuihuo zenme shenqing", "tuihuo zenme shenqing", "退货怎么申请")
    assert query.language == "zh"
    plain = rewrite("How long is the warranty?", (), repair=repair.repair)
    assert (plain.repaired, plain.language) == ("", "en")


def test_a_garbled_follow_up_takes_its_topic_along_both_ways(repair: Repair) -> None:
    history = (Turn("user", "Can I return an opened headlamp?"), Turn("assistant", "Yes, within 30 days."))
    query = rewrite("hwo long does taht take", history, repair=repair.repair)
    assert query.repaired.endswith("how long does that take") and query.text.endswith("hwo long does taht take")
    assert query.repaired.split(":")[0] == query.text.split(":")[0] == "return opened headlamp"
