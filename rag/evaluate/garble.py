"""Noise on questions, one type at a time, the same for the same seed: what fingers, ears, input methods and haste do to them.

Codes, numbers, links and addresses are spared: who gets those wrong is asking about something else.
"""

from __future__ import annotations

import functools
import random
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rag.evaluate.gold import read_text
from rag.language import HAN, words
from rag.types import Language

TABLE = Path(__file__).with_name("garble.toml")
LETTERS_A_TYPO = 6
WORDS_A_LOSS = 8  # of English: one word in eight is left out,
SPACES_A_LOSS = 8  # and one space in eight
CHARACTERS_A_SLIP = 8  # of Chinese: one in eight is another, or is left out
MIXED = 0.6  # of the words that the table knows, at least one

_WORD = re.compile(r"(?<![\w@./-])[A-Za-z][a-z]{2,}(?![\w@/-]|\.\w)")
_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_HAN_RUN = re.compile(f"[{HAN}]+")


def garble(text: str, noise: str, seed: str) -> str:
    """`text` with noise of one of the types in NOISES; itself where this type finds nothing to do."""
    return NOISES[noise][1](text, random.Random(f"{seed} {noise} {text}"))


def typo(text: str, dice: random.Random) -> str:
    """A neighbouring key, two letters swapped, one dropped or doubled: an edit for every six letters, none in a first letter."""
    places = list(_WORD.finditer(text))
    edits = max(round(sum(len(word[0]) for word in places) / LETTERS_A_TYPO), 1)
    hit = _chosen(places, [len(word[0]) for word in places], edits, dice)
    return _replaced(text, {word.span(): _slip(word[0], dice) for word in hit})


def _slip(word: str, dice: random.Random) -> str:
    at = dice.randrange(1, len(word))
    kind = dice.choice(("neighbour", "swap", "drop", "double"))
    if kind == "swap":
        at = min(at, len(word) - 2)
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == "neighbour":
        row = next(row for row in _KEYS if word[at].lower() in row)
        place = row.index(word[at].lower())
        return word[:at] + dice.choice(row[max(place - 1, 0) : place] + row[place + 1 : place + 2]) + word[at + 1 :]
    return word[:at] + word[at + 1 :] if kind == "drop" else word[:at] + word[at] + word[at:]


def missing_english(text: str, dice: random.Random) -> str:
    """A word in eight and a space in eight left out; there is always one or the other."""
    places = list(_WORD.finditer(text))
    lost = _chosen(places, [1] * len(places), round(len(places) / WORDS_A_LOSS), dice)
    text = re.sub(r" {2,}", " ", _replaced(text, {word.span(): "" for word in lost})).strip()
    spaces = list(re.finditer(r"(?<=[a-z]) (?=[a-z])", text))
    closed = _chosen(spaces, [1] * len(spaces), max(round(len(spaces) / SPACES_A_LOSS), not lost), dice)
    return _replaced(text, {space.span(): "" for space in closed})


def chat(text: str, dice: random.Random) -> str:
    """Lower case, no punctuation, words as they are typed in chats."""
    table = _table("chat")
    text = re.sub(r"[a-z']+", lambda word: table.get(word[0], word[0]), text.lower().replace("’", "'"))
    return re.sub(r"[,.;:!?\"()]+(?=\s|$)|'", "", text)


def homophone(text: str, dice: random.Random) -> str:
    """A character in eight is another one that sounds the same, as an input method offers it: common ones first."""
    slips = [slip for run in _HAN_RUN.finditer(text) for slip in _homophones(run)]
    hit = _chosen(slips, [1] * len(slips), max(round(len(slips) / CHARACTERS_A_SLIP), 1), dice)
    return _replaced(text, {(at, at + 1): dice.choices(list(others), list(others.values()))[0] for at, others in hit})


def missing_chinese(text: str, dice: random.Random) -> str:
    """A character in eight left out."""
    places = [match.start() for match in re.finditer(f"[{HAN}]", text)]
    lost = _chosen(places, [1] * len(places), max(round(len(places) / CHARACTERS_A_SLIP), 1), dice)
    return _replaced(text, {(at, at + 1): "" for at in lost})


