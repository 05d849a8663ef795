from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from rag.errors import ModelFailed
from rag.models import convert as module
from rag.models.convert import convert, is_whole

BLOCKS = b"not really a model"
DIGEST = hashlib.sha256(BLOCKS).hexdigest()


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    path = tmp_path / "Small.Q4_1.gguf"
    path.write_bytes(BLOCKS)
    return path


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Writes two files where transformers would write a model, and keeps count."""
    calls: list[Path] = []

    def make(source: Path, folder: Path) -> None:
        calls.append(source)
        (folder / "config.json").write_text("{}", encoding="utf-8")
        (folder / "model.safetensors").write_bytes(b"weights")

    monkeypatch.setattr(module, "_make", make)
    return calls


def test_it_converts_once(gguf: Path, made: list[Path], tmp_path: Path) -> None:
    folder = convert(gguf, tmp_path / "home")
    assert folder == tmp_path / "home" / "models" / f"Small-{DIGEST[:12]}"
    record = json.loads((folder / "SOURCE.json").read_text(encoding="utf-8"))
    assert record["gguf_sha256"] == DIGEST
    assert record["files"]["model.safetensors"] == hashlib.sha256(b"weights").hexdigest()
    assert convert(gguf, tmp_path / "home") == folder
    assert made == [gguf]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize("damage", ["cut", "gone", "flipped", "unsealed", "nonsense"])
def test_a_damaged_folder_is_made_again(gguf: Path, made: list[Path], tmp_path: Path, damage: str) -> None:
    folder = convert(gguf, tmp_path)
    weights, seal = folder / "model.safetensors", folder / "SOURCE.json"
    match damage:
        case "cut":
            weights.write_bytes(b"wei")
        case "gone":
            weights.unlink()
        case "flipped":
            weights.write_bytes(b"weighTs")
        case "unsealed":
            seal.unlink()
        case "nonsense":
            seal.write_text("[]", encoding="utf-8")
    assert not is_whole(folder)
    assert is_whole(convert(gguf, tmp_path))
    assert len(made) == 2


def test_the_file_must_be_the_one_expected(gguf: Path, made: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ModelFailed, match=rf"Small.Q4_1.gguf with sha256 {'0' * 64}; found {DIGEST}; install its package again"):
        convert(gguf, tmp_path, "0" * 64)
    assert not made


def test_what_is_no_model_leaves_nothing_behind(gguf: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFailed, match="a language model in .*Small.Q4_1.gguf; found"):
        convert(gguf, tmp_path / "home")
    assert list((tmp_path / "home" / "models").iterdir()) == []


def test_a_second_process_may_be_faster(gguf: Path, tmp_path: Path, made: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    make = module._make

    def slow(source: Path, folder: Path) -> None:
        make(source, folder)
        if len(made) == 1:
            convert(gguf, tmp_path)  # the other process, from start to end

    monkeypatch.setattr(module, "_make", slow)
    assert is_whole(convert(gguf, tmp_path))
    assert len(list((tmp_path / "models").iterdir())) == 1


@pytest.mark.model
def test_the_default_becomes_plain_bfloat16(tmp_path_factory: pytest.TempPathFactory) -> None:
    from safetensors import safe_open

    from rag.models.resolve import resolve_generator

    folder = resolve_generator("default", tmp_path_factory.getbasetemp() / "home")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert "quantization_config" not in config
    assert config["dtype"] == "bfloat16"
    assert "start_of_turn" in (folder / "chat_template.jinja").read_text(encoding="utf-8")
    with safe_open(folder / "model.safetensors", "pt") as weights:
        assert len(weights.keys()) == 236  # the output layer is tied to the embeddings
