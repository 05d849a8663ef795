"""Which units the answer to a question must be in: "how heavy" wants grams, 几个月 months, 多少钱 money."""

from __future__ import annotations

import functools
import re

from rag.answer.quantities import quantities
from rag.language import fold
from rag.measures import UNITS

_MONEY = frozenset({"eur", "cny", "usd", "gbp"})
_TIME = frozenset({"day", "working day", "month", "second"})
_DAYS = frozenset({"day", "working day"})
# The first line that matches decides, so the exact ones stand first; a unit after "how many" or 几 is exacter still.
_ASKED = tuple(
    (re.compile(pattern), units)
    for pattern, units in (
        (r"how many (?:working |business )?days|几个?工作日|几天|多少天", _DAYS),
        (r"how many (?:months|years)|几个月|多少个月|几年|多少年", frozenset({"month"})),
        (r"how many (?:hours|minutes|seconds)|几个?(?:小时|钟头)|几分钟|几秒", frozenset({"second"})),
        (
            r"多少钱|多少银子|几块钱?|价格|价钱|售价|贵不贵|怎么卖|费用多少|花多少|掏多少|"
            r"how much (?:extra |more )?(?:is|are|does it cost|do i pay|would|will|for|to)\b|"
            r"\bprice\b|\bcosts?\b|\bpay for|\bfee\b|\bin euros?\b",
            _MONEY,
        ),
        (r"几折|打折多少|how much .{0,20}\boff\b|discount|per ?cent", frozenset({"%", "tenths of the price"})),
        (r"多重|多沉|几斤|how heavy|\bweigh", frozenset({"g"})),
        (r"几度|多少度|how (?:hot|cold|warm)|temperature|温度", frozenset({"°c"})),
        (r"多吵|分贝|how loud|decibel", frozenset({"db"})),
        (r"多亮|how bright", frozenset({"lm"})),
        (r"多久|多长时间|什么时候|啥时候|几时|how long|how soon|how often|\bwhen\b|how old", _TIME),
        (r"多远|多高|多宽|多长|多深|多厚|how (?:far|tall|wide|high|deep|thick|flat|big)", frozenset({"mm"})),
    )
)
_NAMES = "|".join(re.escape(name) for name in sorted(UNITS, key=len, reverse=True) if len(name) > 1 or not name.isascii())
_COUNTED = re.compile(rf"(?:几|多少|how many|what|which|max(?:imum)?|in)\s?({_NAMES})(?![a-z])")


@functools.lru_cache(maxsize=1024)
def wanted(question: str) -> frozenset[str]:
    """The base units (as in rag.answer.quantities) of which the answer must have one; empty if no quantity is asked for."""
    folded = fold(question)
    if (counted := _COUNTED.search(folded)) and UNITS[counted[1]][0] not in _TIME:
        return frozenset({UNITS[counted[1]][0]})
    return next((units for pattern, units in _ASKED if pattern.search(folded)), frozenset())


def fits(question: str, text: str) -> float:
    """1 if `text` states a quantity in a unit asked for, -1 if it lacks one, 0 if the question asks for none."""
    units = wanted(question)
    if not units:
        return 0.0
    return 1.0 if any(quantity.unit in units for quantity in quantities(text)) else -1.0
