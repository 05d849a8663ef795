"""Deleted means gone: out of answers with the next ingest, out of every file with `purge`; and `verify --deleted` proves it."""

from __future__ import annotations

import random
import string
from pathlib import Path

import pytest
from scale import scaled
from typer.testing import CliRunner

from rag import build, keeping
from rag.__main__ import app
from rag.assistant import Assistant
from rag.fakes import HashEmbedder
from rag.index.deleted import held_in
from rag.index.phrases import phrases
from rag.settings import Settings
from rag.types import Query

COUNT = scaled(20, 100)  # documents, of which half are deleted


def page(number: int, mark: str) -> str:
    return f"# Notice {number}\n\nThe cupboard of lamp {number} opens with the words {mark} and nothing else at all.\n"


def held_bytes(home: Path, marks: list[str]) -> list[str]:
    """Which marks are in which file."""
    files = [path for path in home.rglob("*") if path.is_file()]
    return [f"{path.name}: {mark}" for path in files for mark in marks if mark.encode() in path.read_bytes()]


def verify_deleted(settings: Settings) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["verify", "--deleted", f"--home={settings.home}"])
    return result.exit_code, result.output


@pytest.mark.slow
def test_what_is_deleted_is_not_found_and_after_a_purge_not_on_the_disk(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", corpus=tmp_path / "corpus", fakes=True)
    settings.corpus.mkdir()
    chance = random.Random(5)
    marks = ["".join(chance.choices(string.ascii_lowercase, k=24)) for _ in range(COUNT)]
    for number, mark in enumerate(marks):
        (settings.corpus / f"{number}.md").write_text(page(number, mark))
    build.run_ingest(settings)
    assistant = Assistant(settings)
    for number in range(COUNT):
        list(assistant.answer(f"Which words does the cupboard of lamp {number} open with?"))
    for number in range(0, COUNT, 2):
        (settings.corpus / f"{number}.md").unlink()
    (settings.corpus / "1.md").write_text(page(1, "a new saying"))
    build.run_ingest(settings)
    generation = assistant.generation
    gone, stay = [*marks[::2], marks[1]], marks[3::2]
    for mark in gone:
        _, found = assistant.find(f"which lamp opens with {mark}?")
        assert not any(mark in passage.chunk.text for passage in found)
        assert not generation.lexical.find(Query(mark.casefold(), mark, "en"), 5)
    assistant.close()
    code, said = verify_deleted(settings)
    assert code == 1 and "record.sqlite holds" in said and "python -m rag purge" in said
    assert "gen-" not in said and "catalog" not in said, "what a rollback needs is no finding"
    (settings.home / keeping.GOLD_CHANGED).write_text(f"The cupboard of lamp 2 opens with the words {marks[2]} and nothing else")
    result = CliRunner().invoke(app, ["purge", f"--home={settings.home}"])
    assert result.exit_code == 0 and result.output.startswith("1 earlier generations removed; ")
    assert verify_deleted(settings) == (0, "nothing is left of what was removed, but what is kept for a rollback\n")
    assert held_bytes(settings.home, gone) == []
    for mark in stay:
        vector = HashEmbedder().embed([f"which lamp opens with {mark}?"])[0]
        assert any(mark in chunk.text for chunk, _ in generation.store.search(vector, COUNT))
        assert generation.lexical.find(Query(mark.casefold(), mark, "en"), 1)


@pytest.mark.slow
def test_what_is_left_somewhere_is_told(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", corpus=tmp_path / "corpus", fakes=True)
    settings.corpus.mkdir()
    (settings.corpus / "a.md").write_text(page(1, "open sesame"))
    (settings.corpus / "b.md").write_text(page(2, "山上的松树下面有一盏很旧的灯"))
    build.run_ingest(settings)
    (settings.corpus / "b.md").unlink()
    build.run_ingest(settings)
    keeping.purge(settings)
    assert keeping.left_behind(settings) == []
    for kind, text in (("txt", page(2, "山上的松树下面有一盏很旧的灯")), ("json", '{"answer": "山上的松树下面有一盏很旧的灯"}')):
        (settings.home / "notes").mkdir(exist_ok=True)
        left = settings.home / "notes" / f"left.{kind}"
        left.write_text(text)
        assert [problem.split(" holds ")[0] for problem in keeping.left_behind(settings)] == [f"notes/left.{kind}"]
        left.unlink()
    words = settings.home / "index" / "gen-0002" / "lexical" / "words.json"
    whole = words.read_text()
    words.write_text(whole.replace("{", '{"cellar": 1, ', 1))
    assert keeping.left_behind(settings) == ["the lexicon of gen-0002 holds 1 words of text that was removed"]
    words.write_text(whole)
    (settings.corpus / "b.md").write_text(page(2, "山上的松树下面有一盏很旧的灯"))
    build.run_ingest(settings)
    assert keeping.left_behind(settings) == [], "what is said again is not left over"


def test_a_phrase_is_found_in_any_file(tmp_path: Path) -> None:
    file = tmp_path / "some.bin"
    file.write_bytes(b"\x00\xff\x01" * 999 + b"Die Lampe: the lamp shines for 40 hours" + bytes(range(256)))
    assert phrases("THE LAMP shines for") <= held_in(file)
    assert not phrases("the lamp shines at night") & held_in(file)
    (tmp_path / "empty").touch()
    assert held_in(tmp_path / "empty") == set()
