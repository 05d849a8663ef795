from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rag.errors import SettingsError
from rag.retrieve.features import FEATURES, FILE, FORMS, OWN, SIGNALS, Signals, fitted, matrix


def signals(*rows: tuple[float, float, float, float, float, float]) -> Signals:
    return Signals(*np.array(rows, np.float64).reshape(-1, 6).T)


OWN_COLUMNS = {name: np.array([float(place), 0.0]) for place, name in enumerate(OWN)}


def test_each_form_has_its_own_columns_and_a_missing_one_those_of_the_text() -> None:
    text = signals((0.8, 3.0, 0.5, 0.6, -1.0, 0.9), (-0.2, 6.0, 1.0, 0.9, 0.7, -1.0))
    context = signals((0.1, 0.0, 0.0, 0.0, -1.0, -1.0), (0.4, 0.0, 0.0, 0.0, -1.0, -1.0))
    table = matrix({"text": text, "context": context}, OWN_COLUMNS)
    assert table.shape == (2, len(FEATURES))
    first, second = (dict(zip(FEATURES, row, strict=True)) for row in table.tolist())
    assert [first[name] for name in SIGNALS] == [0.8, 1.0, 0.5, 0.5, 0.6, 0.0, 0.9]
    assert [second[name] for name in SIGNALS] == [0.0, 0.0, 1.0, 1.0, 0.9, 0.7, 0.0]
    assert [first[f"repaired_{name}"] for name in SIGNALS] == [first[name] for name in SIGNALS]
    assert first["context_dense_part"] == 0.25 and second["context_dense_part"] == 1.0
    assert first["context_lexical_part"] == second["context_lexical_part"] == 0.0  # no best one to be a part of
    assert [first[name] for name in OWN] == list(range(len(OWN)))


def test_no_candidates_make_no_rows() -> None:
    assert matrix({"text": signals()}, {name: np.zeros(0) for name in OWN}).shape == (0, len(FEATURES))


def test_the_weights_that_come_along_are_of_known_features() -> None:
    assert {language: values.shape for language, values in fitted(FILE).items()} == {
        language: (len(SIGNALS) * len(FORMS) + len(OWN),) for language in ("en", "zh")
    }


def test_what_a_file_leaves_out_weighs_nothing(tmp_path: Path) -> None:
    file = tmp_path / "weights.toml"
    file.write_text("[en]\ndense = 2\n[zh]\n", encoding="utf-8")
    found = fitted(file)
    assert found["en"][FEATURES.index("dense")] == 2 and found["en"].sum() == 2 and not found["zh"].any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[en]\ndense = 2\n", r"no \[zh\]"),
        ("[en]\nsense = 2\n[zh]\n", "a number for some of dense, .*; found sense = 2 in"),
        ("[en", "weights in"),
        ("en = 1\n[zh]\n", r"no \[en\]"),
        ("[en]\ndense = 'much'\n[zh]\n", "a number"),
    ],
)
def test_wrong_weights_are_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "weights.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=message):
        fitted(file)
    with pytest.raises(SettingsError, match="weights in .*nowhere"):
        fitted(tmp_path / "nowhere.toml")
