"""DOCX -> HTML (mammoth keeps headings, lists and tables) -> Markdown."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import mammoth
from lxml import etree

from rag.ingest.readers import html
from rag.ingest.readers.content import Page
from rag.ingest.readers.office import parsing, properties, unpack

_KIND = "a Word file (.docx)"
Element = Any  # lxml ships no types
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_PARTS = ("word/document.xml", "word/footnotes.xml", "word/endnotes.xml")
_PLAIN_TABLES = ("", "TableNormal", "TableGrid")  # other styles may colour their cells
_UNFILLED = ("", "auto", "FFFFFF")
_STYLES = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh"


def read(data: bytes) -> Page:
    """Raises Unreadable for a damaged, encrypted or oversized file."""
    archive = unpack(data, _KIND)
    with parsing(_KIND):
        shown, hidden = _without_hidden(archive)
        markup = mammoth.convert_to_html(shown or io.BytesIO(data), style_map=_STYLES, convert_image=_no_image).value
        described = properties(archive)
    page = html.convert(markup)
    return Page(page.text, described | {key: value for key, value in page.meta.items() if value}, page.hidden + hidden)


def _without_hidden(archive: zipfile.ZipFile) -> tuple[io.BytesIO | None, int]:
    """The file without its runs of hidden or white text, None if it has none; how many characters they hold."""
    styles = _hidden_styles(archive)
    changed: dict[str, bytes] = {}
    hidden = 0
    for name in set(_PARTS).intersection(archive.namelist()):
        root = _parsed(archive, name)
        runs = list(_hidden_runs(root, styles))
        for parent, run in runs:
            parent.remove(run)
        hidden += sum(len(text.text or "") for _, run in runs for text in run.iter(f"{_W}t"))
        if runs:
            changed[name] = etree.tostring(root.getroottree(), encoding="utf-8")
    if not changed:
        return None, 0
    copy = io.BytesIO()
    with zipfile.ZipFile(copy, "w") as written:
        for item in archive.infolist():
            written.writestr(item.filename, changed.get(item.filename) or archive.read(item))
    return copy, hidden


def _parsed(archive: zipfile.ZipFile, name: str) -> Element:
    return etree.fromstring(archive.read(name), etree.XMLParser(resolve_entities=False, no_network=True))


def _hidden_styles(archive: zipfile.ZipFile) -> set[str]:
    """Ids of the styles that hide text themselves."""
    if "word/styles.xml" not in archive.namelist():
        return set()
    root = _parsed(archive, "word/styles.xml")
    return {style.get(f"{_W}styleId", "") for style in root.iter(f"{_W}style") if _is_on(style.find(f"{_W}rPr/{_W}vanish"))}


def _hidden_runs(root: Element, styles: set[str]) -> Iterator[tuple[Element, Element]]:
    """(parent, run) of every run that is hidden by itself or its style, or is white on white."""
    todo: list[tuple[Element, bool]] = [(root, False)]  # whether there is a colour behind it
    while todo:
        parent, filled = todo.pop()
        for child in parent:
            if child.tag == f"{_W}r" and _is_hidden(child, filled, styles):
                yield parent, child
            else:
                todo.append((child, filled or _is_filled(child)))
        if parent.tag == f"{_W}p" and _value(parent, "pPr/pStyle") in styles:
            yield from ((parent, run) for run in parent.findall(f"{_W}r") if run.find(f"{_W}rPr/{_W}vanish") is None)


def _is_hidden(run: Element, filled: bool, styles: set[str]) -> bool:
    if _is_on(run.find(f"{_W}rPr/{_W}vanish")) or _value(run, "rPr/rStyle") in styles:
        return True
    marked = run.find(f"{_W}rPr/{_W}highlight") is not None or _value(run, "rPr/shd", "fill") not in _UNFILLED
    size = _value(run, "rPr/sz")  # in half points
    return size in ("1", "2") or (_value(run, "rPr/color").upper() == "FFFFFF" and not filled and not marked)


def _is_filled(element: Element) -> bool:
    """Whether what is in it may stand on another colour than white: a shaded paragraph or cell, a table of a style, a shape."""
    if element.tag == f"{_W}tbl":
        return _value(element, "tblPr/tblStyle") not in _PLAIN_TABLES
    if element.tag in (f"{_W}p", f"{_W}tc"):
        return _value(element, f"{element.tag.removeprefix(_W)}Pr/shd", "fill") not in _UNFILLED
    return bool(element.tag == f"{_W}txbxContent")


def _value(element: Element, path: str, attribute: str = "val") -> str:
    found = element.find("/".join(f"{_W}{name}" for name in path.split("/")))
    return "" if found is None else str(found.get(f"{_W}{attribute}", ""))


def _is_on(switch: Element | None) -> bool:
    return bool(switch is not None and switch.get(f"{_W}val", "true") not in ("0", "false", "off"))


def _no_image(image: object) -> list[object]:
    return []
