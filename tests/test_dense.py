from __future__ import annotations

import pytest

from rag.fakes import HashEmbedder, MemoryStore
from rag.retrieve.dense import DenseSource
from rag.types import Chunk, Kind, Query


def chunk(id: str, text: str) -> Chunk:
    return Chunk(id, "page.md", "", 0, Kind.PAGE, "", (), text)


def test_it_finds_the_nearest_with_its_cosine() -> None:
    embedder, store = HashEmbedder(), MemoryStore()
    chunks = [chunk("page.md#1", "return an item"), chunk("page.md#2", "charge the battery"), chunk("page.md#3", "battery")]
    vectors = embedder.embed([item.search_text for item in chunks])
    store.add(chunks, vectors)
    embedder.embedded.clear()

    found = DenseSource(store, embedder).find(Query("battery", "and its battery?", "en"), 2)

    assert [passage.chunk.id for passage in found] == ["page.md#3", "page.md#2"]
    assert found[0].score == pytest.approx(1)
    assert found[1].score == pytest.approx(float(vectors[1] @ vectors[2]))
    assert [passage.scores for passage in found] == [{"dense": passage.score} for passage in found]
    assert embedder.embedded == ["battery"]  # the standalone text, once


def test_chunks_found_elsewhere_get_their_cosine() -> None:
    embedder, store = HashEmbedder(), MemoryStore()
    chunks = [chunk("page.md#1", "return an item"), chunk("page.md#2", "charge the battery"), chunk("page.md#3", "battery")]
    vectors = embedder.embed([item.search_text for item in chunks])
    store.add(chunks, vectors)
    found = DenseSource(store, embedder).find(Query("battery", "battery", "en"), 1, including=[chunks[0], chunks[2]])
    assert {passage.chunk.id: passage.score for passage in found} == {
        "page.md#3": pytest.approx(1),
        "page.md#1": pytest.approx(float(vectors[0] @ vectors[2])),
    }


def test_an_empty_store_gives_nothing() -> None:
    assert DenseSource(MemoryStore(), HashEmbedder()).find(Query("a", "a", "en"), 5) == []
