"""A copy made while questions and votes come in is a home that answers the same."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from scale import scaled
from typer.testing import CliRunner

from rag import build, keeping
from rag.__main__ import app
from rag.assistant import Assistant
from rag.errors import DataError
from rag.settings import Settings

BACKUPS, QUESTIONS = scaled(2, 10), 200


def top(settings: Settings) -> list[list[str]]:
    assistant = Assistant(settings)
    found = [assistant.find(f"lamp number {n} hours", k=5)[1] for n in range(QUESTIONS)]
    assistant.close()
    return [[passage.chunk.id for passage in passages] for passages in found]


@pytest.mark.slow
def test_a_backup_under_load_is_the_same_bot(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", corpus=tmp_path / "corpus", fakes=True)
    for n in range(QUESTIONS):
        page = settings.corpus / f"{n % 10}" / f"lamp-{n}.md"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(f"# Lamp {n}\n\nLamp number {n} shines for {n * 3} hours.\n")
    build.run_ingest(settings)
    (settings.corpus / "0" / "lamp-0.md").write_text("# Lamp 0\n\nIt is sold out.\n")
    build.run_ingest(settings)
    (settings.home / "tuned").mkdir()
    (settings.home / "tuned" / "weights.toml").write_text("a = 1\n")
    expected, done = top(settings), threading.Event()
    assistant = Assistant(settings)
    asked: list[str] = []

    def ask() -> None:
        while not done.is_set():
            *_, last = assistant.answer(f"how long does lamp number {len(asked) % 90} shine?")
            assistant.vote(last.answer.id, 1)  # type: ignore[union-attr]
            asked.append(last.answer.id)  # type: ignore[union-attr]

    asking = threading.Thread(target=ask)
    asking.start()
    for number in range(BACKUPS):
        before = len(asked)
        target = tmp_path / f"backup-{number}"
        assert CliRunner().invoke(app, ["backup", str(target), f"--home={settings.home}"]).exit_code == 0
        restored = settings.model_copy(update={"home": target})
        generations = keeping.build_generations(restored)
        assert generations.live() == keeping.build_generations(settings).live()
        assert generations.verify() == []
        assert top(restored) == expected
        with sqlite3.connect(target / "record.sqlite") as record:
            kept = {id for (id,) in record.execute("SELECT answer_id FROM turns")}
            assert record.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert set(asked[:before]) <= kept, "what was recorded before is in it"
        assert (target / "record.sqlite").stat().st_mode & 0o777 == 0o600
        assert (target / "tuned" / "weights.toml").read_text() == "a = 1\n"
        assert build.run_ingest(restored).changed is False
        (restored.corpus / "new.md").write_text(f"# New {number}\n\nNew.\n")
        assert build.run_ingest(restored).embedded <= 2, "the catalogue came along"
        (restored.corpus / "new.md").unlink()
    done.set()
    asking.join()
    assistant.close()
    with pytest.raises(DataError, match="expected a new folder"):
        keeping.backup(settings, tmp_path / "backup-0")
