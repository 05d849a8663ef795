from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from tiny_models import make_bert

from rag.errors import DataError, ModelFailed
from rag.models.embed import SentenceEmbedder
from rag.tune.retriever import flow
from rag.tune.retriever import sources as sets
from rag.tune.retriever.card import card
from rag.tune.retriever.export import export
from rag.tune.retriever.sources import Sources, authored, gather
from rag.tune.retriever.train import KIND, Plan, blend, extend, load, train
from rag.tune.retriever.vocabulary import choose, start_vectors

GLOSSES = {"电池": ["battery"], "价格": ["price"], "退货": ["to return", "returns"], "电": ["battery"], "池": ["days"]}
PARALLEL = [("电池", "How long does the battery last?"), ("价格", "The price is 49.90 EUR."), ("退货", "Returns are free.")] * 8
PAIRS = [("退货 days", "Returns are free within 30 days.", "faq"), ("价格 price", "The price is 49.90 EUR.", "faq")] * 8
SOURCES = Sources(PARALLEL, [("电", "battery")] * 8, PAIRS, ["It lasts 12 hours.", "Returns are free."] * 4, "0" * 64)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bert(tmp_path_factory.mktemp("tiny"))


def extended(base: Path) -> SentenceTransformer:
    return extend(base, ["电池", "价格", "退货", "电"], GLOSSES)


def teacher(base: Path) -> SentenceTransformer:
    return SentenceTransformer(str(base), device="cpu", model_kwargs=KIND)


def run(
    base: Path, folder: Path, steps: int, judge: Callable[[SentenceTransformer], dict[str, float]] = lambda _: {}
) -> SentenceTransformer:
    model = extended(base)
    plan = Plan(steps=steps, warm_up=2, every=4, word_rate=0.05, encoder_rate=0.01)
    train(model, teacher(base), SOURCES, plan, folder, judge)
    return model


def test_common_words_and_all_characters_become_tokens() -> None:
    tokens = choose(["电池坏了，要退货", "电池"], GLOSSES, 20, frozenset("了"))
    assert {"电池", "退货", "坏", "要"} <= set(tokens)
    assert "了" not in tokens, "what the model has is not added"
    assert all("\u4e00" <= character <= "\u9fff" for token in tokens for character in token)
    assert len(choose(["电池坏了，要退货"], GLOSSES, 4, frozenset())) == 4


def test_a_word_starts_where_its_gloss_is(base: Path) -> None:
    model = teacher(base)
    rows = model[0].auto_model.get_input_embeddings().weight.detach().numpy()
    backend = model.tokenizer.backend_tokenizer
    starts = start_vectors(["电池", "价格", "池电"], GLOSSES, backend, rows)
    own = {word: rows[backend.encode(word, add_special_tokens=False).ids].mean(axis=0) for word in ("battery", "price")}
    for row, word in ((0, "battery"), (1, "price")):
        assert np.dot(starts[row], own[word]) / np.linalg.norm(starts[row]) / np.linalg.norm(own[word]) > 0.95
    assert np.linalg.norm(starts, axis=1) == pytest.approx(np.linalg.norm(rows, axis=1).mean(), rel=1e-3)


def test_training_brings_chinese_to_its_translation_and_keeps_english_rows(base: Path, tmp_path: Path) -> None:
    def nearness(model: SentenceTransformer) -> float:
        wanted = teacher(base).encode([english for _, english in PARALLEL[:3]], normalize_embeddings=True)
        return float((model.encode([chinese for chinese, _ in PARALLEL[:3]], normalize_embeddings=True) * wanted).sum(1).mean())

    before, model = extended(base), run(base, tmp_path, 24)
    assert nearness(model) > nearness(before) + 0.05
    known = len(teacher(base).tokenizer)
    rows = [m[0].auto_model.get_input_embeddings().weight.detach() for m in (before, model)]
    torch.testing.assert_close(rows[0][:known], rows[1][:known], rtol=0, atol=0)
    assert not torch.equal(rows[0][known:], rows[1][known:])


