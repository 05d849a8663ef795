"""The record: durable, private, exportable; votes are idempotent; hand-overs wait."""

from __future__ import annotations

import sqlite3
import stat
import threading
from pathlib import Path

import pytest
from answering import make_parts
from sqlalchemy.exc import DatabaseError

from rag.answer.contract import as_dict
from rag.answer.flow import answer, collect
from rag.errors import DataError
from rag.record.store import Recorder
from rag.types import Answer, History, Turn


def open_record(folder: Path) -> Recorder:
    return Recorder(f"sqlite:///{folder / 'record.sqlite'}", as_dict)


def ask(question: str) -> Answer:
    return collect(answer(question, (), make_parts()))


def test_a_conversation_is_kept_in_order(tmp_path: Path) -> None:
    record = open_record(tmp_path)
    given = [ask(question) for question in ("hi", "几天内可以退货？", "bye")]
    for one in given:
        record.observe("c1", one.query.question, (), one)
    record.observe("", "hi", (), ask("hi"))
    record.close()
    turns = list(open_record(tmp_path).turns())
    assert [(turn.conversation, turn.number, turn.question) for turn in turns[:3]] == [
        ("c1", 1, "hi"),
        ("c1", 2, "几天内可以退货？"),
        ("c1", 3, "bye"),
    ]
    assert [turn.answer for turn in turns[:3]] == [as_dict(one) for one in given]
    assert turns[3].number == 1 and turns[3].created.utcoffset() is not None


def test_a_vote_can_be_changed_and_repeated(tmp_path: Path) -> None:
    record = open_record(tmp_path)
    given = ask("hi")
    record.observe("c1", "hi", (), given)
    for value, comment in ((1, ""), (1, ""), (-1, "wrong price \ud800\0")):
        record.vote(given.id, value, comment)
    (turn,) = record.turns()
    assert (turn.vote, turn.comment) == (-1, "wrong price ?")


def test_wrong_votes_are_told(tmp_path: Path) -> None:
    record = open_record(tmp_path)
    with pytest.raises(DataError, match="the id of a recorded answer.*found 'nobody'"):
        record.vote("nobody", 1)
    with pytest.raises(DataError, match="a vote of 1 or -1; found 2"):
        record.vote("nobody", 2)
    assert list(record.turns()) == []


def test_a_hand_over_waits_with_its_history(tmp_path: Path) -> None:
    record = open_record(tmp_path)
    history: History = (Turn("user", "坏了"), Turn("assistant", "抱歉"))
    record.observe("c1", "转人工", history, ask("转人工"))
    record.observe("c1", "hi", history, ask("hi"))
    (waiting,) = record.waiting()
    assert (waiting.reason, waiting.question) == ("asked", "转人工")
    assert waiting.history == [{"role": "user", "text": "坏了"}, {"role": "assistant", "text": "抱歉"}]


def test_the_file_is_private_durable_and_readable(tmp_path: Path) -> None:
    record = open_record(tmp_path)
    record.observe("c1", "几天内可以退货？", (), ask("几天内可以退货？"))
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    with sqlite3.connect(tmp_path / "record.sqlite") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert "七天" in connection.execute("SELECT answer FROM turns").fetchone()[0]


def test_threads_and_recorders_share_a_file(tmp_path: Path) -> None:
    records = [open_record(tmp_path), open_record(tmp_path)]
    given = [ask("hi") for _ in range(40)]
    threads = [
        threading.Thread(target=lambda one, index: records[index % 2].observe("c1", "hi", (), one), args=(one, index))
        for index, one in enumerate(given)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    turns = list(records[0].turns())
    assert [turn.number for turn in turns] == list(range(1, 41))
    assert {turn.answer["id"] for turn in turns} == {one.id for one in given}


def test_what_the_database_raises_is_not_hidden(tmp_path: Path) -> None:
    record = open_record(tmp_path)
    record.close()
    (tmp_path / "record.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(DatabaseError, match="not a database|malformed"):
        record.observe("c1", "hi", (), ask("hi"))
