"""Text that shoppers, models and documents wrote -> HTML that cannot act: no raw HTML, no images, no foreign links.

Two walls: the Markdown renderer escapes every tag and knows no links or images; nh3 then drops whatever is not listed
here. Both hold for every prefix of a text, so half-streamed answers are as safe as whole ones.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

LONGEST = 20_000  # characters of one text that are shown
_TAGS = {"p", "br", "strong", "em", "ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td", "hr", "blockquote"}
_OFF = ("link", "image", "autolink", "reference", "html_inline", "html_block", "code", "fence", "backticks", "lheading")
_MARKER = re.compile(r"\[(\d{1,2})\]")
_HALF_MARKER = re.compile(r"\[\d{0,2}\Z")
_OPEN, _CLOSE = "\ue000", "\ue001"  # private-use characters stand for <mark> until the Markdown is rendered
_BLOCK_SIGN = re.compile(r"\s*(?:(?:#{1,6}|[-*+>|]|\d{1,9}[.)])\s*)?(?:\*\*|__|[*_])?")
_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")
_PHONE = re.compile(r"\+?\d[\d ()-]{5,20}\d")
_UNSEEN = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xE0000, 0xE0080), 0xE000, 0xE001])


def answer(text: str, links: Mapping[int, tuple[str, str]]) -> str:
    """An answer's HTML. `links`: marker number -> (id of its source card, spoken label); other [n] stay plain text."""
    return _render(text, {"links": links}, breaks=True)


def streaming(text: str, passages: int) -> str:
    """The HTML of an answer that is still being written: [1] to [passages] look like markers, but lead nowhere yet."""
    text = _HALF_MARKER.sub("", text).rstrip("*")
    if text.count("**") % 2:
        text = f"{text.rstrip()}**"  # what will be bold is bold from its first letter on
    return _render(text, {"links": {number: ("", "") for number in range(1, passages + 1)}}, breaks=True)


def passage(text: str, quotes: Sequence[tuple[int, int]], breaks: bool) -> str:
    """A passage's HTML with the quoted spans [start, end) marked; spans outside the text are left out.

    `breaks`: whether a line break in the text is one for the eye (tables of entries) or only for the editor (pages).
    """
    kept = text[:LONGEST]
    for start, end in reversed(_merged(quotes, len(kept))):
        if sign := _BLOCK_SIGN.match(kept, start, end):  # "- ", "| ", "**" must stay where Markdown expects them
            start = sign.end()
        end = start + len(kept[start:end].rstrip(" \n|*_"))
        kept = kept[:start] + _OPEN + kept[start:end] + _CLOSE + kept[end:]
    return _render(kept, {"marked": False}, breaks, keep=_OPEN + _CLOSE)


def plain(text: str) -> str:
    """Text as typed: escaped, line breaks kept, nothing else interpreted."""
    return "<br>".join(escape(text[:LONGEST].translate(_UNSEEN)).splitlines())


def contact(text: str) -> str:
    """The shop's own contact line, with its mail address and phone number to click."""
    safe = escape(text)
    safe = _MAIL.sub(lambda found: f'<a href="mailto:{found.group()}">{found.group()}</a>', safe)
    return _PHONE.sub(lambda found: f'<a href="tel:{re.sub(r"[^+0-9]", "", found.group())}">{found.group()}</a>', safe)


def page(name: str, url: str) -> str:
    """A document's name, leading to where it is on the web, if it is there."""
    if not url:
        return escape(name)
    return f'<a href="{escape(url)}" target="_blank" rel="noopener noreferrer">{escape(name)}</a>'


def _render(text: str, env: dict[str, Any], breaks: bool, keep: str = "") -> str:
    unseen = {code: None for code in _UNSEEN if chr(code) not in keep}
    html = str(_markdown(breaks).render(text[: LONGEST + 200].translate(unseen), env))
    clean = nh3.clean(
        html,
        tags=_TAGS | {"a", "mark", "span"},
        attributes={"a": {"class", "href"}, "p": {"class"}, "span": {"class"}},
        url_schemes=set(),  # only the #source links made here are left
        link_rel=None,
    )
    return clean.replace("\n", " ").strip()


def _merged(spans: Sequence[tuple[int, int]], length: int) -> list[tuple[int, int]]:
    """The spans that lie within `length`, in order, overlapping ones as one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if not 0 <= start < end <= length:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


@functools.cache
def _markdown(breaks: bool) -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": breaks}).enable("table").disable(_OFF)
    parser.add_render_rule("text", _text)
    parser.add_render_rule("heading_open", lambda self, tokens, index, options, env: '<p class="heading">')
    parser.add_render_rule("heading_close", lambda self, tokens, index, options, env: "</p>")
    return parser


def _text(self: RendererHTML, tokens: Sequence[Token], index: int, options: object, env: dict[str, Any]) -> str:
    """Render rule for running text: markers become links, the stand-ins for <mark> become the tag."""
    content = tokens[index].content
    if "links" in env:
        links: Mapping[int, tuple[str, str]] = env["links"]
        return _MARKER.sub(lambda found: _marker(found, links), escape(content))
    pieces: list[str] = []
    for piece in re.split(f"([{_OPEN}{_CLOSE}])", content):
        if piece in (_OPEN, _CLOSE) and piece:
            env["marked"] = piece == _OPEN
        elif piece:
            pieces.append(f"<mark>{escape(piece)}</mark>" if env["marked"] else escape(piece))
    return "".join(pieces)


def _marker(found: re.Match[str], links: Mapping[int, tuple[str, str]]) -> str:
    number = int(found.group(1))
    if number not in links:
        return found.group()
    card, label = links[number]
    if not card:
        return f'<span class="marker">{number}</span>'
    return f'<a class="marker" href="#{escape(card)}"><span class="sr">{escape(label)}</span>{number}</a>'
