"""Another generator is one setting away: a folder, a hub id; tests/test_api_generator.py has the server."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tiny_models import make_adapter, make_llama

from rag.errors import ModelMissing
from rag.loading import build_generator
from rag.models import generate
from rag.models.generate import TransformersGenerator
from rag.models.lookup import Lookup
from rag.ports import Generator
from rag.settings import load
from rag.types import Turn

COMMIT = "0123456789abcdef" * 2 + "01234567"
QUESTION = [Turn("user", "How long does the battery last?")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_llama(tmp_path_factory.mktemp("tiny") / "llama")


@pytest.fixture(autouse=True)
def no_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def built(**models: object) -> Generator:
    return build_generator(load(models={"dtype": "float32", "threads": 1, **models}))


def reply(generator: Generator) -> str:
    return "".join(piece.text for piece in generator.stream(QUESTION, 12, lambda: False))


def test_a_folder(folder: Path) -> None:
    assert reply(built(generator=str(folder))) == reply(TransformersGenerator(folder, dtype="float32", threads=1)) != ""


def test_a_folder_with_an_adapter(folder: Path, tmp_path: Path) -> None:
    adapter = make_adapter(folder, tmp_path / "adapter")
    adapted = built(generator=str(folder), adapter=str(adapter))
    assert reply(adapted) != reply(built(generator=str(folder)))
    assert "+adapter@" in adapted.fingerprint


def test_a_hub_id(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "hub" / "models--owner--name"
    shutil.copytree(folder, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT, encoding="utf-8")
    generator = built(generator="owner/name")
    assert reply(generator) == reply(built(generator=str(folder)))
    assert generator.fingerprint.startswith("owner/name@")
    with pytest.raises(ModelMissing, match="hf download owner/other"):
        built(generator="owner/other")


def computed(generator: Generator, prompt: list[int]) -> list[int]:
    """How many tokens each forward pass of a reply is given."""
    assert isinstance(generator, TransformersGenerator)
    widths: list[int] = []
    model = generator.load().model
    hook = model.register_forward_pre_hook(lambda _, given, named: widths.append(named["input_ids"].shape[1]), with_kwargs=True)
    list(generator._decode(prompt, 12, lambda: False))
    hook.remove()
    return widths


def test_a_second_time_only_the_last_token_is_computed_unless_turned_off(folder: Path) -> None:
    for value, expected in ((1, 1), (0, 7)):
        generator = built(generator=str(folder), prefix_cache=value)
        assert [computed(generator, [5, 6, 7, 8, 9, 10, 11])[0] for _ in range(2)] == [7, expected]


@pytest.mark.parametrize("most", [0, 5])
def test_as_much_is_drafted_as_settings_say(folder: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    drafted: list[int] = []

    def noting(prompt: list[int], most: int) -> Lookup:
        drafted.append(most)
        return Lookup(prompt, most)

    monkeypatch.setattr(generate, "Lookup", noting)
    assert reply(built(generator=str(folder), prompt_lookup=most))
    assert drafted == [most]
