"""The JSON that goes in and out of the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from answering import make_parts

from rag.answer.contract import as_dict, parse_filter, parse_history, read_history, read_questions
from rag.answer.flow import answer, collect
from rag.errors import DataError, WrongFilter
from rag.types import Filter, Turn


def test_the_answer_object() -> None:
    given = as_dict(collect(answer("What is the weight of the Ember 400?", (), make_parts())))
    assert json.loads(json.dumps(given)) == given
    assert set(given) == {
        *("id", "outcome", "answer", "citations", "passages", "query", "generation", "timings", "rung", "reason", "language"),
        "failed",
    }
    citation = given["citations"][0]
    assert set(citation) == {"n", "document", "chunk", "quote", "start", "end"}
    assert all(set(passage) == {"id", "document", "title", "url", "score", "text"} for passage in given["passages"])
    text = next(passage["text"] for passage in given["passages"] if passage["id"] == citation["chunk"])
    assert text[citation["start"] : citation["end"]] == citation["quote"]
    assert given["outcome"] == "answered" and all(isinstance(value, float) for value in given["timings"].values())


def test_questions_in_the_gold_form(tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text(
        '{"id": "a", "question": "多少钱？", "history": [{"role": "user", "text": "hi"}], "kind": "x"}\n\n{"question": "b"}\n',
        encoding="utf-8",
    )
    first, second = read_questions(file)
    assert (first.id, first.question, first.history) == ("a", "多少钱？", (Turn("user", "hi"),))
    assert (second.id, second.history) == ("3", ())


@pytest.mark.parametrize("line", ["{", "[]", '{"id": "a"}', '{"question": 1}', "[" * 10_000, '{"question": NaN}'])
def test_a_wrong_question_names_its_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text('{"question": "a"}\n' + line, encoding="utf-8")
    with pytest.raises(DataError, match=r"questions\.jsonl:2"):
        read_questions(file)


def test_a_question_may_say_what_to_search_in(tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text('{"question": "a", "filter": {"region": "EU"}}\n{"question": "b"}', encoding="utf-8")
    assert [item.filter for item in read_questions(file)] == [Filter(region="EU"), Filter()]
    file.write_text('{"question": "a", "filter": {"regoin": "EU"}}', encoding="utf-8")
    with pytest.raises(WrongFilter, match=r"questions\.jsonl:1: filter to have fields of audience, .*; found \"regoin\""):
        read_questions(file)
    with pytest.raises(WrongFilter, match="filter to be an object"):
        parse_filter(["EU"], "filter")
    with pytest.raises(WrongFilter, match=r"filter\.region to be a text; found null"):
        parse_filter({"region": None}, "filter")


def test_histories(tmp_path: Path) -> None:
    file = tmp_path / "history.json"
    file.write_text('[{"role": "user", "text": "a"}, {"role": "assistant", "text": "b"}]', encoding="utf-8")
    assert read_history(file) == (Turn("user", "a"), Turn("assistant", "b"))
    file.write_text('[{"role": "agent", "text": "b"}]', encoding="utf-8")
    assert read_history(file) == (Turn("assistant", "b"),)
    file.write_text('[{"role": "system", "text": "a"}]', encoding="utf-8")
    with pytest.raises(DataError, match="message 1 is"):
        read_history(file)
    file.write_text("[\n{", encoding="utf-8")
    with pytest.raises(DataError, match=r"history\.json:2"):
        read_history(file)
    with pytest.raises(DataError, match="where: str"):
        parse_history("user", "where")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_questions(tmp_path / "none.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b'{"question": "caf\xe9"}')
    with pytest.raises(DataError, match="save the file as UTF-8"):
        read_questions(tmp_path / "latin.jsonl")
