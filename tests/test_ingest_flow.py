from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from indexing import in_this_process, lexical_index
from scale import scaled

from rag.errors import CorpusEmpty, HomeBusy, IndexMismatch, ModelFailed
from rag.fakes import HashEmbedder
from rag.index.catalog import Catalog
from rag.index.generation import Generations
from rag.index.terms import analyze
from rag.ingest import flow
from rag.ingest.flow import Chunking, ingest
from rag.ingest.read import read
from rag.ingest.report import IngestReport
from rag.language import statements
from rag.ports import Embedder, Terms, Vectors
from rag.types import Document, Query

PAGES = {
    "returns.md": "# Returns\n\nYou can return a lamp within 30 days.\n\n## Costs\n\nReturning costs nothing within the EU.\n",
    "shipping.md": "# Shipping\n\nParcels leave the house within two days.\n",
    "lamps/trail.md": "# Trail lamp\n\nThe trail lamp shines for 40 hours.\n\n## Water\n\nIt survives rain.\n",
}


class Shop:
    """A corpus and a home to ingest it into."""

    def __init__(self, folder: Path, embedder: Embedder | None = None) -> None:
        self.corpus, self.home = folder / "corpus", folder / "home"
        self.embedder = embedder or HashEmbedder(32)
        self.generations = Generations(self.home)
        self.stages: list[tuple[str, int, int]] = []
        for name, text in PAGES.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        path = self.corpus / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def ingest(self, tokens: int = 160) -> IngestReport:
        with Catalog(self.home / "catalog.sqlite") as catalog:
            chunking = Chunking(tokens, 0)
            report = ingest(
                self.corpus, self.generations, catalog, self.embedder, chunking, lambda *seen: self.stages.append(seen)
            )
        return report

    def texts(self) -> str:
        chunks = self.generations.open(self.embedder.fingerprint).store.chunks()
        return "\n".join(chunk.text for chunk in chunks)

    def embedded_texts(self) -> set[str]:
        """Of all chunks: what is searched, and its sentences; there are no questions among PAGES."""
        chunks = list(self.generations.open(self.embedder.fingerprint).store.chunks())
        return {text for chunk in chunks for text in (chunk.search_text, *statements(chunk.text))}

    def vectors_held(self) -> int:
        with Catalog(self.home / "catalog.sqlite") as catalog:
            return catalog.count()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    in_this_process(monkeypatch)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ready")
    Shop(folder).ingest()
    return folder


@pytest.fixture
def ingested(ready: Path, tmp_path: Path) -> Shop:
    """A shop whose corpus is live as generation 1."""
    shutil.copytree(ready, tmp_path, dirs_exist_ok=True)
    return Shop(tmp_path)


def test_a_corpus_goes_live(shop: Shop) -> None:
    shop.write("photo.xyz", "?")
    report = shop.ingest()
    assert (report.generation, report.documents, report.removed, report.unchanged) == (1, 3, 0, 0)
    assert report.changed
    assert report.added >= 3
    assert report.embedded == shop.vectors_held() == len(shop.embedded_texts())
    assert [rejection.file for rejection in report.rejected] == ["photo.xyz"]
    assert "40 hours" in shop.texts()
    live = shop.generations.live()
    assert live is not None
    assert live.documents.keys() == PAGES.keys()
    assert sum(live.documents.values()) == live.count == report.added
    assert {stage for stage, _, _ in shop.stages} == {"read", "embed", "write", "check"}
    assert all(0 <= done <= total for _, done, total in shop.stages)


def test_twice_changes_nothing(ingested: Shop) -> None:
    before = {path: path.stat().st_mtime_ns for path in (ingested.home / "index").rglob("*")}
    report = ingested.ingest()
    assert not report.changed
    assert (report.generation, report.added, report.removed, report.embedded) == (1, 0, 0, 0)
    assert report.unchanged == ingested.generations.live().count  # type: ignore[union-attr]
    assert report.documents == 3
    assert isinstance(ingested.embedder, HashEmbedder)
    assert ingested.embedder.embedded == []
    assert {path: path.stat().st_mtime_ns for path in (ingested.home / "index").rglob("*")} == before


