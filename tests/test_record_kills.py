"""What was acknowledged is on the disk: kill -9 between writes, and a write-ahead log cut anywhere."""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from scale import scaled

KILLS, CUTS, SEED = scaled(6, 200), scaled(40, 200), 20260102

WRITER = """
import sys, time
from rag.record.store import Recorder
from rag.types import Answer, Outcome, Query
recorder = Recorder("sqlite:///" + sys.argv[1], lambda answer: {"id": answer.id, "answer": answer.text})
number = int(sys.argv[2])
print("started", flush=True)
while True:
    id = f"{number:032x}"
    question = f"question {number}"
    query = Query(question, question, "en")
    recorder.observe("c", question, (), Answer(id, Outcome.ANSWERED, "x" * 300, "quote", "en", query, 1))
    recorder.vote(id, 1)
    recorder.vote(id, 1)  # a client that got no answer tries again
    print(number, flush=True)
    number += 1
    time.sleep(0.01)
"""


def rows(path: Path) -> list[tuple[str, int]]:
    """Questions in order, each with its number of votes; after a check of the file."""
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        query = "SELECT question, (SELECT count(*) FROM votes WHERE votes.answer_id = turns.answer_id) FROM turns ORDER BY number"
        return database.execute(query).fetchall()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    chance, path, acknowledged = random.Random(SEED), tmp_path / "record.sqlite", 0
    for _ in range(KILLS):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(acknowledged)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None and writer.stdout.readline() == "started\n"
        for _ in range(chance.randint(1, 20)):
            acknowledged = int(writer.stdout.readline()) + 1
        writer.send_signal(signal.SIGKILL)
        said = writer.stdout.read().split()
        writer.wait()
        acknowledged = int(said[-1]) + 1 if said else acknowledged
        found = rows(path)
        assert [question for question, _ in found][:acknowledged] == [f"question {n}" for n in range(acknowledged)]
        assert all(votes == 1 for _, votes in found[:acknowledged])
        assert len(found) <= acknowledged + 1, "nothing twice"
        with sqlite3.connect(path) as database:  # what was written and never acknowledged: its number is used again
            for table in ("votes", "turns"):
                database.execute(f"DELETE FROM {table} WHERE answer_id = ?", (f"{acknowledged:032x}",))


@pytest.mark.slow
def test_a_log_cut_anywhere_opens_to_a_beginning_of_the_history(tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), "0"], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    for line in writer.stdout:
        if line == "60\n":
            break
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    log = tmp_path / "record.sqlite-wal"
    held = log.read_bytes()
    page = int.from_bytes(held[8:12], "big") + 24  # a frame: header and page
    cuts = [*range(32, len(held), page), *random.Random(SEED).choices(range(len(held)), k=CUTS)]
    whole: list[int] = []
    for cut in cuts[:: 1 if CUTS > 100 else 7]:
        folder = tmp_path / "cut"
        folder.mkdir()
        shutil.copy(path, folder / path.name)
        (folder / log.name).write_bytes(held[:cut])
        with sqlite3.connect(folder / path.name) as database:
            if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'turns'").fetchone():
                found = [question for question, _ in rows(folder / path.name)] if _has_votes(database) else []
                assert found == [f"question {n}" for n in range(len(found))]
                whole.append(len(found))
        shutil.rmtree(folder)
    assert max(whole) > 50 and len(set(whole)) > 5


def _has_votes(database: sqlite3.Connection) -> bool:
    return bool(database.execute("SELECT 1 FROM sqlite_master WHERE name = 'votes'").fetchone())
