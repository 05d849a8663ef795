"""Replies that are kept while fitting: asked once, whatever happens in between."""

from __future__ import annotations

from pathlib import Path

from rag.fakes import ScriptedGenerator
from rag.tune.remembered import Remembered
from rag.types import Turn

ASKED = (Turn("user", "How long?"),)


def ask(generator: Remembered, most: int = 20, question: tuple[Turn, ...] = ASKED, stopped: bool = False) -> str:
    return "".join(piece.text for piece in generator.stream(question, most, lambda: stopped))


def test_nothing_is_asked_twice_not_even_by_another_process(tmp_path: Path) -> None:
    file = tmp_path / "replies.jsonl"
    first = Remembered(ScriptedGenerator(["30 days", "of another question", "with room for more"]), file)
    assert [ask(first), ask(first)] == ["30 days", "30 days"]
    assert ask(first, question=(Turn("user", "How far?"),)) == "of another question"
    assert ask(first, most=40) == "with room for more"
    assert ask(Remembered(ScriptedGenerator(["anew"]), file)) == "30 days"


def test_a_stopped_reply_and_half_a_line_are_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "replies.jsonl"
    generator = Remembered(ScriptedGenerator(["cut off", "whole"]), file)
    assert ask(generator, stopped=True) == ""
    assert ask(generator) == "whole"
    file.write_text(file.read_text(encoding="utf-8")[:-9], encoding="utf-8")
    assert ask(Remembered(ScriptedGenerator(["anew"]), file)) == "anew"
