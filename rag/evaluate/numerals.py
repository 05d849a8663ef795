"""Numbers in English and Chinese text, in one canonical form: "1,299.00", "１２９９" and "一千二百九十九元" are all 1299."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

_DIGITS = {"零": 0, "〇": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
_SCALES = {"十": 10, "百": 100, "千": 1000}
_BIG = {"万": 10_000, "亿": 100_000_000}
_UNITS_EN = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen"
)
_TENS_EN = "twenty thirty forty fifty sixty seventy eighty ninety"
_WORDS = {word: value for value, word in enumerate(_UNITS_EN.split())}
_WORDS |= {word: 10 * value for value, word in enumerate(_TENS_EN.split(), start=2)}
_MONTHS = "january february march april may june july august september october november december".split()

VAGUE = re.compile("[百千万亿]+|[一二两三四五六七八九]{2}")  # a scale without a digit (千克, 1.5万); "two or three" (两三天)
CHINESE = "[零〇一二两三四五六七八九十百千万亿]+"
ENGLISH = rf"(?:{'|'.join(sorted(_WORDS, key=len, reverse=True))})(?:[- ](?:{'|'.join(_UNITS_EN.split()[1:10])}))?"
ARABIC = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?:\.\d{3})+,\d{1,2}(?!\d)|\d+,\d{1,2}(?![\d,])|\d+(?:\.\d+)?"

# A Chinese numeral counts as a number only before something that is counted: 三十天, but not 十分, 万一 or 统一.
_COUNTED = "(?:[天日年月周个秒元块折次米克件只片支台条倍度升公千毫厘英名位岁成节种颗枚张套款级项]|小时|分钟|工作日)"
_MARKERS = re.compile(r"\[\d+\]|(?m:^\s*\d+[.)、]\s)")
_COMMA = re.compile("(?<![０-９])，|，(?![０-９])")
_MONTH = "|".join(_MONTHS + [month[:3] for month in _MONTHS])
_DATE = re.compile(rf"(\d{{1,2}}(?:st|nd|rd|th)?\s+)({_MONTH})\b|\b({_MONTH})(\s+\d{{1,4}})")
_ARABIC = re.compile(rf"(?:(?<![\w.,)%°-])-)?(?:{ARABIC})")
_ENGLISH = re.compile(rf"\b(?:{ENGLISH})\b")
_CHINESE = re.compile(rf"(?:(?<=百分之){CHINESE}|{CHINESE}(?={_COUNTED}))")
_BARE = ("one", "zero", "一")  # "one of them", 一些: words, not numbers


def canonical(number: Decimal | int | str) -> str:
    """The shortest decimal form: "49.90" -> "49.9", "2.0" -> "2"."""
    value = Decimal(number).normalize()
    return f"{value:f}" if value else "0"


def arabic(text: str) -> Decimal:
    """The value of one match of ARABIC: thousands separators out, a decimal comma becomes a point."""
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d{1,2}", text):
        return Decimal(text.replace(".", "").replace(",", "."))
    if re.fullmatch(r"\d+,\d{1,2}", text):
        return Decimal(text.replace(",", "."))
    return Decimal(text.replace(",", ""))


def chinese(text: str) -> int:
    """The value of a Chinese numeral: 一千零五十 -> 1050, 两 -> 2, 二〇二六 -> 2026."""
    if len(text) > 1 and all(character in _DIGITS for character in text):
        return int("".join(str(_DIGITS[character]) for character in text))
    total = section = digit = 0
    for character in text:
        if character in _DIGITS:
            digit = _DIGITS[character]
        elif character in _SCALES:
            section += (digit or 1) * _SCALES[character]
            digit = 0
        else:
            total += (section + digit or 1) * _BIG[character]
            section = digit = 0
    return total + section + digit


def english(text: str) -> int:
    """The value of an English number word below one hundred: "thirty-five" -> 35."""
    return sum(_WORDS[word] for word in re.split(r"[- ]", text))


def half_width(text: str) -> str:
    """Half width characters, one kind of minus, dash and fraction bar; case is kept (5 g is a weight, 5G a network)."""
    text = _COMMA.sub(", ", text)  # in half width it would look like a thousands separator: 369，369 元
    return re.sub(r"[\u2010-\u2015\u2212]", "-", unicodedata.normalize("NFKC", text)).replace("\u2044", "/")


def numbers(text: str) -> set[str]:
    """Every number that `text` states, canonical; citation markers, list numerals and the word "one" are not numbers."""
    text = _DATE.sub(_month, _MARKERS.sub(" ", half_width(text).casefold()))
    found = {canonical(arabic(match.lstrip("-")) * (-1 if match[0] == "-" else 1)) for match in _scaled(text)}
    found |= {canonical(english(match)) for match in _ENGLISH.findall(text) if match not in _BARE}
    return found | {
        canonical(chinese(match)) for match in _CHINESE.findall(text) if match not in _BARE and not VAGUE.fullmatch(match)
    }


def _scaled(text: str) -> list[str]:
    """Arabic numbers; a following 万 or 亿 is multiplied in."""
    found = []
    for match in _ARABIC.finditer(text):
        scale = _BIG.get(text[match.end() : match.end() + 2].lstrip()[:1])
        sign, digits = ("-", match[0][1:]) if match[0].startswith("-") else ("", match[0])
        found.append(sign + (str(arabic(digits) * scale) if scale else digits))
    return found


def _month(match: re.Match[str]) -> str:
    name = match[2] or match[3]
    number = next(i for i, month in enumerate(_MONTHS, start=1) if month.startswith(name))
    return f"{match[1] or ''}{number}{match[4] or ''}"
