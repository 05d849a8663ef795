"""Figures against expected.toml: one row each of metric, expected, found, verdict. What is not measured fails."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from rag.errors import DataError
from rag.evaluate.metrics import Figure

FILE = Path(__file__).parent / "expected.toml"


class Expectation(BaseModel):
    """One row of expected.toml. `set` is a gold folder's or data set's name, "*" any; `group` all, a language or a kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    set: str
    metric: str
    group: str = "all"
    minimum: float | None = None
    maximum: float | None = None
    tolerance: float = 0.0

    @model_validator(mode="after")
    def _one_bound(self) -> Expectation:
        if (self.minimum is None) == (self.maximum is None):
            raise ValueError("give a minimum or a maximum, not both")
        return self


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judged figure; `found` is None if it was not measured."""

    metric: str
    group: str
    expected: str
    found: float | None
    n: int
    verdict: Literal["OK", "FAIL"]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def expectations(task: str, name: str, file: Path = FILE) -> list[Expectation]:
    """The rows of table `task` (answers, retrieval) for the data set `name`. Raises DataError for a row not in the form."""
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    try:
        rows = [Expectation.model_validate(row) for row in table.get(task, [])]
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(
            expected=f"rows of set, metric, group, minimum or maximum, tolerance in {file}",
            found=f"{first['loc']}: {first['msg']}",
            remedy="correct the row",
        ) from error
    return [row for row in rows if row.set in (name, "*")]


def judge(rows: Sequence[Expectation], measured: Mapping[str, Mapping[str, Figure]]) -> list[Verdict]:
    """One verdict a row; `measured` is group -> metric -> figure. A bound is met when missed by no more than the tolerance."""
    return [_judge(row, measured.get(row.group, {}).get(row.metric)) for row in rows]


def _judge(row: Expectation, figure: Figure | None) -> Verdict:
    bound = f"≥ {row.minimum:g}" if row.minimum is not None else f"≤ {row.maximum:g}"
    expected = f"{bound} ± {row.tolerance:g}" if row.tolerance else bound
    if figure is None:
        return Verdict(row.metric, row.group, expected, None, 0, "FAIL")
    low = row.minimum is not None and figure.value < row.minimum - row.tolerance
    high = row.maximum is not None and figure.value > row.maximum + row.tolerance
    return Verdict(row.metric, row.group, expected, figure.value, figure.n, "FAIL" if low or high else "OK")


def passed(verdicts: Sequence[Verdict]) -> bool:
    """No verdict is FAIL."""
    return all(verdict.verdict == "OK" for verdict in verdicts)
