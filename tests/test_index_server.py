"""Generations in a real Chroma server on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import chromadb
import indexing
import pytest
from machines import chroma_server, free_port

from rag.errors import HomeError, IndexDamaged, IndexMismatch
from rag.fakes import HashEmbedder
from rag.index.generation import Generations
from rag.types import Chunk, Kind, Manifest, Recipe

pytestmark = pytest.mark.slow
EMBEDDER = HashEmbedder(32)
RECIPE = Recipe(EMBEDDER.fingerprint, 32, 160, 0, 1, "", "")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with chroma_server(tmp_path_factory.mktemp("server")) as url:
        yield url


def publish(generations: Generations, numbers: range) -> Manifest:
    chunks = [Chunk(f"d.md#{n:012x}", "d.md", "", n, Kind.PAGE, "灯 Lamp", (), f"lamp {n} shines {n * 7} hours") for n in numbers]
    return indexing.publish(generations, chunks, RECIPE)


def collections(url: str) -> list[str]:
    host, port = url.removeprefix("http://").split(":")
    client = chromadb.HttpClient(host, int(port), settings=chromadb.Settings(anonymized_telemetry=False))
    return sorted(collection.name for collection in client.list_collections())


def test_a_server_holds_the_same_bits_as_a_folder(server: str, tmp_path: Path) -> None:
    generations = Generations(tmp_path / "served", server)
    served = publish(generations, range(1200))
    assert served.digest == publish(Generations(tmp_path / "local"), range(1200)).digest
    assert generations.verify() == []
    store = generations.open("hash-32").store
    found = store.search(EMBEDDER.embed(["lamp 17 shines 119 hours"])[0], 3)
    assert found[0][0].text == "lamp 17 shines 119 hours"


def test_homes_that_share_a_server_leave_each_other_alone(server: str, tmp_path: Path) -> None:
    already = collections(server)
    one, two = Generations(tmp_path / "one", server, keep=1), Generations(tmp_path / "two", server, keep=2)
    publish(one, range(3))
    publish(two, range(5))
    publish(one, range(4))
    publish(two, range(6))
    assert one.open("hash-32").store.count() == 4
    assert two.open("hash-32").store.count() == 6
    assert len(collections(server)) == len(already) + 3, "one keeps one, two keeps two"
    assert two.rollback() == 1
    assert two.open("hash-32").store.count() == 5


def test_what_a_dead_ingest_left_on_the_server_is_removed(server: str, tmp_path: Path) -> None:
    generations = Generations(tmp_path, server)
    publish(generations, range(3))
    already = collections(server)
    with generations.start(RECIPE) as draft:
        indexing.written(generations, draft, RECIPE, [Chunk("d#1", "d", "", 0, Kind.PAGE, "Lamp", (), "A lamp shines.")])
    assert len(collections(server)) == len(already) + 1
    generations.prune()
    assert collections(server) == already


def test_damage_on_the_server_is_noticed(server: str, tmp_path: Path) -> None:
    generations = Generations(tmp_path, server)
    before = set(collections(server))
    publish(generations, range(9))
    (name,) = set(collections(server)) - before
    host, port = server.removeprefix("http://").split(":")
    client = chromadb.HttpClient(host, int(port), settings=chromadb.Settings(anonymized_telemetry=False))
    client.get_collection(name).delete(ids=["d.md#000000000003"])
    with pytest.raises(IndexDamaged, match="8 of 9 chunks in chroma"):
        generations.open("hash-32")
    assert any("chunk d.md#000000000003 is missing" in problem for problem in generations.verify())
    client.delete_collection(name)
    with pytest.raises(IndexDamaged, match="does not exist"):
        Generations(tmp_path, server).open("hash-32")


def test_another_place_needs_an_ingest(server: str, tmp_path: Path) -> None:
    publish(Generations(tmp_path), range(3))
    with pytest.raises(IndexMismatch, match=f"Chroma at {server}; found one made with the home's own files"):
        Generations(tmp_path, server).open("hash-32")


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(HomeError, match=f"expected a Chroma server at {url}; found .*; start it, or correct index.chroma_url"):
        publish(Generations(tmp_path, url), range(3))
    Generations(tmp_path, url).prune()
    assert list((tmp_path / "index").glob("gen-*")) == [], "a server that is gone does not stop a later ingest"
