"""Questions over tables as shops have them, through the real embedder, search and answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from table_questions import MORE, QUESTIONS, Question
from table_set import write

from rag.answer.flow import collect
from rag.assistant import Assistant
from rag.build import run_ingest
from rag.settings import load
from rag.types import Outcome

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def assistant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    folder = tmp_path_factory.mktemp("tables")
    write(folder / "corpus")
    settings = load(corpus=folder / "corpus", home=folder / "home")
    report = run_ingest(settings)
    assert [rejection.file for rejection in report.rejected] == ["tents_2026.xlsx:Purchase"]
    assistant = Assistant(settings)
    yield assistant
    assistant.close()


@pytest.mark.parametrize(("questions", "right"), [(QUESTIONS, 27), (MORE, 18)], ids=["first", "more"])
def test_tables_are_answered_from(assistant: Assistant, questions: Sequence[Question], right: int) -> None:
    wrong = []
    for question in questions:
        answer = collect(assistant.answer(question.text))
        if answer.outcome is not Outcome.ANSWERED or not question.is_right(answer.text):
            wrong.append(f"{question.text} [{answer.rung}] {answer.text}")
    assert len(questions) - len(wrong) >= right, "\n".join(wrong)
