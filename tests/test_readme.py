"""README says what the code does."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from rag.__main__ import app
from rag.settings import Settings, known_keys

ROOT = Path(__file__).parent.parent
READMES = [ROOT / "README.md", ROOT / "README.zh-CN.md"]


def blocks(text: str, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.name)
def test_every_command_named_exists(path: Path) -> None:
    verbs = get_command(app).commands  # type: ignore[attr-defined]
    named = re.findall(r"python -m rag ([a-z]+)(?: ([a-z]+))?", path.read_text(encoding="utf-8"))
    assert {verb for verb, _ in named} == set(verbs)
    assert {second for verb, second in named if verb == "eval"} == set(verbs["eval"].commands)


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.name)
def test_every_make_verb_named_exists(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for verb in re.findall(r"make ([a-z]+)", path.read_text(encoding="utf-8")):
        assert re.search(rf"^{verb}:", makefile, flags=re.MULTILINE), f"{path.name} names make {verb}"


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.name)
def test_the_settings_shown_are_settings(path: Path) -> None:
    (shown,) = blocks(path.read_text(encoding="utf-8"), "toml")
    table = tomllib.loads(shown)
    flat = {f"{name}.{key}" for name, section in table.items() if isinstance(section, dict) for key in section}
    flat |= {name for name, value in table.items() if not isinstance(value, dict)}
    assert flat <= set(known_keys())
    Settings(**table)


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.name)
def test_the_answer_object_shown_is_the_contract(path: Path) -> None:
    from tests.test_cli import ANSWER_KEYS

    (shown,) = blocks(path.read_text(encoding="utf-8"), "json")
    assert set(json.loads(shown)) == ANSWER_KEYS


def test_the_two_readmes_have_the_same_parts() -> None:
    english, chinese = (path.read_text(encoding="utf-8") for path in READMES)
    assert english.count("\n## ") == chinese.count("\n## ")
    assert [len(re.findall(r"^\|", text, flags=re.MULTILINE)) for text in (english, chinese)][0] == len(
        re.findall(r"^\|", chinese, flags=re.MULTILINE)
    )
    assert blocks(english, "sh")[0].count("\n") == blocks(chinese, "sh")[0].count("\n")
