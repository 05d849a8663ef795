"""A new generation against the live one on gold questions, before it goes live.

An answer is made of the passages found, so only questions that find other passages than before are asked, of both generations.
All others answer as they did, and the difference of every metric is known without them. No generator is asked: it words what was
chosen, and takes most of the time.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from rag import build, keeping, loading
from rag.answer.flow import ANYTHING, answer
from rag.errors import HomeError, QualityFell
from rag.evaluate.answers import FOUND, Asker, on_the_day
from rag.evaluate.gold import Question, load_gold
from rag.evaluate.rows import Row
from rag.evaluate.score import Case, Marks, marks, relevant_chunks
from rag.index.codec import encode, text_hash
from rag.index.manifest import write_atomically
from rag.keeping import GOLD_CHANGED, GOLD_FOUND
from rag.ports import Embedder, Selector
from rag.settings import Settings
from rag.types import Answer, Event, History, Manifest, Passage, Piece, Query, Turn

log = logging.getLogger(__name__)
METRICS: dict[str, tuple[bool, Callable[[Question], bool]]] = {  # whether more is better, and which questions it looks at
    "score": (True, lambda item: True),
    "retrieval.recall@5": (True, lambda item: item.answerable),
    "answers.right": (True, lambda item: item.answerable),
    "answers.wrong": (False, lambda item: True),
    "refusals.recall": (True, lambda item: not item.answerable),
    "refusals.false": (False, lambda item: item.answerable),
}


@dataclass(frozen=True, slots=True)
class Change:
    """A gold question that is answered differently: what was and is said, and the worth of it, +1 right, 0 none, -1 wrong."""

    question: str
    before: str
    after: str
    worth_before: float
    worth_after: float


@dataclass(frozen=True, slots=True)
class Changes:
    """Gold questions that the last generation checked answers otherwise than the one before; 0: there was none."""

    before: int = 0
    changes: tuple[Change, ...] = ()


def last_changes(home: Path) -> Changes:
    """What the last check found; nothing if there was none."""
    try:
        told = json.loads((home / GOLD_CHANGED).read_text(encoding="utf-8"))
        return Changes(told["before"], tuple(Change(**change) for change in told["changes"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Changes()


class Gate:
    """Lets a generation go live if no metric on the gold questions falls by more than the tolerance."""

    def __init__(self, settings: Settings, embedder: Embedder, force: bool = False) -> None:
        """`force` lets it pass whatever falls, and says so in the log. Raises DataError for gold not in the form, at once."""
        gold = settings.gold
        self._items = evenly(load_gold(gold), settings.index.gold_questions) if gold else []
        self._settings = on_the_day(settings, gold) if gold else settings
        self._embedder, self._selector, self._force = embedder, loading.build_selector(settings), force

    def __call__(self, live: Manifest | None, new: Manifest) -> None:
        """Raises QualityFell, naming what fell and which questions are answered worse."""
        if not self._items:
            return
        with closing(self._candidate(new.number)) as after:
            found = {item.id: after.found(item) for item in self._items}
            if live:
                self._compare(live, after, found)
        noted = {"generation": new.number, "found": found}
        write_atomically(self._settings.home / GOLD_FOUND, json.dumps(noted))

    def _compare(self, live: Manifest, after: Candidate, found: Mapping[str, str]) -> None:
        known = self._known(live.number)
        if known == found:
            return
        try:
            with closing(self._candidate(live.number)) as before:
                others = [item for item in self._items if (known.get(item.id) or before.found(item)) != found[item.id]]
                old, new = before.ask(others), after.ask(others)
        except HomeError as error:  # another embedder made it, or it is damaged
            log.warning("the gold questions could not be compared with generation %d: %s", live.number, error)
            return
        asked = zip(others, old, new, strict=True)
        changes = [change_of(item, was, now) for item, was, now in asked if was[0].text != now[0].text]
        told = {"before": live.number, "changes": [asdict(change) for change in changes]}
        write_atomically(self._settings.home / GOLD_CHANGED, json.dumps(told, ensure_ascii=False, indent=1))
        by = differences([(was[1], now[1]) for was, now in zip(old, new, strict=True)], self._items)
        if worse := {name: fall for name, fall in by.items() if fall < -self._settings.index.tolerance}:
            self._refuse(live.number, worse, changes)

    def _refuse(self, live: int, worse: dict[str, float], changes: Sequence[Change]) -> None:
        said = ", ".join(f"{name} worse by {-by:.3f}" for name, by in worse.items())
        asked = "; ".join(change.question for change in changes if change.worth_after < change.worth_before)
        error = QualityFell(
            expected=f"no metric on {len(self._items)} gold questions worse than generation {live} by more than "
            f"{self._settings.index.tolerance:g}",
            found=f"{said} ({asked[:500]})",
            remedy="correct the documents or the gold questions, or let it go live all the same: `python -m rag ingest --force`; "
            f"generation {live} stays live",
        )
        if not self._force:
            raise error
        log.warning("forced live: %s", error)

    def _known(self, number: int) -> dict[str, str]:
        """What the gold questions found in this generation, as it was noted when it went live."""
        try:
            noted = json.loads((self._settings.home / GOLD_FOUND).read_text(encoding="utf-8"))
            return dict(noted["found"]) if noted["generation"] == number else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def _candidate(self, number: int) -> Candidate:
        return Candidate(self._settings, number, self._embedder, self._selector)


class Silent:
    """A Generator that says nothing; the rungs that would ask one are left out."""

    fingerprint = ""

    def load(self) -> None:
        """Nothing to load."""

    def count(self, messages: Sequence[Turn]) -> int:
        """No tokens: there is no prompt."""
        return 0

    def stream(self, messages: Sequence[Turn], max_tokens: int, stopped: Callable[[], bool]) -> Iterator[Piece]:
        """No reply."""
        return iter(())


class Candidate:
    """One generation, answering as it would if it were live, but that nothing is generated."""

    def __init__(self, settings: Settings, number: int, embedder: Embedder, selector: Selector | None) -> None:
        """Raises IndexMismatch, IndexDamaged."""
        rungs = tuple(rung for rung in settings.answer.rungs if rung not in ("generated", "across"))
        policy = settings.answer.model_copy(update={"rungs": rungs})
        self._generation = keeping.build_generations(settings).open(embedder.fingerprint, number)
        self._search = build.build_search(settings, self._generation, embedder)
        chosen = settings.model_copy(update={"answer": policy})
        self._parts = build.build_parts(chosen, self._generation, self._search, embedder, Silent(), selector)

    def answer(self, question: str, history: History = ()) -> Iterator[Event]:
        """The events of one turn."""
        return answer(question, history, self._parts, chosen=self._search.narrowed(ANYTHING))

    def find(self, question: str, history: History = (), k: int = FOUND) -> tuple[Query, list[Passage]]:
        """Retrieval alone."""
        return self._search.find(question, history, k)

    def evidence(self, answer: Answer) -> float:
        """Not looked at."""
        return 0.0

    def found(self, item: Question) -> str:
        """Names the passages that a question is answered from, with all that they say."""
        _, passages = self.find(item.question, item.turns, self._parts.passages)
        return text_hash("\n".join(f"{encode(passage.chunk)} {passage.chunk.text}" for passage in passages))

    def ask(self, items: Sequence[Question]) -> list[tuple[Row, Marks]]:
        """What each question gets, and what that is worth."""
        relevant = relevant_chunks(items, self._generation.store.chunks())
        rows = [Asker(self, "").ask(item) for item in items]
        return [(row, marks(Case(item, row, relevant[item.id]))) for item, row in zip(items, rows, strict=True)]

    def close(self) -> None:
        """Release files and connections."""
        self._generation.store.close()


def change_of(item: Question, before: tuple[Row, Marks], after: tuple[Row, Marks]) -> Change:
    """What a question was answered, and is now."""
    return Change(item.question, before[0].text, after[0].text, before[1]["score"], after[1]["score"])


def differences(changed: Sequence[tuple[Marks, Marks]], items: Sequence[Question]) -> dict[str, float]:
    """By how much each metric gets better (above 0) or worse, over all questions that it applies to; 0..1 of it."""
    found: dict[str, float] = {}
    for name, (more_is_better, applies) in METRICS.items():
        pairs = [(old.get(name), new.get(name)) for old, new in changed]
        by = sum(float(new) - float(old) for old, new in pairs if old is not None and new is not None)
        found[name] = (by if more_is_better else -by) / max(sum(applies(item) for item in items), 1)
    return found


def evenly(items: Sequence[Question], most: int) -> list[Question]:
    """At most so many, from all of them."""
    step = max(len(items) / most, 1) if most else 1
    return [items[int(place * step)] for place in range(int(len(items) / step))]
