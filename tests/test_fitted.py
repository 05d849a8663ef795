"""What is fitted for an embedder: its file, whose numbers count, and what a shop sets by hand."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from answering import WEIGHTS, make_parts

from rag.answer.fitted import CAUTIOUS, NAME, SHIPPED, Fitted, Thresholds, fitted, found_weights, read_fitted, shipped
from rag.answer.rank import FEATURES, READ
from rag.errors import SettingsError
from rag.settings import AnswerSettings

OWN = Fitted(
    "hash-64",
    WEIGHTS,
    {"en": Thresholds(0.41, 0.45, 0.7, 0.45), "zh": Thresholds(0.5, 0.5, 0.6, 0.5)},
    {"en": {"one": -2.0, "score": 0.5}, "zh": {"one": -1.0}},
    2.0,
    "gold (digest 123, 9 questions)",
    "small@1",
    {"en": np.arange(1.0, 1 + len(READ))},
    "chooser@1/float32",
)
MODELS = (shipped().embedder, shipped().selector)


def test_a_file_is_read_as_it_was_written_and_written_as_it_was_read(tmp_path: Path) -> None:
    file = tmp_path / NAME
    file.write_text(OWN.as_toml(), encoding="utf-8")
    found = read_fitted(file)
    assert found.embedder == "hash-64" and found.wrong_cost == 2.0 and found.thresholds == OWN.thresholds
    assert found.found == OWN.found
    assert np.array_equal(found.weights, OWN.weights)
    assert found.selector == "chooser@1/float32"
    assert found.generator == "small@1" and list(found.read) == ["en"] and np.array_equal(found.read["en"], OWN.read["en"])
    assert replace(found, questions=OWN.questions).as_toml() == OWN.as_toml()


def test_what_a_generator_says_is_weighed_as_fitted_for_it_alone() -> None:
    assert OWN.for_generator("small@1") is OWN
    assert not OWN.for_generator("other@2").read and OWN.for_generator("other@2").weights is OWN.weights
    assert not OWN.for_models("another").read


def test_what_comes_with_shoptalk_names_every_feature_and_its_embedder() -> None:
    tables = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
    assert set(tables["weights"]) == set(FEATURES) and all("thresholds" in tables[language] for language in ("en", "zh"))
    assert "@" in shipped().embedder and shipped().embedder.endswith("/bfloat16")


def test_the_homes_own_counts_for_its_embedder_only(tmp_path: Path) -> None:
    assert fitted(tmp_path, *MODELS) is shipped()
    assert fitted(tmp_path, "hash-64").thresholds == CAUTIOUS
    assert fitted(tmp_path, shipped().embedder, "another").thresholds == CAUTIOUS
    (tmp_path / NAME).write_text(OWN.as_toml(), encoding="utf-8")
    assert fitted(tmp_path, "hash-64", "chooser@1/bfloat16").thresholds == OWN.thresholds
    assert fitted(tmp_path, "hash-64").thresholds == CAUTIOUS
    assert fitted(tmp_path, *MODELS) is shipped()
    plain = [name.replace("/bfloat16", "/float32") for name in MODELS]
    assert fitted(tmp_path, *plain).thresholds == shipped().thresholds
    other = fitted(tmp_path, "another")
    assert other.thresholds == CAUTIOUS and not other.found and np.array_equal(other.weights, shipped().weights)


def test_confidence_in_passages_does_not_ask_for_the_selector(tmp_path: Path) -> None:
    assert found_weights(tmp_path, shipped().embedder) == shipped().found != {}
    assert found_weights(tmp_path, "hash-64") == {}
    (tmp_path / NAME).write_text(OWN.as_toml(), encoding="utf-8")
    assert found_weights(tmp_path, "hash-64") == OWN.found and found_weights(tmp_path, "another") == {}


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("wrong_cost = 2.0", "", "wrong_cost"),
        ("faq = 0.600", "", "faq"),
        ("cos_unit = 0.000", "", "cos_unit"),
        ("faq = 0.600", 'faq = "much"', "much"),
        ("[weights]", "[weights", "Expected"),
    ],
)
def test_a_file_not_in_the_form_is_refused(tmp_path: Path, before: str, after: str, found: str) -> None:
    assert before in OWN.as_toml()
    (tmp_path / NAME).write_text(OWN.as_toml().replace(before, after), encoding="utf-8")
    with pytest.raises(SettingsError, match=rf"{NAME}; found .*{found}.*; fit again"):
        fitted(tmp_path, "hash-64", "chooser@1/float32")


def test_what_is_set_by_hand_wins() -> None:
    assert OWN.chosen(AnswerSettings()) == OWN.thresholds
    assert OWN.chosen(AnswerSettings(refuse_below_en=0.2))["en"] == Thresholds(0.2, 0.2, 0.7, 0.2)
    assert OWN.chosen(AnswerSettings(refuse_below_en=0.2, quote_threshold_en=0.6))["en"] == Thresholds(0.2, 0.6, 0.7, 0.2)
    assert OWN.chosen(AnswerSettings(faq_threshold_zh=0.0)) == {**OWN.thresholds, "zh": Thresholds(0.5, 0.5, 0.0, 0.5)}


def test_the_ladder_answers_from_where_it_is_told() -> None:
    assert make_parts().thresholds["en"] == Thresholds(0.2, 0.2, 0.9, 0.2)


def test_another_type_of_number_is_no_other_embedder() -> None:
    own = shipped()
    model, _, dtype = own.embedder.rpartition("/")
    assert dtype in ("float32", "bfloat16")
    assert all(own.for_models(f"{model}/{other}", own.selector) is own for other in ("float32", "bfloat16"))
    assert own.for_models(f"renamed@{model.partition('@')[2]}/float32", own.selector) is own
    assert own.for_models("another@0/simplified/float32", own.selector).thresholds == CAUTIOUS
