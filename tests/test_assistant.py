"""What is served follows the pointer without a pause, and goes on where a newer generation cannot be opened."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from indexing import in_this_process

from rag import assistant as module
from rag import build, keeping
from rag.assistant import Assistant
from rag.errors import HomeError
from rag.fakes import HashEmbedder
from rag.ports import Embedder
from rag.settings import ModelSettings, Settings


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    def embedder(settings: Settings) -> Embedder:
        return HashEmbedder(48 if settings.models.embedder == "other" else 32)

    in_this_process(monkeypatch)
    monkeypatch.setattr(build, "build_embedder", embedder)
    monkeypatch.setattr(module, "build_embedder", embedder)
    monkeypatch.setattr(module, "GLANCE", 0.02)
    monkeypatch.setattr(module, "AGAIN", 0.1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(home=tmp_path / "home", corpus=tmp_path / "corpus", fakes=True)
    settings.corpus.mkdir()
    write(settings, "two")
    return settings


def write(settings: Settings, days: str) -> None:
    (settings.corpus / "shipping.md").write_text(f"# Shipping\n\nParcels leave the house within {days} days.\n")
    build.run_ingest(settings)


def wait_for(assistant: Assistant, number: int, seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if assistant.generation.number == number:
            return True
        time.sleep(0.01)
    return False


def found(assistant: Assistant) -> str:
    return assistant.find("when do parcels leave")[1][0].chunk.text


def test_a_new_generation_comes_in_by_itself_and_no_question_waits(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assistant = Assistant(settings)
    assistant.follow(lambda: settings)
    real, opening, go_on = build.build_search, threading.Event(), threading.Event()

    def slow(*given: object) -> object:
        opening.set()
        assert go_on.wait(10)
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "build_search", slow)
    write(settings, "three")
    assert opening.wait(5)
    started = time.monotonic()
    assert "two days" in found(assistant), "the old one serves while the new one is opened"
    assert time.monotonic() - started < 1
    go_on.set()
    assert wait_for(assistant, 2)
    assert "three days" in found(assistant)
    assistant.close()


def test_other_models_are_taken_up_from_the_settings_as_they_are_then(settings: Settings) -> None:
    current = [settings]
    assistant = Assistant(settings)
    assistant.follow(lambda: current[0])
    other = settings.model_copy(update={"models": ModelSettings(embedder="other")})
    build.run_ingest(other)
    assert not wait_for(assistant, 2, 0.5)
    assert "two days" in found(assistant)
    assert "expected an index made with the embedder hash-32; found one made with hash-48" in assistant.describe()["waiting"]
    current[0] = other
    assert wait_for(assistant, 2)
    assert "two days" in found(assistant)
    assert assistant.describe()["embedder"] == "hash-48" and "waiting" not in assistant.describe()
    assistant.close()


def test_a_damaged_newer_generation_is_told_and_the_old_one_goes_on(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assistant = Assistant(settings)
    write(settings, "three")
    (file,) = (settings.home / "index" / "gen-0002" / "chroma").glob("*/data_level0.bin")
    file.write_bytes(b"")
    assistant.follow(lambda: settings)
    assert not wait_for(assistant, 2, 0.5)
    assert "data_level0.bin" in assistant.describe()["waiting"]
    assert "two days" in found(assistant)
    assistant.close()


def test_without_following_the_next_question_finds_the_newest(settings: Settings) -> None:
    assistant = Assistant(settings)
    write(settings, "three")
    assert "three days" in found(assistant)
    assistant.close()


SERVE = """
import sys
from rag import __main__ as command, settings
from rag.assistant import Assistant
chosen = settings.Settings(home=sys.argv[1], corpus=sys.argv[2], fakes=True)
assistant = command.prepared(chosen)
print(assistant.generation.number, assistant.find("when do parcels leave")[1][0].chunk.text)
"""


@pytest.mark.slow
@pytest.mark.parametrize("corpus, serves", [("corpus", "3"), ("gone", "1")])
def test_a_damaged_index_is_rebuilt_at_the_start_or_the_one_before_serves(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, corpus: str, serves: str
) -> None:
    monkeypatch.undo()  # the process below has the fakes as they are
    monkeypatch.setenv("SHOPTALK_FAKES", "true")
    shutil.rmtree(settings.home)
    build.run_ingest(settings)
    write(settings, "two and a half, at most two days")
    (file,) = (settings.home / "index" / "gen-0002" / "chroma").glob("*/data_level0.bin")
    file.write_bytes(b"")
    command = [sys.executable, "-c", SERVE, str(settings.home), str(settings.corpus.parent / corpus)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].startswith(f"{serves} ") and "two days" in done.stdout, done.stderr
    assert "data_level0.bin is not the file that was sealed" in done.stderr


def test_the_home_is_named_where_nothing_can_be_served(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="expected a live index"):
        Assistant(Settings(home=tmp_path / "home", fakes=True))
    assert keeping.build_generations(Settings(home=tmp_path / "home")).live() is None
