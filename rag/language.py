"""Text in English and Chinese: characters that are seen, which language, a folded form for comparing, words, sentences."""

from __future__ import annotations

import functools
import logging
import re
import unicodedata
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from rag.types import Language

HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_HAN = re.compile(f"[{HAN}]")
_RUN = re.compile(f"[{HAN}]+|[^\\W_{HAN}]+(?:(?:[-'’./]|,(?=\\d{{3}}))[^\\W_{HAN}]+)*")
_PLAIN_WORD = re.compile(r"(?<![^\W_])[a-z]+")
_SENTENCE_END = re.compile(r"[。！？!?；]+[”’\"')）】]*|\.(?=\s|$)|\n+")

# Nobody sees them, and they carry words past a reader: controls, marks that turn the direction of writing, tags, half characters,
# annotations, invisible operators, and spaces and joiners of no width where no script needs them. Line feed and tab are no part.
_UNSEEN = dict.fromkeys(
    [
        *range(0x00, 0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0), 0xAD, 0x200B, *range(0x2028, 0x202F), *range(0x2060, 0x2070),
        0xFEFF, *range(0xFFF9, 0xFFFC), *range(0xD800, 0xE000), *range(0x1D173, 0x1D17B), *range(0xE0000, 0xE0080),
    ]
)  # fmt: skip
_VARIANTS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"  # one picks the form of the character before it, which is never a letter of ours
_LONE_VARIANT = re.compile(
    f"(?<![^\\x00-\\x7f{_VARIANTS}])[{_VARIANTS}]+(?!\u20e3)"
)  # but 1, U+FE0F, U+20E3 is the emoji of a key
# Persian, Indian scripts and emoji need a joiner or its opposite, English and Chinese never do.
_LONE_JOINER = re.compile("(?<![^\x00-\x7f])[\u200c\u200d]+(?![^\x00-\x7f])|(?<=[\u200c\u200d])[\u200c\u200d]+")


def seen(text: str) -> str:
    """`text` without the characters that nobody sees; what is written in any script, and emoji, stay as they are."""
    return _LONE_VARIANT.sub("", _LONE_JOINER.sub("", text.translate(_UNSEEN)))


def detect(text: str) -> Language | None:
    """The language to answer in; None if most letters are neither Latin nor Chinese.

    Chinese characters are weighed against lower-case Latin words: a product name in Latin letters says nothing about
    the language of the sentence around it.
    """
    han = sum(bool(_HAN.match(character)) for character in text)
    letters = [character for character in text if character.isalpha()]
    latin = sum("LATIN" in unicodedata.name(character, "") for character in letters)
    if len(letters) > 2 * (han + latin):
        return None
    return "zh" if han and han >= len(_PLAIN_WORD.findall(text)) else "en"


@functools.lru_cache(maxsize=1)
def _traditional() -> tuple[re.Pattern[str], dict[str, str], dict[int, str]]:
    """Phrases, longest first; the simplified form of each; that of single characters, for str.translate.

    The tables are OpenCC's. Its own Python code takes 0.6 ms for a paragraph, even one in simplified characters.
    """
    forms: dict[str, dict[str, str]] = {}
    for name in ("TSPhrases", "TSCharacters"):
        table = (files("opencc") / "dictionary" / f"{name}.txt").read_text(encoding="utf-8")
        pairs = (line.split("\t") for line in table.splitlines())
        forms[name] = {traditional: simplified.split(" ")[0] for traditional, simplified in pairs}
    phrases = sorted(forms["TSPhrases"], key=len, reverse=True)
    starts = "".join({phrase[0] for phrase in phrases})
    pattern = re.compile(f"(?=[{starts}])({'|'.join(phrases)})")  # the look-ahead is what makes it fast
    return pattern, forms["TSPhrases"], str.maketrans(forms["TSCharacters"])


@functools.lru_cache(maxsize=1)
def _jieba() -> Any:  # noqa: ANN401 - jieba ships no types
    import jieba

    jieba.setLogLevel(logging.WARNING)
    return jieba


def simplify(text: str) -> str:
    """Traditional characters as simplified ones, all else as it is."""
    if not _HAN.search(text):
        return text
    phrases, forms, characters = _traditional()
    return "".join(forms.get(piece) or piece.translate(characters) for piece in phrases.split(text))


def fold(text: str) -> str:
    """One form for what readers take as the same: full/half width, case, traditional/simplified."""
    return simplify(unicodedata.normalize("NFKC", text).casefold())


def words(text: str) -> list[str]:
    """Words of the folded text in order; product codes and decimals stay whole; Chinese is cut by dictionary."""
    found: list[str] = []
    for run in _RUN.findall(fold(text)):
        if _HAN.match(run):
            found += _jieba().lcut(run)
        else:
            found.append(run)
    return found


def bigrams(text: str) -> list[str]:
    """Overlapping pairs of Chinese characters of the folded text: they survive what the dictionary cuts wrongly."""
    return [run[i : i + 2] for run in re.findall(f"[{HAN}]+", fold(text)) for i in range(len(run) - 1)]


MANY = 24  # sentences of one text; what has more is a table, and its later rows are searched with the whole


def statements(text: str, label: str = "") -> tuple[str, ...]:
    """The sentences of a text that say something, as texts, each once, after its label; at most MANY."""
    pieces = [label, *(text[start:end] for start, end in sentences(text))]
    return tuple(dict.fromkeys(piece for piece in pieces if sum(map(str.isalnum, piece)) > 3))[:MANY]


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of each sentence, end mark included, surrounding space not; together they cover all words."""
    start = 0
    for end in [match.end() for match in _SENTENCE_END.finditer(text)] + [len(text)]:
        piece = text[start:end]
        left = start + len(piece) - len(piece.lstrip())
        right = start + len(piece.rstrip())
        if right > left:
            yield left, right
        start = end
