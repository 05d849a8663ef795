"""What a generator is measured by on lessons that it never learnt from: right words where there is an answer, none elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rag.answer.check import MARKER
from rag.answer.fitted import LANGUAGES
from rag.answer.reply import bare, declines
from rag.evaluate.metrics import answer_f1
from rag.ports import Generator
from rag.tune.generator.lessons import Branch, Lesson
from rag.tune.generator.pack import messages
from rag.types import Language

NEW_TOKENS = 80  # of a reply


def judged(generator: Generator, lessons: Sequence[Lesson], shops: dict[Language, str], most: int) -> dict[str, float]:
    """By language, over at most `most` questions of each, spread over the lessons.

    "answered": token F1 (characters in Chinese) with the reply that was written, a declined one counting as 0; "declined
    rightly" and "declined wrongly": shares of those without and with an answer. Raises ModelFailed.
    """
    figures: dict[str, float] = {}
    for language in LANGUAGES:
        asked = [(lesson, branch) for lesson in lessons for branch in lesson.branches if branch.query.language == language]
        asked = asked[:: max(len(asked) // most, 1)][:most]
        replies = [_reply(generator, lesson, branch, shops) for lesson, branch in asked]
        declined = [declines(reply) for reply in replies]
        missing = [branch.kind == "missing" for _, branch in asked]
        scores = [
            0.0 if no else answer_f1(MARKER.sub("", bare(reply)), MARKER.sub("", bare(branch.reply)), language)
            for reply, no, (_, branch) in zip(replies, declined, asked, strict=True)
        ]
        for name, values, where in (
            ("answered", scores, False),
            ("declined rightly", declined, True),
            ("declined wrongly", declined, False),
        ):
            chosen = [float(value) for value, left_open in zip(values, missing, strict=True) if left_open == where]
            figures[f"{name}, {language}"] = round(float(np.mean(chosen)), 4) if chosen else 0.0
    return figures


def _reply(generator: Generator, lesson: Lesson, branch: Branch, shops: dict[Language, str]) -> str:
    pieces = generator.stream(messages(lesson, branch, shops), NEW_TOKENS, lambda: False)
    return "".join(piece.text for piece in pieces).strip()
