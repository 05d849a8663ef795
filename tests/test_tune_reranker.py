"""rag/tune/reranker: lists that are mined, a run that a kill does not change, a model that settings can name."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import make_bert
from typer.testing import CliRunner

from rag.__main__ import app
from rag.errors import DataError
from rag.fakes import HashEmbedder
from rag.models.rerank import CrossEncoderReranker
from rag.tune.reranker import flow, lists
from rag.tune.reranker.lists import Ranking, chosen, mined
from rag.tune.reranker.train import Plan, _batches, judged, start, train
from rag.tune.retriever.sources import Sources
from rag.tune.schedule import CHECKPOINT

SUBJECTS = ("battery", "return", "price", "days", "how", "long")
# "hours" is right after all that the embedder takes for it: a random model does not know.
LISTS = [
    Ranking(f"{own} ?", (f"{other} hours", f"{own} free", f"{other} free"), (0.5, 0.6, 0.4))
    for own, other in itertools.permutations(SUBJECTS, 2)
]
PLAN = Plan(steps=6, layers=1, lists=4, length=32, rate=5e-3, warm_up=2, every=2)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bert(tmp_path_factory.mktemp("tiny"))


def test_sets_have_even_shares_and_intents_none() -> None:
    pairs = [("q", f"large {n}", "large/topic") for n in range(50)] + [("q", f"small {n}", "small") for n in range(3)]
    pairs += [("a", "b", "banking77=card"), ("q", "large 0", "large/topic")]
    taken = chosen(pairs, 20)
    assert [group for _, _, group in taken].count("small") == 3
    assert [passage for _, passage, _ in taken if passage.startswith("large")] == [f"large {n}" for n in range(17)]
    assert chosen(pairs, 1000)[:3] == pairs[50:53] and len(chosen(pairs, 1000)) == 53


def pairs() -> Iterator[tuple[str, str, str]]:
    for number in range(30):
        yield f"how long is lamp {number} warm", f"lamp {number} warm for {number} hours", "lamps"
    yield "how long is lamp 1 warm", "for one hour is the lamp warm", "lamps"
    yield "how long is lamp 2 warm", "lamp 2 warm for 2 hours lamp 2 warm for 2 hours", "lamps"


def test_wrong_passages_are_near_and_never_right() -> None:
    made = mined(list(pairs()), HashEmbedder(dimension=256).embed, 5, seed=3)
    assert len(made) == 32
    for one, (question, passage, _) in zip(made, pairs(), strict=True):
        assert one.question == question and one.texts[0] == passage
        assert len(set(one.texts)) == 6 and len(one.cosines) == 6
        assert list(one.cosines[1:]) == sorted(one.cosines[1:], reverse=True)
    assert "for one hour is the lamp warm" not in made[1].texts[1:]  # the other answer to the same question
    assert "lamp 2 warm for 2 hours lamp 2 warm for 2 hours" not in made[2].texts[1:]  # says what the answer does
    assert made == mined(list(pairs()), HashEmbedder(dimension=256).embed, 5, seed=3)
    assert made != mined(list(pairs()), HashEmbedder(dimension=256).embed, 5, seed=4)
    with pytest.raises(DataError, match="more than 5 unlike passages; found 2"):
        mined(list(pairs())[:2], HashEmbedder().embed, 5, seed=0)


def test_what_is_held_out_goes_by_the_answer() -> None:
    held = [Ranking("q", (f"passage {n}", "x"), (1, 0)).is_held_out for n in range(400)]
    assert 15 < sum(held) < 80
    assert Ranking("other", ("passage 1", "y"), (0, 0)).is_held_out is held[1]


def test_layers_are_cut_from_the_end(base: Path) -> None:
    assert start(base, replace(PLAN, layers=0))[0].auto_model.config.num_hidden_layers == 1
    assert start(base, replace(PLAN, layers=9))[0].auto_model.config.num_hidden_layers == 1  # none is made up
    first, again = start(base, PLAN), start(base, PLAN)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(
        first[0].auto_model.classifier.weight, start(base, replace(PLAN, seed=1))[0].auto_model.classifier.weight
    )


def test_each_list_comes_once_before_any_comes_again(base: Path) -> None:
    batches = _batches(LISTS, start(base, PLAN), replace(PLAN, lists=7))
    rounds = -(-len(LISTS) // 7)
    for _ in range(2):
        seen = [one for _ in range(rounds) for one in next(batches)]
        assert len(seen) == len(LISTS) and set(seen) == set(LISTS)


def test_it_learns_which_passage_is_right(base: Path, tmp_path: Path) -> None:
    model = start(base, PLAN)
    before = judged(model, LISTS)
    assert before["embedder"] == 0.5  # the wrong one has the higher cosine in all
    train(model, LISTS, replace(PLAN, steps=40, lists=15, every=40, rate=1e-2), tmp_path)
    after = judged(model, LISTS)
    assert after["embedder"] == 0.5
    assert after["reranker"] > 0.95 > before["reranker"]
    assert after["both"] > 0.95 > before["both"]


def test_a_killed_run_ends_where_an_undisturbed_one_does(base: Path, tmp_path: Path) -> None:
    whole, killed, resumed = start(base, PLAN), start(base, PLAN), start(base, PLAN)
    train(whole, LISTS, PLAN, tmp_path / "whole")

    def kill(_: object) -> None:
        raise KeyboardInterrupt

    handle, steps = None, 0

    def count(*_: object) -> None:
        nonlocal steps
        steps += 1
        if steps == 5:  # after the checkpoint at 4
            kill(None)

    handle = killed[0].auto_model.register_forward_pre_hook(count)
    with pytest.raises(KeyboardInterrupt):
        train(killed, LISTS, PLAN, tmp_path / "killed")
    handle.remove()
    assert torch.load(tmp_path / "killed" / CHECKPOINT, weights_only=True)["step"] == 4
    train(resumed, LISTS, PLAN, tmp_path / "killed")
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    assert not any(torch.equal(a, b) for a, b in zip(whole.parameters(), killed.parameters(), strict=True) if a.dim() > 1)


def test_the_command_writes_a_model_that_settings_can_name(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{a} {b} {c}" for a, b, c in itertools.permutations(SUBJECTS, 3)]
    found = [(f"{text} ?", f"the {text} 30", "shop/returns") for text in texts]
    monkeypatch.setattr(flow, "gather", lambda data, glosses, seed: Sources([], [], found, [], ""))
    monkeypatch.setattr(lists, "ALIKE", 1.1)  # to random weights all texts are alike
    monkeypatch.setenv("SHOPTALK_MODELS__EMBEDDER", str(base))
    command = ["tune", "reranker", "--data", str(tmp_path), "--out", str(tmp_path / "out"), "--steps", "3", "--layers", "1"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    reranker = CrossEncoderReranker(tmp_path / "out" / "model")
    scores = reranker.score("battery return ?", ["the battery return 30", "price"])
    assert scores.shape == (2,) and np.isfinite(scores).all()
    card = (tmp_path / "out" / "model" / "README.md").read_text()
    assert "shop: Apache-2.0, written for Shoptalk" in card and "- seed: 0" in card and "the first 1 layers of" in card
    assert "CC BY-SA" not in card and "| en |" in card
    assert (tmp_path / "out" / "model" / "model.safetensors").stat().st_size < 60_000  # half precision
