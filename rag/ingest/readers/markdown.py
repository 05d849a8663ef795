"""Markdown and plain text: kept as written, but for what nobody sees; front matter between two --- lines is read off."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from rag.errors import Unreadable
from rag.ingest.clean import clean, decode
from rag.ingest.metadata import KEYS
from rag.ingest.readers.content import Page
from rag.ingest.readers.unseen import is_unseen, without_white_formulas

_FENCE = re.compile(r"\s*---[ \t]*\n")
_END = re.compile(r"^(?:---|\.\.\.)[ \t]*$", re.MULTILINE)
_KEY = re.compile(r"^[A-Za-z_][\w -]*:(?:\s|$)", re.MULTILINE)
_CODE_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_CODE = re.compile(r"`[^`\n]+`")
_TAG = re.compile(r"<!--|<(/?)([a-z][a-z0-9-]*)\b[^<>]*>", re.IGNORECASE)
_TELLING = re.compile(r"style|hidden|color|<script", re.IGNORECASE)  # a tag without these hides nothing
_BLOCKS = ("div", "section", "article", "details", "table", "ul", "ol", "script", "style")  # what may hold empty lines
_LIMIT = 10_000  # characters a front matter may have


def read(data: bytes) -> Page:
    """The text as the author wrote it, hidden text aside. Raises Unreadable when the front matter is not YAML."""
    text = decode(data)
    start = _FENCE.match(text)
    end = _END.search(text, start.end(), start.end() + _LIMIT) if start else None
    if not start or not end or not _KEY.search(text, start.end(), end.start()):
        return _page(text, {})
    return _page(text[end.end() :].lstrip("\n"), _front_matter(text[start.end() : end.start()]))


def _page(text: str, meta: dict[str, str]) -> Page:
    kept, at = [], 0
    for start, end in _hidden(_without_code(text)):
        kept.append(text[at:start])
        at = end
    shown, white = without_white_formulas("".join([*kept, text[at:]]))
    return Page(shown, meta, len(text) - len(shown))


def _without_code(text: str) -> str:
    """The same length, with blanks for code: what looks like markup there is to be seen."""
    lines, fence = [], ""
    for line in text.split("\n"):
        mark = _CODE_FENCE.match(line)
        if fence and mark and mark[1].startswith(fence):
            fence, line = "", " " * len(line)
        elif fence or mark:
            fence, line = fence or (mark[1] if mark else ""), " " * len(line)
        lines.append(_CODE.sub(lambda code: " " * len(code[0]), line))
    return "\n".join(lines)


def _hidden(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of comments and of elements that are not to be seen, in order."""
    at = 0
    while tag := _TAG.search(text, at):
        at = tag.end()
        if tag[2] is None:
            end = text.find("-->", at)
            if end < 0:  # no comment, and none below
                text = text.replace("<!--", "    ")
                continue
            at = end + len("-->")
        elif tag[1] or not _TELLING.search(tag[0]) or not is_unseen(tag[0]):
            continue
        else:
            at = _end(text, tag[2].casefold(), at)
        yield tag.start(), at


def _end(text: str, name: str, at: int) -> int:
    """Where the element ends that began before `at`; at an empty line at the latest, unless it may hold one."""
    last = text.find("\n\n", at) if name not in _BLOCKS else -1
    last = last if last >= 0 else len(text)
    depth = 1
    for tag in _TAG.finditer(text, at, last):
        if tag[2] and tag[2].casefold() == name:
            depth += -1 if tag[1] else 1
        if not depth:
            return tag.end()
    return last


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
