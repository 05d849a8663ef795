"""Every sentence the product says, one catalogue per language (en.toml, zh.toml): no user-visible strings elsewhere."""

from __future__ import annotations

import functools
import re
import tomllib
from pathlib import Path
from string import Template

from rag.types import Language


@functools.lru_cache
def _catalogue(folder: Path, language: Language) -> dict[str, str]:
    return dict(tomllib.loads((folder / f"{language}.toml").read_text(encoding="utf-8")))


def say(key: str, language: Language, folder: Path = Path(__file__).parent, **holes: object) -> str:
    """The sentence `key` in `language` with its $holes filled. Raises KeyError on an unknown key or an unfilled hole."""
    return Template(_catalogue(folder, language)[key]).substitute({name: str(value) for name, value in holes.items()})


def holes(key: str, language: Language, text: str, folder: Path = Path(__file__).parent) -> dict[str, str] | None:
    """What fills the holes of the sentence `key` in `text`; None if `text` is not that sentence. The inverse of say()."""
    pieces = re.split(r"\$(\w+)", _catalogue(folder, language)[key])
    pattern = "".join(f"(?P<{piece}>.+)" if place % 2 else re.escape(piece) for place, piece in enumerate(pieces))
    match = re.fullmatch(pattern, text.strip(), re.DOTALL)
    return match.groupdict() if match else None
