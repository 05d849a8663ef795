"""Retrieval on public data sets, one configuration for all, beside what peers reach. `python -m rag eval public`."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from rag.errors import DataError
from rag.evaluate.answers import silent
from rag.evaluate.retrieval import RetrievalResult, evaluate_retrieval
from rag.ports import Progress
from rag.settings import Settings

FILE = Path(__file__).with_name("public.toml")
UPPER_BOUND = "the corpus is a pool of passages that systems found, so the figure is an upper bound of the full corpus's"


class PublicSet(BaseModel):
    """A data set and what others reach on it: goal is measure -> value, peers are system -> measure -> value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    says: str
    pool: bool = False  # its corpus is made of passages that systems found: scores are upper bounds
    goal: dict[str, float]
    peers: dict[str, dict[str, float]]


class IntentSet(BaseModel):
    """A set of labelled questions and what others published on it: peers are system -> measure -> value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    goal: float  # accuracy
    peers: dict[str, dict[str, float]]


@functools.cache
def intent_sets() -> tuple[IntentSet, ...]:
    """Those of public.toml, in its order."""
    return tuple(IntentSet.model_validate(row) for row in tomllib.loads(FILE.read_text(encoding="utf-8"))["intents"])


@functools.cache
def public_sets() -> tuple[PublicSet, ...]:
    """Those of public.toml, in its order."""
    return tuple(PublicSet.model_validate(row) for row in tomllib.loads(FILE.read_text(encoding="utf-8"))["set"])


@dataclass(frozen=True)
class PublicResult:
    """What was found on each set; `absent` are those that are not in the folder."""

    results: Mapping[str, RetrievalResult]
    absent: Sequence[str]

    @property
    def passed(self) -> bool:
        """No verdict of expected.toml is FAIL; a goal that is missed is shown, not failed."""
        return all(result.passed for result in self.results.values())

    def reached(self, chosen: PublicSet) -> bool:
        """Whether every goal of the set is."""
        figures = self.results[chosen.name].figures
        return all(figures[measure].value >= value for measure, value in chosen.goal.items())

    def as_dict(self) -> dict[str, Any]:
        """The JSON form: each set's result with its goal, peers and what to bear in mind."""
        return {
            "passed": self.passed,
            "absent": list(self.absent),
            "sets": {
                chosen.name: {
                    **self.results[chosen.name].as_dict(),
                    **chosen.model_dump(include={"goal", "peers"}),
                    "reached": self.reached(chosen),
                    "note": UPPER_BOUND if chosen.pool else "",
                }
                for chosen in public_sets()
                if chosen.name in self.results
            },
        }

    def table(self) -> str:
        """For the terminal."""
        from rag.evaluate.tables import public_text

        return public_text(self)


def evaluate_public(
    settings: Settings, data: Path, names: Sequence[str] = (), limit: int = 0, progress: Progress = silent
) -> PublicResult:
    """Score retrieval on the sets of public.toml that lie in `data`, or on those of `names`.

    Each is ingested once, into a home of its own. Raises DataError for a set that is not known, not there or not in the form.
    """
    known = [chosen.name for chosen in public_sets()]
    if unknown := [name for name in names if name not in known]:
        raise DataError(expected=f"sets of {', '.join(known)}", found=", ".join(unknown), remedy="correct --set")
    absent = [name for name in names or known if not (data / name).is_dir()]
    chosen = [name for name in known if name in (names or known) and name not in absent]
    if not chosen or (names and absent):
        raise DataError(
            expected=f"the folders {', '.join(names or known)} in {data}, each with corpus.jsonl, queries.jsonl and qrels.tsv",
            found=f"no {', '.join(absent)}" if data.is_dir() else "no such folder",
            remedy="bring the sets into that form there (each is public), or name the folder that holds them with --data",
        )
    results = {name: evaluate_retrieval(settings, data / name, limit, progress=_named(progress, name)) for name in chosen}
    return PublicResult(results, absent)


def _named(progress: Progress, name: str) -> Progress:
    return lambda stage, done, total: progress(f"{name}: {stage}", done, total)
