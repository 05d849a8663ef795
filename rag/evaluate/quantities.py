"""Quantities in English and Chinese text: a number with a unit, in one canonical form ("24 months", "两年" -> 2 year).

The answer stage has its own reading of numbers. This one is written apart on purpose: a mistake there must not hide here.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from decimal import Decimal

from rag.evaluate.numerals import ARABIC, CHINESE, ENGLISH, VAGUE, arabic, canonical, chinese, english, half_width

# canonical unit: (how many of the base unit, its base unit, spellings)
UNITS: dict[str, tuple[str, str, str]] = {
    "EUR": ("1", "EUR", "eur|euro|euros|€|欧元|欧"),
    "cent": ("0.01", "EUR", "cents|cent|欧分"),
    "CNY": ("1", "CNY", "cny|rmb|yuan|¥|元|块钱|人民币"),
    "second": ("1", "second", "seconds|second|sec|s|秒钟|秒"),
    "millisecond": ("0.001", "second", "milliseconds|millisecond|ms|毫秒"),
    "minute": ("60", "second", "minutes|minute|mins|min|分钟"),
    "hour": ("3600", "second", "hours|hour|hrs|hr|h|个小时|小时|个钟头|钟头"),
    "day": ("86400", "second", "days|day|天|日"),
    "week": ("604800", "second", "weeks|week|个星期|星期|周"),
    "working day": ("1", "working day", "working days|working day|business days|business day|个工作日|工作日"),
    "month": ("1", "month", "months|month|个月|期"),
    "year": ("12", "month", "years|year|年|岁|周岁"),
    "gram": ("1", "gram", "grams|gram|g|克"),
    "kilogram": ("1000", "gram", "kilograms|kilogram|kilos|kilo|kg|千克|公斤"),
    "millimetre": ("1", "millimetre", "millimetres|millimetre|mm|毫米"),
    "centimetre": ("10", "millimetre", "centimetres|centimetre|cm|厘米|公分"),
    "metre": ("1000", "millimetre", "metres|metre|meters|meter|m|米"),
    "kilometre": ("1000000", "millimetre", "kilometres|kilometre|kilometers|kilometer|km|公里|千米"),
    "inch": ("1", "inch", "inches|inch|英寸"),
    "square metre": ("1", "square metre", "square metres|square metre|square meters|m2|sqm|平方米|平米"),
    "litre": ("1000", "millilitre", "litres|litre|liters|liter|l|升"),
    "millilitre": ("1", "millilitre", "millilitres|millilitre|milliliters|ml|毫升"),
    "watt": ("1", "watt", "watts|watt|w|瓦"),
    "kilowatt": ("1000", "watt", "kilowatts|kilowatt|kw|千瓦"),
    "watt hour": ("1", "watt hour", "watt-hours|watt hours|watt hour|wh|瓦时"),
    "kilowatt hour": ("1000", "watt hour", "kilowatt-hours|kilowatt hours|kwh|千瓦时|度电"),
    "milliamp hour": ("1", "milliamp hour", "milliamp hours|mah|毫安时|毫安"),
    "amp": ("1", "amp", "amps|amp|amperes|a|安培|安"),
    "volt": ("1", "volt", "volts|volt|v|伏特|伏"),
    "hertz": ("1", "hertz", "hertz|hz|赫兹"),
    "kilohertz": ("1000", "hertz", "khz|千赫"),
    "megahertz": ("1000000", "hertz", "mhz|兆赫"),
    "gigahertz": ("1000000000", "hertz", "ghz"),
    "celsius": ("1", "celsius", "degrees celsius|degrees c|celsius|°c|℃|摄氏度"),
    "degree": ("1", "degree", "degrees|degree|°|度"),
    "kelvin": ("1", "kelvin", "kelvin|k|开尔文"),
    "lumen": ("1", "lumen", "lumens|lumen|lm|流明"),
    "decibel": ("1", "decibel", "decibels|decibel|db|dba|分贝"),
    "percent": ("1", "percent", "per cent|percent|%"),
    "gigabyte": ("1", "gigabyte", "gigabytes|gigabyte|gb"),
    "megabyte": ("1", "megabyte", "megabytes|megabyte|mb"),
    "mbps": ("1", "mbps", "mbps|mbit/s|兆"),
    "mb/s": ("1", "mb/s", "mb/s"),
    "pascal": ("1", "pascal", "pascals|pascal|pa|帕"),
    "megapixel": ("1", "megapixel", "megapixels|megapixel|mp"),
    "frames per second": ("1", "frames per second", "frames per second|fps|帧/秒|帧每秒|帧"),
    "times": ("1", "times", "times|x|倍|次"),
    "piece": ("1", "piece", "pieces|piece|件"),
    "gift card": ("1", "gift card", "gift cards|gift card|张礼品卡|张"),
    "store": ("1", "store", "stores|store|shops|家门店|家实体店|家店"),
    "review": ("1", "review", "reviews|review|条评价|条评论"),
    "level": ("1", "level", "levels|level|个等级|个级别"),
    "m3/h": ("1", "m3/h", "m3/h|cubic metres per hour|立方米/小时"),
    "millilitre per hour": ("1", "millilitre per hour", "ml/h|millilitres per hour|毫升/小时"),
    "litre per day": ("1", "litre per day", "l/day|litres per day|litres a day|升/天"),
    "minute per square metre": ("1", "minute per square metre", "min/m2|minutes per square metre|分钟/平方米"),
    "point": ("1", "point", "points|point|积分|个积分"),
    "cycle": ("1", "cycle", "cycles|cycle|charge cycles|次循环|次充放电"),
}
NAMES = {spelling: unit for unit, (_, _, spellings) in UNITS.items() for spelling in spellings.split("|")}
# Written-out numbers ("two weeks", 三十天) are quantities before these only: "two points" and 两块 are everyday counts.
_SPELT = frozenset({"second", "working day", "month", "EUR", "CNY", "percent", "gram", "millimetre"})
_IDIOMS = frozenset({"second", "minute", "hour", "day"})  # "one day you will need it", 一天: not a period
_FOLLOWED = {"安": "[全装静]", "升": "[级温降]", "a": r"\.?m", "日": "常", "x": r" ?\d"}  # then it is another word
_CASED = {"h": "h", "s": "s", "g": "g", "m": "m", "l": "lL", "w": "W", "a": "A", "v": "V", "k": "K", "x": "x×"}

KELVIN = 100

_MASKED = re.compile(
    r"https?://\S+|[\w.]+@\S+|\+\d[\d ()-]{6,}\d"  # links, mail, telephone numbers
    r"|\b\d{4}-\d{2}-\d{2}\b|\d{4} ?年(?: ?\d{1,2} ?月(?: ?\d{1,2} ?[日号])?)?"  # dates
    r"|\d{1,2} ?月 ?\d{1,2} ?[日号]|[〇零一二三四五六七八九]{4}年"
    r"|\b\d{1,2}:\d{2}\b|四周"  # times of day; all around
)
_NUMBER = re.compile(
    r"(?P<sign>(?:[€¥]|\b(?:EUR|CNY|RMB)) ?)?(?:"
    rf"(?P<arabic>(?<![A-Za-z0-9/第])(?<!\d[.,])(?<!第 )(?:(?<![^\s(])-)?(?:\d+/\d+|{ARABIC}))(?P<big> ?[万亿](?!一))?"
    rf"|(?P<english>\b(?i:{ENGLISH})\b)|(?P<half>(?i:\bhalf an?\b)|半个?)|(?P<percent>百分之(?:{ARABIC}|{CHINESE}))"
    rf"|(?P<chinese>(?<![第周期零〇一二两三四五六七八九十百千万亿]){CHINESE}))"
)
_JOINT = re.compile(
    r"(?: ?(?:[EUR€¥%°C天日年元米]|小时|分钟|个月|工作日)*)? ?(?:-|~|/|x|×|to|and|or|至|到|或|和|、) ?(?:[€¥] ?)?$"
)
_BIG = {"万": 10_000, "亿": 100_000_000}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number of base units; equal quantities are equal objects, whatever unit and language they were written in."""

    value: Decimal
    unit: str

    def __str__(self) -> str:
        """In the largest unit that needs at most two decimals: 24 months are "2 year"."""
        sizes = sorted(((Decimal(factor), name) for name, (factor, base, _) in UNITS.items() if base == self.unit), reverse=True)
        for factor, name in sizes:
            if abs(self.value) >= factor and (self.value * 100) % factor == 0:
                return f"{canonical(self.value / factor)} {name}"
        return f"{canonical(self.value)} {self.unit}"


