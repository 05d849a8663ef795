"""The command line's contract, on the test doubles and real Chroma."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest

from rag.__main__ import main
from rag.errors import ModelFailed
from rag.types import Passage, Query

RETURNS = "# Returns\n\nYou can return a lamp within 30 days of delivery. The refund takes 5 working days.\n"
FAQ = "question,answer,language\nHow do I reset the lamp?,Hold the button for 10 s until the light blinks.,en\n"
ANSWER_KEYS = {
    "id",
    "outcome",
    "answer",
    "citations",
    "passages",
    "query",
    "generation",
    "timings",
    "rung",
    "reason",
    "language",
    "failed",
}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHOPTALK_FAKES", "true")
    monkeypatch.chdir(tmp_path)
    corpus = tmp_path / "corpus" / "shop"
    corpus.mkdir(parents=True)
    (corpus / "returns.md").write_text(RETURNS, encoding="utf-8")
    (corpus / "faq.csv").write_text(FAQ, encoding="utf-8")
    return corpus


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["rag", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


def test_ingest_twice_ask_verify_rollback(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "ingest", "--json") == 0
    first = json.loads(capsys.readouterr().out)
    assert first["changed"] and first["added"] == 2 and first["embedded"] == 2 + 4 and first["rejected"] == []

    assert run(monkeypatch, "ingest", "--json") == 0
    second = json.loads(capsys.readouterr().out)
    assert not second["changed"] and second["embedded"] == 0 and second["unchanged"] == 2

    (shop / "returns.md").write_text(RETURNS.replace("30", "40"), encoding="utf-8")
    assert run(monkeypatch, "ingest", "--json") == 0
    third = json.loads(capsys.readouterr().out)
    assert third["added"] == third["removed"] == 1 and third["embedded"] == 2, "the text, and the sentence that changed"

    assert run(monkeypatch, "ask", "How do I reset the lamp?", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) == ANSWER_KEYS
    assert answer["outcome"] == "answered" and answer["generation"] == third["generation"]
    texts = {passage["id"]: passage["text"] for passage in answer["passages"]}
    for citation in answer["citations"]:
        assert texts[citation["chunk"]][citation["start"] : citation["end"]] == citation["quote"]

    assert run(monkeypatch, "verify") == 0
    assert run(monkeypatch, "rollback") == 0
    assert f"generation {first['generation']} is live" in capsys.readouterr().out


def test_a_batch_gives_one_line_each_under_the_questions_ids(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    questions = [
        {"id": "a", "lang": "en", "history": [], "question": "How do I reset the lamp?"},
        {"id": "b", "lang": "en", "history": [{"role": "user", "text": "hi"}], "question": "   "},
    ]
    Path("questions.jsonl").write_text("\n".join(json.dumps(item) for item in questions), encoding="utf-8")
    assert run(monkeypatch, "ingest") == 0
    capsys.readouterr()
    assert run(monkeypatch, "ask", "--batch", "questions.jsonl") == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["id"] for answer in answers] == ["a", "b"]
    assert [answer["outcome"] for answer in answers] == ["answered", "refused"]


def test_what_is_broken_is_told_and_the_rest_is_live(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (shop / "broken.pdf").write_bytes(b"%PDF-1.7 nothing more")
    (shop / "more.csv").write_text("question,answer\nDo you sell tents?,\n", encoding="utf-8")
    assert run(monkeypatch, "ingest") == 3
    told = capsys.readouterr()
    assert "broken.pdf" in told.err and "more.csv" in told.err
    assert run(monkeypatch, "verify") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ask", "anything"), "no live index|a live index"),
        (("ingest", "--corpus", "nowhere"), "nowhere"),
        (("rollback",), "generation"),
        (("eval", "answers", "--gold", "nowhere.jsonl", "--json", "out.json"), "nowhere.jsonl"),
    ],
)
def test_errors_say_what_to_do_and_exit_with_2(
    arguments: tuple[str, ...], message: str, shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("shoptalk: expected ") and "Traceback" not in error
    assert any(part in error for part in message.split("|"))


def test_an_unknown_setting_lists_the_known_ones(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHOPTALK_CORPSE", "x")
    assert run(monkeypatch, "ingest") == 2
    error = capsys.readouterr().err
    assert "SHOPTALK_CORPSE" in error and "SHOPTALK_CORPUS" in error


def test_a_port_in_use_is_told_before_anything_is_loaded(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert run(monkeypatch, "serve", "--port", port) == 2
    assert port in capsys.readouterr().err
    assert not Path(".shoptalk").exists()


def test_odd_questions_get_a_polite_answer(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "ingest") == 0
    odd = ["", " \n ", "?!", "a", "x" * 100_000, "ما هي سياسة الإرجاع؟", "🙂" * 500, "\u0000\u202e", "' OR 1=1 --"]
    Path("odd.jsonl").write_text(
        "\n".join(json.dumps({"id": str(n), "question": text}) for n, text in enumerate(odd)), encoding="utf-8"
    )
    capsys.readouterr()
    assert run(monkeypatch, "ask", "--batch", "odd.jsonl") == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(answers) == len(odd) and all(answer["answer"].strip() for answer in answers)


def test_a_question_that_fails_does_not_end_the_chat(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "ingest") == 0
    from rag.retrieve.fuse import FusedSource

    find, lines = FusedSource.find, iter(["first", "How do I reset the lamp?", ""])

    def failing(self: FusedSource, query: Query, k: int) -> list[Passage]:
        if query.question == "first":
            raise ModelFailed(expected="vectors", found="a crash", remedy="restart")
        return find(self, query, k)

    monkeypatch.setattr(FusedSource, "find", failing)
    monkeypatch.setattr("builtins.input", lambda prompt: next(lines))
    assert run(monkeypatch, "chat") == 0
    told = capsys.readouterr()
    assert "shoptalk: expected vectors; found a crash; restart" in told.err and "Hold the button for 10 s" in told.out
