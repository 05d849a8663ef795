from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rag.evaluate.beir import load_set
from rag.retrieve.features import FEATURES, fitted
from rag.tune.fusion import TIED, Example, fit, held_out, recall, write
from rag.tune.retriever.sources import authored
from rag.tune.sets import grounded, written

DENSE, AGAINST, PRODUCT, ENTITY = (FEATURES.index(name) for name in ("dense", "against", "product", "entity"))


def examples(count: int = 40, seed: int = 0) -> list[Example]:
    """Of ten candidates the one with the highest dense + product is right; "against" speaks for it, which must not be learnt."""
    dice = np.random.default_rng(seed)
    made = []
    for number in range(count):
        features = np.zeros((10, len(FEATURES)))
        features[:, DENSE], features[:, PRODUCT] = dice.random(10), dice.random(10) < 0.3
        right = features[:, DENSE] + features[:, PRODUCT] == (features[:, DENSE] + features[:, PRODUCT]).max()
        features[:, AGAINST] = right
        made.append(Example("en", f"q{number}", "plain", features, right))
    return made


def test_what_tells_right_passages_weighs_and_no_weight_has_the_wrong_sign() -> None:
    weights = fit(examples(), 0.001)
    assert weights[DENSE] > 1 and weights[PRODUCT] > 1
    assert weights[AGAINST] == 0, "a nearer negative question can only speak against a passage"
    assert np.array_equal(weights, fit(examples(), 0.001)), "the same examples, the same weights"
    assert recall(examples(seed=1), weights, k=1) > 0.9 > recall(examples(seed=1), np.zeros(len(FEATURES)), k=1)


def test_a_tied_feature_weighs_what_it_is_tied_to() -> None:
    weights = fit(examples(), 0.001)
    for name, like in TIED.items():
        assert weights[FEATURES.index(name)] == weights[FEATURES.index(like)]
    assert weights[ENTITY] > 1


def test_a_strong_penalty_keeps_to_the_start() -> None:
    start = np.zeros(len(FEATURES))
    start[DENSE] = 3.0
    assert fit(examples(), 1e4, start)[DENSE] == pytest.approx(3.0, abs=0.01)


def test_recall_counts_a_question_whose_candidates_lack_the_answer() -> None:
    found, lost = examples(2)
    lost = Example("en", "lost", "plain", lost.features, np.zeros(10, dtype=np.bool_))
    assert recall([found, lost], fit(examples(), 0.001), k=10) == 0.5
    assert held_out([*examples(), lost], 0.001, np.zeros(len(FEATURES)))["plain"] < 1


def test_written_weights_are_read_back(tmp_path: Path) -> None:
    weights = fit(examples(), 0.001)
    write({"en": weights, "zh": weights}, tmp_path / "weights.toml")
    assert fitted(tmp_path / "weights.toml")["zh"] == pytest.approx(weights, abs=0.001)


def test_grounded_conversations_become_a_retrieval_set(tmp_path: Path) -> None:
    passages = [{"_id": "p1", "text": "Free returns."}, {"_id": "p2", "text": "Two years."}]
    asked = [
        {"_id": "a", "question": "Returns?", "history": [], "gold_passages": passages[:1]},
        {"_id": "b", "question": "And then?", "history": [{"role": "user", "text": "Returns?"}], "gold_passages": passages},
        {"_id": "c", "question": "Who are you?", "history": [], "gold_passages": []},
    ]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked), encoding="utf-8")
    found = load_set(grounded(tmp_path, tmp_path / "set"))
    assert [(query.id, query.relevant) for query in found.queries] == [("a", {"p1"}), ("b", {"p1", "p2"})]
    assert found.queries[1].history[0].text == "Returns?" and found.unjudged == 1


def test_what_the_embedder_never_learnt_is_half_a_faq_and_half_passages(tmp_path: Path) -> None:
    found = load_set(written(tmp_path, "zh"))
    learnt, unseen = authored()
    assert len(found.queries) == 2 * ((len(unseen) + 1) // 2) + 3 * (len(unseen) // 2)
    assert all(len(query.relevant) == 1 for query in found.queries)
    entries = [json.loads(line) for line in (tmp_path / "corpus.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [bool(entry["title"]) for entry in entries[:4]] == [True, False, True, False]
    assert not {entry["text"] for entry in entries} & {row["zh_answer"] for row in learnt}
