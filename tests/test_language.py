"""Languages, folding, words and sentences."""

from __future__ import annotations

from pathlib import Path

import opencc
import pytest
from opencc import OpenCC

from rag.language import bigrams, detect, fold, sentences, simplify, words


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How long is the warranty?", "en"),
        ("保修多久？", "zh"),
        ("PB-HL210 防水吗", "zh"),
        ("Ember 400 Headlamp 多少钱", "zh"),
        ("I read 余烬 on the box of my new headlamp, which one is it", "en"),
        ("ما هي سياسة الإرجاع؟", None),
        ("Какая гарантия?", None),
        ("123", "en"),
    ],
)
def test_detect(text: str, language: str | None) -> None:
    assert detect(text) == language


def test_fold_takes_width_case_and_script_together() -> None:
    assert fold("ＰＢ－ＨＬ２１０ 電池續航") == "pb-hl210 电池续航"


def test_simplified_as_opencc_does_it() -> None:
    reference = OpenCC("t2s")
    table = (Path(opencc.__file__).parent / "dictionary" / "TSPhrases.txt").read_text(encoding="utf-8")
    phrases = [line.split("\t")[0] for line in table.splitlines()]
    characters = "".join(map(chr, range(0x3400, 0xA000)))
    sentences = [
        "請問這個產品的保固期限是多久，可以退換嗎？",
        "裡面的電池能用幾個小時",
        "乾坤袋是乾的",
        "余烬 400 没有变",
        "no Chinese",
        "",
    ]
    for text in (*phrases, "。".join(phrases), *sentences, *(characters[i : i + 40] for i in range(0, len(characters), 40))):
        assert simplify(text) == reference.convert(text)
    assert len(phrases) > 200


def test_codes_decimals_and_thousands_stay_whole() -> None:
    assert words("PB-HL210: 1,299.00 EUR, it's 2.5 h") == ["pb-hl210", "1,299.00", "eur", "it's", "2.5", "h"]


def test_chinese_words_and_bigrams() -> None:
    assert words("保修期多久") == ["保修期", "多久"]
    assert bigrams("保修期ABC多久") == ["保修", "修期", "多久"]


def test_sentences_cover_the_text_and_keep_decimals() -> None:
    text = "It costs 3.5 EUR. Really!\n\n防水吗？“可以。”好的"
    assert [text[start:end] for start, end in sentences(text)] == ["It costs 3.5 EUR.", "Really!", "防水吗？", "“可以。”", "好的"]
