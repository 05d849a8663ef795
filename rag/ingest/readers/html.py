"""HTML -> the main content as Markdown. DOCX comes this way too."""

from __future__ import annotations

import re

from bs4 import BeautifulSoup
from bs4.dammit import EncodingDetector
from bs4.element import NavigableString, Tag
from bs4.exceptions import ParserRejectedMarkup
from markdownify import ATX, MarkdownConverter

from rag.errors import Unreadable
from rag.ingest.clean import clean, decode
from rag.ingest.metadata import KEYS, language_code
from rag.ingest.readers.content import Page
from rag.ingest.readers.spans import flatten
from rag.ingest.readers.unseen import drop_unseen, read_styles, without_white_formulas
from rag.ingest.site import is_web
from rag.language import HAN

_DROPPED = (
    "script style noscript template nav footer aside form iframe object embed svg canvas video audio button select "
    "textarea input img picture map dialog link meta title"
).split()
_SPACE = re.compile(r"[ \t\r\n\f]+")
_HAN_BREAK = re.compile(f"(?<=[{HAN}，。！？；：、])[ \\t]*\\n\\s*(?=[{HAN}，。！？；：、])")
_BLANK_LINES = re.compile(r"\n{3,}")
_DEPTH = 100  # deeper nesting is no layout; such a page is read as plain text
_TAGS = 400_000  # a kilobyte each once parsed
_LEAST = 40  # characters of content; a page with less keeps what surrounds it
_ROLES = {"navigation", "banner", "contentinfo", "complementary", "search", "dialog", "alertdialog", "menubar"}
_BLOCKS = {"div", "section", "ul", "ol", "p", "span"}
_FRAME = re.compile(
    r"(?:(?:site|main|global|top|shop|store)[-_]?)?(?:header|footer)|page[-_]?footer|masthead|top-?bar|newsletter[-_\w]*"
    r"|skip-?(?:link|nav)s?"
    r"|(?:cookies?|gdpr|consent)(?:[-_]?(?:banner|bar|notice|consent|popup|modal|dialog|overlay|message|info|law))+",
    re.IGNORECASE,
)
_LINKS = re.compile(
    r"(?<![a-z])(?:nav|navbar|navigation|menu|breadcrumbs?|sidebar|pagination|pager|share|social|related|links)(?![a-z])",
    re.IGNORECASE,
)
_ABSOLUTE = ("http://", "https://", "mailto:", "tel:")


def read(data: bytes) -> Page:
    """The page's main content. Raises Unreadable when the markup cannot be parsed at all."""
    return convert(decode(data, EncodingDetector.find_declared_encoding(data, is_html=True)))


def convert(markup: str) -> Page:
    """The same for markup in hand."""
    if (tags := markup.count("<")) > _TAGS:
        raise Unreadable(expected=f"at most {_TAGS:,} tags", found=f"{tags:,}", remedy="split the page")
    try:
        soup = BeautifulSoup(_closed(markup), "html.parser")
    except (ParserRejectedMarkup, AssertionError) as error:
        raise Unreadable(
            expected="an HTML page", found="markup that cannot be parsed", remedy="open it in a browser and save it again"
        ) from error
    meta, styles = _meta(soup), read_styles(soup)
    if _depth(soup) > _DEPTH:
        hidden = drop_unseen(soup, styles)
        return Page(clean(soup.get_text("\n", strip=True)), meta, hidden)
    name = _line(soup.title) if soup.title else ""
    _drop(soup)
    hidden = drop_unseen(soup, styles)
    main = _main(soup)
    heading = main.find("h1") or soup.find("h1")
    title = _line(heading) if heading else name
    flatten(main)
    _tidy(main)
    markdown, white = without_white_formulas(clean(_converter.convert_soup(main)))
    lines = markdown.split("\n")
    text = _BLANK_LINES.sub("\n\n", "\n".join(line.rstrip() for line in lines))
    return Page(text.strip("\n"), {"title": title} | meta, hidden + white)


_converter = MarkdownConverter(
    heading_style=ATX,
    bullets="-",
    autolinks=False,
    table_infer_header=True,
    escape_asterisks=False,
    escape_underscores=False,
    escape_misc=False,
)


