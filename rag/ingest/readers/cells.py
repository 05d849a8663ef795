"""Cell values of any table format as text, lists and pairs; headers in one spelling."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime

from rag.ingest.clean import clean

_HEADERS = {
    "q": "question",
    "问题": "question",
    "提问": "question",
    "a": "answer",
    "答案": "answer",
    "回答": "answer",
    "答复": "answer",
    "lang": "language",
    "语言": "language",
    "similar": "similar_questions",
    "相似问题": "similar_questions",
    "相似问法": "similar_questions",
    "negatives": "negative_questions",
    "反例问题": "negative_questions",
    "反例": "negative_questions",
    "tag": "tags",
    "标签": "tags",
    "地区": "region",
    "编号": "id",
    "货号": "id",
    "sku": "id",
    "名称": "name",
    "品名": "name",
    "价格": "price",
    "库存": "stock",
    "类别": "category",
    "分类": "category",
    "属性": "attributes",
    "简介": "summary",
}
_IDS = re.compile(r"[|,;，；、\s]+")
_PAIRS = re.compile(r"[|;；\n]")
_COLON = re.compile(r"[:：=]")


def header(name: object) -> str:
    """One spelling: lower case, underscores, the Chinese and short names translated."""
    key = "_".join(text(name).casefold().replace("-", " ").split())
    return _HEADERS.get(key, key)


def text(value: object) -> str:
    """A value as a reader would write it: 49.0 as 49, lists with commas, nothing for null."""
    if value is None or isinstance(value, float) and not math.isfinite(value):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, datetime) and not (value.hour or value.minute or value.second):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat(*([" "] if isinstance(value, datetime) else []))
    if isinstance(value, Mapping):
        return "; ".join(f"{text(key)}: {text(item)}" for key, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(text(item) for item in value)
    return clean(str(value)).strip()


def items(value: object) -> tuple[str, ...]:
    """A list: as JSON holds it, or text with "|" between the items. No item twice."""
    found = _from_json(value)
    parts = found if isinstance(found, list) else text(value).split("|")
    return tuple(dict.fromkeys(item for part in parts if (item := text(part))))


def ids(value: object) -> tuple[str, ...]:
    """A list of ids, which hold no spaces or commas."""
    found = _from_json(value)
    parts = [text(part) for part in found] if isinstance(found, list) else _IDS.split(text(value))
    return tuple(dict.fromkeys(part for part in parts if part))


def pairs(value: object) -> dict[str, str]:
    """Names with values: as JSON holds them, or text such as "weight: 86 g; battery life: 12 h"."""
    found = _from_json(value)
    if isinstance(found, Mapping):
        return {text(key): text(item) for key, item in found.items() if text(key) and text(item)}
    split = (_COLON.split(part, maxsplit=1) for part in _PAIRS.split(text(value)))
    return {part[0].strip(): part[1].strip() for part in split if len(part) == 2 and part[0].strip() and part[1].strip()}


def _from_json(value: object) -> object:
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
