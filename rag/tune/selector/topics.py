"""What the selector learns from: passages, and questions of which one of their units, or none, states the answer.

Pages are written for this: their sentences are neighbours in meaning, their questions share few words with what answers them,
and some only sound as if the page answered them. Lessons of the generator (rag.tune.generator.lessons) add breadth.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rag.answer.reply import bare, declines
from rag.answer.units import layout, units
from rag.language import detect, simplify, words
from rag.ports import Layout, Vectors
from rag.retrieve.rewrite import last_exchange
from rag.tune.generator.lessons import Branch, Lesson
from rag.tune.sound import Skipped, missing, sound_rows
from rag.types import Language

PAGES = Path(__file__).with_name("pages.jsonl")
GOLD = "gold"  # the source of topics that are gold questions (rag.tune.selector.asked)
HELD_OUT = 14  # one page, or gold question, of so many is never learnt from
MOST = 8  # questions of a topic that are asked in a step
PIECES = 0.3  # of the lines of a page begin a unit of two or three as well, as a paragraph is quoted whole
ABSENT = 0.5  # of the pages are shown without a line or two, so that what those answered is left open
PARTED = 0.5  # ... as two passages
NAMED = 0.4  # ... are named in their questions, beside passages of other pages that only the name tells from an answer
STRANGE = 0.4  # of the others stand beside a passage of any other page
SEEN = (2, 3, 4, 5)  # passages of a gold question that are shown
FAR = 12  # the nearest sentences of other pages that are kept for a question
CLEAR, VAGUE = 0.5, 0.34  # share of a reply's words in what states it; from which on it may state a part of it
_SORT = re.compile(r"^(?:policy|product|guide|manual|faq|page|商品详情|活动)\b[ :：]*", re.IGNORECASE)
_END = re.compile(r"[,:：，|（(>]| - | — |'s ")
_LAST = re.compile(r"\[(\d+)\]\s*$")  # the marker of a lesson's reply; others may stand in what it copies
_QUOTES = "'‘’“” 《》"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about a topic's units, by their places, through all passages."""

    question: str
    right: frozenset[int]  # that state the answer, or part of it; none where it is not there
    before: str = ""  # the last exchange, where the question follows one


@dataclass(frozen=True, slots=True)
class Topic:
    """Passages that are shown together, with questions."""

    passages: tuple[Layout, ...]
    asked: tuple[Asked, ...]
    source: str
    language: Language  # of the passages
    name: str = ""  # what a page is about
    near: tuple[tuple[Layout, ...], ...] = ()  # for each question, what other pages say that is nearest to it
    far: tuple[Layout, ...] = ()  # what some other pages say


@dataclass(frozen=True, slots=True)
class Choice:
    """A question and the passages to choose a unit from, by its place; with `right` empty none is to be chosen."""

    question: str
    passages: tuple[Layout, ...]
    right: tuple[int, ...]
    before: str = ""


def page_topics(skipped: Skipped, path: Path = PAGES) -> tuple[list[Topic], list[Topic]]:
    """The pages to learn from, and those held out; lines that are no pages are `skipped`."""
    learnt: list[Topic] = []
    unseen: list[Topic] = []
    for where, row in sound_rows(path, ("lang", "title", "lines", "asked", "open", "other"), skipped):
        if faulty := _fault(row):
            skipped.add(where, faulty)
            continue
        is_held_out = hashlib.sha256(row["title"].encode()).digest()[0] % HELD_OUT == 0
        (unseen if is_held_out else learnt).append(_page(row))
    return learnt, unseen


def _fault(row: dict[str, Any]) -> str:
    """Why it is no page; empty if it is."""
    lines = row["lines"]
    if missing(row, ("title",)) or row["lang"] not in ("en", "zh"):
        return "no title, or no lang of en or zh"
    if not (isinstance(lines, list) and len(lines) > 2 and all(isinstance(one, str) and one.strip() for one in lines)):
        return "fewer than three lines, or one without text"
    try:
        pairs = [(int(line), str(question)) for line, question in (*row["asked"], *row["other"])]
    except (TypeError, ValueError):
        return "asked or other is no list of [line, question]"
    said = [question for _, question in pairs] + [str(question) for question in row["open"]]
    if not all(0 <= line < len(lines) for line, _ in pairs) or not all(question.strip() for question in said):
        return "a question without text, or about a line that is not there"
    return ""


