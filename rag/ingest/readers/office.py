"""What Word, Excel and PDF files share: parsers that may fail in any way, properties, and zips that may be bombs."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree import ElementTree

from rag.errors import Unreadable
from rag.ingest.clean import clean
from rag.ingest.metadata import KEYS

_TEXT = 50_000_000  # bytes of XML and HTML after unpacking
_TOTAL = 500_000_000  # bytes of everything
_OLD = b"\xd0\xcf\x11\xe0"  # the container of .doc, .xls and of encrypted files
_PROPERTIES = "docProps/core.xml"
_MADE_UP = re.compile(r"untitled|word document$|microsoft word|powerpoint|.*\.(docx?|odt|pdf|indd|tmp)$", re.IGNORECASE)
_NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "cp": "http://schemas.openxmlformats.org/package/2006/metadata/core-properties",
}


def unpack(data: bytes, kind: str) -> zipfile.ZipFile:
    """The file as a zip that is safe to read whole. Raises Unreadable for anything else; `kind` names what it should be."""
    if data.startswith(_OLD):
        raise Unreadable(
            expected=f"{kind} without a password",
            found="an encrypted file or one in the format of before 2007",
            remedy="open it, remove the password and save it in today's format",
        )
    with parsing(kind):
        archive = zipfile.ZipFile(io.BytesIO(data))
    for what, endings, limit in (("text", (".xml", ".rels", ".opf", ".xhtml", ".html", ".htm"), _TEXT), ("content", "", _TOTAL)):
        size = sum(item.file_size for item in archive.infolist() if item.filename.endswith(endings))
        if size > limit:
            raise Unreadable(
                expected=f"at most {limit // 1_000_000} MB of {what} after unpacking",
                found=f"{size // 1_000_000} MB",
                remedy="split the file",
            )
    return archive


@contextmanager
def parsing(kind: str) -> Iterator[None]:
    """Turn whatever a parser raises, and what it warns of, into Unreadable; `kind` names what the file should be."""
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except (Unreadable, MemoryError):
        raise
    except Exception as error:  # on damaged files the parsers raise anything: zlib.error, AssertionError, SyntaxError ...
        found = f"a damaged file or another format ({str(error)[:80]})"
        raise Unreadable(expected=kind, found=found, remedy="open it and save it again") from error


def properties(archive: zipfile.ZipFile) -> dict[str, str]:
    """Title, and the keys that the property "keywords" holds as "region: EU; valid_to: 2026-12-31"."""
    try:
        root = ElementTree.fromstring(archive.read(_PROPERTIES))
    except (KeyError, ElementTree.ParseError):
        return {}
    title, words = (clean(root.findtext(tag, "", _NAMESPACES)).strip() for tag in ("dc:title", "cp:keywords"))
    return described(title, words)


def described(title: str, keywords: str) -> dict[str, str]:
    """What a file's properties say; front matter may stand in the keywords: "region: EU; product: X-1"."""
    found = {} if not title or _MADE_UP.match(title) else {"title": title}
    for part in keywords.split(";" if ";" in keywords else ","):
        key, colon, value = part.replace("=", ":", 1).partition(":")
        if colon and key.strip().casefold() in KEYS:
            found[key.strip().casefold()] = value.strip()
    return found
