"""Reading comprehension sets: every form is read into the same exercises, what is in none of them is told."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from rag.errors import DataError
from rag.evaluate.comprehension import ComprehensionSet, load_comprehension

LAMP = "The lamp runs for 40 hours. It weighs 90 g."
TEA = "这款茶产自福建。每盒重 100 克。"
SQUAD: dict[str, Any] = {
    "version": "v2.0",
    "data": [
        {
            "title": "Lamp",
            "paragraphs": [
                {
                    "context": LAMP,
                    "qas": [
                        {
                            "id": "q1",
                            "question": "How long does it run?",
                            "answers": [{"text": "40 hours", "answer_start": 18}, {"text": "40 hours", "answer_start": 18}],
                            "is_impossible": False,
                        },
                        {
                            "id": "q2",
                            "question": "Is it waterproof?",
                            "answers": [],
                            "plausible_answers": [{"text": "90 g", "answer_start": 38}],
                            "is_impossible": True,
                        },
                    ],
                }
            ],
        },
        {"paragraphs": [{"context": TEA, "qas": [{"id": 3, "question": "茶产自哪里？", "answers": [{"text": "福建"}]}]}]},
    ],
}
CORPUS = [{"_id": "lamp", "title": "Lamp", "text": LAMP}, {"_id": "tea", "text": TEA}]
QUERIES = [
    {"_id": "q1", "text": "How long does it run?"},
    {"_id": "q2", "text": "Is it waterproof?"},
    {"_id": "3", "text": "茶产自哪里？"},
]
ANSWERS = [
    {"_id": "q1", "context_id": "lamp", "answers": ["40 hours"], "is_impossible": False},
    {"_id": "q2", "context_id": "lamp", "answers": [], "is_impossible": True},
    {"_id": "3", "answers": ["福建"]},
]
QRELS = "query-id\tcorpus-id\tscore\n3\ttea\t1\n"
ROWS: list[dict[str, Any]] = [
    {"id": "q1", "lang": "en", "title": "Lamp", "passages": [LAMP], "question": "How long does it run?", "answers": ["40 hours"]},
    {"id": "q2", "title": "Lamp", "passage": LAMP, "question": "Is it waterproof?", "answers": []},
    {"id": "3", "passage": TEA, "question": "茶产自哪里？", "answers": ["福建"]},
]


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write(folder: Path, **files: object) -> Path:
    """`a_jsonl=rows` is written as a.jsonl."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        text = content if isinstance(content, str) else lines(content) if isinstance(content, list) else json.dumps(content)
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return folder


def check(found: ComprehensionSet) -> None:
    assert [(e.id, e.language, e.question, e.answers) for e in found.exercises] == [
        ("q1", "en", "How long does it run?", ("40 hours",)),
        ("q2", "en", "Is it waterproof?", ()),
        ("3", "zh", "茶产自哪里？", ("福建",)),
    ]
    assert [(p.chunk.title, p.chunk.text) for e in found.exercises for p in e.passages] == [
        ("Lamp", LAMP),
        ("Lamp", LAMP),
        ("", TEA),
    ]
    assert [exercise.answerable for exercise in found.exercises] == [True, False, True]


def test_squad(tmp_path: Path) -> None:
    found = load_comprehension(write(tmp_path / "shop", dev_json=SQUAD))
    check(found)
    assert (found.name, found.file, found.blank) == ("shop", "dev.json", 0)
    (tmp_path / "shop/dev.json").unlink()
    (tmp_path / "shop/dev.json.gz").write_bytes(gzip.compress(json.dumps(SQUAD).encode()))
    packed = load_comprehension(tmp_path / "shop")
    assert packed == found and packed.digest == found.digest


def test_a_corpus_with_questions_and_answers(tmp_path: Path) -> None:
    files: dict[str, object] = {"corpus_jsonl": CORPUS, "queries_jsonl": QUERIES, "answers_jsonl": ANSWERS, "qrels_tsv": QRELS}
    found = load_comprehension(write(tmp_path / "shop", **files))
    check(found)
    assert found.file == ""


