from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import indexing
import numpy as np
import pytest

from rag.errors import HomeBusy, HomeError, IndexDamaged, IndexMismatch, NoIndex
from rag.fakes import HashEmbedder, MemoryStore
from rag.index import draft, generation
from rag.index.generation import Generations
from rag.index.lock import reading
from rag.types import Chunk, Facets, Kind, Manifest, Query, Recipe

EMBEDDER = HashEmbedder(32)
RECIPE = Recipe(EMBEDDER.fingerprint, 32, 160, 0, 1, "", "1.5.9")


def make(number: int, text: str = "") -> Chunk:
    text = text or f"lamp {number} burns for {number * 7} hours 灯"
    facets = Facets(language="en")
    return Chunk(
        f"d{number % 7}.md#{number:012x}",
        f"d{number % 7}.md",
        "",
        number,
        Kind.PAGE,
        f"Lamp {number}",
        ("Lamps",),
        text,
        facets=facets,
    )


def publish(generations: Generations, chunks: list[Chunk], recipe: Recipe = RECIPE) -> Manifest:
    return indexing.publish(generations, chunks, recipe)


def query(text: str) -> Query:
    return Query(text, text, "en")


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two generations; copy it before changing it."""
    home = tmp_path_factory.mktemp("sealed")
    generations = Generations(home)
    publish(generations, [make(n) for n in range(30)])
    publish(generations, [make(n) for n in range(5, 45)])
    return home


@pytest.fixture
def home(sealed: Path, tmp_path: Path) -> Path:
    subprocess.run(["cp", "-a", sealed, tmp_path / "home"], check=True)
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writer and canary without their processes, but for the tests that are about it."""
    if request.node.get_closest_marker("parametrize") is None and "canary" not in request.node.name:
        monkeypatch.setattr(generation, "canary", indexing.canary_here)
        monkeypatch.setattr(draft, "write_apart", indexing.write_here)


def test_nothing_is_live_at_first(tmp_path: Path) -> None:
    generations = Generations(tmp_path / "none")
    assert generations.live() is None
    for attempt in (lambda: generations.open("hash-32"), generations.verify):
        with pytest.raises(NoIndex, match="expected a live index in .*; found none; run `python -m rag ingest`"):
            attempt()
    assert not (tmp_path / "none").exists(), "looking makes nothing"


def test_what_was_added_is_found_in_order_and_equal(home: Path) -> None:
    generation = Generations(home).open("hash-32")
    expected = sorted((make(n) for n in range(5, 45)), key=lambda chunk: chunk.id)
    assert generation.number == 2
    assert list(generation.store.chunks()) == expected
    assert generation.store.count() == generation.manifest.count == 40
    vectors = EMBEDDER.embed([chunk.search_text for chunk in expected])
    for chunk, vector in zip(expected, vectors, strict=True):
        (best, score), *_ = generation.store.search(vector, 3)
        assert best == chunk
        assert score == pytest.approx(1, abs=1e-6)


def test_search_is_exact_and_ties_go_by_id(tmp_path: Path) -> None:
    chunks = [make(n, text="the very same words") for n in range(20)]
    chunks = [replace(chunk, title="Same") for chunk in chunks] + [make(99)]
    publish(Generations(tmp_path), chunks)
    store = Generations(tmp_path).open("hash-32").store
    wanted = EMBEDDER.embed([chunks[0].search_text])[0]
    assert [chunk.id for chunk, _ in store.search(wanted, 4)] == sorted(chunk.id for chunk in chunks[:20])[:4]
    everything = store.search(wanted, 1000)
    assert len(everything) == 21
    assert [score for _, score in everything] == sorted((score for _, score in everything), reverse=True)


def test_one_chunk_is_an_index(tmp_path: Path) -> None:
    publish(Generations(tmp_path), [make(1)])
    generation = Generations(tmp_path).open("hash-32")
    assert generation.store.search(EMBEDDER.embed(["lamp"])[0], 10)[0][0] == make(1)
    assert Generations(tmp_path).verify() == []


