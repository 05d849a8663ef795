"""What a page holds and nobody sees: text that its own styles hide. It is left out, and counted for the report.

Read are style attributes and, of <style> elements, the rules whose selectors name one element (`p.note`, `.a, #b`). What scripts,
linked style sheets and selectors over several elements do is not known here.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import tinycss2
from bs4 import BeautifulSoup
from bs4.element import NavigableString, Tag
from tinycss2.color4 import parse_color

Style = Mapping[str, str]  # property -> value, in lower case
Colour = tuple[float, float, float]  # red, green, blue: 0..1
Rank = tuple[bool, int, int, int, int]  # of a declaration: important, then specificity, then place

_RULES = 500_000  # characters of style sheets that are read
_NEAR = 0.08  # colours whose channels all differ by less look the same
_FAR = 500  # pixels beyond an edge that no screen shows
_FAINT = 0.1  # opacity below which nothing is seen
_PROPERTIES = set(
    "display visibility opacity content-visibility font-size color background background-color background-image position "
    "left top right bottom margin-left margin-top text-indent transform overflow width height max-width max-height clip "
    "clip-path".split()
)
_COMPOUND = re.compile(r"(?:\*|[a-z][a-z0-9-]*)?(?:[.#][\w-]+)*", re.IGNORECASE)
_TOKEN = re.compile(r"[.#]?[\w-]+")
_LENGTH = re.compile(r"(-?\d*\.?\d+)(px|pt|r?em|%)?")
_PIXELS = {"px": 1.0, "pt": 4 / 3, "em": 16.0, "rem": 16.0, "%": 10.0, None: 1.0}  # a rough measure will do
_GROUP = r"\{(?:[^{}]|\{[^{}]{0,500}\}){0,2000}\}"
_WHITE = re.compile(
    rf"\\(?:text)?color\s{{0,9}}\{{\s{{0,9}}(?:white|transparent|#fff(?:fff)?)\s{{0,9}}\}}\s{{0,9}}(?:{_GROUP}|[^{{}}$\n]{{0,2000}})"
    rf"|\\[hv]?phantom\s{{0,9}}{_GROUP}",
    re.IGNORECASE,
)
_NOTHING = re.compile(r"rect\((?:[01](?:px)?[\s,]*){4}\)|inset\((?:[5-9]\d|100)%|circle\(0(?![.\d])|scale\(0(?:[,\s]+0)?\)")
_MOVED = re.compile(r"translate(?:x|y|3d)?\(\s*(-\d+\.?\d*(?:px|r?em)?)")


@dataclass(frozen=True, slots=True)
class _Ink:
    """What text inherits: its colour and the one behind it (None: not known), and whether it has no size."""

    colour: Colour | None = (0, 0, 0)
    behind: Colour | None = (1, 1, 1)
    tiny: bool = False

    @property
    def is_seen(self) -> bool:
        if self.tiny or self.colour is None:
            return not self.tiny
        return self.behind is None or max(abs(a - b) for a, b in zip(self.colour, self.behind, strict=True)) > _NEAR


@dataclass(slots=True)
class Styles:
    """The rules of a page, by the last class, id or name that an element must have."""

    rules: dict[str, dict[tuple[frozenset[str], bool, str], tuple[Rank, str]]] = field(default_factory=lambda: defaultdict(dict))

    def of(self, tag: Tag) -> Style:
        """What the page says of an element: of its rules and its attribute, the stronger declaration."""
        own = {tag.name, *(f".{name}" for name in tag.get_attribute_list("class") if name), f"#{tag.get('id', '')}", "*"}
        rules = (rule for token in own for rule in self.rules.get(token, {}).items() if rule[0][0] <= own)
        found = [(rank, name, value) for (_, _, name), (rank, value) in rules]
        found += [((important, 1, 0, 0, 0), name, value) for important, name, value in _attribute(str(tag.get("style", "")))]
        return {name: value for _, name, value in sorted(found)}


def read_styles(soup: BeautifulSoup) -> Styles:
    """Of all <style> elements for screens."""
    sheets = [tag.get_text() for tag in soup.find_all("style") if str(tag.get("media", "all")).casefold() in ("all", "screen")]
    styles = Styles()
    for order, (selectors, content) in enumerate(_rules("\n".join(sheets)[:_RULES])):
        declared = list(_declared(content))
        for selector in selectors.split(",") if declared else ():
            selector = selector.strip()
            if not selector or not _COMPOUND.fullmatch(selector):
                continue
            needs = [token if token[0] in ".#" else token.casefold() for token in _TOKEN.findall(selector)] or ["*"]
            ids, classes = (sum(token[0] == sign for token in needs) for sign in "#.")
            for important, name, value in declared:
                rank = (important, 0, ids, classes * 1000 + len(needs) - ids - classes, order)
                styles.rules[needs[-1]][frozenset(needs), important, name] = rank, value  # the last one counts
    return styles


def drop_unseen(soup: BeautifulSoup, styles: Styles) -> int:
    """Take out what styles hide; returns how many characters that were."""
    dropped = 0
    todo: list[tuple[Tag, _Ink]] = [(soup, _Ink())]
    while todo:
        parent, ink = todo.pop()
        for child in list(parent.children):
            if isinstance(child, Tag):
                style = styles.of(child)
                if _is_hidden(child, style):
                    dropped += _characters(child.get_text(" "))
                    child.extract()
                else:
                    todo.append((child, _inherit(child, style, ink)))
            elif type(child) is NavigableString and not ink.is_seen:
                dropped += _characters(child)
                child.replace_with(" ")
    return dropped


@functools.lru_cache(maxsize=1000)
def is_unseen(start: str) -> bool:
    """Whether text in the element of this start tag, on a white page, would not be seen."""
    tag = BeautifulSoup(start, "html.parser").find()
    if tag is None:
        return False
    style = Styles().of(tag)
    return tag.name in ("script", "style") or _is_hidden(tag, style) or not _inherit(tag, style, _Ink()).is_seen


def without_white_formulas(text: str) -> tuple[str, int]:
    """`text` without what TeX prints in white or leaves blank; how many characters that were."""
    kept = _WHITE.sub("", text)
    return kept, len(text) - len(kept)


def hides(style: Style) -> bool:
    """Whether an element of this style, and all in it, is not to be seen."""
    return (
        style.get("display") == "none"
        or style.get("visibility") in ("hidden", "collapse")
        or style.get("content-visibility") == "hidden"
        or _share(style.get("opacity", "1")) < _FAINT
        or bool(_NOTHING.search(" ".join(style.get(name, "") for name in ("clip", "clip-path", "transform"))))
        or _is_away(style)
        or (style.get("overflow", "").startswith(("hidden", "clip")) and _is_flat(style))
    )


def _is_hidden(tag: Tag, style: Style) -> bool:
    return tag.has_attr("hidden") or hides(style)


def _is_away(style: Style) -> bool:
    moved = _MOVED.search(style.get("transform", ""))
    places = ["margin-left", "margin-top", "text-indent"]
    if style.get("position") in ("absolute", "fixed", "relative"):
        places += ["left", "top", "right", "bottom"]
    return any(_pixels(style.get(name, ""), 0) <= -_FAR for name in places) or bool(moved and _pixels(moved[1], 0) <= -_FAR)


def _is_flat(style: Style) -> bool:
    return any(_pixels(style.get(name, ""), 99) <= 1 for name in ("width", "height", "max-width", "max-height"))


def _inherit(tag: Tag, style: Style, ink: _Ink) -> _Ink:
    size = style.get("font-size", "")
    if size and not (ink.tiny and size.endswith(("em", "%")) and not size.endswith("rem")):
        ink = replace(ink, tiny=_pixels(size, 16) < 1.5)
    behind = ink.behind
    ground = style.get("background-color") or style.get("background") or str(tag.get("bgcolor", ""))
    if "(" in style.get("background-image", "") or re.search(r"url\(|gradient\(", ground):
        behind = None
    elif ground:
        behind = _over(ground, behind)
    ink = replace(ink, behind=behind)
    colour = style.get("color") or str(tag.get("color", "") if tag.name == "font" else tag.get("text", ""))
    return replace(ink, colour=_over(colour, behind)) if colour and colour not in ("inherit", "currentcolor") else ink


def _over(value: str, behind: Colour | None) -> Colour | None:
    """The colour that `value` names, as it looks over another one; None if that cannot be told."""
    parsed = next((found for word in (value, *value.split(), f"#{value}") if (found := parse_color(word))), None)
    if parsed is None or isinstance(parsed, str):
        return behind if parsed is None and value in ("none", "initial", "unset") else None
    red, green, blue = parsed.to("srgb").coordinates
    if parsed.alpha == 1:
        return red or 0, green or 0, blue or 0
    if behind is None:
        return None
    first, second, third = (
        (one or 0) * parsed.alpha + other * (1 - parsed.alpha) for one, other in zip((red, green, blue), behind, strict=True)
    )
    return first, second, third


def _rules(text: str) -> Iterator[tuple[str, object]]:
    """(selectors, content) of the rules that hold on every screen."""
    todo = tinycss2.parse_stylesheet(text, skip_comments=True, skip_whitespace=True)
    for rule in todo:
        if rule.type == "qualified-rule":
            yield _text(rule.prelude), rule.content
        elif rule.type == "at-rule" and rule.lower_at_keyword == "media" and rule.content:
            if _text(rule.prelude).strip().casefold() in ("all", "screen"):
                todo += tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True)


@functools.lru_cache(maxsize=1000)
def _attribute(text: str) -> tuple[tuple[bool, str, str], ...]:
    return tuple(_declared(text)) if text else ()


def _declared(content: object) -> Iterator[tuple[bool, str, str]]:
    """(important, property, value) of declarations, of CSS text or of a rule's content."""
    for found in tinycss2.parse_blocks_contents(content, skip_comments=True, skip_whitespace=True):
        if found.type == "declaration" and found.lower_name in _PROPERTIES:
            yield bool(found.important), found.lower_name, _text(found.value).strip().casefold()


def _text(nodes: object) -> str:
    try:
        return str(tinycss2.serialize(nodes))
    except RecursionError:  # brackets in brackets: no value that hides anything
        return ""


def _share(value: str) -> float:
    try:
        return float(value[:-1]) / 100 if value.endswith("%") else float(value)
    except ValueError:
        return 1.0


def _pixels(value: str, otherwise: float) -> float:
    found = _LENGTH.fullmatch(value)
    return float(found[1]) * _PIXELS[found[2]] if found else otherwise


def _characters(text: str) -> int:
    return len(" ".join(text.split()))
