"""What the generator learns from: passages as a search would bring them, and questions about them, with and without an answer.

Several questions share one set of passages, as they share its tokens in training (see pack.py): some about each passage, some
from shoppers who have it wrong, some that follow up on an answer, and some whose answer is in a passage that is much like these
but not here. Figures are swapped for others in half of the sets, so that copying is learnt and not the figures; some passages
hold what two entries say, as a page does.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rag.answer.check import MARKER
from rag.answer.contract import parse_history
from rag.answer.reply import FOUND, NONE
from rag.errors import DataError
from rag.language import fold, words
from rag.tune.retriever.sources import Entry
from rag.tune.sound import Skipped, invented, missing, sound_rows
from rag.types import Chunk, History, Kind, Language, Passage, Query, Turn

NEAR = 6  # written entries so close in their file are about neighbouring things
SHOWN = ((1, 2, 3, 4, 5), (0.25, 0.15, 0.25, 0.2, 0.15))  # how many entries a set shows, and how often
JOINED = 0.3  # of the entries stand in one passage with the one before
ACROSS = 0.2  # of the sets have their passages in the other language
SECOND, PREMISE, FOLLOWING = 0.6, 0.5, 0.6  # how often a second way of asking, a wrong premise and a follow-up are taken up
WRITTEN, OWN = "written", "the shop's own"  # sources of the lessons that ship, and of those that a shop brings
_FIGURE = re.compile(r"(?<!\d)(?<!\d[:：])\d{2,5}(?!\d|[:：]\d)")  # no times of day, no lone digits


@dataclass(frozen=True, slots=True)
class Branch:
    """One question over a set of passages, and the reply to learn; `kind` is what it teaches."""

    query: Query
    history: History
    reply: str
    kind: str  # "answer", "premise", "follow-up", "missing"


@dataclass(frozen=True, slots=True)
class Lesson:
    """Passages in the order of their markers, and the questions asked of them."""

    passages: tuple[Passage, ...]
    branches: tuple[Branch, ...]
    source: str
    where: str = field(default="", repr=False)  # file:line, of a shop's own


def written_lessons(entries: Sequence[Entry], language: Language, seed: int, rounds: int = 1) -> list[Lesson]:
    """Lessons of the entries written for Shoptalk that have replies; each is asked about in `rounds` sets."""
    dice = random.Random(f"{seed}/{language}")
    places = [place for place, entry in enumerate(entries) if entry.get(f"{language}_reply")]
    made = []
    for _ in range(rounds):
        left = dice.sample(places, len(places))
        while left:
            first = left.pop()
            shown = [first, *_others(first, places, dice, dice.choices(*SHOWN)[0] - 1)]
            left = [place for place in left if place not in shown]
            made.append(_lesson(entries, shown, places, language, dice))
    return made


_FORM = '{"lang": "en|zh", "passages": [{"title", "text"}], "question", "reply" or "" for none, "history": [{"role", "text"}]}'


def own_lessons(path: Path, skipped: Skipped) -> list[Lesson]:
    """Lessons that a shop wrote, one JSON object a line, as _FORM says; what cannot be used is `skipped`.

    A reply may name its passage by a marker such as [2]; without one it is the passage that shares most words with it.
    Raises DataError if there is no such file or nothing in it can be used.
    """
    if not path.is_file():
        raise DataError(expected=f"lessons in {path}", found="no such file", remedy=f"give lines of {_FORM}")
    made = []
    for where, row in sound_rows(path, ("lang", "passages", "question", "reply"), skipped):
        try:
            made.append(_own(row, where))
        except DataError as error:
            skipped.add(where, error.found)
    if not made:
        raise DataError(expected=f"lessons in {path}", found="none that can be used", remedy=f"give lines of {_FORM}")
    return made


def _own(row: dict[str, Any], where: str) -> Lesson:
    """The lesson of one line. Raises DataError saying what is wrong."""
    shown, reply = row["passages"], row["reply"]
    if row["lang"] not in ("en", "zh") or missing(row, ("question",)) or not isinstance(reply, str):
        raise _wrong("no lang of en or zh, no question, or a reply that is no text")
    if (
        not isinstance(shown, list)
        or not shown
        or not all(isinstance(one, dict) and not missing(one, ("text",)) for one in shown)
    ):
        raise _wrong("no passages, or one without text")
    passages = tuple(passage_of(one["text"], str(one.get("title") or "")) for one in shown)
    history = parse_history(row.get("history") or [], where)
    kind, said = "missing", NONE
    if bare := MARKER.sub("", reply).strip():
        marked = re.search(r"\d+", match[0]) if (match := MARKER.search(reply)) else None
        number = int(marked[0]) if marked else _nearest(bare, passages)
        if not 0 < number <= len(passages):
            raise _wrong(f"the reply names passage {number} of {len(passages)}")
        chunk = passages[number - 1].chunk
        if figures := invented(bare, f"{chunk.title}\n{chunk.text}"):
            raise _wrong(f"the reply states {', '.join(figures)}, passage {number} does not")
        kind, said = "follow-up" if history else "answer", found(bare, number)
    elif reply.strip():
        raise _wrong("a reply of a marker alone")
    return Lesson(passages, (Branch(query_of(row["question"], row["lang"]), history, said, kind),), OWN, where)


def _nearest(reply: str, passages: Sequence[Passage]) -> int:
    """Number of the passage that shares most words with the reply."""
    said = set(words(reply))
    shared = [len(said & set(words(passage.chunk.text))) for passage in passages]
    return shared.index(max(shared)) + 1


def _wrong(found: str) -> DataError:
    return DataError(expected=_FORM, found=found, remedy="correct the line")


def _others(first: int, places: Sequence[int], dice: random.Random, count: int) -> list[int]:
    """Mostly neighbours, which are easily taken for the first."""
    near = [place for place in places if 0 < abs(place - first) <= NEAR]
    chosen: list[int] = []
    while len(chosen) < count:
        pool = near if near and dice.random() < 0.7 else places
        place = dice.choice(pool)
        if place != first and place not in chosen:
            chosen.append(place)
    return chosen


def _lesson(
    entries: Sequence[Entry], shown: Sequence[int], places: Sequence[int], language: Language, dice: random.Random
) -> Lesson:
    order = dice.sample(list(shown), len(shown))
    written: Language = language
    swap = _swapping(dice) if dice.random() < 0.5 else str
    if dice.random() < ACROSS:  # figures stay: the two languages may not write the same ones in digits
        written, swap = "zh" if language == "en" else "en", str
    passages: list[Passage] = []
    branches: list[Branch] = []
    for place in order:
        passage = _passage(entries[place], written, swap, dice)
        if passages and dice.random() < JOINED:
            passages[-1] = _joined(passages[-1], passage, written)
        else:
            passages.append(passage)
        branches += _asked(entries[place], language, len(passages), swap, dice)
    said = {fold(branch.query.text) for branch in branches}
    absent = [place for place in _others(shown[0], places, dice, min(len(places) - 1, 2 + len(shown))) if place not in shown]
    for place in absent[: max(1, round(len(branches) / 3.5))]:
        question = dice.choice(entries[place][language])
        if fold(question) not in said:
            branches.append(Branch(query_of(question, language), (), NONE, "missing"))
    dice.shuffle(branches)
    return Lesson(tuple(passages), tuple(branches), WRITTEN)


def _asked(entry: Entry, language: Language, marker: int, swap: Callable[[str], str], dice: random.Random) -> Iterator[Branch]:
    """One or two ways of asking; often a wrong premise, and a follow-up."""
    reply = found(swap(entry[f"{language}_reply"]), marker)
    for question in dice.sample(entry[language], 1 + (dice.random() < SECOND)):
        yield Branch(query_of(question, language), (), reply, "answer")
    if (wrong := entry.get(f"{language}_false")) and dice.random() < PREMISE:
        yield Branch(query_of(wrong[0], language), (), found(swap(wrong[1]), marker), "premise")
    if (following := entry.get(f"{language}_next")) and dice.random() < FOLLOWING:
        history = (Turn("user", entry[language][0]), Turn("assistant", swap(entry[f"{language}_reply"])))
        yield Branch(query_of(following[0], language), history, found(swap(following[1]), marker), "follow-up")


def _passage(entry: Entry, language: Language, swap: Callable[[str], str], dice: random.Random) -> Passage:
    """As an entry of a FAQ, or as a piece of a page."""
    text = swap(entry[f"{language}_answer"]).strip()
    if dice.random() < 0.4:
        return passage_of(text, swap(entry[language][0]), Kind.FAQ)
    return passage_of(text, entry["topic"].capitalize() if language == "en" else "")


def _joined(first: Passage, second: Passage, language: Language) -> Passage:
    """One passage that says what both say, under the title of the first."""
    between = " " if language == "en" else ""
    return passage_of(f"{first.chunk.text}{between}{second.chunk.text}", first.chunk.title)


def passage_of(text: str, title: str, kind: Kind = Kind.PAGE) -> Passage:
    """A passage as the prompt shows it."""
    return Passage(Chunk("", "", "", 0, kind, title, (), text), 0.0)


def query_of(question: str, language: Language) -> Query:
    """A first question."""
    return Query(question, question, language)


def found(reply: str, marker: int) -> str:
    """A reply from the passage with that number, as the prompt asks for it."""
    return f"{FOUND} {reply.strip()} [{marker}]"


def _swapping(dice: random.Random) -> Callable[[str], str]:
    """A function that puts other figures of as many digits in place of those of a text, the same for the same."""
    other: dict[str, str] = {}

    def swapped(match: re.Match[str]) -> str:
        figure = match[0]
        if figure[0] == "0":
            return figure
        if figure not in other:
            is_year = len(figure) == 4 and figure[:2] in ("19", "20")
            low, high = (1900, 2030) if is_year else (10 ** (len(figure) - 1), 10 ** len(figure))
            other[figure] = str(dice.randrange(low, high))
        return other[figure]

    return lambda text: _FIGURE.sub(swapped, text)
