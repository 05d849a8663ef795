"""Mandarin syllables in Latin letters: how Chinese words are read, and which readings are mixed up."""

from __future__ import annotations

import functools
import unicodedata

# Sounds that many speakers do not tell apart, and so neither do their input methods.
_INITIALS = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("n", "l"))
_FINALS = (("ing", "in"), ("eng", "en"), ("ang", "an"))


@functools.lru_cache(maxsize=4096)
def plain(syllable: str) -> str:
    """Without tone, which is an accent; the letter u with dots becomes v, as it is typed."""
    letters = unicodedata.normalize("NFD", syllable).replace("u\u0308", "v").replace("ɡ", "g")
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


@functools.lru_cache(maxsize=4096)
def blurred(syllable: str) -> str:
    """One form for all syllables that are mixed up: zhang, zang and zan are one."""
    for clear, blur in _INITIALS:
        if syllable.startswith(clear):
            syllable = blur + syllable[len(clear) :]
            break
    for clear, blur in _FINALS:
        if syllable.endswith(clear):
            return syllable[: -len(clear)] + blur
    return syllable


def word_reading(word: str) -> tuple[str, ...]:
    """The toneless reading of a word, numbers as they are; empty if a character has none."""
    from pypinyin.phrases_dict import phrases_dict

    if phrase := phrases_dict.get(word):
        return tuple(plain(syllable[0]) for syllable in phrase)
    read = [part if part.isdigit() else _character(part) for part in parts(word)]
    return tuple(read) if all(read) else ()


@functools.lru_cache(maxsize=20_000)
def _character(character: str) -> str:
    from pypinyin import lazy_pinyin

    return next((plain(reading) for reading in lazy_pinyin(character, errors="ignore", v_to_u=True)), "")


def parts(word: str) -> list[str]:
    """Characters; a number at the end stays whole: 余烬400 -> 余, 烬, 400."""
    letters = word.rstrip("0123456789")
    return [*letters, *([word[len(letters) :]] if len(letters) < len(word) else [])]
