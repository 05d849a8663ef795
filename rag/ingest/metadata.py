"""What a page's front matter or a row's columns say about it -> Facets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from rag.errors import Unreadable
from rag.language import detect
from rag.types import Facets

KEYS = ("title", "language", "region", "audience", "trust", "product", "valid_from", "valid_to", "url")
_TRUST = ("official", "community")
_CODE = re.compile(r"([a-z]{2,3})([-_][a-z0-9]{2,8})*", re.IGNORECASE)
_NAMES = {"english": "en", "chinese": "zh", "中文": "zh", "简体中文": "zh", "繁體中文": "zh", "英文": "en", "英语": "en"}
_SAMPLE = 500  # characters looked at to tell the language


def facets(meta: Mapping[str, str], text: str = "", default: Facets | None = None) -> Facets:
    """Facets from `meta`; what it leaves open comes from `default`, the language from `text`. Raises Unreadable."""
    default = default or Facets()
    valid_from, valid_to = _day(meta, "valid_from"), _day(meta, "valid_to")
    if valid_from and valid_to and valid_from > valid_to:
        raise Unreadable(
            expected="valid_from before valid_to", found=f"{valid_from} and {valid_to}", remedy="correct one of the two"
        )
    trust = meta.get("trust", "").strip().casefold() or default.trust
    if trust not in _TRUST:
        raise Unreadable(expected=f"trust to be {' or '.join(_TRUST)}", found=repr(trust), remedy="correct trust")
    return Facets(
        language=_language(meta) or default.language or detect(text[:_SAMPLE]) or "",
        region=meta.get("region", "").strip().upper() or default.region,
        audience=meta.get("audience", "").strip().casefold() or default.audience,
        trust=trust,
        product=meta.get("product", "").strip() or default.product,
        valid_from=valid_from or default.valid_from,
        valid_to=valid_to or default.valid_to,
    )


def language_code(value: str) -> str:
    """Turn "en-GB" into "en" and "中文" into "zh"; empty if it names no language."""
    value = value.strip().casefold()
    match = _CODE.fullmatch(value)
    return _NAMES.get(value) or (match[1] if match else "")


def _language(meta: Mapping[str, str]) -> str:
    value = meta.get("language", "")
    if value.strip() and not language_code(value):
        raise Unreadable(expected="language to be a code such as en or zh", found=repr(value), remedy="correct language")
    return language_code(value)


def _day(meta: Mapping[str, str], key: str) -> date | None:
    value = meta.get(key, "").strip()
    if not value:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise Unreadable(expected=f"{key} as YYYY-MM-DD (2026-11-24)", found=repr(value), remedy=f"correct {key}") from error
