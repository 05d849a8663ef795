"""Number words to digits, in place: "two weeks" -> "2 weeks", 七天 -> 7天, 一百二十 -> 120, 半年 -> 6个月, "１４" -> "14"."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

from rag.language import fold

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_ENGLISH = {word: value for value, word in enumerate(_ONES)} | {word: 10 * value for value, word in enumerate(_TENS, start=2)}
_SCALE = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_DIGIT = {"零": 0, "〇": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
_POWER = {"十": 10, "百": 100, "千": 1000}
_WEEKDAY = ("周", "期", "拜")
_COUNTS = ("天", "个", "次")
_MYRIAD = {"万": 10_000, "亿": 100_000_000}

# What may follow a number word so that it counts: "one day", 一年; but not "one of them", 一定, 十分, 万一.
_COUNTED_EN = r"days?|weeks?|months?|years?|hours?|minutes?|seconds?|percent|euros?|dollars?|yuan|working|business|calendar"
_COUNTED_ZH = (
    r"[天日年周%元块折倍度克瓦伏升]|个?[月]|个?小时|个?星期|个?工作日|分钟|秒|欧元|公斤|千克|毫|厘米|公里|米(?![白黄])|次|流明"
)
_WORD = "|".join([*_TENS, *reversed(_ONES)])
_EN = re.compile(
    rf"\b(?:(?:{_WORD})\b(?:[- ](?:and )?(?:{_WORD}|hundred|thousand|million)\b)*|a (?:hundred|thousand|million)\b)",
    re.IGNORECASE,
)
_ZH = re.compile(r"[零〇一二两三四五六七八九十百千万亿]+")
_VULGAR = re.compile(r"(\d*)\s?([¼½¾⅐-⅞])")
_SLASHED = re.compile(r"\b(\d+) ([1-9])/([2-9])\b")
_FIXED = (
    (re.compile(r"\b(?:a )?fortnight\b", re.IGNORECASE), "14 days"),
    (re.compile(r"\bhalf an hour\b", re.IGNORECASE), "30 minutes"),
    (re.compile(r"\bhalf a year\b", re.IGNORECASE), "6 months"),
    (re.compile(r"(?<!times )(?<!once )(?<!twice )\ban? (?=(?:full |whole )?(?:week|month|year)\b)", re.IGNORECASE), "1 "),
    (re.compile(r"半个?小时"), "30分钟"),
    (re.compile(r"半个月"), "15天"),
    (re.compile(r"(?<![一二两三四五六七八九十\d个])半年"), "6个月"),
    (re.compile(r"百分之"), "%之"),  # kept apart from 百: the number after it gets the unit below
)
_PERCENT = re.compile(r"%之\s?(\d+(?:\.\d+)?)")


def plain(number: Decimal | int | str) -> str:
    """The shortest decimal form: 49.90 -> "49.9", 2.0 -> "2"."""
    value = Decimal(number).normalize()
    return f"{value:f}" if value else "0"


def chinese(numeral: str) -> int:
    """The value of a Chinese numeral: 一千零五十 -> 1050, 二〇二六 -> 2026, 两百三 -> 230."""
    if len(numeral) > 1 and all(character in _DIGIT for character in numeral):
        return int("".join(str(_DIGIT[character]) for character in numeral))
    total = section = digit = 0
    power = 1
    for character in numeral:
        if character in _DIGIT:
            digit = _DIGIT[character]
            power = 1 if character in "零〇" else power
        elif character in _POWER:
            power = _POWER[character]
            section, digit = section + (digit or 1) * power, 0
        else:
            total, section, digit, power = total + (section + digit or 1) * _MYRIAD[character], 0, 0, _MYRIAD[character]
    return total + section + digit * (power // 10 if power >= 100 else 1)


def english(numeral: str) -> int:
    """The value of English number words: "thirty-five" -> 35, "a hundred and twenty" -> 120."""
    total = section = 0
    for word in re.split(r"[- ]+", numeral.lower()):
        if word in _ENGLISH:
            section += _ENGLISH[word]
        elif word == "hundred":
            section = (section or 1) * 100
        elif word in _SCALE:
            total, section = total + (section or 1) * _SCALE[word], 0
    return total + section


def digits(text: str, lenient: bool = False) -> str:
    """`text` folded, with number words as digits where they count something; with `lenient` wherever they stand."""
    text = _VULGAR.sub(lambda match: " " + plain(int(match[1] or 0) + _fraction(match[2])), text)
    text = _SLASHED.sub(lambda match: plain(int(match[1]) + round(Decimal(match[2]) / Decimal(match[3]), 3)), text)
    text = re.sub("(?<=\\d)[\u00a0\u202f\u2009](?=\\d{3}(?!\\d))", "", text)
    text = re.sub("[\u2010-\u2015\u2212]", "-", fold(text))
    for pattern, replacement in _FIXED:
        text = pattern.sub(replacement, text)
    counted = re.compile(rf"[- ]?(?:{_COUNTED_EN})\b", re.IGNORECASE)
    text = _EN.sub(lambda match: _replace(match, str(english(match[0])), lenient or bool(counted.match(text, match.end()))), text)
    text = _chinese_digits(text, lenient)
    return _PERCENT.sub(r"\1%", text)


def _chinese_digits(text: str, lenient: bool) -> str:
    counted = re.compile(rf"\s?(?:多|余|几)?(?:{_COUNTED_ZH})")

    def value(match: re.Match[str]) -> str:
        # A lone 万 or 亿 after a digit is a scale ("2万"), not a number word.
        scale = match[0][0] in _MYRIAD or (match.start() > 0 and text[match.start() - 1].isdigit())
        percent = text[max(0, match.start() - 2) : match.start()] == "%之"
        start, end = match.span()
        if text[end : end + 1].isdigit() or (text[max(0, start - 1) : start] in _WEEKDAY and text[end : end + 1] not in _COUNTS):
            return match[0]  # 周五9:30
        counts = lenient or percent or bool(counted.match(text, match.end())) or len(match[0]) > 2
        return _replace(match, str(chinese(match[0])), counts and not scale)

    return _ZH.sub(value, text)


def _replace(match: re.Match[str], value: str, counts: bool) -> str:
    return value if counts else match[0]


def _fraction(character: str) -> Decimal:
    return round(Decimal(str(unicodedata.numeric(character))), 3)
