"""Markdown and plain text: kept as written; front matter between two --- lines is read off."""

from __future__ import annotations

import re

import yaml

from rag.errors import Unreadable
from rag.ingest.clean import clean, decode
from rag.ingest.metadata import KEYS
from rag.ingest.readers.content import Page

_FENCE = re.compile(r"\s*---[ \t]*\n")
_END = re.compile(r"^(?:---|\.\.\.)[ \t]*$", re.MULTILINE)
_KEY = re.compile(r"^[A-Za-z_][\w -]*:(?:\s|$)", re.MULTILINE)
_LIMIT = 10_000  # characters a front matter may have


def read(data: bytes) -> Page:
    """The text as the author wrote it. Raises Unreadable when the front matter is not YAML."""
    text = decode(data)
    start = _FENCE.match(text)
    end = _END.search(text, start.end(), start.end() + _LIMIT) if start else None
    if not start or not end or not _KEY.search(text, start.end(), end.start()):
        return Page(text)
    return Page(text[end.end() :].lstrip("\n"), _front_matter(text[start.end() : end.start()]))


def _front_matter(block: str) -> dict[str, str]:
    try:
        loaded = yaml.load(block, Loader=yaml.BaseLoader)  # every value stays the text that was written
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise Unreadable(
            expected='front matter as lines of the form "key: value"',
            found=f"something else in line {mark.line + 2}" if mark else str(error)[:100],
            remedy="correct that line; put quotation marks around a value that holds a colon",
        ) from error
    if not isinstance(loaded, dict):
        return {}
    values = {str(key).strip().casefold().replace("-", "_").replace(" ", "_"): value for key, value in loaded.items()}
    return {key: clean(values[key]).strip() for key in KEYS if isinstance(values.get(key), str)}
