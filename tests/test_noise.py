"""Noise on questions: what each type does and spares, the same every time; and a whole run with the fakes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rag import build
from rag.errors import DataError
from rag.evaluate.garble import NOISES, garble
from rag.evaluate.gold import Question
from rag.evaluate.noise import evaluate_noise, garbled
from rag.settings import Settings

ENGLISH = "How long is the warranty of the Ember 400 (PB-HL210), and should I please mail help@pinebeck.example about my order?"
CHINESE = "余烬 400 头灯（PB-HL210）的保修期有多久，充电器坏了能不能退货？"
SPARED = ("400", "PB-HL210", "help@pinebeck.example")
HAN = re.compile(r"[\u4e00-\u9fff]")


def of(language: str) -> list[str]:
    return [name for name, (spoken, _) in NOISES.items() if spoken == language]


@pytest.mark.parametrize("name", NOISES)
def test_each_type_changes_the_question_the_same_way_for_the_same_seed(name: str) -> None:
    text = ENGLISH if NOISES[name][0] == "en" else CHINESE
    assert garble(text, name, "0") == garble(text, name, "0") != text


@pytest.mark.parametrize("name", ["typo, en", "missing, en", "homophone, zh", "missing, zh"])
def test_another_seed_makes_other_slips(name: str) -> None:
    text = ENGLISH if NOISES[name][0] == "en" else CHINESE
    assert len({garble(text, name, str(seed)) for seed in range(8)}) > 4


@pytest.mark.parametrize("name", [name for name in NOISES if name not in ("full width, zh", "chat, en")])
def test_codes_numbers_and_addresses_are_spared(name: str) -> None:
    text = ENGLISH if NOISES[name][0] == "en" else CHINESE
    for seed in range(20):
        assert all(part in garble(text, name, str(seed)) for part in SPARED if part in text)


def test_typos_are_one_for_six_letters_and_spare_first_letters() -> None:
    typed = garble(ENGLISH, "typo, en", "0").split()
    plain = ENGLISH.split()
    assert len(typed) == len(plain)
    differing = [(one, other) for one, other in zip(plain, typed, strict=True) if one != other]
    assert 9 <= len(differing) <= 13
    assert all(one[0] == other[0] for one, other in differing)


def test_missing_words_and_spaces() -> None:
    typed = garble(ENGLISH, "missing, en", "0")
    assert len(typed) < len(ENGLISH) and len(typed.split()) < len(ENGLISH.split()) - 2


def test_chat_is_lower_case_without_punctuation() -> None:
    assert garble("Please, when would you repair the PB-HL210?", "chat, en", "0") == "pls wen wud u repair the pb-hl210"
    assert garble("It's 12.5 mm; isn’t it?", "chat, en", "0") == "its 12.5 mm isnt it"


def test_homophones_are_other_characters_of_the_same_sound() -> None:
    from pypinyin import lazy_pinyin

    typed = garble(CHINESE, "homophone, zh", "0")
    places = [place for place, (one, other) in enumerate(zip(CHINESE, typed, strict=True)) if one != other]
    assert 2 <= len(places) <= 4
    assert sum(lazy_pinyin(typed[at]) == lazy_pinyin(CHINESE[at]) for at in places) >= len(places) - 1  # 行, 长 have several


def test_missing_characters() -> None:
    assert 2 <= len(CHINESE) - len(garble(CHINESE, "missing, zh", "0")) <= 4


@pytest.mark.parametrize("seed", range(6))
def test_pinyin_has_no_chinese_left(seed: int) -> None:
    typed = garble(CHINESE, "pinyin, zh", str(seed))
    assert not HAN.search(typed)
    assert "tuihuo" in typed.replace(" ", "") and typed.isascii()


def test_scripts_and_widths() -> None:
    assert garble("头灯的电池坏了", "traditional, zh", "0") == "頭燈的電池壞了"
    assert garble("PB-HL210有货吗?", "full width, zh", "0") == "ＰＢ－ＨＬ２１０有货吗？"


def test_mixed_languages() -> None:
    assert garble("Where is my order?", "mixed, en", "0") == "Where is my 订单?"
    assert garble("电池怎么换", "mixed, zh", "0") == "battery怎么换"
    assert garble("Reorder an ordering stool", "mixed, en", "0") == "Reorder an ordering stool"


def question(id: str, text: str, lang: str, **given: object) -> Question:
    source = {"document": "faq.md", "quote": "24 months"}
    plain = {"id": id, "lang": lang, "question": text, "answer": "24 months", "answerable": True, "kind": "single"}
    return Question.model_validate({**plain, "sources": [source], **given})


def test_only_questions_that_a_type_changes_count_in_it() -> None:
    items = [question("a", "How long is the warranty?", "en"), question("b", "有多久", "zh"), question("c", "能用吗", "zh")]
    groups = garbled(items, 0)
    assert [item.id for item in groups["clean, en"]] == ["a"] and [item.id for item in groups["clean, zh"]] == ["b", "c"]
    assert "mixed, zh" not in groups  # the table has no word of theirs
    assert [item.id for item in groups["pinyin, zh"]] == ["b", "c"]
    assert groups["typo, en"][0].question != items[0].question and groups["typo, en"][0].sources == items[0].sources


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "warranty.md").write_text("# Warranty\n\nThe warranty of a headlamp is 24 months.\n", encoding="utf-8")
    (corpus / "returns.md").write_text("# Returns\n\nA return is free within 30 days.\n", encoding="utf-8")
    (corpus / "tuihuo.md").write_text("# 退货\n\n收到货后 30 天内可以申请退货。\n", encoding="utf-8")
    made = Settings(home=tmp_path / "home", corpus=corpus, fakes=True)
    build.run_ingest(made)
    return made


def gold(folder: Path, *items: Question) -> Path:
    folder.mkdir()
    lines = "".join(json.dumps(item.model_dump(), ensure_ascii=False) + "\n" for item in items)
    (folder / "gold.jsonl").write_text(lines, encoding="utf-8")
    return folder


def test_a_whole_run(settings: Settings, tmp_path: Path) -> None:
    english = question(
        "a", "How long is the warranty of a headlamp?", "en", sources=[{"document": "warranty.md", "quote": "24 months"}]
    )
    chinese = question("b", "怎么申请退货", "zh", sources=[{"document": "tuihuo.md", "quote": "30 天内可以申请退货"}])
    noisy = question("c", "warnty?", "en", kind="typo")
    result = evaluate_noise(settings, gold(tmp_path / "shop", english, chinese, noisy))
    assert result.judged and result.passed and not result.verdicts  # expected.toml knows no set of this name
    assert result.groups["clean, en"]["recall@5"].n == 1  # what is garbled already is left out
    assert result.groups["clean, en"]["changed"].value == result.groups["clean, zh"]["changed"].value == 0
    assert result.groups["pinyin, zh"]["changed"].value == 1
    assert result.groups["pinyin, zh"]["recall@1"].value == 1
    assert result.examples["pinyin, zh"][1] == "怎么申请退货"
    assert "pinyin, zh" in result.table() and "怎么申请退货" in result.page()
    assert json.loads(json.dumps(result.as_dict()))["groups"]["pinyin, zh"]["unrepaired.recall@5"]["n"] == 1


def test_gold_without_a_question_to_garble(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="single or dialogue"):
        evaluate_noise(settings, gold(tmp_path / "shop", question("c", "warnty?", "en", kind="typo")))
