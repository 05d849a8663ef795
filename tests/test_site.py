"""A web site saved to disk, as mirrors and browsers save it: its pages are read, what serves them is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import Unreadable
from rag.index.codec import decode, encode
from rag.ingest import site
from rag.ingest.chunk import chunk
from rag.ingest.read import read
from rag.ingest.readers import html
from rag.ingest.scan import scan
from rag.types import Chunk, Document

TOPICS = ("returns", "delivery", "warranty", "repairs", "payment", "sizes", "care", "gifts", "parking", "jobs", "about", "stores")
FURNITURE = ("Skip to content", "Shop all jackets", "Subscribe to our letter", "We use cookies", "Imprint", "Home", "Follow us")
LINKS = "".join(
    f'<a href="/{name}/">{word}</a>' for name, word in (("", "Home"), ("jackets", "Shop all jackets"), ("x", "Follow us"))
)
MARKED = (
    '<a class="skip-link" href="#c">Skip to content</a><header><nav>{links}</nav></header><main><h1>{title}</h1>{body}</main>'
    '<aside>Subscribe to our letter</aside><footer>Imprint</footer><div role="dialog">We use cookies</div>'
)
SOUP = (
    '<div class="skip-links"><a href="#c">Skip to content</a></div><div id="header"><ul class="main-nav">{links}</ul></div>'
    '<div class="breadcrumbs"><a href="/">Home</a> › <a href="/s/">Shop all jackets</a></div>'
    '<div class="content"><div class="section-header"><h1>{title}</h1></div>{body}<div class="menu">Soup, bread and tea.</div>'
    "</div>"
    '<div class="social-links">{links}</div><div class="newsletter-signup"><p>Subscribe to our letter</p></div>'
    '<div class="site-footer"><p>Imprint</p></div><div id="cookie-banner" class="x1">We use cookies <button>OK</button></div>'
)


def page(topic: str, layout: str, head: str = "") -> str:
    body = f"<h2>What holds for {topic}</h2><p>Our rule on {topic} is number {len(topic)}, see <a href='/x/'>more</a>.</p>"
    inner = layout.format(links=LINKS, title=topic.title(), body=body)
    return f"<html><head><title>{topic.title()} - Pinebeck</title>{head}</head><body>{inner}</body></html>"


def write(folder: Path, name: str, text: str = "x") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A shop's notes, and beside them its site as a mirror leaves it."""
    write(tmp_path, "notes.md", "# Notes\n\nThe bell is at the back.")
    home = tmp_path / "www.pinebeck.example"
    write(home, "index.html", page("welcome", MARKED, '<link rel="stylesheet" href="css/a.css">'))
    for i, topic in enumerate(TOPICS):
        head = f'<link rel="canonical" href="https://shop.pinebeck.example/{topic}">' if topic == "jobs" else ""
        write(home, f"help/{topic}/index.html", page(topic, (MARKED, SOUP)[i % 2], head))
    write(home, "help/faq.html", page("faq", SOUP))
    for name in ("css/a.css", "css/b.css?ver=6.4.3", "js/app.js", "js/app.js.map", "img/logo.svg", "img/hero.jpg", "favicon.ico"):
        write(home, name)
    write(home, "robots.txt", "User-agent: *")
    write(home, "files/prices.doc")
    write(home, "files/prices.csv", "question,answer\nIs it open?,Yes.\n")
    places = ["/", "/help/faq", *(f"/help/{topic}/" for topic in TOPICS), "/help/?page=2", "/gone/"]
    urls = "".join(f"<url><loc> https://www.pinebeck.example{at} </loc><lastmod>2026-01-02</lastmod></url>" for at in places)
    write(home, "sitemap.xml", f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{urls}</urlset>')
    return tmp_path


def documents(corpus: Path) -> dict[str, Document]:
    return {id: read(path, id) for path in scan(corpus).files if (id := path.relative_to(corpus).as_posix())}


def test_pages_are_read_and_what_serves_them_is_counted_in_one_line(mirror: Path) -> None:
    found = documents(mirror)
    assert len([id for id in found if id.endswith(".html")]) == len(TOPICS) + 2
    assert {"notes.md", "www.pinebeck.example/files/prices.csv"} < set(found) and not any("robots" in id for id in found)
    reasons = {rejection.file: rejection.reason for rejection in scan(mirror).rejected}
    assert set(reasons) == {"www.pinebeck.example/", "www.pinebeck.example/files/prices.doc"}
    assert "found 9 files that serve the pages of a web site (2 .css, 1 " in reasons["www.pinebeck.example/"]


def test_what_stands_on_every_page_is_in_no_chunk(mirror: Path) -> None:
    chunks = [piece for one in documents(mirror).values() for piece in chunk(one, lambda text: len(text.split()), 160, 0)]
    whole = "\n".join(piece.search_text for piece in chunks)
    assert [words for words in FURNITURE if words in whole] == []
    for topic in (*TOPICS, "faq", "welcome"):
        assert f"Our rule on {topic} is number {len(topic)}, see more." in whole and f"What holds for {topic}" in whole
    assert "Soup, bread and tea." in whole  # a menu that is none of links


def test_pages_know_where_they_are_on_the_web(mirror: Path) -> None:
    urls = {id.removeprefix("www.pinebeck.example/"): document.url for id, document in documents(mirror).items()}
    assert urls["index.html"] == "https://www.pinebeck.example/"
    assert urls["help/returns/index.html"] == "https://www.pinebeck.example/help/returns/"
    assert urls["help/faq.html"] == "https://www.pinebeck.example/help/faq"
    assert urls["help/jobs/index.html"] == "https://shop.pinebeck.example/jobs"  # what the page says itself counts more
    assert urls["notes.md"] == urls["files/prices.csv"] == ""


@pytest.mark.parametrize(
    "sitemap",
    [
        '<!DOCTYPE u [<!ENTITY a "https://evil.example/">]><urlset><url><loc>&a;</loc></url></urlset>',
        '<!DOCTYPE u [<!ENTITY a SYSTEM "file:///etc/passwd">]><urlset><url><loc>&a;</loc></url></urlset>',
        "<urlset><url><loc>https://www.pinebeck.example/",
        "<urlset><url><loc>javascript:alert(1)</loc></url><url><loc>https://[bad/</loc></url><url/></urlset>",
    ],
)
def test_a_hostile_or_damaged_sitemap_gives_no_address(mirror: Path, sitemap: str) -> None:
    write(mirror / "www.pinebeck.example", "sitemap.xml", sitemap)
    site._addresses.cache_clear()
    assert documents(mirror)["www.pinebeck.example/index.html"].url == ""


def test_a_page_saved_by_a_browser(tmp_path: Path) -> None:
    write(tmp_path, "Returns.html", page("returns", MARKED, '<meta property="og:url" content="https://pinebeck.example/r">'))
    for name in ("a.css", "b.js.download", "frame.html", "hero.webp"):
        write(tmp_path, f"Returns_files/{name}")
    assert {id: document.url for id, document in documents(tmp_path).items()} == {"Returns.html": "https://pinebeck.example/r"}
    (rejection,) = scan(tmp_path).rejected
    assert rejection.file == "Returns_files/" and "found 4 files" in rejection.reason


def test_pictures_beside_single_pages_are_documents(tmp_path: Path) -> None:
    for name in ("index.html", "hours.png", "other_files/plan.png"):
        write(tmp_path, name)
    assert len(scan(tmp_path).files) == 3 and scan(tmp_path).rejected == ()


@pytest.mark.parametrize(
    ("url", "kept"), [("https://pinebeck.example/r?a=1&b=2", True), ("/r", False), ("javascript:alert(1)", False)]
)
def test_an_address_in_front_matter(tmp_path: Path, url: str, kept: bool) -> None:
    write(tmp_path, "a.md", f"---\nurl: {url}\n---\n# Returns\n\nThirty days.")
    if kept:
        assert read(tmp_path / "a.md", "a.md").url == url
    else:
        with pytest.raises(Unreadable, match="expected url as https"):
            read(tmp_path / "a.md", "a.md")
    written = html.convert(
        f'<meta name="url" content="{url.replace("&", "&amp;")}"><p>Thirty days to return it, at any of our shops.</p>'
    )
    assert written.meta.get("url", "") == (url if kept else "")


def test_the_address_is_kept_and_an_index_without_one_is_what_it_was() -> None:
    plain = Chunk(id="a#1", document="a", entry="", ordinal=0, kind="page", title="A", headings=(), text="Text.")
    assert '"url"' not in encode(plain)
    linked = Chunk(
        id="a#1", document="a", entry="", ordinal=0, kind="page", title="A", headings=(), text="Text.", url="https://a.example/"
    )
    assert decode(encode(linked), "Text.").url == "https://a.example/" and decode(encode(plain), "Text.").url == ""


@pytest.mark.parametrize("name", ["card-header", "cookies", "section-footer", "headers", "footnote"])
def test_names_that_only_sound_like_furniture_keep_their_text(name: str) -> None:
    text = "How we use small files in your browser, and what for, is said here."
    assert text in html.convert(f'<div class="{name}"><h2>Cookies</h2><p>{text}</p></div><p>{"More of the page. " * 5}</p>').text


def test_a_page_of_nothing_but_furniture_keeps_it() -> None:
    assert "Call us at 9." in html.convert('<div id="header">Call us at 9.</div>').text