def _closed(markup: str) -> str:
    """No tag starts after the last ">"; the parser would look for its end once per "<"."""
    tags, end, rest = markup.rpartition(">")
    return tags + end + rest.replace("<", "&lt;")


def _meta(soup: BeautifulSoup) -> dict[str, str]:
    found: dict[str, str] = {}
    for tag in soup.find_all("meta"):
        key = str(tag.get("name", "")).strip().casefold().replace("-", "_")
        if key in KEYS and tag.get("content"):
            found.setdefault(key, clean(str(tag["content"])).strip())
    if not language_code(found.get("language", "")):  # pages from the web say many things here
        root = soup.find("html")
        found["language"] = language_code(str(root.get("lang", ""))) if root else ""
    if not is_web(found.get("url", "")):
        found["url"] = _address(soup)
    return {key: value for key, value in found.items() if value}


def _address(soup: BeautifulSoup) -> str:
    """Where the page says that it is on the web."""
    link, graph = soup.find("link", rel="canonical"), soup.find("meta", property="og:url")
    told = (str(tag.get(key, "")).strip() for tag, key in ((link, "href"), (graph, "content")) if isinstance(tag, Tag))
    return next(filter(is_web, told), "")


def _depth(soup: BeautifulSoup) -> int:
    depths = {id(soup): 0}
    for node in soup.descendants:
        if isinstance(node, Tag):
            depths[id(node)] = depths[id(node.parent)] + 1
    return max(depths.values())


def _line(tag: Tag) -> str:
    return clean(_SPACE.sub(" ", tag.get_text(" ", strip=True)))


def _drop(soup: BeautifulSoup) -> None:
    """Remove what a shopper does not see or what is no content. A header inside the content may hold its heading."""
    unwanted = soup.find_all(_DROPPED)
    unwanted += [tag for tag in soup.find_all("header") if not tag.find_parent(["main", "article"])]
    unwanted += soup.find_all(lambda tag: str(tag.get("aria-hidden", "")).casefold() == "true")  # for show: an icon, a copy
    unwanted += _furniture(soup)
    for tag in unwanted:
        tag.extract()


def _furniture(soup: BeautifulSoup) -> list[Tag]:
    """What surrounds the content of every page of a site, by the roles and class names it is marked with.

    A name like "menu" may be a restaurant's, so such a block must consist of links. All of it stays where little else would.
    """
    found = [tag for tag in soup.find_all(_frames) if not tag.find(_content) and not tag.find_parent(["main", "article"])]
    known = {id(tag) for tag in found}
    outer = [tag for tag in found if not any(id(parent) in known for parent in tag.parents)]
    rest = len(soup.get_text(strip=True)) - sum(len(tag.get_text(strip=True)) for tag in outer)
    return outer if rest >= _LEAST else []


def _frames(tag: Tag) -> bool:
    if str(tag.get("role", "")).casefold() in _ROLES:
        return True
    names = [str(name or "") for key in ("class", "id") for name in tag.get_attribute_list(key)] if tag.name in _BLOCKS else []
    return any(map(_FRAME.fullmatch, names)) or (any(map(_LINKS.search, names)) and _linked(tag))


def _linked(tag: Tag) -> bool:
    text = len(tag.get_text(strip=True))
    return sum(len(link.get_text(strip=True)) for link in tag.find_all("a")) > 0.6 * text


def _content(tag: Tag) -> bool:
    return tag.name in ("main", "article", "h1") or str(tag.get("role", "")) == "main"


def _main(soup: BeautifulSoup) -> Tag:
    """The element that holds the content, where the page marks one."""
    articles = soup.find_all("article")
    for candidate in (soup.find("main"), soup.find(role="main"), articles[0] if len(articles) == 1 else None, soup.body):
        if candidate and candidate.get_text(strip=True):
            return candidate
    return soup


def _tidy(main: Tag) -> None:
    """Line breaks of the source mean nothing in HTML; links that lead nowhere outside the site lose their address."""
    for string in main.find_all(string=True):
        if type(string) is NavigableString and not string.find_parent(["pre", "code"]):
            string.replace_with(NavigableString(_SPACE.sub(" ", _HAN_BREAK.sub("", string))))
    for link in main.find_all("a"):
        if not str(link.get("href", "")).casefold().startswith(_ABSOLUTE) or not link.get_text(strip=True):
            link.unwrap()
