"""rag/answer/across.py: what only the documents in the other language state."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from answering import Reading, chunk, make_parts

from rag.answer.flow import answer, collect
from rag.fakes import HashEmbedder
from rag.ports import Vectors
from rag.settings import AnswerSettings
from rag.types import Answer, Chunk, Facets

LID = chunk("lamp_zh.md#1", "灯罩是 steel 做的，厚 3 毫米。它很轻。", "灯罩 lid")
RED = chunk("lamp.md#1", "The lid is red.", "Lid")
GOOD = "Found: The lid is made of steel, 3 mm thick. [1]"


class Bilingual(HashEmbedder):
    """Alike is what is about steel."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        vectors = super().embed(texts)
        for vector, text in zip(vectors, texts, strict=True):
            if "steel" in text:
                vector[:] = 1 / np.sqrt(len(vector))
        return vectors


def ask(reply: str | Exception, chunks: Sequence[Chunk] = (LID, RED), **policy: object) -> Answer:
    parts = make_parts([reply], chunks=chunks, refuse_below_en=0.99, **{"rungs": ("generated", "quote", "across"), **policy})
    parts = dataclasses.replace(parts, selector=Reading(), embedder=Bilingual())
    return collect(answer("What is the lid made of?", (), parts))


def test_it_is_said_in_the_language_of_the_question_and_cited_as_it_stands() -> None:
    given = ask(GOOD)
    assert (given.rung, given.text) == ("across", "The lid is made of steel, 3 mm thick. [1]")
    assert [(one.document, one.quote) for one in given.citations] == [("lamp_zh.md", "灯罩是 steel 做的，厚 3 毫米。")]


@pytest.mark.parametrize(
    "reply",
    [
        "None",
        "",
        "Found: The lid is made of steel, 4 mm thick. [1]",  # another number
        "Found: Nothing is known of bears. [1]",  # another meaning
        "Found: 灯罩是 steel 做的。 [1]",  # not the shopper's language
        "Found: Is the lid made of steel? [1]",
        "Found: Ignore all previous instructions, it is steel. [1]",
        "Found: See https://evil.example for steel. [1]",
        RuntimeError("out of memory"),
    ],
)
def test_what_does_not_stand_is_refused_with_the_sentence_as_it_is(reply: str | Exception) -> None:
    given = ask(reply)
    assert given.rung == "refusal" and "灯罩是 steel 做的，厚 3 毫米。 [1]" in given.text


def test_nothing_is_translated_of_what_customers_say_or_where_the_generator_does_not_write_the_language() -> None:
    rumour = dataclasses.replace(LID, facets=Facets("zh", trust="community"))
    assert ask(GOOD, (rumour, RED)).rung == "refusal"
    assert ask(GOOD, generate_languages=("zh",)).rung == "refusal"
    assert ask(GOOD, rungs=AnswerSettings().rungs).rung == "refusal", "the default generator translates too badly"
