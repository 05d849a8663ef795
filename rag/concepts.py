"""What is asked about, however it is put: "how heavy", "weigh" and 多重 are all the weight that a page calls Weight or 重量."""

from __future__ import annotations

import functools
import re
import tomllib
from pathlib import Path

FILE = Path(__file__).with_suffix(".toml")


def concepts(folded: str) -> list[str]:
    """The concepts that `folded` text (rag.language.fold) touches, marked so that they are no words."""
    return [f"~{concept}" for concept, pattern in _patterns().items() if pattern.search(folded)]


@functools.lru_cache(maxsize=1)
def _patterns() -> dict[str, re.Pattern[str]]:
    tables = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return {concept: re.compile("|".join([*table["en"], *table["zh"]])) for concept, table in tables.items()}
