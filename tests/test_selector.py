"""rag/models/selector.py and joint.py: scores that depend on the pair alone, folders that do not fit, and the one that ships."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import make_bert

from rag.errors import ModelFailed, ModelMissing
from rag.loading import build_selector
from rag.models.embed import SentenceEmbedder
from rag.models.joint import JointEncoder
from rag.models.resolve import BILINGUAL, identity
from rag.models.selector import SentenceSelector
from rag.settings import Settings
from rag.tune.selector import flow

SENTENCES = ["The battery lasts 12 hours.", "Returns are free within 30 days. " * 5, "", "The price is 49.90 EUR."]
QUESTION = "How long does the battery last?"


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    make_bert(folder, layers=3)
    return folder / "bert"


@pytest.fixture
def folder(embedder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A selector whose head says something."""
    monkeypatch.setattr(flow, "BILINGUAL", embedder)
    torch.manual_seed(0)
    model = JointEncoder.of(embedder)
    torch.nn.init.normal_(model.out.weight)
    flow.write(model, tmp_path / "selector")
    return tmp_path / "selector"


def test_a_score_a_sentence_in_the_order_given(folder: Path, embedder: Path) -> None:
    selector = SentenceSelector(folder, embedder, threads=1, dtype="float32")
    scores = selector.score(QUESTION, SENTENCES)
    assert scores.shape == (4,) and scores.dtype == np.float64 and len(set(scores.round(6))) == 4
    for sentence, score in zip(SENTENCES, scores, strict=True):
        assert selector.score(QUESTION, [sentence])[0] == pytest.approx(score, abs=1e-4)  # whatever stands beside it
    assert selector.score("What is the price?", SENTENCES).tolist() != scores.tolist()
    assert selector.score(QUESTION, []).shape == (0,)
    assert selector.score("", [""]).shape == (1,)
    assert np.isfinite(selector.score("price " * 50, ["days " * 50])).all()


def test_training_starts_from_what_the_embedder_knows() -> None:
    """With the texts kept apart and a head that says nothing the score is a line in the embedder's cosine."""
    from rag.models.selector import tokenizer_of

    model, tokens = JointEncoder.of(BILINGUAL).eval(), tokenizer_of(BILINGUAL)
    with torch.no_grad():
        model.bias.fill_(-1e3)
        [scores] = model([(tokens([QUESTION], 64)[0], tokens(SENTENCES[:2], 96))])
        slope, level = model.slope.item(), model.level.item()
    vectors = SentenceEmbedder(BILINGUAL).embed([QUESTION, *SENTENCES[:2]])
    assert scores.numpy() == pytest.approx(slope * (vectors[1:] @ vectors[0]) + level, abs=1e-3)


def test_a_folder_that_does_not_fit_is_told_at_once(folder: Path, embedder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="a folder at .*nowhere"):
        SentenceSelector(tmp_path / "nowhere", embedder)
    with pytest.raises(ModelFailed, match=f"made from {identity(BILINGUAL)}.*; found one made from {identity(embedder)}"):
        SentenceSelector(folder, BILINGUAL)
    config = folder / "config.json"
    for text in ("{}", "[", "[]"):
        config.write_text(text, encoding="utf-8")
        with pytest.raises(ModelFailed, match="a config.json that does not tell its embedder"):
            SentenceSelector(folder, embedder)


def test_weights_that_do_not_fit_are_told_when_they_load(folder: Path, embedder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    selector = SentenceSelector(folder, embedder)
    save_file({name: value for name, value in weights.items() if name != "out.bias"}, folder / "model.safetensors")
    with pytest.raises(ModelFailed, match=r"missing or too many, such as out\.bias"):
        selector.load()
    save_file({**weights, "out.bias": torch.zeros(3)}, folder / "model.safetensors")
    with pytest.raises(ModelFailed, match="size mismatch"):
        selector.load()
    save_file({**weights, "out.bias": torch.tensor([torch.nan])}, folder / "model.safetensors")
    with pytest.raises(ModelFailed, match="not finite"):
        selector.score(QUESTION, SENTENCES)


def test_none_is_a_setting() -> None:
    assert build_selector(Settings(models={"selector": ""})) is None  # type: ignore[arg-type]
    assert build_selector(Settings(fakes=True)) is None


def test_what_ships_was_made_from_the_embedder_that_ships() -> None:
    selector = build_selector(Settings())
    assert isinstance(selector, SentenceSelector)
    config = json.loads((Path(selector.__module__.replace(".", "/")).parent / "selector-en-zh/config.json").read_text())
    assert config == {"embedder": identity(BILINGUAL)}


@pytest.mark.model
@pytest.mark.parametrize(
    ("question", "right", "wrong"),
    [
        (
            "we were out when the courier rang. does he come again?",
            "Delivery: If nobody is home, a second attempt is made on the next working day.",
            ("Delivery: Parcels over 30 kg come by freight.", "Delivery: Standard delivery costs 4.90 EUR."),
        ),
        (
            "一个人住，东西寄来的时候上班没人在怎么办",
            "配送：无人签收时，快递员会在次日再次派送。",
            ("配送：超过 30 公斤的包裹走物流。", "配送：普通快递运费 8 元。"),
        ),
        (
            "我不在家的话快递还会再来吗？",
            "Delivery: If nobody is home, a second attempt is made on the next working day.",
            ("Delivery: Parcels over 30 kg come by freight.", "Delivery: Standard delivery costs 4.90 EUR."),
        ),
    ],
)
def test_what_ships_tells_the_answer_from_its_neighbours(question: str, right: str, wrong: tuple[str, ...]) -> None:
    selector = build_selector(Settings())
    assert selector is not None
    scores = selector.score(question, [right, *wrong])
    assert scores.argmax() == 0 and scores[0] > 0
