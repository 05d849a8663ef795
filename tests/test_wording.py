"""Every sentence exists in both languages, with the same holes, and every key that the answer ladder says is there."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path
from string import Template

import pytest

import rag.wording
from rag.wording import say

FOLDER = Path(rag.wording.__file__).parent
ROOT = FOLDER.parent.parent


def catalogue(language: str) -> dict[str, str]:
    return tomllib.loads((FOLDER / f"{language}.toml").read_text(encoding="utf-8"))


def test_both_catalogues_say_the_same_things() -> None:
    english, chinese = catalogue("en"), catalogue("zh")
    assert english.keys() == chinese.keys()
    for key in english:
        assert set(Template(english[key]).get_identifiers()) == set(Template(chinese[key]).get_identifiers()), key


def test_every_key_said_in_the_answer_ladder_exists() -> None:
    said = set()
    for path in ROOT.glob("rag/answer/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "say":
                said |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    assert {"shortened", "nearest"} <= said <= catalogue("en").keys()


def test_a_missing_hole_or_key_is_an_error() -> None:
    assert say("nearest", "en", topics="Returns") == "What I do have is about: Returns."
    with pytest.raises(KeyError, match="topics"):
        say("nearest", "zh")
    with pytest.raises(KeyError, match="nothing"):
        say("nothing", "en")
