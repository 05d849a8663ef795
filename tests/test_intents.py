"""Intents with questions out of scope: the vote by hand, a threshold from training data alone, a whole run with the fakes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rag.errors import DataError
from rag.evaluate.intents import OUT, Voter, evaluate_intents, fit_threshold, read, score
from rag.evaluate.public import intent_sets
from rag.settings import Settings

EMI = [
    "can i pay by emi",
    "do you offer emi",
    "is emi available",
    "emi options please",
    "pay in emi monthly",
    "no cost emi offer",
]
SIZE = [
    "what is the mattress size",
    "size of the mattress",
    "mattress size chart",
    "which size fits",
    "size options",
    "size guide",
]


def unit(*rows: list[float]) -> np.ndarray:
    found = np.array(rows, dtype=np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def write(file: Path, rows: list[tuple[str, str]]) -> Path:
    file.write_text("".join(json.dumps({"sentence": text, "label": label}) + "\n" for text, label in rows), encoding="utf-8")
    return file


def test_the_nearest_utterances_vote() -> None:
    voter = Voter(unit([1, 0, 0], [0.9, 0.1, 0], [0, 1, 0]), ["a", "a", "b"])
    intents, scores = voter.vote(voter.similarities(unit([1, 0, 0], [0, 1, 0])))
    assert intents.tolist() == ["a", "b"]
    assert 0.99 < scores[0] <= 1.0  # all but agreed
    alone = Voter(unit([1, 0, 0], [1, 0, 0]), ["a", "b"])  # two intents as near: the vote is split
    assert alone.vote(alone.similarities(unit([1, 0, 0])))[1][0] == pytest.approx(0.5**0.5)


def test_opposite_utterances_do_not_score_below_zero() -> None:
    voter = Voter(unit([1, 0]), ["a"])
    assert voter.vote(voter.similarities(unit([-1, 0])))[1][0] == 0.0


def test_the_threshold_lies_between_what_is_held_out_and_other_intents() -> None:
    random = np.random.default_rng(7)
    centres = np.eye(6, dtype=np.float32) + 0.3  # intents with a cosine of about 0.6 between them
    rows = [list(centre + random.normal(0, 0.05, 6)) for centre in centres for _ in range(8)]
    intents = [str(i) for i in range(6) for _ in range(8)]
    vectors = unit(*rows)
    between = max(float(vectors[0] @ vectors[i]) for i in range(8, 48))
    within = min(float(vectors[0] @ vectors[i]) for i in range(1, 8))
    assert between - 0.1 < fit_threshold(vectors, intents) < within
    assert fit_threshold(vectors, intents) == fit_threshold(vectors, intents)
    near_everything = unit(*[list(vectors[i] + vectors[i + 8]) for i in range(8)])
    assert fit_threshold(vectors, intents, near_everything) >= fit_threshold(vectors, intents)


def test_one_intent_cannot_be_fitted() -> None:
    with pytest.raises(DataError, match="expected utterances of two intents or more; found one"):
        fit_threshold(unit([1, 0], [0, 1]), ["a", "a"])


def test_scores_by_hand() -> None:
    figures = score(["a", "b", OUT, OUT], ["a", "c", OUT, "a"])
    assert {name: (figure.value, figure.n) for name, figure in figures.items()} == {
        "accuracy": (0.5, 4),
        "accuracy in scope": (0.5, 2),
        "recall out of scope": (0.5, 2),
    }
    assert "recall out of scope" not in score(["a"], ["a"])


def test_a_whole_run_with_the_fakes(tmp_path: Path) -> None:
    write(tmp_path / "v1_train.jsonl", [(text, "EMI") for text in EMI] + [(text, "SIZE") for text in SIZE])
    write(tmp_path / "v1_test.jsonl", [("emi available", "EMI"), ("mattress size", "SIZE"), ("hello there friend", OUT)])
    far = tmp_path / "far.jsonl"
    far.write_text('{"text": "how far is the moon"}\n', encoding="utf-8")
    result = evaluate_intents(Settings(home=tmp_path / "home", fakes=True), tmp_path, far=far)
    assert result.figures["accuracy"].value == 1.0 and 0 < result.threshold < 1
    assert result.known is None and "out of scope below" in result.table()
    assert result.as_dict()["figures"]["accuracy"]["n"] == 3


def test_what_others_published_stands_beside(tmp_path: Path) -> None:
    folder = tmp_path / "hint3_sofmattress"
    folder.mkdir()
    write(folder / "v1_train.jsonl", [(text, "EMI") for text in EMI] + [(text, "SIZE") for text in SIZE])
    write(folder / "v1_test.jsonl", [("emi available", "EMI")])
    result = evaluate_intents(Settings(home=tmp_path / "home", fakes=True), folder)
    assert "goal 0.713" in result.table() and "Dialogflow" in result.table()
    assert {known.name for known in intent_sets()} == {"hint3_sofmattress", "hint3_powerplay11"}


def test_wrong_files_are_named(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", fakes=True)
    with pytest.raises(DataError, match=r"expected v1_train\.jsonl .* found no v1_train\.jsonl"):
        evaluate_intents(settings, tmp_path)
    with pytest.raises(DataError, match=r"found no such folder"):
        evaluate_intents(settings, tmp_path / "no")
    file = write(tmp_path / "v1_train.jsonl", [("x", "a")])
    with file.open("a", encoding="utf-8") as stream:
        stream.write('{"sentence": "y"}\n')
    with pytest.raises(DataError, match=r"text \(or sentence\) and intent \(or label\); found .*v1_train\.jsonl:2"):
        read(file)
    assert [row.text for row in read(file, labelled=False)] == ["x", "y"]
    file.write_text("", encoding="utf-8")
    with pytest.raises(DataError, match=r"one question a line in .*; found an empty file"):
        read(file)
    write(tmp_path / "v1_test.jsonl", [("x", "a")])
    write(file, [("x", OUT)])
    with pytest.raises(DataError, match="an utterance with an intent in .*; found none; check the labels"):
        evaluate_intents(settings, tmp_path)