def test_the_graph_is_on_disk_before_the_seal(home: Path) -> None:
    files = Generations(home).live().files  # type: ignore[union-attr]
    assert {Path(name).name for name in files} >= {"data_level0.bin", "link_lists.bin", "index_metadata.pickle", "header.bin"}


def test_live_follows_the_pointer_and_is_cheap(home: Path) -> None:
    generations = Generations(home)
    live = generations.live()
    assert live is not None
    assert (live.number, live.count, live.rejected) == (2, 40, (("e.md", "empty"),))
    started = time.thread_time()
    for _ in range(200):
        generations.live()
    assert time.thread_time() - started < 0.2
    Generations(home).rollback()
    assert generations.live().number == 1  # type: ignore[union-attr]


def test_a_whole_index_verifies_in_the_canary(home: Path) -> None:
    assert Generations(home).verify() == []
    assert Generations(home).is_sound()


@pytest.mark.parametrize(
    "recipe, open_as, message",
    [
        (RECIPE, "other-model", "the embedder other-model; found one made with hash-32; run `python -m rag ingest`"),
        (replace(RECIPE, place="http://x:1"), "hash-32", "Chroma at the home's own files; found one made with http://x:1"),
        (
            replace(RECIPE, chroma="99.0.0"),
            "hash-32",
            "chromadb .* or older; found one made with 99.0.0; install chromadb 99.0.0",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_it_is_touched(home: Path, recipe: Recipe, open_as: str, message: str) -> None:
    path = home / "index" / "gen-0002" / "manifest.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps(found | {"recipe": {name: getattr(recipe, name) for name in found["recipe"]}}))
    before = {file: file.read_bytes() for file in home.rglob("*") if file.is_file()}
    with pytest.raises(IndexMismatch, match=message):
        Generations(home).open(open_as)
    assert {file: file.read_bytes() for file in home.rglob("*") if file.is_file()} == before


def _without(*names: str) -> Callable[[dict[str, Any]], None]:
    def change(manifest: dict[str, Any]) -> None:
        held = manifest
        for name in names[:-1]:
            held = held[name]
        del held[names[-1]]

    return change


@pytest.mark.parametrize(
    "change, open_as, message",
    [
        (lambda manifest: None, "hash-48", "the embedder hash-48; found one made with hash-32"),
        (lambda manifest: manifest.update(schema=5), "hash-32", "schema 4 in .*; found schema 5"),
        (lambda manifest: manifest.update(schema=3), "hash-32", "schema 4 in .*; found schema 3"),
        (_without("recipe", "embedder"), "hash-32", "expected a manifest in .* with .*recipe"),
        (_without("schema"), "hash-32", "expected a manifest in .* with .*schema"),
    ],
)
def test_what_another_version_wrote_is_refused(
    home: Path, change: Callable[[dict[str, Any]], None], open_as: str, message: str
) -> None:
    path = home / "index" / "gen-0002" / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    before = {file: file.read_bytes() for file in home.rglob("*") if file.is_file()}
    with pytest.raises((IndexMismatch, IndexDamaged), match=message) as raised:
        Generations(home).open(open_as)
    assert "python -m rag ingest" in str(raised.value)
    assert {file: file.read_bytes() for file in home.rglob("*") if file.is_file() if file.name != "damaged.txt"} == before


def _sqlite(statement: str) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        with sqlite3.connect(folder / "chroma" / "chroma.sqlite3") as database:
            assert database.execute(statement).rowcount > 0

    return run


def _overwrite(pattern: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        (path,) = folder.glob(pattern)
        path.write_bytes(change(path.read_bytes()))

    return run


def _flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


BINARY = ("chroma/*/data_level0.bin", "chroma/*/link_lists.bin", "chroma/*/length.bin", "chroma/*/index_metadata.pickle")
OURS = (
    "lexical/weights.npy",
    "lexical/words.json",
    "questions/vectors.npy",
    "questions/links.npz",
    "sentences/vectors.npy",
    "sentences/starts.npy",
    "ledger.json",
    "where.json",
    "manifest.json",
)
CHANGES = {"empty": lambda data: b"", "half": lambda data: data[: len(data) // 2], "flip": _flip}
DAMAGE: dict[str, Callable[[Path], None]] = (
    {
        f"{pattern}-{name}": _overwrite(pattern, change)
        for pattern in (*BINARY, *OURS)
        for name, change in CHANGES.items()
        if (pattern, name) != ("manifest.json", "flip")  # a flipped bit in a date or a path harms nothing; see below
    }
    | {
        "runaway-file": lambda folder: os.truncate(next(folder.glob("chroma/*/link_lists.bin")), 10**11),
        "sqlite-empty": _overwrite("chroma/chroma.sqlite3", CHANGES["empty"]),
        "sqlite-half": _overwrite("chroma/chroma.sqlite3", CHANGES["half"]),
        "sqlite-noise": _overwrite("chroma/chroma.sqlite3", lambda data: data[:100] + bytes(len(data) - 100)),
        "sqlite-gone": lambda folder: (folder / "chroma" / "chroma.sqlite3").unlink(),
        "row-dropped": _sqlite("DELETE FROM embeddings WHERE id = 3"),
        "row-altered": _sqlite("UPDATE embedding_metadata SET string_value = string_value || ' ' WHERE key = 'text' AND id = 3"),
        "collection-gone": _sqlite("DELETE FROM collections"),
        "digest-altered": _overwrite("manifest.json", lambda data: data.replace(b'"digest": "', b'"digest": "0')),
        "manifest-gone": lambda folder: (folder / "manifest.json").unlink(),
    }
)


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_refused_named_and_remembered(home: Path, damage: Callable[[Path], None]) -> None:
    damage(home / "index" / "gen-0002")
    with pytest.raises(IndexDamaged, match=r"gen-0002.*run `python -m rag ingest`"):
        Generations(home).open("hash-32")
    assert not Generations(home).is_sound(), "so the next ingest rebuilds it"


@pytest.mark.parametrize("name", ["row-dropped", "row-altered", "sqlite-empty", "chroma/*/data_level0.bin-flip", "manifest-gone"])
def test_verify_finds_damage_too(home: Path, name: str) -> None:
    DAMAGE[name](home / "index" / "gen-0002")
    assert Generations(home).verify() != []
    assert not Generations(home).is_sound()


def test_verify_names_the_chunk(home: Path) -> None:
    DAMAGE["row-altered"](home / "index" / "gen-0002")
    (problem,) = Generations(home).verify()
    assert problem.endswith("is altered: content, searched") or "is altered" in problem


def test_a_damaged_pointer_is_told_and_nothing_whole_is_removed(home: Path) -> None:
    (home / "index" / "CURRENT").write_bytes(b"\x00\x00")
    generations = Generations(home)
    assert generations.live() is None
    with pytest.raises(IndexDamaged):
        generations.open("hash-32")
    generations.prune()
    assert [path.name for path in sorted((home / "index").glob("gen-*"))] == ["gen-0001", "gen-0002"]
    publish(generations, [make(n) for n in range(3)])
    assert generations.open("hash-32").number == 3


def test_rollback_and_the_way_forward(home: Path) -> None:
    generations = Generations(home)
    assert generations.rollback() == 1
    assert generations.open("hash-32").store.count() == 30
    with pytest.raises(HomeError, match="expected a generation before the live one in .*; found none"):
        generations.rollback()
    manifest = publish(generations, [make(n) for n in range(9)])
    assert (manifest.number, manifest.previous) == (3, 1)
    assert generations.rollback() == 1, "what was rolled back from is not what one rolls back to"


def test_rollback_refuses_a_damaged_generation(home: Path) -> None:
    DAMAGE["chroma/*/data_level0.bin-flip"](home / "index" / "gen-0001")
    with pytest.raises(IndexDamaged, match="data_level0.bin is not the file that was sealed"):
        Generations(home).rollback()
    assert Generations(home).open("hash-32").number == 2


def test_only_as_many_generations_as_asked_are_kept(home: Path) -> None:
    publish(Generations(home, keep=2), [make(1)])
    assert [path.name for path in sorted((home / "index").glob("gen-*"))] == ["gen-0002", "gen-0003"]
    publish(Generations(home, keep=1), [make(1)])
    assert [path.name for path in sorted((home / "index").glob("gen-*"))] == ["gen-0004"]


def test_what_a_dead_ingest_left_is_removed(home: Path) -> None:
    generations = Generations(home)
    with pytest.raises(KeyboardInterrupt), generations.start(RECIPE) as draft:
        indexing.written(generations, draft, RECIPE, [make(n) for n in range(10)])
        raise KeyboardInterrupt
    (home / "index" / "gen-0009").mkdir()
    assert generations.open("hash-32").number == 2
    generations.prune()
    assert [path.name for path in sorted((home / "index").glob("gen-*"))] == ["gen-0001", "gen-0002"]
    publish(generations, [make(n) for n in range(12)])
    assert generations.open("hash-32").store.count() == 12, "the number and the path were used again"


def test_what_is_being_read_is_not_removed(home: Path) -> None:
    with reading(home / "index" / "gen-0001"):
        publish(Generations(home, keep=1), [make(1)])
        assert (home / "index" / "gen-0001" / "manifest.json").exists()
        assert not (home / "index" / "gen-0002").exists()
    Generations(home, keep=1).prune()
    assert [path.name for path in (home / "index").glob("gen-*")] == ["gen-0003"]


def test_a_large_index_is_searched_by_chroma(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = Generations(home).open("hash-32").store
    monkeypatch.setattr("rag.index.chroma.EXACT_LIMIT", 10)
    graph = Generations(home).open("hash-32").store
    vector = EMBEDDER.embed(["lamp 17 burns for 119 hours"])[0]
    expected = exact.search(vector, 5)
    found = graph.search(vector, 5)
    assert [chunk for chunk, _ in found] == [chunk for chunk, _ in expected]
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=1e-5)
    ids = [chunk.id for chunk, _ in reversed(expected)]
    assert exact.cosines(vector, ids) == pytest.approx([score for _, score in reversed(expected)])
    assert graph.cosines(vector, ids) == pytest.approx(exact.cosines(vector, ids), abs=1e-5)
    assert exact.cosines(vector, []) == graph.cosines(vector, []) == []
    in_order = EMBEDDER.embed([chunk.search_text for chunk in exact.chunks()])
    assert np.array_equal(exact.vectors(), in_order) and np.array_equal(graph.vectors(), in_order)
    graph.close()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("many")
    publish(Generations(home), [make(n) for n in range(400)])
    return home


@pytest.mark.parametrize("few", [0, 50, 1000])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 1.0])
def test_a_mask_lets_only_its_rows_pass_whoever_searches(
    many: Path, share: float, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = Generations(many).open("hash-32").store
    monkeypatch.setattr("rag.index.chroma.EXACT_LIMIT", 10)
    monkeypatch.setattr("rag.index.chroma.FEW", few)
    graph = Generations(many).open("hash-32").store
    memory = MemoryStore()
    chunks = [make(n) for n in range(400)]
    memory.add(chunks, EMBEDDER.embed([chunk.search_text for chunk in chunks]))
    vector = EMBEDDER.embed(["lamp 17 burns for 119 hours"])[0]
    mask = np.random.default_rng(3).random(400) < share
    allowed = [chunk.id for row, chunk in enumerate(exact.chunks()) if mask[row]]
    assert [chunk.id for chunk in memory.chunks()] == [chunk.id for chunk in exact.chunks()]
    wanted = [(chunk.id, score) for chunk, score in exact.search(vector, 400) if chunk.id in allowed][:10]
    assert len(wanted) == min(10, len(allowed))
    for store in (exact, memory, graph):
        found = store.search(vector, 10, mask)
        assert [score for _, score in found] == pytest.approx([score for _, score in wanted], abs=1e-5)
        assert {chunk.id for chunk, _ in found} <= set(allowed)
    assert [chunk.id for chunk, _ in exact.search(vector, 10, mask)] == [id for id, _ in wanted]
    graph.close()


@pytest.mark.parametrize("lost", ["row-dropped", "row-altered"])
def test_a_draft_that_lost_something_is_never_sealed(tmp_path: Path, lost: str) -> None:
    generations = Generations(tmp_path)
    with pytest.raises(IndexDamaged, match=r"chunk d3\.md#000000000003 is"), generations.start(RECIPE) as draft:
        indexing.written(generations, draft, RECIPE, [make(1), make(2), make(3)])
        DAMAGE[lost](tmp_path / "index" / "gen-0001")
        draft.seal({}, {}, [])
    assert not (tmp_path / "index" / "gen-0001" / "manifest.json").exists()


def test_swapped_vectors_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rag.index.chroma import ChromaStore

    add = ChromaStore.add
    monkeypatch.setattr(ChromaStore, "add", lambda self, chunks, vectors, encoded: add(self, chunks, vectors[::-1], encoded))
    with pytest.raises(IndexDamaged, match="is altered: vector"):
        publish(Generations(tmp_path), [make(n) for n in range(4)])


def test_the_same_content_has_the_same_digest(tmp_path: Path) -> None:
    one = publish(Generations(tmp_path / "a"), [make(n) for n in range(20)])
    two = publish(Generations(tmp_path / "b"), [make(n) for n in reversed(range(20))])
    assert one.digest == two.digest
    assert publish(Generations(tmp_path / "b"), [make(n) for n in range(1, 20)]).digest != one.digest


def test_the_lexical_index_answers_from_the_same_generation(home: Path) -> None:
    (passage, *_) = Generations(home).open("hash-32").lexical.find(query("lamp 17"), 3)
    assert passage.chunk == make(17)


def test_a_reader_is_never_kept_out_by_a_writer(home: Path) -> None:
    generations = Generations(home)
    with generations.lock("ingest"):
        assert Generations(home).open("hash-32").number == 2
        with pytest.raises(HomeBusy):
            Generations(home).rollback()


def test_a_canary_that_dies_is_damage(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **rest: real([sys.executable, "-c", crash], **rest))
    (problem,) = Generations(home).verify()
    assert "ended its process with code -11" in problem


def test_vectors_are_exact_in_chroma(home: Path) -> None:
    from rag.index.chroma import ChromaStore

    store = ChromaStore.open(home / "index" / "gen-0002" / "chroma", "", "shoptalk-gen-0002")
    for chunks, vectors, _ in store.rows():
        assert np.array_equal(vectors, EMBEDDER.embed([chunk.search_text for chunk in chunks]))
    store.close()


def test_vectors_that_differ_by_rounding_stand_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = EMBEDDER.embed(["lamp"])[0]

    def nearly(self: HashEmbedder, texts: Sequence[str]) -> np.ndarray:
        turned = np.stack([base + np.float32(n % 7) * np.float32(3e-7) for n, _ in enumerate(texts)])
        return np.asarray(turned / np.linalg.norm(turned, axis=1, keepdims=True), np.float32)

    monkeypatch.setattr(HashEmbedder, "embed", nearly)
    assert publish(Generations(tmp_path), [make(n) for n in range(40)]).count == 40


@pytest.mark.parametrize("count", [1, 10, 11, 23, 40])
def test_no_batch_stays_in_chromas_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """It would be read with every further batch, and at every opening."""
    from rag.index import chroma

    monkeypatch.setattr(chroma, "BATCH", 10)
    left: list[int] = []
    chunks = [make(n) for n in range(count)]
    size = chroma.batch_of(count)
    with closing(chroma.ChromaStore.create(tmp_path, "", "shoptalk-log", count)) as store:
        for start in range(0, count, size):
            batch = chunks[start : start + size]
            store.add(batch, EMBEDDER.embed([chunk.search_text for chunk in batch]))
            with closing(sqlite3.connect(tmp_path / "chroma.sqlite3")) as database:
                left += database.execute("SELECT count(*) FROM embeddings_queue").fetchone()
    assert len(left) == -(-count // 10) and max(left) <= 1


@pytest.mark.parametrize("count, care", [(20_000, 40), (100_000, 100), (200_001, 200)])
def test_a_larger_graph_is_built_with_more_care(tmp_path: Path, count: int, care: int) -> None:
    from rag.index.chroma import ChromaStore

    store = ChromaStore.create(tmp_path, "", "shoptalk-large", count)
    assert store._collection.configuration["hnsw"]["ef_construction"] == care, "or some of its chunks are not found"
    store.close()
