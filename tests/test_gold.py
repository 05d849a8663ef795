"""The gold form: what is accepted, and what a wrong line is told."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from rag.errors import DataError
from rag.evaluate.gold import About, about, digest, load_gold, locate_gold
from rag.types import Turn

GOOD: dict[str, Any] = {
    "id": "dev-en-0001",
    "lang": "en",
    "history": [{"role": "user", "text": "Do you sell lamps?"}, {"role": "assistant", "text": "Yes."}],
    "question": "How long can I return one?",
    "answer": "30 days",
    "answerable": True,
    "sources": [{"document": "policies/returns_eu.md", "quote": "within 30 days"}],
    "kind": "dialogue",
}
REFUSE = GOOD | {"id": "dev-en-0002", "answer": "", "answerable": False, "sources": [], "kind": "off_topic"}


def write(path: Path, *rows: dict[str, Any] | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows), encoding="utf-8"
    )
    return path


def test_a_folder_is_read_in_the_order_of_files_and_lines(tmp_path: Path) -> None:
    write(tmp_path / "b.jsonl", REFUSE)
    write(tmp_path / "a.jsonl", GOOD, "")
    items = load_gold(tmp_path)
    assert [item.id for item in items] == ["dev-en-0001", "dev-en-0002"]
    assert items[0].turns == (Turn("user", "Do you sell lamps?"), Turn("assistant", "Yes."))
    assert items[0].quotes == ["within 30 days"]
    assert locate_gold(tmp_path)[1].where == f"{tmp_path / 'b.jsonl'}:1"


def test_optional_fields(tmp_path: Path) -> None:
    item = load_gold(write(tmp_path / "a.jsonl", GOOD | {"variants_of": "dev-en-0009", "dialogue": "d1"}))[0]
    assert (item.variants_of, item.dialogue) == ("dev-en-0009", "d1")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (GOOD | {"lang": "de"}, r"expected lang: .*'en' or 'zh'; found .*a\.jsonl:2: \"de\"; correct the line"),
        (GOOD | {"kind": "easy"}, r"expected kind: "),
        (GOOD | {"question": "  "}, r"expected question: "),
        (GOOD | {"answerable": "yes"}, r"expected answerable: "),
        (GOOD | {"source": []}, r"expected source: Extra inputs"),
        (GOOD | {"history": [{"role": "bot", "text": "x"}]}, r"expected history\.0\.role: "),
        (GOOD | {"sources": []}, r"an answerable question needs an answer and at least one source"),
        (GOOD | {"answerable": False}, r"an unanswerable question has an empty answer and no sources"),
        ({key: value for key, value in GOOD.items() if key != "answer"}, r"expected answer: Field required"),
        ("{not json", r"expected Invalid JSON"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, row: dict[str, Any] | str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_gold(write(tmp_path / "a.jsonl", REFUSE, row))


def test_an_id_twice_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", GOOD)
    write(tmp_path / "b.jsonl", REFUSE, GOOD)
    with pytest.raises(DataError, match=r"each id once \(.*a\.jsonl:1 has it first\); found .*b\.jsonl:2: dev-en-0001 again"):
        load_gold(tmp_path)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found an empty folder; give a .jsonl file"):
        load_gold(tmp_path)
    with pytest.raises(DataError, match="found nothing there"):
        load_gold(tmp_path / "no")


def test_wrong_encoding(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes("退货".encode("gb18030"))
    with pytest.raises(DataError, match="UTF-8 text in .*a.jsonl"):
        load_gold(tmp_path)


def test_the_digest_names_the_content(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", GOOD)
    before = digest(path)
    assert before == digest(tmp_path)
    write(path, REFUSE)
    assert digest(path) != before


def test_what_holds_for_the_whole_set(tmp_path: Path) -> None:
    path = write(tmp_path / "test" / "a.jsonl", GOOD)
    assert about(path) == About()
    (tmp_path / "gold.toml").write_text("today = 2026-11-24\n[minimum]\nitems = 1\n", encoding="utf-8")
    assert about(path.parent) == about(path) == about(tmp_path) == About(today=date(2026, 11, 24), minimum={"items": 1})
    (tmp_path / "test" / "gold.toml").write_text("now = 1\n", encoding="utf-8")
    with pytest.raises(DataError, match="expected today and minimum in .*gold.toml"):
        about(path)