@dataclass(frozen=True, slots=True)
class Mention:
    """A quantity as written; `start` and `end` are offsets into half_width(text)."""

    quantity: Quantity
    text: str
    start: int
    end: int


def quantity(value: Decimal, unit: str) -> Quantity:
    """The canonical quantity; a unit that UNITS does not know (slots, 个网口) is a unit of its own, in the singular."""
    name = half_width(unit).strip().casefold()
    known = NAMES.get(name)
    if known is None:
        return Quantity(value.normalize(), name.removesuffix("s"))
    factor, base, _ = UNITS[known]
    return Quantity((value * Decimal(factor)).normalize(), base)


@functools.lru_cache(maxsize=8)
def _units(counted: frozenset[str]) -> re.Pattern[str]:
    """Any unit right after a number; single letters only in their usual case."""
    patterns = []
    for spelling in sorted({*NAMES, *counted}, key=len, reverse=True):
        pattern = f"[{_CASED[spelling]}]" if spelling in _CASED else f"(?i:{re.escape(spelling)})"
        if spelling[-1].isascii() and spelling[-1].isalnum():
            pattern += "(?![A-Za-z0-9])"
        if spelling in _FOLLOWED:
            pattern += f"(?!{_FOLLOWED[spelling]})"
        patterns.append(pattern)
    return re.compile(rf"[ -]?(?P<unit>{'|'.join(patterns)})")


