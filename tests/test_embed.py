from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_models import make_bert

from rag.errors import ModelFailed
from rag.models.embed import SentenceEmbedder
from rag.models.resolve import resolve_embedder

TEXTS = ["The price is 49.90 EUR.", "long", "Returns are free within 30 days. " * 3, "", "How long does the battery last?"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bert(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def embedder(folder: Path) -> SentenceEmbedder:
    return SentenceEmbedder(folder, threads=1, batch_size=2)


def test_rows_are_unit_vectors_in_the_order_given(embedder: SentenceEmbedder) -> None:
    rows = embedder.embed(TEXTS)
    assert rows.shape == (5, embedder.dimension) == (5, 16)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    for text, row in zip(TEXTS, rows, strict=True):
        np.testing.assert_allclose(embedder.embed([text])[0], row, atol=1e-5)


def test_no_texts_give_no_rows(embedder: SentenceEmbedder) -> None:
    assert embedder.embed([]).shape == (0, 16)


def test_count_is_uncut_and_the_window_is_not(embedder: SentenceEmbedder) -> None:
    assert embedder.window == 24
    assert embedder.count("") == 2
    assert embedder.count("days " * 40) == 42
    inside, beyond = "days " * 22, "days " * 22 + "price"
    np.testing.assert_array_equal(embedder.embed([inside]), embedder.embed([beyond]))


def test_the_fingerprint_follows_weights_and_pooling(folder: Path, tmp_path: Path) -> None:
    def changed(file: str, content: bytes) -> str:
        path = folder / file
        before = path.read_bytes()
        path.write_bytes(content)
        try:
            return SentenceEmbedder(folder).fingerprint
        finally:
            path.write_bytes(before)

    first = SentenceEmbedder(folder).fingerprint
    weights, pooling = (folder / "model.safetensors").read_bytes(), (folder / "1_Pooling" / "config.json").read_bytes()
    assert first == SentenceEmbedder(folder).fingerprint
    assert first != changed("model.safetensors", weights[:-1] + b"\x01")
    assert first != changed("1_Pooling/config.json", pooling.replace(b"mean", b"cls"))


def test_counting_and_naming_load_no_torch(folder: Path) -> None:
    code = f"""
import sys, pathlib
from rag.models.embed import SentenceEmbedder
embedder = SentenceEmbedder(pathlib.Path({str(folder)!r}))
print(embedder.count("How long?"), embedder.fingerprint, embedder.dimension, embedder.window)
print(sorted(name for name in ("torch", "transformers", "sentence_transformers") if name in sys.modules))
"""
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.splitlines()[1] == "[]"


def test_a_model_that_breaks_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = SentenceEmbedder(folder)
    model = embedder._load()
    monkeypatch.setattr(model, "encode", lambda texts, **options: np.full((len(texts), 16), np.nan))
    with pytest.raises(ModelFailed, match="numbers that are not finite"):
        embedder.embed(["a"])

    def out_of_memory(texts: list[str], **options: object) -> None:
        raise RuntimeError("not enough memory")

    monkeypatch.setattr(model, "encode", out_of_memory)
    with pytest.raises(ModelFailed, match=r"not enough memory; lower models.batch_size"):
        embedder.embed(["a"])


def test_a_folder_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFailed, match="set models.embedder to a sentence-transformers model"):
        SentenceEmbedder(tmp_path).dimension  # noqa: B018


@pytest.mark.model
def test_the_default_finds_the_nearest_sentence() -> None:
    embedder = SentenceEmbedder(resolve_embedder("default"))
    assert (embedder.dimension, embedder.window) == (384, 256)
    assert embedder.fingerprint.startswith("minilm-en-zh@")
    question, battery, returns = embedder.embed(
        ["How long does it last on one charge?", "The battery life is twelve hours.", "Send it back within thirty days."]
    )
    assert question @ battery > question @ returns + 0.2
