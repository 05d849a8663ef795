"""A web site saved to disk: which of its files only serve the pages, and where the pages are on the web."""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree.ElementTree import ParseError

from rag.ingest.report import Rejection

log = logging.getLogger(__name__)
_PAGES = (".html", ".htm")
_MADE_OF = {".css", ".js", ".mjs"}  # beside them an index.html is the start of a site
_PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".svg", ".ico", ".avif"}
_SERVING = _MADE_OF | _PICTURES | {".map", ".woff", ".woff2", ".ttf", ".otf", ".eot", ".xml", ".xsl", ".json", ".webmanifest"}
_SITEMAP = 50_000_000  # bytes, the limit of the protocol


def assets(paths: Iterable[Path]) -> dict[Path, Path]:
    """Every file that only serves the pages of a saved site -> the site's folder.

    A site's folder holds a sitemap.xml, or an index.html with style sheets or scripts somewhere below it, or it is the folder
    "Returns_files" that a browser saved beside "Returns.html".
    """
    paths = list(paths)
    found: dict[Path, Path] = {}
    for folder in _outermost(_folders(paths)):
        saved = folder.name.endswith("_files")
        for path in paths:
            if folder in path.parents and (saved or _ending(path) in _SERVING or path.name.casefold() == "robots.txt"):
                found[path] = folder
    return found


def counted(found: Mapping[Path, Path], corpus: Path) -> list[Rejection]:
    """One line a site, for a report."""
    lines: list[Rejection] = []
    for folder in dict.fromkeys(found.values()):
        endings = Counter(_ending(path) or path.name for path, place in found.items() if place == folder)
        kinds = ", ".join(f"{number} {ending}" for ending, number in endings.most_common())
        reason = f"expected documents; found {endings.total()} files that serve the pages of a web site ({kinds}); "
        remedy = "nothing is to be done, unless a picture's text is to be read: then put it elsewhere"
        lines.append(Rejection(f"{folder.relative_to(corpus).as_posix()}/", f"{reason}{remedy}"))
    return lines


def address(path: Path, id: str) -> str:
    """Where a page is on the web, as the sitemap.xml of its site tells; empty if none does. `id` is its path below the corpus."""
    if path.suffix.casefold() not in _PAGES:
        return ""
    for folder in list(path.parents)[: len(Path(id).parts)]:
        sitemap = folder / "sitemap.xml"
        if sitemap.is_file():
            return _addresses(sitemap, sitemap.stat().st_mtime_ns).get(path.relative_to(folder).as_posix(), "")
    return ""


def is_web(url: str) -> bool:
    """Whether it is an address that a shopper's browser opens: http or https with a host, and nothing that is none of it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and url.isprintable() and " " not in url


def _ending(path: Path) -> str:
    """In lower case; what a mirror appends of the query ("style.css?v=3") is none of it."""
    return Path(path.name.split("?", 1)[0]).suffix.casefold()


def _folders(paths: Iterable[Path]) -> set[Path]:
    names: dict[Path, set[str]] = {}
    styled: set[Path] = set()  # folders with a style sheet or a script in or below them
    saved: set[Path] = set()
    for path in paths:
        names.setdefault(path.parent, set()).add(path.name.casefold())
        if _ending(path) in _MADE_OF:
            styled.update(path.parents)
        if path.suffix.casefold() in _PAGES:
            saved.add(path.with_name(f"{path.stem}_files"))
    starts = {folder for folder, held in names.items() if folder in styled and not held.isdisjoint(("index.html", "index.htm"))}
    return starts | {folder for folder, held in names.items() if "sitemap.xml" in held or folder in saved}


def _outermost(folders: set[Path]) -> list[Path]:
    return sorted(folder for folder in folders if folders.isdisjoint(folder.parents))


@functools.lru_cache(maxsize=16)
def _addresses(sitemap: Path, changed: int) -> dict[str, str]:
    """Path below the site's folder -> address, of every page that its sitemaps list. `changed`: when one was last written."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    found: dict[str, str] = {}
    for path in sorted(sitemap.parent.glob("sitemap*.xml")):
        try:
            if path.stat().st_size > _SITEMAP:
                raise ValueError("it is larger than 50 MB")
            places = [str(place.text or "").strip() for place in fromstring(path.read_bytes()).iterfind(".//{*}url/{*}loc")]
        except (OSError, ParseError, DefusedXmlException, ValueError) as error:
            log.warning("%s is not read, so its pages have no addresses: %s", path, error)
            continue
        for place in filter(is_web, places):
            parts = urlsplit(place)
            name = unquote(parts.path).strip("/")
            if not parts.query:
                ways = [f"{name}{ending}" for ending in ("", *_PAGES)] if name else []
                for way in [*ways, *(f"{name}/index{ending}".lstrip("/") for ending in _PAGES)]:
                    found.setdefault(way, place)
    return found
