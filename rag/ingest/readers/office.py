"""What Word and Excel files share: a zip of XML, opened only when its real size is bounded."""

from __future__ import annotations

import io
import re
import zipfile
from xml.etree import ElementTree

from rag.errors import Unreadable
from rag.ingest.clean import clean
from rag.ingest.metadata import KEYS

_LIMIT = 100_000_000  # bytes of XML after unpacking
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
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise damaged(kind, error) from error
    size = sum(item.file_size for item in archive.infolist() if item.filename.endswith((".xml", ".rels")))
    if size > _LIMIT:
        raise Unreadable(
            expected=f"at most {_LIMIT // 1_000_000} MB of text after unpacking",
            found=f"{size // 1_000_000} MB",
            remedy="split the file",
        )
    return archive


def damaged(kind: str, error: Exception) -> Unreadable:
    """The error for a file whose inside is not what its ending says."""
    return Unreadable(
        expected=kind, found=f"a damaged file or another format ({str(error)[:80]})", remedy="open it and save it again"
    )


def properties(archive: zipfile.ZipFile) -> dict[str, str]:
    """Title, and the keys that the property "keywords" holds as "region: EU; valid_to: 2026-12-31"."""
    try:
        root = ElementTree.fromstring(archive.read(_PROPERTIES))
    except (KeyError, ElementTree.ParseError, zipfile.BadZipFile):
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