def test_a_killed_run_ends_where_an_undisturbed_one_does(base: Path, tmp_path: Path) -> None:
    def killed(model: SentenceTransformer) -> dict[str, float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(base, tmp_path / "killed", 12, killed)
    model, undisturbed = run(base, tmp_path / "killed", 12), run(base, tmp_path / "whole", 12)
    steps = [json.loads(line)["step"] for line in (tmp_path / "killed" / "curve.jsonl").read_text().splitlines()]
    assert steps == [8, 12], "the first four steps are not taken again"
    for name, value in undisturbed.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=0, atol=0)


def test_blending_goes_part_of_the_way_back_and_leaves_the_words(base: Path, tmp_path: Path) -> None:
    model, whole, english = run(base, tmp_path, 4), run(base, tmp_path, 4), teacher(base)
    blend(model, english, 0.5)
    own, before, after = (dict(one[0].auto_model.named_parameters()) for one in (model, whole, english))
    for name, weight in own.items():
        expected = before[name] if "word_embeddings" in name else (before[name] + after[name]) / 2
        torch.testing.assert_close(weight, expected)
    blend(model, english, 1)
    texts = ["How long does it last?"]
    assert model.encode(texts) == pytest.approx(english.encode(texts), abs=1e-5)


def test_only_a_model_of_the_same_kind_is_taught_further(base: Path, tmp_path: Path) -> None:
    assert flow._same_kind(extended(base), teacher(base), base)
    other = load(make_bert(tmp_path, hidden=32))
    with pytest.raises(ModelFailed, match="made from minilm"):
        flow._same_kind(other, teacher(base), tmp_path)


def test_what_is_exported_computes_the_same_in_half_the_size(base: Path, tmp_path: Path) -> None:
    model = extended(base)
    texts = ["电池 battery", "How long does it last?", "价格"]
    before = model.encode(texts, normalize_embeddings=True)
    export(model, tmp_path / "model")
    embedder = SentenceEmbedder(tmp_path / "model")
    assert (embedder.embed(texts) * before).sum(axis=1) == pytest.approx([1, 1, 1], abs=1e-3)
    assert embedder.count("电池") == 3, "one word is one token"
    assert (tmp_path / "model" / "model.safetensors").stat().st_size < (base / "model.safetensors").stat().st_size


def test_the_pairs_written_for_shoptalk_are_whole() -> None:
    learnt, unseen = authored()
    assert len(learnt) > 3000
    assert len(unseen) == pytest.approx(len(learnt) / (sets.UNSEEN - 1), rel=0.3)
    for row in learnt + unseen:
        assert set(row) >= {"topic", "en", "zh", "en_answer", "zh_answer"}
        assert len(row["en"]) == len(row["zh"]) == 3
        assert all(
            isinstance(text, str) and text.strip() for text in (*row["en"], *row["zh"], row["en_answer"], row["zh_answer"])
        )


def test_a_missing_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"enzh_parallel.*--data"):
        gather(tmp_path, GLOSSES, 0)


def test_pairs_that_a_released_model_may_not_learn_from_stay_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "enzh_parallel").mkdir()
    for name, line in (("free", "hello\t你好"), ("free_NC", "no\t不"), ("shop_RESTRICTED", "no\t不行")):
        with gzip.open(tmp_path / "enzh_parallel" / f"{name}.tsv.gz", "wt", encoding="utf-8") as file:
            file.write(line + "\n")
    assert list(sets._parallel(tmp_path)) == [("你好", "hello")]


def test_the_card_tells_data_licences_seed_and_figures() -> None:
    text = card(Plan(seed=7), SOURCES, 4, "", {"nearest": 0.1}, {"nearest": 0.9})
    assert "the extended vocabulary untrained" in text
    assert "--start" not in text
    for part in ("| nearest | 0.1 | 0.9 |", "seed 7", "0" * 64, "CC BY-SA 4.0", "tatoeba", "| parallel sentences | 24 |"):
        assert part in text
    further = card(Plan(), SOURCES, 4, "taught@12", {"nearest": 0.1}, {"nearest": 0.9})
    assert "--start FOLDER` (seed 0) on two cores." in further
    assert "FOLDER held `taught@12`" in further
