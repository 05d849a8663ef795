"""expected.toml: its form, and who passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import DataError
from rag.evaluate.metrics import Figure
from rag.evaluate.score import METRICS
from rag.evaluate.verdicts import Expectation, expectations, judge, passed

MEASURED = {"all": {"score": Figure(0.5, 100), "failures": Figure(0.0, 100)}, "en": {"score": Figure(0.8, 50)}}


@pytest.mark.parametrize(
    ("row", "verdict", "expected"),
    [
        ({"metric": "score", "minimum": 0.5}, "OK", "≥ 0.5"),
        ({"metric": "score", "minimum": 0.51}, "FAIL", "≥ 0.51"),
        ({"metric": "score", "minimum": 0.51, "tolerance": 0.02}, "OK", "≥ 0.51 ± 0.02"),
        ({"metric": "score", "maximum": 0.4}, "FAIL", "≤ 0.4"),
        ({"metric": "score", "maximum": 0.45, "tolerance": 0.1}, "OK", "≤ 0.45 ± 0.1"),
        ({"metric": "score", "group": "en", "minimum": 0.8}, "OK", "≥ 0.8"),
        ({"metric": "score", "group": "zh", "minimum": 0.0}, "FAIL", "≥ 0"),  # not measured
        ({"metric": "citations.verbatim", "minimum": 1.0}, "FAIL", "≥ 1"),
    ],
)
def test_judge(row: dict[str, object], verdict: str, expected: str) -> None:
    (found,) = judge([Expectation.model_validate({"set": "test", **row})], MEASURED)
    assert (found.verdict, found.expected) == (verdict, expected)
    assert passed([found]) == (verdict == "OK")


def test_rows_are_chosen_by_set(tmp_path: Path) -> None:
    file = tmp_path / "expected.toml"
    file.write_text(
        '[[answers]]\nset = "*"\nmetric = "failures"\nmaximum = 0\n'
        '[[answers]]\nset = "test"\nmetric = "score"\nminimum = 0.1\n'
        '[[retrieval]]\nset = "stackfaq"\nmetric = "recall@5"\nminimum = 0.7\n',
        encoding="utf-8",
    )
    assert [row.metric for row in expectations("answers", "test", file)] == ["failures", "score"]
    assert [row.metric for row in expectations("answers", "dev", file)] == ["failures"]
    assert [row.metric for row in expectations("retrieval", "stackfaq", file)] == ["recall@5"]


@pytest.mark.parametrize("row", ['metric = "score"', 'metric = "score"\nminimum = 1\nmaximum = 2', 'metric = "score"\nmin = 1'])
def test_a_wrong_row_is_refused(tmp_path: Path, row: str) -> None:
    file = tmp_path / "expected.toml"
    file.write_text(f'[[answers]]\nset = "test"\n{row}\n', encoding="utf-8")
    with pytest.raises(DataError, match="rows of set, metric, group"):
        expectations("answers", "test", file)


def test_the_committed_file_names_known_metrics() -> None:
    for name in ("dev", "test"):
        for row in expectations("answers", name):
            assert row.metric in METRICS
