"""Everything in a text that must not be invented: numbers with units, dates, times, links, mails, phones, codes.

Both sides of a comparison are brought to one form first: full width, thousands separators, decimal comma, number words
("two weeks", 七天), units in two languages. A sentence is safe if its sources state each of its quantities.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from rag.answer.numerals import digits, plain
from rag.measures import UNITS

# A number that stands alone in a table may be a price or a size, but never becomes a period or a percentage.
_MUST_BE_STATED = {"day", "working day", "month", "second", "%", "tenths of the price"}
_CURRENCIES = {
    "€": "eur",
    "¥": "cny",
    "$": "usd",
    "£": "gbp",
    "eur": "eur",
    "cny": "cny",
    "rmb": "cny",
    "usd": "usd",
    "gbp": "gbp",
}

_MONTHS = "january february march april may june july august september october november december".split()
_MONTH = "|".join([*_MONTHS, *(month[:3] for month in _MONTHS)])
_UNIT = "|".join(
    re.escape(name) + ("(?![a-z0-9])" if name[-1].isascii() and name[-1].isalpha() else "")
    for name in sorted(UNITS, key=len)[::-1]
)
_NUMBER = re.compile(
    r"(?P<sign>(?<![a-z0-9.,)%°])-\s?|\bminus |零下|负)?"
    rf"(?P<currency>{'|'.join(map(re.escape, _CURRENCIES))})?\s?"
    r"(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d{1,3}(?:\.\d{3})+,\d{1,2}(?!\d)|\d+,\d{1,2}(?![\d,])|\d+(?:\.\d+)?)"
    rf"(?P<scale>\s?[万亿])?(?:(?:\s|-)?(?:full |whole |calendar |多|余)?(?P<unit>{_UNIT}))?"
)
_RANGE = re.compile(r"\s*(?:-|~|to|or|and|x|×|至|到|或|/)\s*")
_LIST_NUMERAL = re.compile(r"(?m)^\s*(?:[-*]\s+)?\d{1,2}[.)、]\s+")
_MARKER = re.compile(r"\s?\[\d+\]")
_LINK = re.compile(r"(?:https?://|www\.)[^\s<>()\[\]\"'，。；、！？)】」]+")
_DOMAIN = re.compile(
    r"\b(?:[a-z0-9-]+\.)+(?:com|org|net|example|shop|io|eu|uk|de|cn|info|biz|co|test)\b(?:/[^\s<>()\[\]\"'，。；、]*)?"
)
_MAIL = re.compile(r"[a-z0-9_.+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_DATES = (
    re.compile(r"(?<!\d)(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})(?!\d)"),
    re.compile(r"(?<!\d)(?P<d>\d{1,2})\.\s?(?P<m>\d{1,2})\.\s?(?P<y>\d{4})(?!\d)"),
    re.compile(r"(?:(?P<y>\d{4})\s*年\s*)?(?<!\d)(?P<m>\d{1,2})\s*月\s*(?P<d>\d{1,2})\s*[日号]"),
    re.compile(rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<m>{_MONTH})\b\.?,?(?:\s+(?P<y>\d{{4}})\b)?"),
    re.compile(rf"\b(?P<m>{_MONTH})\.?\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\b(?!\s*[:%])(?:,?\s+(?P<y>\d{{4}})\b)?"),
)
_TIMES = (
    re.compile(r"(?P<zh>凌晨|早上?|上午|中午|下午|傍晚|晚上?)(?P<h>[01]?\d|2[0-4])(?:[:点](?P<m>[0-5]\d)分?|点(?P<q>半)?)"),
    re.compile(r"(?<![\d.:a-z])(?P<h>[01]?\d|2[0-4]):(?P<m>[0-5]\d)(?![\d:a-z])(?:\s*(?P<half>[ap])\.?m\b)?"),
    re.compile(r"\b(?P<h>1[0-2]|[1-9])\s*(?P<half>[ap])\.?m\b"),
    re.compile(r"(?<![\d.])(?P<h>1\d|2[0-4]|[2-9])点(?!\d)(?P<q>半)?(?![几多儿])"),
)
_PHONE = re.compile(r"(?<![\w.,])\+?\(?\d[\d\s()/-]{7,}\d(?![\w%])")
_CODE = re.compile(r"(?<![a-z0-9])[a-z]+(?:-[a-z]+)*-?\d[a-z0-9-]*(?![a-z0-9])")


@dataclass(frozen=True, slots=True)
class Quantity:
    """`value` counts `unit`s (a base unit, or empty); `written` is the number before conversion."""

    kind: str  # number, date, time, link, mail, phone or code
    value: str
    unit: str = ""
    written: str = ""


@functools.lru_cache(maxsize=2048)
def quantities(text: str, lenient: bool = False) -> frozenset[Quantity]:
    """All quantities of `text`; with `lenient` (for sources) also number words that count nothing we know."""
    return frozenset(quantity for _, _, quantity in located(digits(text, lenient)))


def located(text: str) -> list[tuple[int, int, Quantity]]:
    """(start, end, quantity) of each quantity of a text that rag.answer.numerals.digits has been through, in order."""
    for aside in (_MARKER, _LIST_NUMERAL):
        text = aside.sub(_blank, text)
    found: list[tuple[int, int, Quantity]] = []

    def take(pattern: re.Pattern[str], read: Callable[[re.Match[str]], Quantity]) -> None:
        nonlocal text
        found.extend((*match.span(), read(match)) for match in pattern.finditer(text))
        text = pattern.sub(_blank, text)

    take(_MAIL, lambda match: Quantity("mail", match[0]))
    for pattern in (_LINK, _DOMAIN):
        take(pattern, lambda match: Quantity("link", re.sub(r"^(?:https?://)?(?:www\.)?|[/.,;:!?]+$", "", match[0])))
    for pattern in _DATES:
        take(pattern, _date)
    for pattern in _TIMES:
        take(pattern, _time)
    take(_PHONE, lambda match: Quantity("phone", re.sub(r"\D", "", match[0])))
    take(_CODE, lambda match: Quantity("code", _compact(match[0])))
    return sorted([*found, *_numbers(text)], key=lambda item: item[:2])


def _blank(match: re.Match[str]) -> str:
    return " " * len(match[0])


def unsupported(text: str, sources: Iterable[str]) -> list[Quantity]:
    """The quantities of `text` that none of `sources` states, in no particular order; empty if it invents nothing."""
    sources = list(sources)
    stated = frozenset().union(*(quantities(source, lenient=True) for source in sources))
    compact = " ".join(_compact(source) for source in sources)
    return [quantity for quantity in quantities(text) if not _stated(quantity, stated, compact)]


def _stated(wanted: Quantity, stated: frozenset[Quantity], compact: str) -> bool:
    if wanted.kind == "code":
        return wanted.value in compact
    if wanted.kind == "date":
        return any(other.kind == "date" and _same_day(wanted.value, other.value) for other in stated)
    if wanted.kind != "number":
        return any(other.kind == wanted.kind and other.value == wanted.value for other in stated)
    return any(other.kind == "number" and _same_number(wanted, other) for other in stated)


def _same_number(wanted: Quantity, other: Quantity) -> bool:
    if wanted.unit and other.unit:
        units = {wanted.unit, other.unit}
        # "5 days" where the source says "5 working days" drops a word that matters less than a refused answer.
        return wanted.value == other.value and (len(units) == 1 or units == {"day", "working day"})
    return wanted.written == other.written and wanted.unit not in _MUST_BE_STATED


def _same_day(left: str, right: str) -> bool:
    (year, *day), (other_year, *other_day) = left.split("-"), right.split("-")
    return day == other_day and (year == other_year or not year)


def _numbers(text: str) -> list[tuple[int, int, Quantity]]:
    matches = list(_NUMBER.finditer(text))
    found: list[tuple[int, int, Quantity]] = []
    following: tuple[int, str] | None = None  # where the number to the right starts, and its unit
    for match in reversed(matches):
        unit = match["unit"] or _CURRENCIES.get(match["currency"] or "", "")
        if not unit and following and _RANGE.fullmatch(text, match.end(), following[0]):
            unit = following[1]  # "3 to 5 days": both are days
        following = match.start(), unit
        written = _value(match)
        base, factor = UNITS.get(unit, ("", Decimal(1)))
        found.append((*match.span(), Quantity("number", plain(written * factor), base, plain(written))))
    return found


def _value(match: re.Match[str]) -> Decimal:
    number = match["number"]
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d{1,2}|\d+,\d{1,2}", number):
        number = number.replace(".", "").replace(",", ".")
    scale = {"万": 10_000, "亿": 100_000_000}.get((match["scale"] or "").strip(), 1)
    return Decimal(number.replace(",", "")) * scale * (-1 if match["sign"] else 1)


def _date(match: re.Match[str]) -> Quantity:
    month = match["m"] if match["m"].isdigit() else 1 + next(i for i, name in enumerate(_MONTHS) if name.startswith(match["m"]))
    return Quantity("date", f"{match['y'] or ''}-{int(month)}-{int(match['d'])}")


def _time(match: re.Match[str]) -> Quantity:
    parts = match.groupdict()
    hour = int(parts["h"])
    if half := parts.get("half"):
        hour = hour % 12 + 12 * (half == "p")
    elif (parts.get("zh") or "")[:1] in ("下", "傍", "晚") and hour < 12:
        hour += 12
    return Quantity("time", f"{hour}:{30 if parts.get('q') else int(parts.get('m') or 0):02d}")


def _compact(text: str) -> str:
    return re.sub(r"[\W_]", "", text).casefold()
