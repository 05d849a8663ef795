"""EPUB -> Markdown: the chapters in reading order, each read as the HTML page that it is."""

from __future__ import annotations

import posixpath
import re
import zipfile
from urllib.parse import unquote
from xml.etree import ElementTree

from rag.errors import Unreadable
from rag.ingest.clean import clean
from rag.ingest.metadata import language_code
from rag.ingest.readers import html
from rag.ingest.readers.content import Page
from rag.ingest.readers.office import parsing, unpack

_KIND = "an e-book (.epub)"
_CONTAINER, _RIGHTS = "META-INF/container.xml", "META-INF/rights.xml"
_SPACES = {
    "c": "urn:oasis:names:tc:opendocument:xmlns:container",
    "o": "http://www.idpf.org/2007/opf",
    "dc": "http://purl.org/dc/elements/1.1/",
}
_HEADING = re.compile(r"(?m)^(#{1,5}) ")


def read(data: bytes) -> Page:
    """Raises Unreadable for a damaged, protected or oversized file."""
    archive = unpack(data, _KIND)
    if _RIGHTS in archive.namelist():
        raise Unreadable(expected=f"{_KIND} without copy protection", found="a protected one", remedy="save it without")
    with parsing(_KIND):
        place = _root(archive)
        book = ElementTree.fromstring(archive.read(place))
        chapters = [html.read(archive.read(path)) for path in _spine(book, posixpath.dirname(place), set(archive.namelist()))]
        title, language = (clean(book.findtext(f".//dc:{tag}", "", _SPACES)).strip() for tag in ("title", "language"))
    meta = {key: value for key, value in (("title", title), ("language", language_code(language))) if value}
    parts = [f"# {title}"] if title else []
    parts += [_chapter(page) for page in chapters if page.text.strip()]
    return Page("\n\n".join(parts), meta, sum(page.hidden for page in chapters))


def _root(archive: zipfile.ZipFile) -> str:
    """Where the list of the book's files is."""
    found = ElementTree.fromstring(archive.read(_CONTAINER)).find(".//c:rootfile", _SPACES)
    if found is None:
        raise Unreadable(expected=_KIND, found="a zip without a list of chapters", remedy="save it again")
    return found.attrib["full-path"]


def _spine(book: ElementTree.Element, folder: str, names: set[str]) -> list[str]:
    """Paths of the chapters in reading order, as far as they are there."""
    items = {item.attrib["id"]: item.attrib["href"] for item in book.iterfind(".//o:manifest/o:item", _SPACES)}
    wanted = [items.get(item.attrib.get("idref", ""), "") for item in book.iterfind(".//o:spine/o:itemref", _SPACES)]
    paths = [posixpath.normpath(posixpath.join(folder, unquote(href.partition("#")[0]))) for href in wanted if href]
    return [path for path in dict.fromkeys(paths) if path in names]


def _chapter(page: Page) -> str:
    """One level down: the first is the book's. A chapter without a heading has its title for one."""
    text = _HEADING.sub(r"#\1 ", page.text)
    title = page.meta.get("title", "")
    return text if text.lstrip().startswith("#") or not title else f"## {title}\n\n{text}"
