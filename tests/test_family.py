"""Which files the prompt is made of: the families, a shop's own folder, and what is wrong with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rag.answer.family import FAMILIES, prompt_folder, prompt_tokens
from rag.answer.prompt import TUNED, fill
from rag.errors import SettingsError
from rag.models.resolve import is_tuned
from rag.settings import ModelSettings


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A shop's own prompt files, whole so far."""
    return Path(shutil.copytree(FAMILIES["general"], tmp_path / "own"))


def test_the_families_are_whole() -> None:
    assert set(FAMILIES) == {"general", "tuned"} and FAMILIES["tuned"] == TUNED
    for name, folder in FAMILIES.items():
        assert prompt_folder(name, False) == folder
        assert len(list(folder.iterdir())) == 6


def test_every_family_asks_for_the_form_that_is_read() -> None:
    for folder in FAMILIES.values():
        for language in ("en", "zh"):
            text = fill(f"system_{language}", folder, shop="Shop")
            assert "Shop" in text and "Found:" in text and "None" in text and "[1]" in text


@pytest.mark.parametrize(
    ("models", "family"),
    [
        (ModelSettings(), "tuned"),
        (ModelSettings(generator="smollm2"), "tuned"),
        (ModelSettings(generator="default", adapter=""), "tuned"),
        (ModelSettings(generator="owner/model"), "general"),
        (ModelSettings(generator="owner/model", adapter="mine"), "tuned"),
        (ModelSettings(generator="owner/model", adapter="mine", api_url="http://127.0.0.1:1"), "general"),
        (ModelSettings(api_url="http://127.0.0.1:1"), "general"),
    ],
)
def test_auto_goes_by_the_generator(models: ModelSettings, family: str, tmp_path: Path) -> None:
    assert prompt_folder("auto", is_tuned(models, tmp_path)) == FAMILIES[family]


def test_the_general_prompt_has_more_room(own: Path) -> None:
    assert [prompt_tokens(None, folder) for folder in (TUNED, FAMILIES["general"], own)] == [600, 2000, 2000]
    assert prompt_tokens(700, TUNED) == prompt_tokens(700, own) == 700


def test_a_folder_of_its_own(own: Path) -> None:
    assert prompt_folder(str(own), True) == own


@pytest.mark.parametrize("name", ["", "tunde", "no/such/folder"])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"auto, general, tuned or a folder.*found '{name}'"):
        prompt_folder(name, True)


def test_a_missing_file_is_named(own: Path) -> None:
    (own / "history_zh.md").unlink()
    with pytest.raises(SettingsError, match=r"a prompt file in UTF-8 at .*own/history_zh\.md; found none"):
        prompt_folder(str(own), False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$passages $history", r"'history', 'passages', 'question'\] in .*user_en\.md; found \['history', 'passages'\]"),
        ("$passages $history $question $shop", r"user_en\.md; found .*'shop'"),
        ("$passages $history $question, at most 5 $", r"behind every \$ in .*user_en\.md.*\$\$"),
    ],
)
def test_a_wrong_hole_is_named(own: Path, text: str, message: str) -> None:
    (own / "user_en.md").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=message):
        prompt_folder(str(own), False)


def test_a_file_in_another_encoding_is_named(own: Path) -> None:
    (own / "system_zh.md").write_bytes("$shop的客服".encode("gbk"))
    with pytest.raises(SettingsError, match=r"UTF-8 at .*system_zh\.md"):
        prompt_folder(str(own), False)