def test_several_passages_of_one_question(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", corpus_jsonl=CORPUS, queries_jsonl=QUERIES[2:], answers_jsonl=ANSWERS[2:])
    (folder / "qrels.tsv").write_text(QRELS + "3\tlamp\t1\n")
    assert [p.chunk.text for p in load_comprehension(folder).exercises[0].passages] == [LAMP, TEA]
    rows = write(tmp_path / "b", a_jsonl=[{"question": "?a", "passages": [LAMP, TEA], "answers": ["x", "y"]}])
    (exercise,) = load_comprehension(rows).exercises
    assert len(exercise.passages) == 2 and exercise.answers == ("x", "y") and exercise.id == "1"


def test_rows_under_every_name(tmp_path: Path) -> None:
    check(load_comprehension(write(tmp_path / "a", test_jsonl=ROWS)))
    others = [
        {"_id": "q1", "title": "Lamp", "context": LAMP, "question": "How long does it run?", "answers": {"text": ["40 hours"]}},
        {"_id": "q2", "title": "Lamp", "context": LAMP, "question": "Is it waterproof?", "is_impossible": True},
        {"_id": 3, "candidate": TEA, "question": "茶产自哪里？", "answer": "福建"},
    ]
    check(load_comprehension(write(tmp_path / "b", test_jsonl=others)))


def test_the_file_is_named_where_there_are_several(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", dev_jsonl=ROWS[:1], test_jsonl=ROWS)
    with pytest.raises(DataError, match=r"found dev\.jsonl, test\.jsonl; say which of the files with --file"):
        load_comprehension(folder)
    assert len(load_comprehension(folder, "dev.jsonl").exercises) == 1
    assert len(load_comprehension(folder, "test.jsonl.gz").exercises) == 3
    with pytest.raises(DataError, match=r"found no train\.jsonl"):
        load_comprehension(folder, "train.jsonl")


def test_blank_questions_are_counted_out(tmp_path: Path) -> None:
    found = load_comprehension(write(tmp_path / "a", a_jsonl=[*ROWS, {**ROWS[0], "id": "q4", "question": " ? "}]))
    assert len(found.exercises) == 3 and found.blank == 1


def test_a_part_is_spread_over_the_set(tmp_path: Path) -> None:
    rows = [{**ROWS[0], "id": str(number)} for number in range(10)]
    found = load_comprehension(write(tmp_path / "a", a_jsonl=rows))
    assert [exercise.id for exercise in found.spread(3).exercises] == ["0", "3", "6"]
    assert found.spread(0) is found and found.spread(10) is found and found.spread(99) is found
    assert found.spread(3).digest != found.digest


def squad(**question: object) -> dict[str, Any]:
    asked = {"id": "q", "question": "who", "answers": [{"text": "me"}]} | question
    return {"data": [{"paragraphs": [{"context": LAMP, "qas": [{key: asked[key] for key in asked if asked[key] is not None}]}]}]}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"expected in .* one \.json file in SQuAD's form or one \.jsonl file .*; found none of them; give the folder"),
        ({"a_json": "{oops"}, r"SQuAD's form: .*; found .*a\.json: Invalid JSON"),
        ({"a_json": {"rows": []}}, r"SQuAD's form: .*; found .*a\.json: data: Field required"),
        ({"a_json": squad(question=None)}, r"found .*a\.json: data\.0\.paragraphs\.0\.qas\.0\.question: Field required"),
        (
            {"a_json": squad(answers=[])},
            r"an answer, or is_impossible, for every question of .*; found neither for q; give a file",
        ),
        ({"a_json": {"data": []}}, r"expected a question in .*a\.json; found none"),
        ({"a_jsonl": "{oops\n"}, r"one JSON object a line; found .*a\.jsonl:1"),
        ({"a_jsonl": [{"question": "x", "answers": []}]}, r"an object with question, .*a\.jsonl:1: passages: Field required"),
        ({"a_jsonl": [{"question": "x", "passage": "y"}]}, r"an object with question, .*a\.jsonl:1: no answers"),
        ({"a_jsonl": [{**ROWS[0], "passages": []}]}, r"a\.jsonl:1: passages: .*at least 1"),
        ({"a_jsonl": [{**ROWS[0], "lang": "fr"}]}, r"a\.jsonl:1: lang: Input should be 'en' or 'zh'"),
        ({"a_jsonl": [ROWS[0], ROWS[0]]}, r"its own id; found 1 ids given more than once: q1"),
        ({"a_jsonl": "\n"}, r"expected a question in .*; found none"),
    ],
)
def test_what_is_in_no_form_is_told(tmp_path: Path, files: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_comprehension(write(tmp_path / "a", **files))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"answers_jsonl": [{"_id": "q1", "answer": "x"}]}, r"an object with _id, answers; found .*answers\.jsonl:1"),
        ({"answers_jsonl": [{"_id": "q1", "answers": "x"}]}, r"an object with _id, answers \(texts.*answers\.jsonl:1: answers: "),
        ({"answers_jsonl": [{**ANSWERS[0], "_id": "q9"}]}, r"answers\.jsonl:1: not both for q9; add what is missing"),
        ({"answers_jsonl": [{**ANSWERS[0], "context_id": "no"}]}, r"answers\.jsonl:1: not both for q1"),
        ({"answers_jsonl": [{"_id": "q1", "answers": ["x"]}]}, r"answers\.jsonl:1: not both for q1"),
        ({"queries_jsonl": [{"_id": "q1"}]}, r"an object with _id, text; found .*queries\.jsonl:1"),
    ],
)
def test_a_corpus_that_does_not_hang_together_is_told(tmp_path: Path, changed: dict[str, object], message: str) -> None:
    files: dict[str, object] = {"corpus_jsonl": CORPUS, "queries_jsonl": QUERIES, "answers_jsonl": ANSWERS[:2]}
    with pytest.raises(DataError, match=message):
        load_comprehension(write(tmp_path / "a", **files | changed))


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found no such folder; give the folder of a reading comprehension set"):
        load_comprehension(tmp_path / "no")
