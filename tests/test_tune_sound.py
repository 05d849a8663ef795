"""Training data as it comes: what cannot be learnt from is named by file and line, counted and left out."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from rag.answer.reply import NONE
from rag.errors import DataError
from rag.tune.generator.lessons import own_lessons
from rag.tune.generator.public import public_lessons
from rag.tune.retriever import sources
from rag.tune.retriever.sources import authored
from rag.tune.sound import Skipped
from rag.types import Turn

OWN: dict[str, Any] = {
    "lang": "en",
    "passages": [
        {"title": "Care", "text": "Wash at 30 degrees."},
        {"title": "Returns", "text": "You have 14 days to return it."},
    ],
    "question": "How long may I keep it?",
    "reply": "You have 14 days.",
    "history": [],
}
WRITTEN: dict[str, Any] = {
    "topic": "orders",
    "en": ["How long?", "when", "how many days"],
    "zh": ["多久？", "几天", "多少天"],
    "en_answer": "It takes 3 days.",
    "zh_answer": "需要3天。",
    "en_reply": "It takes 3 days.",
    "zh_reply": "需要３天。",
    "en_next": ["and then?", "It takes 3 days."],
}


def write(path: Path, *lines: dict[str, Any] | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = (line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines)
    path.write_text("\n".join(texts), encoding="utf-8", errors="surrogateescape")
    return path


def test_a_shops_own_lessons(tmp_path: Path) -> None:
    history = [{"role": "user", "text": "I bought a coat"}, {"role": "assistant", "text": "Which one?"}]
    rows = (OWN, OWN | {"reply": "Wash at 30. [1]"}, OWN | {"reply": ""}, OWN | {"history": history})
    skipped = Skipped()
    made = own_lessons(write(tmp_path / "own.jsonl", *rows), skipped)
    said = [(branch.reply, branch.kind) for lesson in made for branch in lesson.branches]
    assert said == [
        ("Found: You have 14 days. [2]", "answer"),
        ("Found: Wash at 30. [1]", "answer"),
        (NONE, "missing"),
        ("Found: You have 14 days. [2]", "follow-up"),
    ]
    assert made[3].branches[0].history == (Turn("user", "I bought a coat"), Turn("assistant", "Which one?")) and not skipped
    assert made[0].where.endswith("own.jsonl:1") and str(tmp_path) not in repr(made)  # the card's digest is the same anywhere


FAULTY = {
    "{": "no JSON",
    "[]": "no JSON object",
    '{"lang": "en"}': "no passages, question, reply",
    "\udcff": "no JSON",
    "[" * 100_000: "no JSON",
    '{"a": "' + "x" * 300_000 + '"}': "a line of 3000",
}
WRONG: dict[str, dict[str, Any]] = {
    "no lang": {"lang": "ru"},
    "no question": {"question": "  "},
    "reply that is no text": {"reply": None},
    "no passages": {"passages": []},
    "without text": {"passages": [{"title": "Care"}]},
    "names passage 3": {"reply": "You have 14 days. [3]"},
    "states 15": {"reply": "You have 15 days."},
    "states 14": {"reply": "You have 14 days. [1]"},
    "marker alone": {"reply": "[1]"},
    "message 1": {"history": [{"role": "robot", "text": "x"}]},
}


@pytest.mark.parametrize(
    ("line", "reason"),
    [*FAULTY.items(), *((json.dumps(OWN | change), reason) for reason, change in WRONG.items())],
    ids=range(16),
)
def test_a_line_that_is_no_lesson_is_named_and_left_out(
    line: str, reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    skipped = Skipped()
    path = write(tmp_path / "own.jsonl", OWN, "", line, OWN)
    with caplog.at_level(logging.WARNING):
        assert len(own_lessons(path, skipped)) == 2
    [told] = skipped
    assert told.startswith(f"{path}:3: ") and reason in told and told in caplog.text
    with pytest.raises(DataError, match="none"):
        own_lessons(write(path, line), Skipped())


def test_no_file_of_lessons_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such file; give lines of .*passages"):
        own_lessons(tmp_path / "own.jsonl", Skipped())


def test_written_entries_that_cannot_be_used_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes: list[tuple[dict[str, Any], str]] = [
        ({"en": []}, "'en'"),
        ({"zh": ["多久？", "几天", ""]}, "'zh'"),
        ({"en_answer": " "}, "'en_answer'"),
        ({"en_reply": "It takes 4 days."}, "'en_reply' states 4"),
        ({"en_next": ["and then?"]}, "'en_next'"),
        ({"zh_false": ["4天？", "需要4天。"]}, "'zh_false' states 4"),
    ]
    path = write(tmp_path / "written.jsonl", WRITTEN, *(WRITTEN | change for change, _ in changes), "{")
    monkeypatch.setattr(sources, "PAIRS", path)
    skipped = Skipped()
    learnt, unseen = authored(skipped)
    for number, (_, reason) in enumerate(changes, start=2):
        assert [told for told in skipped if told.startswith(f"{path}:{number}: ") and reason in told], reason
    assert len(skipped) == len(changes) + 1
    entries = learnt + unseen
    assert len(entries) == 4 and entries[0] == WRITTEN
    assert [sorted(WRITTEN.keys() - entry.keys()) for entry in entries[1:]] == [["en_reply"], ["en_next"], []]


def test_nothing_written_for_shoptalk_is_left_out() -> None:
    skipped = Skipped()
    authored(skipped)
    assert skipped == []


def test_rows_of_public_sets_that_cannot_be_used_are_left_out(tmp_path: Path) -> None:
    squad = tmp_path / "zh_squad2_dev"
    write(squad / "corpus.jsonl", {"_id": "c", "title": "電池", "text": "電池在1800年由伏打發明。"}, {"_id": "d"})
    write(squad / "queries.jsonl", *({"_id": id, "text": f"問{id}"} for id in "abcde"))
    answers = [
        ("a", "c", ["伏打"]),
        ("b", "c", ["1801年"]),
        ("z", "c", ["伏打"]),
        ("c", "z", ["伏打"]),
        ("d", "c", [""]),
        ("e", "c", []),
    ]
    write(squad / "answers.jsonl", *({"_id": id, "context_id": passage, "answers": texts} for id, passage, texts in answers))
    policy = {
        "title": "site",
        "question": "What?",
        "context": "We keep your name and address.",
        "answers": ["your name and address"],
    }
    faults = ({"answers": []}, {"context": ""}, {"answers": ["your 2 names and address"]}, {"answers": "your name and address"})
    write(tmp_path / "policyqa" / "dev.jsonl", policy, *(policy | fault for fault in faults))
    pair = {"question": "q?", "candidate": "the lamp number 1 is very bright", "answer": "the lamp number 1 is bright"}
    lamps = (pair | {"question": f"{number}?"} for number in range(6))
    write(
        tmp_path / "amazon_hetpqa_gen" / "train.jsonl",
        *lamps,
        pair | {"answer": ""},
        pair | {"answer": "the lamp number 9 is bright"},
    )
    skipped = Skipped()
    lessons = public_lessons(tmp_path, 0, skipped)
    said = {branch.reply for lesson in lessons for branch in lesson.branches}
    assert said == {
        "Found: 伏打 [1]",
        NONE,
        "Found: your name and address [1]",
        *(f"Found: The lamp number 1 is bright. [{n}]" for n in (1, 2, 3)),
    }
    places = sorted(told.split(": ")[0].rsplit("/", 1)[1] for told in skipped)
    assert places == [
        *("answers.jsonl:2", "answers.jsonl:3", "answers.jsonl:4", "answers.jsonl:5", "corpus.jsonl:2"),
        *("dev.jsonl:2", "dev.jsonl:3", "dev.jsonl:4", "dev.jsonl:5", "train.jsonl:7", "train.jsonl:8"),
    ]