def test_unchanged_input_loads_nothing_heavy(ingested: Shop) -> None:
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_ingest_flow import Shop
report = Shop(Path({str(ingested.corpus.parent)!r})).ingest()
assert not report.changed
print(*sys.modules)
"""
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"chromadb", "torch", "transformers", "jieba", "langchain_text_splitters"} & set(loaded)


def test_an_edit_embeds_only_what_is_new(ingested: Shop) -> None:
    count = ingested.generations.live().count  # type: ignore[union-attr]
    ingested.write("shipping.md", "# Shipping\n\nParcels leave the house within three days.\n")
    report = ingested.ingest()
    assert (report.generation, report.added, report.removed, report.unchanged, report.embedded) == (2, 1, 1, count - 1, 2)
    assert "three days" in ingested.texts()
    assert "two days" not in ingested.texts()


FAQ = """question,answer,similar_questions,negative_questions
How long is the warranty?,Two years.,is there a guarantee,how long is the return period
Do you ship abroad?,"Yes, within the EU.",,
"""


def test_questions_are_embedded_once_and_kept_as_long_as_a_generation_asks_them(ingested: Shop) -> None:
    held = ingested.vectors_held()
    ingested.write("faq.csv", FAQ)
    report = ingested.ingest()
    assert report.added == 2
    assert report.embedded == 2 + 4 + 2, "two texts, three questions and a negative one, two sentences that are no question"
    generation = ingested.generations.open("hash-32")
    asked = ingested.embedder.embed(["is there a guarantee"])[0]
    (chunk, score, question), *_ = generation.questions.find(asked, 3)
    assert (chunk.answer, question) == ("Two years.", "is there a guarantee")
    assert score == pytest.approx(1, abs=1e-6)
    ingested.write("faq.csv", FAQ.replace("Two years", "Three years"))
    assert ingested.ingest().embedded == 2, "of a new answer the text and its sentence, of its questions none"
    assert ingested.vectors_held() == held + 8 + 2, "the generation kept for a rollback still needs the old text"
    ingested.write("faq.csv", FAQ.replace("Two years", "Three years").replace("a guarantee", "any guarantee"))
    assert ingested.ingest().embedded == 2, "the text holds its similar questions, and one of them is new"
    (ingested.corpus / "faq.csv").unlink()
    ingested.ingest()
    ingested.write("more.md", "# More\n\nMore of it.\n")
    ingested.ingest()
    assert ingested.vectors_held() == held + 1, "and then they are forgotten"


def test_words_are_cut_once_a_text(ingested: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    cut: list[str] = []

    def counting(text: str) -> Terms:
        cut.append(text)
        return analyze(text)

    monkeypatch.setattr("rag.index.catalog.analyze", counting)
    ingested.write("new.md", "# New\n\nA new lamp.\n")
    ingested.ingest()
    assert cut == ["New\nA new lamp."]
    generation = ingested.generations.open("hash-32")
    for text in ("new lamp", "rain", "30 days", "parcels"):
        query = Query(text, text, "en")
        assert generation.lexical.find(query, 9) == lexical_index(list(generation.store.chunks())).find(query, 9)
    assert generation.lexical.words["lamp"] == lexical_index(list(generation.store.chunks())).words["lamp"]


def test_a_home_of_an_older_shoptalk_is_rebuilt_without_embedding(ingested: Shop) -> None:
    folder = ingested.home / "index" / "gen-0001"
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest |= {"schema": 1, "files": {name: file for name, file in manifest["files"].items() if "questions" not in name}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    shutil.rmtree(folder / "questions")
    with sqlite3.connect(ingested.home / "catalog.sqlite") as database:
        for table in ("analyses", "members", "texts", "chunks", "documents"):
            database.execute(f"DROP TABLE {table}")
    (ingested.home / "index" / "gen-0007").mkdir()  # what an ingest that died left
    held = ingested.vectors_held()
    assert ingested.generations.live() is None
    report = ingested.ingest()
    assert (report.changed, report.embedded) == (True, 0)
    assert report.removed == 0
    assert ingested.vectors_held() == held
    assert "40 hours" in ingested.texts()
    assert not ingested.ingest().changed


def test_deleted_is_gone_and_a_second_ingest_forgets_its_vectors(ingested: Shop) -> None:
    for number in range(100):  # with less, Chroma fills its file up with whatever the process had in memory
        ingested.write(f"spare/{number}.md", f"# Spare part {number}\n\nIt fits lamp {number}.\n")
    ingested.ingest()
    held = ingested.vectors_held()
    (ingested.corpus / "shipping.md").unlink()
    report = ingested.ingest()
    assert (report.documents, report.added, report.removed, report.embedded) == (102, 0, 1, 0)
    generation = ingested.generations.open(ingested.embedder.fingerprint)
    assert "Parcels" not in ingested.texts()
    assert all("shipping" not in p.chunk.id for p in generation.lexical.find(Query("parcels", "parcels", "en"), 10))
    assert ingested.vectors_held() == held, "the generation kept for a rollback still needs them"
    (ingested.corpus / "returns.md").unlink()
    ingested.ingest()
    assert ingested.vectors_held() == held - 2, "its text and its only sentence"
    assert not [path for path in ingested.home.rglob("*") if path.is_file() and b"Parcels leave" in path.read_bytes()]


def test_a_renamed_file_is_embedded_again_only_where_its_name_counts(ingested: Shop) -> None:
    (ingested.corpus / "shipping.md").rename(ingested.corpus / "delivery.md")
    report = ingested.ingest()
    assert (report.added, report.removed, report.embedded) == (1, 1, 0)
    assert {chunk.document for chunk in ingested.generations.open("hash-32").store.chunks()} == {
        "delivery.md",
        "returns.md",
        "lamps/trail.md",
    }


def test_a_new_rejection_is_a_change(ingested: Shop) -> None:
    ingested.write("photo.xyz", "?")
    assert ingested.ingest().changed
    report = ingested.ingest()
    assert not report.changed
    assert [rejection.file for rejection in report.rejected] == ["photo.xyz"], "told each time, until it is dealt with"


def test_an_unreadable_file_is_told_and_the_rest_is_live(ingested: Shop) -> None:
    (ingested.corpus / "shipping.md").write_bytes(b"")
    report = ingested.ingest()
    assert [rejection.file for rejection in report.rejected] == ["shipping.md"]
    assert report.documents == 2
    assert "40 hours" in ingested.texts()
    assert not ingested.ingest().changed


def test_what_cannot_be_read_is_not_tried_again_until_it_changes(ingested: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def counting(path: Path, id: str) -> Document:
        tried.append(id)
        return read(path, id)

    monkeypatch.setattr(flow, "reading_apart", lambda: nullcontext(counting))
    ingested.write("broken.jsonl", "{")
    for text in ("A new lamp.", "A newer lamp."):
        ingested.write("new.md", f"# New\n\n{text}\n")
        report = ingested.ingest()
        assert [rejection.file for rejection in report.rejected] == ["broken.jsonl"]
    assert tried == ["broken.jsonl", "new.md", "new.md"]
    ingested.write("broken.jsonl", '{"question": "Is it new?", "answer": "Yes, all of it."}')
    assert ingested.ingest().rejected == ()


def test_when_nothing_can_be_read_the_old_generation_stays(ingested: Shop) -> None:
    shutil.rmtree(ingested.corpus)
    ingested.corpus.mkdir()
    with pytest.raises(CorpusEmpty):
        ingested.ingest()
    (ingested.corpus / "empty.md").write_bytes(b"")
    with pytest.raises(CorpusEmpty, match="empty.md"):
        ingested.ingest()
    assert "40 hours" in ingested.texts()


def test_another_embedder_needs_an_ingest(ingested: Shop) -> None:
    ingested.embedder = HashEmbedder(48)
    with pytest.raises(IndexMismatch, match="the embedder hash-48; found one made with hash-32"):
        ingested.texts()
    report = ingested.ingest()
    assert report.embedded == len(ingested.embedded_texts())
    assert "40 hours" in ingested.texts()
    assert (report.added, report.removed) == (0, 0), "the chunks are the same, their vectors are not"


def test_other_chunk_settings_are_a_change(ingested: Shop) -> None:
    assert ingested.ingest(tokens=100).changed


def test_a_damaged_index_is_rebuilt_without_embedding(ingested: Shop) -> None:
    (path,) = (ingested.home / "index" / "gen-0001" / "chroma").glob("*/data_level0.bin")
    path.write_bytes(b"")
    report = ingested.ingest()
    assert (report.changed, report.embedded) == (True, 0)
    assert ingested.generations.verify() == []


def test_a_lost_cache_costs_time_only(ingested: Shop) -> None:
    for path in ingested.home.glob("catalog.sqlite*"):
        path.unlink()
    assert not ingested.ingest().changed
    ingested.write("new.md", "# New\n\nA new lamp.\n")
    report = ingested.ingest()
    assert report.embedded == len(ingested.embedded_texts())


def test_the_second_ingest_is_told_at_once(ingested: Shop) -> None:
    with ingested.generations.lock("ingest"), pytest.raises(HomeBusy, match=rf"process {os.getpid()} \(ingest\)"):
        ingested.ingest()


class Broken(HashEmbedder):
    def __init__(self, change: float) -> None:
        super().__init__(32)
        self._change = change

    def embed(self, texts: Sequence[str]) -> Vectors:
        return super().embed(texts) * np.float32(self._change)


@pytest.mark.parametrize("change", [2.0, 0.0, float("nan")])
def test_vectors_that_are_not_unit_length_are_refused(tmp_path: Path, change: float) -> None:
    shop = Shop(tmp_path, Broken(change))
    with pytest.raises(ModelFailed, match="expected vectors of unit length; found lengths"):
        shop.ingest()
    assert shop.vectors_held() == 0
    assert shop.generations.live() is None


@pytest.mark.parametrize("share", [0.01, 0.1])
def test_disk_use_follows_the_corpus(shop: Shop, share: float) -> None:
    """Apparent and allocated bytes, however often a share of the documents is written anew."""
    pages = 100
    sizes: list[tuple[int, int]] = []
    for turn in range(scaled(4, 50)):
        for number in range(pages):
            if turn == 0 or number < share * pages:
                shop.write(f"lamps/{number}.md", f"# Lamp {number}\n\nIt shines for {number} hours in edition {turn}.\n")
        shop.ingest()
        held = [path.stat() for path in shop.home.rglob("*") if path.is_file()]
        sizes.append((sum(state.st_size for state in held), sum(state.st_blocks * 512 for state in held)))
    for kind in (0, 1):
        assert sizes[-1][kind] <= 1.2 * sizes[1][kind]
    assert sizes[-1][0] <= 2 * sizes[-1][1]
    assert len(list((shop.home / "index").glob("gen-*"))) == 2


def test_after_a_rollback_no_number_is_given_again(ingested: Shop) -> None:
    ingested.write("shipping.md", "# Shipping\n\nParcels leave the house within three days.\n")
    ingested.ingest()
    server = Generations(ingested.home)  # looks before and after, not in between
    before = server.live()
    assert ingested.generations.rollback() == 1
    ingested.write("shipping.md", "# Shipping\n\nParcels leave the house within four days.\n")
    assert ingested.ingest().generation == 3
    assert server.live() != before
    assert server.live() == Generations(ingested.home).live()
