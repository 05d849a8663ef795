"""The corpus checker: which quantities it sees, what it allows, what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rag.errors import DataError
from rag.evaluate.balance import check_counts, check_gold, check_quotes, check_same_quotes, check_templates, counts, template
from rag.evaluate.catalogue import load_truth
from rag.evaluate.facts import check_corpus, read_all
from rag.evaluate.gold import Located, Question
from rag.evaluate.quantities import mentions

LAMP: dict[str, Any] = {
    "id": "PB-HL210",
    "name_en": "Pinebeck Ember 400 Headlamp",
    "name_zh": "余烬 400 头灯",
    "category": "Headlamps",
    "category_zh": "头灯",
    "price_eur": 49.9,
    "price_cny": 369,
    "stock_eu": 64,
    "stock_cn": 120,
    "attributes": {"battery_life": "12 h", "weight": "86 g", "warranty": "3 years", "ports": "2 USB-C ports"},
    "attributes_zh": {"续航": "12 小时", "重量": "86 克", "保修期": "3 年", "接口": "2 个 USB-C 口"},
    "compatible_with": ["PB-HL901"],
    "accessories": ["PB-HL901"],
    "replaces": None,
    "summary_en": "A light headlamp.",
    "summary_zh": "轻量头灯。",
}
BAND = LAMP | {
    "id": "PB-HL901",
    "name_en": "Pinebeck Ember Headband 9",
    "name_zh": "余烬 9 号替换头带",
    "price_eur": 9.5,
    "price_cny": 59,
    "attributes": {"weight": "20 g", "warranty": "2 years"},
    "attributes_zh": {"重量": "20 克", "保修期": "2 年"},
    "compatible_with": ["PB-HL210"],
    "accessories": [],
}
FACTS = """name,value,unit,region,valid_from,valid_to,note
return_period,30,days,EU,2026-01-01,,
return_period,7,days,CN,,,
return_period_2024,14,days,EU,2024-01-01,2025-12-31,
free_returns_per_year,4,times,CN,,,
order_cutoff,14:00,time,EU,,,
"""


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    save(tmp_path / "shop/catalogue/products.jsonl", json.dumps(LAMP, ensure_ascii=False), json.dumps(BAND, ensure_ascii=False))
    save(tmp_path / "facts.csv", FACTS.strip())
    return tmp_path


def save(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def page(corpus: Path, text: str, name: str = "policies/page.md", **front: str) -> list[str]:
    head = "".join(f"{key}: {value}\n" for key, value in ({"title": "A page"} | front).items())
    save(corpus / "shop" / name, f"---\n{head}---\n# A page\n\n{text}")
    return check_corpus(corpus)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("within 30 days, a 30-day period, thirty days", ["30 day"] * 3),
        ("3 to 5 working days；3–5 个工作日", ["3 working day", "5 working day"] * 2),
        ("-10 °C to 65 °C, 20 至 60 ℃", ["-10 celsius", "65 celsius", "20 celsius", "60 celsius"]),
        ("€49.90, EUR 1,299, 49,90 €, 49.90 EUR, 59 欧元", ["49.9 EUR", "1299 EUR", "49.9 EUR", "49.9 EUR", "59 EUR"]),
        ("¥369，369元，１.5 万元", ["369 CNY", "369 CNY", "15000 CNY"]),
        ("两年质保, 24 个月, 24 months, 2-year", ["2 year"] * 4),
        ("半小时, half an hour, 1 h 30 min", ["30 minute", "30 minute", "1.5 hour"]),
        ("20000mAh, 1.2 kg, 1200 g", ["20000 milliamp hour", "1.2 kilogram", "1.2 kilogram"]),
        ("5 g of salt, a 5G phone, 4K at 60 fps, 2700 K", ["5 gram", "60 frames per second", "2700 kelvin"]),
        ("8x zoom, 8x42, 10 x 20 cm", ["8 times", "10 centimetre", "20 centimetre"]),
        ("八折，百分之二十，8 %", ["20 percent", "8 percent"]),
        ("on 2026-11-24, 2026 年 11 月 24 日, at 14:00, call +44 20 7946 0182", []),
        ("IP67, USB 3.0, Wi-Fi 6 升级, 第 3 天, 四周, 两三天, 千克, at 5 a.m.", []),
        ("one day you will see, 一天两次, two points, three times", []),
        ("400 m³/h, 2 min/m², 20 L/day, 48 m²", ["400 m3/h", "2 minute per square metre", "20 litre per day", "48 square metre"]),
    ],
)
def test_mentions(text: str, expected: list[str]) -> None:
    assert [str(mention.quantity) for mention in mentions(text)] == expected


def test_counted_things_come_from_the_catalogue(corpus: Path) -> None:
    truth = load_truth(corpus / "shop", corpus / "facts.csv")
    assert {"usb-c port", "usb-c ports", "个 usb-c 口"} <= truth.units
    assert [str(mention.quantity) for mention in mentions("It has 3 USB-C ports", truth.units)] == ["3 usb-c port"]


def test_what_the_catalogue_says_may_be_said(corpus: Path) -> None:
    text = "The Ember 400 costs 49.90 EUR and lasts 12 hours. 余烬400 头灯重 86 克，保修 3 年，369 元，2 个 USB-C 口。"
    assert page(corpus, text) == []
    assert page(corpus, "It weighs 86 g.", product="PB-HL210") == []
    assert page(corpus, "Returns: 30 days; 7 天; each year 4 times.") == []


def test_an_untrue_quantity_is_named_with_its_place(corpus: Path) -> None:
    (problem,) = page(corpus, "First line.\n\nThe Ember 400 lasts 14 hours.")
    assert problem.startswith(
        "policies/page.md:8: '14 hours' (14 hour) is not true of PB-HL210 nor in facts.csv; nearest: 12 hour (PB-HL210"
    )
    assert "return_period" in problem  # days are hours too


def test_another_products_value_is_untrue(corpus: Path) -> None:
    assert len(page(corpus, "The Ember 400 weighs 20 g.")) == 1
    assert page(corpus, "The Ember 400 with the Ember Headband 9 weighs 20 g more.") == []
    assert len(page(corpus, "A thing that weighs 86 g.")) == 1  # it names no product


def test_facts_hold_in_their_region_and_time(corpus: Path) -> None:
    assert page(corpus, "Return within 30 days.", region="EU") == []
    assert len(page(corpus, "Return within 30 days.", region="CN")) == 1
    assert page(corpus, "Return within 14 days.", region="EU", valid_to="2025-06-30") == []
    assert len(page(corpus, "Return within 14 days.", region="EU", valid_from="2026-01-01")) == 1


def test_each_faq_entry_stands_for_itself(corpus: Path) -> None:
    rows = (
        "question,answer,language",
        "How long does the Ember 400 last?,It lasts 12 hours.,en",
        "How long does it last?,It lasts 12 hours.,en",
    )
    save(corpus / "shop/faq/faq.csv", *rows)
    (problem,) = check_corpus(corpus)
    assert problem.startswith("faq/faq.csv#") and ":2: '12 hours'" in problem


def test_summaries_are_checked_but_values_are_the_truth(corpus: Path) -> None:
    wrong = json.dumps(LAMP | {"summary_en": "Lasts 13 h."}, ensure_ascii=False)
    save(corpus / "shop/catalogue/products.jsonl", wrong, json.dumps(BAND, ensure_ascii=False))
    problems = check_corpus(corpus)
    assert problems and all("'13 h'" in problem for problem in problems)


def test_links_must_exist(corpus: Path) -> None:
    save(corpus / "shop/catalogue/products.jsonl", json.dumps(LAMP, ensure_ascii=False))
    problems = check_corpus(corpus)
    assert len(problems) == 2
    assert problems[0].endswith("products.jsonl:1: PB-HL210 names PB-HL901, which is not another product of the catalogue")


def test_unreadable_files_and_unknown_products_are_told(corpus: Path) -> None:
    (corpus / "shop/broken.pdf").write_bytes(b"no pdf")
    problems = page(corpus, "Text.", product="PB-XX1")
    assert any("broken.pdf" in problem for problem in problems)
    assert any("the front matter names PB-XX1, which is not in the catalogue" in problem for problem in problems)


def test_wrong_tables_are_refused(corpus: Path) -> None:
    save(corpus / "facts.csv", "name,value,unit,region,valid_from,valid_to,note", "x,30,days,EU,soon,,")
    with pytest.raises(DataError, match=r"dates as YYYY-MM-DD; found .*facts.csv:2"):
        check_corpus(corpus)
    save(corpus / "shop/catalogue/products.jsonl", '{"name_en": "x"}')
    with pytest.raises(DataError, match=r"a product object with an id; found .*products.jsonl:1"):
        check_corpus(corpus)


def gold(id: str, question: str, quote: str = "", **other: object) -> Located:
    sources = [{"document": "policies/page.md", "quote": quote}] if quote else []
    given = {
        "id": id,
        "lang": "en",
        "question": question,
        "answer": quote,
        "answerable": bool(quote),
        "sources": sources,
        "kind": "single",
    }
    return Located(Question.model_validate(given | other), f"{id}.jsonl:1")


def test_quotes_must_be_verbatim(corpus: Path) -> None:
    page(corpus, "Return within 30 days\nof delivery.")
    documents, _ = read_all(corpus / "shop")
    assert check_quotes([gold("a", "?", "Return within 30 days")], documents) == []
    (spaced,) = check_quotes([gold("a", "?", "30 days of delivery")], documents)
    assert spaced.endswith("'30 days of delivery' is not verbatim in policies/page.md (only the white space differs)")
    (invented,) = check_quotes([gold("a", "?", "within 31 days")], documents)
    assert invented.startswith("a.jsonl:1: a: ") and invented.endswith("(not there)")
    elsewhere = gold("a", "?", "x", sources=[{"document": "no.md", "quote": "x"}])
    assert check_quotes([elsewhere], documents) == ["a.jsonl:1: a quotes no.md, which is not in the corpus"]


def test_templates(corpus: Path) -> None:
    truth = load_truth(corpus / "shop", corpus / "facts.csv")
    assert template("How heavy is the Ember 400?", truth) == template("how heavy is the  PB-HL901", truth)
    assert template("余烬400 头灯多重？", truth) == template("PB-HL210多重", truth)
    assert template("Can I return it after 20 days?", truth) == template("Can I return it after 3 days?", truth)
    assert template("Is the Ember 400 heavy?", truth) != template("How heavy is the Ember 400?", truth)


def test_leaks(corpus: Path) -> None:
    truth = load_truth(corpus / "shop", corpus / "facts.csv")
    dev = [gold("d1", "How heavy is the Ember 400?", "The Ember 400 weighs 86 g.")]
    other = [gold("t1", "What does it weigh?", "It lasts 12 hours.")]
    assert check_templates(dev, other, truth) == check_same_quotes(dev, other) == []
    same = check_templates(dev, [gold("t1", "How heavy is the Ember Headband 9?", "Weight: 20 g and no more")], truth)
    assert same == ["t1.jsonl:1: t1 has the template of d1 (d1.jsonl:1)"]
    part = check_same_quotes(dev, [gold("t1", "What does it weigh?", "The Ember 400 weighs 86 g. It is light.")])
    assert part == ["t1.jsonl:1: t1 shares a quote with d1 (d1.jsonl:1)"]


def test_counts() -> None:
    history = [{"role": "user", "text": "Hi"}, {"role": "assistant", "text": "Hello"}]
    questions = [
        gold("1", "?", "x", history=history, kind="dialogue").item,
        gold("2", "?", "x", lang="zh", kind="pinyin").item,
        gold("3", "?", kind="attack").item,
        gold("4", "?", kind="off_topic").item,
    ]
    found = counts(questions)
    cross = {"cross_zh": 0, "cross_en": 0}
    assert found == {"items": 4, "dialogues": 1, "unanswerable": 1, "noisy": 1, "attacks": 1, **cross, "zh_share": 0.25}
    assert check_counts(questions, {"items": 4, "attacks": 2}) == ["gold: 1 attacks, at least 2 asked for"]
    with pytest.raises(DataError, match="minimums of items, dialogues, .*; found itens; correct gold.toml"):
        check_counts(questions, {"itens": 4})


def test_questions_to_learn_from_are_checked_but_not_counted(corpus: Path) -> None:
    save(corpus / "shop/lamp.md", "# Lamp\n\nThe Ember 400 weighs 86 g.")
    save(corpus / "gold/gold.toml", "[minimum]\nitems = 3")
    weight = "The Ember 400 weighs 86 g."
    told = {"train": "How heavy is the Ember 400?", "dev": "Weight of it?", "test": "how heavy is the Ember Headband 9"}
    told["plain"] = "how heavy is the ember 400"
    for split, question in told.items():
        source = [{"document": "lamp.md", "quote": weight if split != "dev" else "weighs 86"}]
        save(corpus / f"gold/{split}/en.jsonl", gold(split, question, weight, sources=source).item.model_dump_json())
    documents, _ = read_all(corpus / "shop")
    leak, plain, few = check_gold(corpus / "gold", documents, load_truth(corpus / "shop", corpus / "facts.csv"))
    assert leak == f"{corpus}/gold/test/en.jsonl:1: test has the template of train ({corpus}/gold/train/en.jsonl:1)"
    assert plain == f"{corpus}/gold/plain/en.jsonl:1: plain has the template of train ({corpus}/gold/train/en.jsonl:1)"
    assert few == "gold: 2 items, at least 3 asked for"
