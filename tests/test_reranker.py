"""rag/models/rerank.py: cross-encoders from a folder, late interaction over an embedder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tiny_models import make_bert, make_reranker

from rag.errors import ModelFailed, ModelMissing
from rag.fakes import HashEmbedder
from rag.loading import build_reranker
from rag.models.embed import SentenceEmbedder
from rag.models.rerank import CrossEncoderReranker, LateInteractionReranker
from rag.ports import Vectors
from rag.settings import Settings

TEXTS = ["The battery lasts 12 hours.", "Returns are free within 30 days. " * 5, "", "The price is 49.90 EUR."]
QUESTION = "How long does the battery last?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_reranker(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def cross(folder: Path) -> CrossEncoderReranker:
    return CrossEncoderReranker(folder, threads=1, batch_size=2)


class Counting(HashEmbedder):
    """Remembers the texts whose tokens were asked for."""

    def __init__(self) -> None:
        super().__init__(dimension=256)
        self.read: list[str] = []

    def tokens(self, texts: Sequence[str]) -> list[Vectors]:
        self.read += texts
        return super().tokens(texts)


def test_a_score_a_text_in_the_order_given(cross: CrossEncoderReranker) -> None:
    scores = cross.score(QUESTION, TEXTS)
    assert scores.shape == (4,) and scores.dtype == np.float64
    assert len(set(scores.round(6))) == 4
    for text, score in zip(TEXTS, scores, strict=True):
        assert cross.score(QUESTION, [text])[0] == pytest.approx(score, abs=1e-5)
    assert cross.score("What is the price?", TEXTS).tolist() != scores.tolist()
    assert cross.score(QUESTION, []).shape == (0,)


def test_only_so_many_tokens_are_read(folder: Path) -> None:
    short = CrossEncoderReranker(folder, length=16)
    cut = short.score("price", ["days " * 30, "days " * 30 + "price"])
    assert cut[0] == pytest.approx(cut[1], abs=1e-6)
    assert short.fingerprint != CrossEncoderReranker(folder, length=24).fingerprint


def test_half_the_precision_keeps_the_order(folder: Path, cross: CrossEncoderReranker) -> None:
    half = CrossEncoderReranker(folder, dtype="bfloat16")
    np.testing.assert_allclose(half.score(QUESTION, TEXTS), cross.score(QUESTION, TEXTS), atol=0.02)
    assert half.fingerprint != cross.fingerprint


def test_traditional_characters_are_read_as_simplified_ones(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reranker = CrossEncoderReranker(folder)
    reranker.load()
    read: list[tuple[str, str]] = []
    monkeypatch.setattr(reranker._model, "predict", lambda pairs, **options: read.extend(pairs) or np.zeros(len(pairs)))
    reranker.score("價格", ["電池", "price"])
    assert read == [("价格", "电池"), ("价格", "price")]


def test_logits_are_not_squeezed(folder: Path, tmp_path: Path) -> None:
    """Where a sigmoid is configured, as hub rerankers have it, sure scores would all round to 1 and lose their order."""
    squeezing = shutil.copytree(folder, tmp_path / "squeezing")
    config = json.loads((squeezing / "config_sentence_transformers.json").read_text())
    config["activation_fn"] = "torch.nn.modules.activation.Sigmoid"
    (squeezing / "config_sentence_transformers.json").write_text(json.dumps(config))
    model = CrossEncoderReranker(squeezing)
    scores = model.score(QUESTION, TEXTS)
    assert model._model is not None
    squeezed = model._model.predict([(QUESTION, text) for text in TEXTS])
    np.testing.assert_allclose(1 / (1 + np.exp(-scores)), squeezed, atol=1e-5)


def test_an_embedder_or_a_classifier_is_no_reranker(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ModelFailed, match=r"SentenceTransformer, which scores no pairs; set models\.reranker"):
        CrossEncoderReranker(folder.parent / "model")
    with pytest.raises(ModelFailed, match="BertModel, which scores no pairs"):
        CrossEncoderReranker(folder.parent / "bert")
    with pytest.raises(ModelFailed, match="a classifier of 3 classes"):
        CrossEncoderReranker(make_reranker(tmp_path, labels=3))


def test_broken_weights_are_told_when_loading(folder: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelFailed, match=r"broken; found .*; set models\.reranker"):
        CrossEncoderReranker(broken).load()
    (broken / "config.json").write_text("{")
    with pytest.raises(ModelFailed, match=r"found config\.json: "):
        CrossEncoderReranker(broken)


def test_numbers_that_are_none_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reranker = CrossEncoderReranker(folder)
    reranker.load()
    monkeypatch.setattr(reranker._model, "predict", lambda pairs, **options: np.full(len(pairs), np.nan))
    with pytest.raises(ModelFailed, match="not finite"):
        reranker.score(QUESTION, TEXTS)

    def out_of_memory(pairs: object, **options: object) -> None:
        raise RuntimeError("not enough memory")

    monkeypatch.setattr(reranker._model, "predict", out_of_memory)
    with pytest.raises(ModelFailed, match="not enough memory"):
        reranker.score(QUESTION, TEXTS)


def test_late_interaction_is_the_mean_of_the_best_cosines() -> None:
    reranker = LateInteractionReranker(HashEmbedder(dimension=512))
    whole, half, nothing, empty = reranker.score("red lamp", ["a lamp so red", "red tent", "blue boat", ""])
    assert whole == pytest.approx(1.0, abs=1e-2)  # kept in half precision
    assert half == pytest.approx(0.5, abs=0.1) and nothing < 0.2
    assert empty == -1.0
    assert reranker.score("", ["red", "lamp"]).tolist() == [0.0, 0.0]
    assert reranker.score("red", []).shape == (0,)


def test_a_text_is_read_once_while_it_is_kept() -> None:
    embedder = Counting()
    reranker = LateInteractionReranker(embedder, kept=2)
    first = reranker.score("lamp", ["red lamp", "tent", "red lamp"])
    assert embedder.read == ["lamp", "red lamp", "tent"] and first[0] == first[2]
    embedder.read.clear()
    assert reranker.score("lamp", ["red lamp", "boat"])[0] == first[0]
    assert embedder.read == ["lamp", "boat"]
    embedder.read.clear()
    reranker.score("lamp", ["red lamp", "tent"])  # the tent gave way to the boat
    assert embedder.read == ["lamp", "tent"]
    assert len(reranker._texts) == 2


def test_more_texts_than_are_kept_still_have_scores() -> None:
    assert LateInteractionReranker(HashEmbedder(), kept=1).score("lamp", ["lamp", "tent", "boat"]).argmax() == 0


def test_an_embedder_without_tokens_is_refused() -> None:
    class Whole:
        fingerprint = "whole"

    with pytest.raises(ModelFailed, match="an embedder that tells its tokens' vectors; found whole"):
        LateInteractionReranker(Whole())  # type: ignore[arg-type]


def test_tokens_of_a_sentence_model_are_unit_rows_within_the_window(tmp_path: Path) -> None:
    embedder = SentenceEmbedder(make_bert(tmp_path), threads=1)
    three, nothing, many = embedder.tokens(["price days price", "", "days " * 40])
    assert three.shape == (3, 16) and nothing.shape == (0, 16) and many.shape == (22, 16)
    assert three.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(three, axis=1), 1, atol=1e-5)
    [alone] = embedder.tokens(["price days price"])
    np.testing.assert_allclose(three, alone, atol=1e-5)
    assert embedder.tokens([]) == []


@pytest.mark.parametrize(("name", "kind"), [("", type(None)), ("late-interaction", LateInteractionReranker)])
def test_settings_choose(name: str, kind: type) -> None:
    assert isinstance(build_reranker(Settings(models={"reranker": name}), HashEmbedder()), kind)  # type: ignore[arg-type]


def test_a_folder_is_a_cross_encoder_loaded_at_once(folder: Path, tmp_path: Path) -> None:
    settings = Settings(models={"reranker": str(folder)}, retrieve={"rerank_tokens": 20})  # type: ignore[arg-type]
    reranker = build_reranker(settings, HashEmbedder())
    assert isinstance(reranker, CrossEncoderReranker) and reranker._model is not None
    assert reranker._model.max_seq_length == 20 and reranker.fingerprint.endswith("/20")
    with pytest.raises(ModelMissing, match=r"models\.reranker"):
        build_reranker(Settings(models={"reranker": str(tmp_path / "nowhere")}), HashEmbedder())  # type: ignore[arg-type]
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelFailed, match="broken"):
        build_reranker(Settings(models={"reranker": str(broken)}), HashEmbedder())  # type: ignore[arg-type]