def _page(row: dict[str, Any]) -> Topic:
    lines = tuple(line.strip() for line in row["lines"])
    asked = [Asked(question, frozenset({line})) for line, question in (*row["asked"], *row["other"])]
    asked += [Asked(question, frozenset()) for question in row["open"]]
    name = _name(row["title"], row["lang"])
    return Topic((_passage(row["title"], lines),), tuple(asked), PAGES.stem, row["lang"], name)


def _passage(subject: str, lines: Sequence[str], runs: Iterable[tuple[int, int]] = ()) -> Layout:
    """Each line is a unit, and so is each run of several."""
    return Layout(subject, tuple(lines), (*((line, line + 1) for line in range(len(lines))), *runs))


def _name(title: str, language: Language) -> str:
    """The subject of a title, as a question would be told apart by it: "Kettle 3" of "Product: Kettle 3, in red"."""
    bare = _SORT.sub("", title).strip(_QUOTES)
    parts = _END.split(bare)[0].strip(_QUOTES).split()
    return " ".join(parts[:2] if language == "zh" else parts[:4])


def lesson_topics(lessons: Iterable[Lesson]) -> list[Topic]:
    """The passages of a lesson with its questions; of a reply in another language all units of its passage are right."""
    return [topic for lesson in lessons if (topic := _topic(lesson)) and topic.asked]


def _topic(lesson: Lesson) -> Topic | None:
    found = [(number, unit) for number, passage in enumerate(lesson.passages, start=1) for unit in units(passage.chunk)]
    if not found:
        return None
    own = [(number, set(words(simplify(unit.text)))) for number, unit in found]
    language = detect(" ".join(unit.text for _, unit in found)) or "en"
    asked = [one for branch in lesson.branches if (one := _asked(branch, own, language))]
    shown = tuple(laid for passage in lesson.passages if (laid := layout(passage.chunk)).units)
    return Topic(shown, tuple(asked), lesson.source, language)


def _asked(branch: Branch, own: Sequence[tuple[int, set[str]]], language: Language) -> Asked | None:
    """None where no unit states the reply clearly, though they are in its language."""
    asked = Asked(branch.query.text, frozenset(), before=last_exchange(branch.history))
    if declines(branch.reply):
        return asked
    marker = _LAST.search(branch.reply)
    number = int(marker[1]) if marker else 1
    said = set(words(simplify(bare(_LAST.sub("", branch.reply)))))
    shares = [len(said & known) / max(len(said), 1) if place == number else 0.0 for place, known in own]
    best = max(shares)
    if best >= CLEAR:
        return replace(asked, right=frozenset(n for n, share in enumerate(shares) if share > VAGUE or share >= best - 0.1))
    if branch.query.language == language:
        return None
    return replace(asked, right=frozenset(place for place, (passage, _) in enumerate(own) if passage == number))


def with_neighbours(topics: Sequence[Topic], embed: Callable[[Sequence[str]], Vectors], seed: int) -> list[Topic]:
    """Pages with what others say: the sentences that an embedder takes for the answer to each question, and any."""
    dice = random.Random(seed)
    made: list[Topic] = []
    for language in dict.fromkeys(topic.language for topic in topics):
        own = [topic for topic in topics if topic.language == language]
        pages = [topic.passages[0] for topic in own]
        places = [(number, line) for number, page in enumerate(pages) for line in range(len(page.pieces))]
        around = [_around(pages[number], line) for number, line in places]
        owner = np.array([number for number, _ in places])
        sentences = embed([f"{pages[number].subject}: {pages[number].pieces[line]}" for number, line in places])
        for number, topic in enumerate(own):
            cosines = embed([one.question for one in topic.asked]) @ sentences.T
            cosines[:, owner == number] = -np.inf
            most = min(FAR, int((owner != number).sum()))
            near = tuple(tuple(around[place] for place in np.argsort(-row, kind="stable")[:most]) for row in cosines)
            strange = [place for place in dice.sample(range(len(places)), min(FAR, len(places))) if owner[place] != number]
            made.append(replace(topic, near=near, far=tuple(around[place] for place in strange)))
    return made


