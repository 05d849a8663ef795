"""A file -> a Document: which reader it takes, what it says about itself, and its rows where it is a table."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path, PurePosixPath

from rag.errors import Unreadable
from rag.ingest.metadata import facets
from rag.ingest.readers.content import Content, Page
from rag.ingest.readers.rows import of_page
from rag.ingest.site import address, is_web
from rag.types import Document, Facets

READERS = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".txt": "markdown",
    ".html": "html",
    ".htm": "html",
    ".pdf": "pdf",
    ".docx": "docx",
    ".pptx": "pptx",
    ".epub": "epub",
    ".srt": "subtitles",
    ".vtt": "subtitles",
    ".csv": "delimited",
    ".tsv": "delimited",
    ".xlsx": "excel",
    ".jsonl": "jsonl",
    ".jsonl.gz": "jsonl",
    ".png": "image",
    ".jpg": "image",
    ".jpeg": "image",
    ".webp": "image",
    ".bmp": "image",
    ".tif": "image",
    ".tiff": "image",
    ".gif": "image",
}
_CHARACTERS, _HEADINGS = 2_000_000, 20_000  # of one page, more than a thousand printed ones: cutting it takes seconds
_TITLE = 300  # characters: every chunk repeats it
_HIDDEN = (
    "hidden text: expected text that shoppers can see; found {:,} characters that styles or markup hide, which are left out; "
    "show them on the page if they belong to it"
)


def suffix_of(path: Path) -> str:
    """The ending that decides on the reader, in lower case; ".jsonl.gz" counts as one."""
    name = path.name.casefold()
    return ".jsonl.gz" if name.endswith(".jsonl.gz") else Path(name).suffix


def read(path: Path, id: str) -> Document:
    """Read one file; `id` is its path below the corpus. Raises Unreadable with what was expected, found, and to be done."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Unreadable(expected="a file that can be opened", found=str(error), remedy="check its permissions") from error
    content = _content(data, suffix_of(path))
    digest = hashlib.sha256(data).hexdigest()
    if isinstance(content, Page):
        return _page(content, id, digest, content.meta.get("url", "").strip() or address(path, id))
    return _table(content, id, digest)


def _content(data: bytes, suffix: str) -> Content:
    if suffix not in READERS:
        raise Unreadable(
            expected=f"one of {', '.join(READERS)}", found=suffix or "no ending", remedy="save it in one of these formats"
        )
    if not data.strip():
        raise _nothing("an empty file")
    reader = importlib.import_module(f"rag.ingest.readers.{READERS[suffix]}")  # a corpus without PDFs needs no PDF library
    content: Content = reader.read(data)
    return content


def _page(page: Page, id: str, digest: str, url: str) -> Document:
    if not page.text.strip():
        raise _nothing("a page whose text is all hidden" if page.hidden else "a page without text")
    for most, what, found in ((_CHARACTERS, "characters", len(page.text)), (_HEADINGS, "headings", page.text.count("\n#"))):
        if found > most:
            raise Unreadable(expected=f"at most {most:,} {what}", found=f"{found:,}", remedy="split the file")
    if url and not is_web(url):
        raise Unreadable(expected="url as https://shop.example/page", found=repr(url[:100]), remedy="correct url")
    title = (page.meta.get("title") or _heading(page.text) or _spoken(id))[:_TITLE]
    about = facets(page.meta, page.text)
    rejected = (_HIDDEN.format(page.hidden),) if page.hidden else ()
    return Document(id, title, page.text, about, digest, of_page(page.text, title, about), rejected, url)


def _table(content: Content, id: str, digest: str) -> Document:
    from rag.ingest.readers.tables import entries

    assert not isinstance(content, Page)
    rows, rejected = entries(content)
    if not rows:
        raise _nothing(f"no usable row; the first problem is in row {rejected[0]}" if rejected else "a table without rows")
    languages = {entry.facets.language for entry in rows}
    common = languages.pop() if len(languages) == 1 else ""
    return Document(id, _spoken(id), "", Facets(language=common), digest, rows, rejected)


def _nothing(found: str) -> Unreadable:
    return Unreadable(expected="something to read", found=found, remedy="fill the file or remove it")


def _heading(text: str) -> str:
    """The first line, if it is a Markdown heading of the first level."""
    line = text.lstrip().split("\n", 1)[0]
    return line[2:].strip().strip("#").strip() if line.startswith("# ") else ""


def _spoken(id: str) -> str:
    """A file's name as a title: faq/shipping_en.csv as "Shipping en"."""
    name = PurePosixPath(id).name.split(".")[0] or id
    spoken = " ".join(name.replace("_", " ").replace("-", " ").split())
    return spoken[:1].upper() + spoken[1:]
