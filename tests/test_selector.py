"""rag/models/selector.py, joint.py and packed.py: scores of what is asked alone, folders that do not fit, and what ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import make_bert

from rag.errors import ModelFailed, ModelMissing
from rag.loading import build_selector
from rag.models.joint import JointEncoder
from rag.models.packed import pack, unpack
from rag.models.selector import BEFORE, KEPT, LEARNT, SentenceSelector, Tokens, read
from rag.ports import Layout
from rag.settings import Settings
from rag.tune.selector import flow

BATTERY = Layout("Lamp", ("The battery lasts 12 hours.", "It is free.", ""), ((0, 1), (1, 2), (2, 3), (0, 2)))
RETURNS = Layout("", ("Returns are free within 30 days. " * 5, "The price is 49.90 EUR."), ((0, 1), (1, 2)))
QUESTION = "How long does the battery last?"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    make_bert(folder, layers=3)
    return folder / "bert"


@pytest.fixture
def folder(encoder: Path, tmp_path: Path) -> Path:
    """A selector whose head says something."""
    torch.manual_seed(0)
    model = JointEncoder.of(encoder)
    torch.nn.init.normal_(model.out.weight)
    flow.write(model, encoder, tmp_path / "selector")
    return tmp_path / "selector"


def test_a_score_a_unit_in_the_order_given(folder: Path) -> None:
    selector = SentenceSelector(folder, threads=1, dtype="float32")
    scores = selector.score(QUESTION, [BATTERY, RETURNS])
    assert scores.shape == (6,) and scores.dtype == np.float64 and len(set(scores.round(6))) == 6
    apart = np.concatenate([selector.score(QUESTION, [passage]) for passage in (BATTERY, RETURNS)])
    assert scores == pytest.approx(apart, abs=1e-4)  # whatever passage stands beside it
    assert selector.score("What is the price?", [BATTERY, RETURNS]).tolist() != scores.tolist()
    assert selector.score(QUESTION, [Layout("Lamp", (), ()), RETURNS]) == pytest.approx(scores[4:], abs=1e-4)
    assert selector.score(QUESTION, []).shape == (0,)
    assert selector.score("", [Layout("", ("",), ((0, 1),))]).shape == (1,)


def test_what_was_said_before_counts_and_is_no_part_of_the_question(folder: Path) -> None:
    selector, tokens = SentenceSelector(folder, threads=1, dtype="float32"), Tokens(folder)
    plain, count = tokens.question(QUESTION)
    together, asking = tokens.question(QUESTION, "And the price? It is 49.90 EUR.")
    assert together[:count] == plain and asking == count == len(plain) and len(together) > count
    assert len(tokens.question(QUESTION, "price " * 500)[0]) <= count + BEFORE + 1
    alone, after = selector.score(QUESTION, [BATTERY]), selector.score(QUESTION, [BATTERY], "And the price? It is 49.90 EUR.")
    assert selector.score(QUESTION, [BATTERY], "") == pytest.approx(alone, abs=1e-6)
    assert after.tolist() != pytest.approx(alone.tolist(), abs=1e-5)


def test_passages_are_remembered_and_change_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.models.selector.REMEMBERED", 1)
    selector = SentenceSelector(folder, threads=1, dtype="float32")
    model, _ = selector.load()
    encoded: list[int] = []
    encode = model.encode
    monkeypatch.setattr(model, "encode", lambda texts: encoded.append(len(texts)) or encode(texts))
    first = selector.score(QUESTION, [BATTERY])
    assert selector.score(QUESTION, [BATTERY]) == pytest.approx(first, abs=1e-6)
    assert encoded == [1, 1, 0, 1]  # the passage, the question; the question
    selector.score(QUESTION, [RETURNS])
    assert selector.score(QUESTION, [BATTERY]) == pytest.approx(first, abs=1e-6) and encoded[-2:] == [1, 1]  # forgotten


def test_a_sentence_is_read_with_those_around_it(folder: Path) -> None:
    selector = SentenceSelector(folder, threads=1, dtype="float32")
    other = BATTERY._replace(subject="Returns")
    assert selector.score(QUESTION, [BATTERY])[0] != pytest.approx(selector.score(QUESTION, [other])[0], abs=1e-5)


def test_long_texts_are_cut_and_every_unit_keeps_a_score(folder: Path) -> None:
    selector = SentenceSelector(folder, threads=1)
    many = Layout("price " * 90, ("days " * 300,) * 40, tuple((number, number + 1) for number in range(40)))
    scores = selector.score("price " * 20, [many])
    assert scores.shape == (40,) and np.isfinite(scores).all()
    [(ids, spans)] = Tokens(folder).passages([many])
    assert len(ids) <= 64 and all(first < end <= len(ids) for first, end in spans)


def test_training_starts_from_the_encoders_cosine(encoder: Path) -> None:
    """With the texts kept apart and a head that says nothing the score is a line in the cosine of the two means."""
    from transformers import BertModel

    model, tokens = JointEncoder.of(encoder).eval(), Tokens(encoder)
    passage = Layout("Lamp", ("The battery lasts 12 hours.",), ((0, 1),))
    question, [(ids, [(first, end)])] = tokens.question(QUESTION), tokens.passages([passage])
    plain = BertModel.from_pretrained(str(encoder)).eval()
    with torch.no_grad():
        model.bias.fill_(-1e4)
        [scores] = model([(question, [(ids, ((first, end),))])])
        asked, said = (plain(input_ids=torch.tensor([row])).last_hidden_state[0] for row in (question[0], ids))
        cosine = torch.cosine_similarity(asked.mean(0), said[first:end].mean(0), dim=0)
    assert scores.item() == pytest.approx(25 * cosine.item() - 21, abs=1e-3)


def test_weights_in_blocks_of_four_bits_stay_as_they_are_and_others_lose_little() -> None:
    torch.manual_seed(0)
    scale = torch.randn(6, 2, 1).half().float()
    numbers = torch.randint(-8, 8, (6, 2, 32)).float()
    numbers[..., 5] = -8  # the furthest of each block, which tells the scale
    weights = {"blocks": (numbers * scale).reshape(6, 64), "any": torch.randn(6, 64), "narrow": torch.ones(3, 5)}
    packed = pack(weights | {"zero": torch.zeros(2, 32)})
    assert {"blocks.q4", "blocks.scale", "any.q8", "any.scale", "narrow", "zero.q4", "zero.scale"} == packed.keys()
    found = unpack(packed)
    assert torch.equal(found["blocks"], weights["blocks"]) and torch.equal(found["zero"], torch.zeros(2, 32))
    assert (found["any"] - weights["any"]).abs().max() < weights["any"].abs().max() / 120
    with pytest.raises(KeyError):
        unpack({"any.q8": packed["any.q8"]})


def test_a_folder_that_does_not_fit_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="a folder at .*nowhere"):
        SentenceSelector(tmp_path / "nowhere")
    for name in ("tokenizer.json", KEPT):
        (folder / name).unlink()
        with pytest.raises(ModelFailed, match=f"FileNotFoundError.*{name}|No such file.*{name}"):
            SentenceSelector(folder).load()


def test_weights_that_do_not_fit_are_told_when_they_load(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / LEARNT)
    selector = SentenceSelector(folder)
    save_file({name: value for name, value in weights.items() if name != "out.bias"}, folder / LEARNT)
    with pytest.raises(ModelFailed, match=r"missing or too many, such as out\.bias"):
        selector.load()
    save_file({**weights, "out.bias": torch.zeros(3)}, folder / LEARNT)
    with pytest.raises(ModelFailed, match="size mismatch"):
        selector.load()
    save_file({**weights, "out.bias": torch.tensor([torch.nan])}, folder / LEARNT)
    with pytest.raises(ModelFailed, match="not finite"):
        selector.score(QUESTION, [BATTERY])


def test_what_is_written_is_what_is_read(folder: Path, encoder: Path, tmp_path: Path) -> None:
    model = read(folder)
    flow.write(model, folder, tmp_path / "again")
    for (name, one), (_, other) in zip(model.named_parameters(), read(tmp_path / "again").named_parameters(), strict=True):
        torch.testing.assert_close(one, other, msg=name, atol=2e-3, rtol=0.02)
    assert {name for name, _ in (*model.learnt(), *model.kept())} == {name for name, _ in model.named_parameters()}


def test_none_is_a_setting() -> None:
    assert build_selector(Settings(models={"selector": ""})) is None  # type: ignore[arg-type]
    assert build_selector(Settings(fakes=True)) is None


@pytest.mark.model
@pytest.mark.parametrize(
    ("question", "subject", "right", "wrong"),
    [
        (
            "we were out when the courier rang. does he come again?",
            "Delivery",
            "If nobody is home, a second attempt is made on the next working day.",
            ("Parcels over 30 kg come by freight.", "Standard delivery costs 4.90 EUR."),
        ),
        (
            "一个人住，东西寄来的时候上班没人在怎么办",
            "配送",
            "无人签收时，快递员会在次日再次派送。",
            ("超过 30 公斤的包裹走物流。", "普通快递运费 8 元。"),
        ),
        (
            "我不在家的话快递还会再来吗？",
            "Delivery",
            "If nobody is home, a second attempt is made on the next working day.",
            ("Parcels over 30 kg come by freight.", "Standard delivery costs 4.90 EUR."),
        ),
    ],
)
def test_what_ships_tells_the_answer_from_its_neighbours(question: str, subject: str, right: str, wrong: tuple[str, ...]) -> None:
    selector = build_selector(Settings())
    assert selector is not None
    scores = selector.score(question, [Layout(subject, (wrong[0], right, wrong[1]), ((0, 1), (1, 2), (2, 3)))])
    assert scores.argmax() == 1 and scores[1] > 0
    without = selector.score(question, [Layout(subject, wrong, ((0, 1), (1, 2)))])
    assert without.max() < scores[1]