def pinyin(text: str, dice: random.Random) -> str:
    """All Chinese in Latin letters without tones: words apart, syllables apart, or run together."""
    from pypinyin import lazy_pinyin

    within, between = dice.choice((("", " "), ("", " "), (" ", " "), ("", "")))

    def spelt(run: re.Match[str]) -> str:
        read = between.join(within.join(lazy_pinyin(word, v_to_u=False)) for word in words(run[0]))
        return f" {read} "

    text = re.sub(r"\s+", " ", _HAN_RUN.sub(spelt, text)).strip()
    marks = str.maketrans("，。？！；：、“”（）", ',.?!;:,""()')
    return re.sub(r" (?=[,.?!;:)])", "", text.translate(marks))


def traditional(text: str, dice: random.Random) -> str:
    """Traditional characters."""
    return str(_to_traditional().convert(text))


def full_width(text: str, dice: random.Random) -> str:
    """Letters, digits and signs as wide as Chinese characters."""
    return "".join(chr(ord(character) + 0xFEE0) if "!" <= character <= "~" else character for character in text)


def mixed_english(text: str, dice: random.Random) -> str:
    """Some words in Chinese."""
    return _mixed(text, _table("mixed"), r"(?<![\w-])(?:{})(?![\w-])", dice)


def mixed_chinese(text: str, dice: random.Random) -> str:
    """Some words in English."""
    table = {chinese: english for english, chinese in reversed(list(_table("mixed").items()))}
    return _mixed(text, table, "(?:{})", dice)


def _mixed(text: str, table: Mapping[str, str], form: str, dice: random.Random) -> str:
    known = list(re.finditer(form.format("|".join(map(re.escape, sorted(table, key=len, reverse=True)))), text, re.IGNORECASE))
    hit = _chosen(known, [1] * len(known), max(round(MIXED * len(known)), 1), dice)
    return _replaced(text, {word.span(): table[word[0].lower()] for word in hit})


def _chosen(things: list[Any], weights: list[int], count: int, dice: random.Random) -> list[Any]:
    """`count` of the things, each once at most, the heavier the likelier (Efraimidis, Spirakis 2006)."""
    order = sorted(range(len(things)), key=lambda at: -(dice.random() ** (1 / weights[at])))
    return [things[at] for at in order[:count]]


def _replaced(text: str, spans: Mapping[tuple[int, int], str]) -> str:
    for (start, end), other in sorted(spans.items(), reverse=True):
        text = text[:start] + other + text[end:]
    return text


def _homophones(run: re.Match[str]) -> list[tuple[int, Mapping[str, float]]]:
    """Places in the text with the other characters of the same syllable and how common they are."""
    from pypinyin import lazy_pinyin

    found: list[tuple[int, Mapping[str, float]]] = []
    for at, (character, syllable) in enumerate(zip(run[0], lazy_pinyin(run[0]), strict=True), start=run.start()):
        others = {other: share for other, share in _by_syllable().get(syllable, {}).items() if other != character}
        if others:
            found.append((at, others))
    return found


@functools.lru_cache(maxsize=1)
def _by_syllable() -> Mapping[str, Mapping[str, float]]:
    from pypinyin import lazy_pinyin
    from wordfreq import get_frequency_dict

    found: dict[str, dict[str, float]] = {}
    for word, share in get_frequency_dict("zh", "small").items():
        if len(word) == 1 and _HAN_RUN.fullmatch(word):
            found.setdefault(lazy_pinyin(word)[0], {})[word] = share
    return found


@functools.lru_cache(maxsize=1)
def _to_traditional() -> Any:  # noqa: ANN401 - opencc ships no types
    from opencc import OpenCC

    return OpenCC("s2t")


@functools.lru_cache(maxsize=2)
def _table(name: str) -> Mapping[str, str]:
    found: dict[str, str] = tomllib.loads(read_text(TABLE))[name]
    return found


Noise = Callable[[str, random.Random], str]
# Name -> the language it is for, and what it does. The first word of the name says what it is in every language.
NOISES: Mapping[str, tuple[Language, Noise]] = {
    "typo, en": ("en", typo),
    "missing, en": ("en", missing_english),
    "chat, en": ("en", chat),
    "mixed, en": ("en", mixed_english),
    "homophone, zh": ("zh", homophone),
    "missing, zh": ("zh", missing_chinese),
    "pinyin, zh": ("zh", pinyin),
    "traditional, zh": ("zh", traditional),
    "full width, zh": ("zh", full_width),
    "mixed, zh": ("zh", mixed_chinese),
}
