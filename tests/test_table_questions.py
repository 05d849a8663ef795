"""Thirty questions over tables as shops have them, through the real embedder, search and answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from table_set import QUESTIONS, write

from rag.answer.flow import collect
from rag.build import Assistant, run_ingest
from rag.settings import load
from rag.types import Outcome

RIGHT = 27


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_tables_are_answered_from(tmp_path: Path) -> None:
    write(tmp_path / "corpus")
    settings = load(corpus=tmp_path / "corpus", home=tmp_path / "home")
    report = run_ingest(settings)
    assert [rejection.file for rejection in report.rejected] == ["tents_2026.xlsx:Purchase"]
    assistant = Assistant(settings)
    wrong = []
    try:
        for question in QUESTIONS:
            answer = collect(assistant.answer(question.text))
            if answer.outcome is not Outcome.ANSWERED or not question.is_right(answer.text):
                wrong.append(f"{question.text} [{answer.rung}] {answer.text}")
    finally:
        assistant.close()
    assert len(QUESTIONS) - len(wrong) >= RIGHT, "\n".join(wrong)
