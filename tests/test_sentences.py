from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from indexing import sentence_index

from rag.errors import IndexDamaged
from rag.fakes import HashEmbedder
from rag.index.sentences import VECTORS, Sentences
from rag.language import statements
from rag.types import Chunk, Kind

EMBEDDER = HashEmbedder(dimension=64)


def page(id: str, text: str) -> Chunk:
    return Chunk(f"d#{id}", "d", "", 0, Kind.PAGE, "Lamp", (), text)


SHOP = [
    page("2", "The lamp weighs 92 g. It shines for twelve hours."),
    page("0", "—"),
    page("1", "退货免费。运费十元。"),
]


@pytest.fixture(scope="module")
def sentences() -> Sentences:
    return sentence_index(SHOP, EMBEDDER.embed)


def test_a_chunk_is_as_near_as_its_nearest_sentence(sentences: Sentences) -> None:
    vectors = EMBEDDER.embed(["It shines for twelve hours.", "运费十元。"])
    found = sentences.cosines(vectors, np.array([1, 2]))
    assert found.shape == (2, 2)
    assert found[0, 1] == pytest.approx(1, abs=1e-3), "rows are in the order of ids"
    assert found[1, 0] == pytest.approx(1, abs=1e-3)
    assert found[0, 0] < 0.7 and found[1, 1] < 0.7


def test_each_sentence_has_its_place(sentences: Sentences) -> None:
    texts = [statements(chunk.text) for chunk in sorted(SHOP, key=lambda chunk: chunk.id)]
    assert [len(sentences.places(row)) for row in range(3)] == [len(own) for own in texts] == [0, 2, 2]
    for row, own in enumerate(texts[1:], start=1):
        vectors = sentences.vectors(np.array(sentences.places(row)))
        assert vectors.dtype == np.float32 and np.allclose(vectors, EMBEDDER.embed(own), atol=1e-3)


def test_rows_may_come_in_any_order_and_without_a_sentence(sentences: Sentences) -> None:
    vector = EMBEDDER.embed(["The lamp weighs 92 g."])
    found = sentences.cosines(vector, np.array([2, 0, 1, 2]))[0]
    assert found[0] == found[3] == pytest.approx(1, abs=1e-3)
    assert found[1] == -1
    assert sentences.cosines(vector, np.array([], dtype=int)).shape == (1, 0)


def test_the_same_after_load(sentences: Sentences, tmp_path: Path) -> None:
    own = [statements(chunk.text) for chunk in sorted(SHOP, key=lambda chunk: chunk.id)]
    batches = (EMBEDDER.embed(texts) for texts in own if texts)
    Sentences.write(tmp_path, [len(texts) for texts in own], batches, EMBEDDER.dimension)
    loaded = Sentences.load(tmp_path)
    vector, rows = EMBEDDER.embed(["twelve hours"]), np.array([0, 1, 2])
    np.testing.assert_array_equal(loaded.cosines(vector, rows), sentences.cosines(vector, rows))
    (tmp_path / VECTORS).write_bytes(b"not vectors")
    with pytest.raises(IndexDamaged, match="python -m rag ingest"):
        Sentences.load(tmp_path)


def test_chunks_without_sentences_are_no_damage(tmp_path: Path) -> None:
    Sentences.write(tmp_path, [0], iter(()), EMBEDDER.dimension)
    assert Sentences.load(tmp_path).cosines(EMBEDDER.embed(["x"]), np.array([0])).tolist() == [[-1.0]]


def test_statements_are_sentences_that_say_something() -> None:
    assert statements("Free returns.\n---\nFree returns. 免运费。！") == ("Free returns.",)
    assert statements("免运费的商品。") == ("免运费的商品。",)
    assert len(statements("\n".join(f"row number {n}" for n in range(100)))) == 24