def mentions(text: str, counted: frozenset[str] = frozenset()) -> list[Mention]:
    """Every quantity that `text` states, in order; a range gives both of its ends.

    `counted` are further things that are counted where the text is at home ("slots", "个网口"); only digits count those.
    """
    text = half_width(text)
    text = _MASKED.sub(lambda match: " " * len(match[0]), text)
    found: list[Mention] = []
    waiting: list[re.Match[str]] = []  # a number whose unit stands behind a later one: the 3 of "3 to 5 days"
    for match in _NUMBER.finditer(text):
        if waiting and not _JOINT.fullmatch(text, waiting[-1].end(), match.start()):
            waiting.clear()
        waiting.append(match)
        unit = _unit(match, text, counted)
        if unit is None:
            continue
        name, end = unit
        for number in waiting:
            if _counts(number, name):
                found.append(Mention(quantity(_value(number), name), text[number.start() : end], number.start(), end))
        waiting.clear()
    return _compounds(found, text)


def _unit(match: re.Match[str], text: str, counted: frozenset[str]) -> tuple[str, int] | None:
    """The unit of a number and where it ends."""
    if match["percent"]:
        return "%", match.end()
    behind = _units(counted).match(text, match.end())
    if match["sign"]:
        return match["sign"].strip(), match.end()
    return (behind["unit"], behind.end()) if behind else None


def _counts(number: re.Match[str], unit: str) -> bool:
    if number["arabic"] or number["percent"]:
        return unit != "K" or _value(number) >= KELVIN  # 4K is a picture size
    if number["chinese"] and VAGUE.fullmatch(number["chinese"]):
        return False
    known = NAMES.get(unit.casefold())
    spelt = known is not None and UNITS[known][1] in _SPELT
    lone = (number["english"] or number["chinese"] or "").casefold() in ("one", "zero", "一", "零")
    return spelt and not (lone and known in _IDIOMS)


def _value(number: re.Match[str]) -> Decimal:
    if number["half"]:
        return Decimal("0.5")
    if number["english"]:
        return Decimal(english(number["english"].casefold()))
    digits = number["arabic"] or number["chinese"] or number["percent"].removeprefix("百分之")
    if not re.search(r"\d", digits):
        return Decimal(chinese(digits))
    if "/" in digits:
        above, below = digits.split("/")
        return Decimal(above) / Decimal(below) if int(below) else Decimal(0)
    value = arabic(digits.lstrip("-")) * (-1 if digits.startswith("-") else 1)
    return value * _BIG[number["big"].strip()] if number["big"] else value


def _compounds(found: list[Mention], text: str) -> list[Mention]:
    """Join "1 h 30 min" into one quantity."""
    joined: list[Mention] = []
    for mention in found:
        last = joined[-1] if joined else None
        smaller = last and last.quantity.unit == mention.quantity.unit == "second" and mention.quantity.value < 3600
        if last and smaller and last.quantity.value % 3600 == 0 and text[last.end : mention.start].strip() in ("", "and"):
            total = Quantity((last.quantity.value + mention.quantity.value).normalize(), "second")
            joined[-1] = Mention(total, text[last.start : mention.end], last.start, mention.end)
        else:
            joined.append(mention)
    return joined
