"""Folders that no shop means to have: nothing in them, next to nothing, pictures, far too much at once."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest
from indexing import in_this_process
from test_ingest_flow import Shop

from rag.errors import CorpusEmpty
from rag.types import Query

MANY, FILES = 20_000, 10_000
SECONDS = 5.0  # for a thousand unchanged files


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    in_this_process(monkeypatch)


@pytest.fixture
def bare(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    for path in sorted(shop.corpus.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    return shop


def written(shop: Shop) -> dict[Path, int]:
    files = (path for path in shop.home.rglob("*") if path.is_file() and path.name != "lock")
    return {path: path.stat().st_mtime_ns for path in files}


def same_again(shop: Shop) -> float:
    """Ingest once more: nothing may be embedded or written. Returns how long it took, in seconds."""
    before, embedded = written(shop), len(shop.embedder.embedded)  # type: ignore[attr-defined]
    started = time.monotonic()
    report = shop.ingest()
    seconds = time.monotonic() - started
    assert (report.changed, report.embedded, report.added, report.removed) == (False, 0, 0, 0)
    assert len(shop.embedder.embedded) == embedded  # type: ignore[attr-defined]
    assert written(shop) == before
    return seconds


def found(shop: Shop, text: str, k: int = 10) -> list[str]:
    """Texts found by their vector."""
    store = shop.generations.open("hash-32").store
    return [chunk.text for chunk, _ in store.search(shop.embedder.embed([text])[0], k)]


def test_no_file(bare: Shop) -> None:
    with pytest.raises(CorpusEmpty, match="found an empty folder; put the shop's documents there"):
        bare.ingest()
    assert bare.generations.live() is None


def test_white_space_only(bare: Shop) -> None:
    for name, text in {
        "a.md": " ",
        "b.txt": "\n\n\t\n",
        "c.html": "<p>&nbsp;</p>",
        "d.csv": "\n",
        "e.md": "\u3000\u200b\ufeff",
    }.items():
        bare.write(name, text)
    with pytest.raises(CorpusEmpty, match="found 5 files that were left out"):
        bare.ingest()
    bare.write("f.md", "A lamp.")
    report = bare.ingest()
    assert (report.documents, len(report.rejected)) == (1, 5)
    same_again(bare)


@pytest.mark.parametrize("character", ["a", "灯", "5", "?", "👍", "#", "|"])
def test_one_character(bare: Shop, character: str) -> None:
    bare.write("a.txt", character)
    report = bare.ingest()
    assert (report.documents, report.added, report.rejected) == (1, 1, ())
    assert found(bare, character) == [character]
    same_again(bare)


def test_pictures_only(bare: Shop) -> None:
    for name in ("a.png", "b.jpg", "c.gif", "d.webp"):
        bare.write(name, "not even a picture")
    with pytest.raises(CorpusEmpty, match="found 4 files that"):
        bare.ingest()


def test_one_chunk_and_ten_wanted(bare: Shop) -> None:
    bare.write("a.md", "# Lamp\n\nThe lamp shines for 40 hours.\n")
    bare.ingest()
    assert found(bare, "lamp", 10) == ["The lamp shines for 40 hours."]
    generation = bare.generations.open("hash-32")
    assert len(generation.lexical.find(Query("lamp", "lamp", "en"), 10)) == 1


def test_duplicates_are_embedded_once(bare: Shop) -> None:
    for number in range(50):
        bare.write(f"{number}.md", "# Lamp\n\nThe lamp shines for 40 hours.\n")
    report = bare.ingest()
    assert (report.documents, report.added, report.embedded) == (50, 50, 2)
    assert bare.vectors_held() == 2, "of the text that is searched and of its sentence"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_thousand_chunks_at_once(bare: Shop) -> None:
    rows = (f'{{"_id": "{i}", "title": "Lamp {i}", "text": "Lamp {i} shines {i * 7 % 1000} hours."}}' for i in range(MANY))
    bare.write("lamps.jsonl", "\n".join(rows))
    report = bare.ingest()
    assert (report.documents, report.added, report.rejected) == (1, MANY, ())
    texts = Counter(chunk.text for chunk in bare.generations.open("hash-32").store.chunks())
    assert len(texts) == MANY and set(texts.values()) == {1}
    assert found(bare, "Lamp 19999\nLamp 19999 shines 993 hours.", 1) == ["Lamp 19999 shines 993 hours."]
    same_again(bare)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_thousand_tiny_files(bare: Shop) -> None:
    for number in range(FILES):
        bare.write(f"{number // 100}/{number}.txt", f"Lamp {number}.")
    report = bare.ingest()
    assert (report.documents, report.added, report.rejected) == (FILES, FILES, ())
    assert same_again(bare) <= SECONDS * FILES / 1000