def _around(page: Layout, line: int) -> Layout:
    """A line of a page with its neighbours."""
    return _passage(page.subject, page.pieces[max(line - 1, 0) : line + 2])


def drawn(topic: Topic, dice: random.Random, most: int = MOST) -> Iterator[Choice]:
    """At most `most` of its questions, all over the same passages."""
    asked = dice.sample(range(len(topic.asked)), min(most, len(topic.asked)))
    if topic.source == GOLD:
        yield from (_found(topic, one, dice) for one in topic.asked)
        return
    if topic.source != PAGES.stem:
        for place in asked:
            one = topic.asked[place]
            yield Choice(garbled(one.question, dice), topic.passages, tuple(sorted(one.right)), one.before)
        return
    passages, where = _shown(topic.passages[0], dice)
    near = [one for place in asked for one in topic.near[place]] if topic.near and dice.random() < NAMED else []
    if near:
        passages += dice.sample(near, min(dice.choice((1, 1, 2)), len(near)))
    elif topic.far and dice.random() < STRANGE:
        passages.append(dice.choice(topic.far))
    for place in asked:
        one = topic.asked[place]
        question = one.question
        if near:
            question = f"{topic.name}: {question}" if dice.random() < 0.6 else f"{question} {topic.name}"
        right = tuple(unit for line in sorted(one.right) for unit in where[line])
        yield Choice(garbled(question, dice), tuple(passages), right)


def _found(topic: Topic, asked: Asked, dice: random.Random) -> Choice:
    """Some of the passages found, in their order; mostly one of those that hold the answer, if any, is among them."""
    sizes = [len(passage.units) for passage in topic.passages]
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    holding = [place for place, start in enumerate(starts) if asked.right & set(range(start, start + sizes[place]))]
    chosen = set(dice.sample(range(len(sizes)), min(dice.choice(SEEN), len(sizes))))
    if holding and not chosen & set(holding) and dice.random() > ABSENT:
        chosen.add(dice.choice(holding))
    right, before = [], 0
    for place in sorted(chosen):
        right += [before + unit for unit in range(sizes[place]) if starts[place] + unit in asked.right]
        before += sizes[place]
    shown = tuple(topic.passages[place] for place in sorted(chosen))
    return Choice(garbled(asked.question, dice), shown, tuple(right), asked.before)


def _shown(page: Layout, dice: random.Random) -> tuple[list[Layout], dict[int, list[int]]]:
    """A page in one passage or two, perhaps without some of its lines; and of each line the units that hold it."""
    lines = list(range(len(page.pieces)))
    gone = dice.sample(lines, dice.choice((1, 1, 2))) if dice.random() < ABSENT else []
    left = [line for line in lines if line not in gone]
    at = dice.randrange(2, len(left) - 1) if len(left) > 5 and dice.random() < PARTED else len(left)
    passages: list[Layout] = []
    where: dict[int, list[int]] = defaultdict(list)
    before = 0
    for part in filter(None, (left[:at], left[at:])):
        ends = [(first, min(first + dice.choice((2, 3)), len(part))) for first in range(len(part) - 1) if dice.random() < PIECES]
        passages.append(_passage(page.subject, [page.pieces[line] for line in part], ends))
        for unit, (first, end) in enumerate(passages[-1].units):
            for line in part[first:end]:
                where[line].append(before + unit)
        before += len(passages[-1].units)
    return passages, where


def garbled(question: str, dice: random.Random) -> str:
    """Now and then in small letters, without its mark, or with a slip of the keys."""
    if dice.random() < 0.25:
        question = question.lower()
    if dice.random() < 0.25:
        question = question.rstrip("?？.。!！")
    if not question.isascii() or len(question) < 8 or dice.random() > 0.12:
        return question
    typed = list(question)
    for _ in range(max(1, len(typed) // 15)):
        at, kind = dice.randrange(len(typed) - 1), dice.random()
        if kind < 0.4:
            typed[at], typed[at + 1] = typed[at + 1], typed[at]
        else:
            typed[at] = "" if kind < 0.7 else dice.choice("abcdefghijklmnopqrstuvwxyz")
    return "".join(typed)
