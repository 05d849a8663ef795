from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rag.errors import IndexDamaged
from rag.fakes import HashEmbedder
from rag.index.catalog import Catalog
from rag.index.codec import text_hash
from rag.index.terms import analyze
from rag.ports import Terms

TEXTS = ["one", "two", "三"]


def test_vectors_come_back_bit_for_bit(tmp_path: Path) -> None:
    vectors = HashEmbedder().embed(TEXTS)
    with Catalog(tmp_path / "new" / "catalog.sqlite") as catalog:
        catalog.put("m", TEXTS, vectors)
    with Catalog(tmp_path / "new" / "catalog.sqlite") as catalog:
        assert np.array_equal(catalog.get("m", ["三", "one", "one"]), vectors[[2, 0, 0]])


def test_missing_names_each_text_once_and_by_embedder(tmp_path: Path) -> None:
    with Catalog(tmp_path / "c") as catalog:
        catalog.put("m", ["two"], HashEmbedder().embed(["two"]))
        assert catalog.missing("m", ["one", "two", "three", "one"]) == ["one", "three"]
        assert catalog.missing("other", ["two"]) == ["two"]
        with pytest.raises(IndexDamaged, match="no vector of other for 'two'"):
            catalog.get("other", ["two"])


def test_prune_forgets_what_no_generation_uses(tmp_path: Path) -> None:
    with Catalog(tmp_path / "c") as catalog:
        vectors = HashEmbedder().embed(TEXTS)
        catalog.put("m", TEXTS, vectors)
        catalog.put("n", TEXTS, vectors)
        catalog.prune({"m": {text_hash("two")}, "gone": set()})
        assert catalog.count() == 1
        assert catalog.missing("m", TEXTS) == ["one", "三"]
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert vectors[1].tobytes() in held
    assert vectors[0].tobytes() not in held, "deleted means gone from the disk"


def test_terms_are_worked_out_once_a_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut: list[str] = []

    def counting(text: str) -> Terms:
        cut.append(text)
        return analyze(text)

    monkeypatch.setattr("rag.index.catalog.analyze", counting)
    texts = ["two lamps", "三盏头灯", "two lamps", "…"]
    with Catalog(tmp_path / "c") as catalog:
        first = catalog.terms(texts)
    with Catalog(tmp_path / "c") as catalog:
        again = catalog.terms([*texts, "four"])
        assert cut == ["two lamps", "三盏头灯", "…", "four"]
        for text, found, kept in zip(texts, first, again, strict=False):
            assert kept.words == found.words == analyze(text).words
            assert kept.hashes.tolist() == found.hashes.tolist() == analyze(text).hashes.tolist()
        catalog.prune({"m": {text_hash("三盏头灯")}})
        catalog.terms(["two lamps", "三盏头灯"])
        assert cut[4:] == ["two lamps"], "what no generation uses is forgotten"
        monkeypatch.setattr("rag.index.catalog.VERSION", 99)
        catalog.terms(["三盏头灯"])
        assert cut[5:] == ["三盏头灯"], "another way of cutting is another result"


def test_a_put_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    with Catalog(tmp_path / "c") as catalog:
        with pytest.raises(ValueError):
            catalog.put("m", TEXTS, HashEmbedder().embed(TEXTS[:2]))
        assert catalog.count() == 0


def test_a_damaged_file_is_named_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    path.write_bytes(b"not a database, but long enough to look like a file" * 100)
    with pytest.raises(IndexDamaged, match=r"remove catalog\.sqlite\* there and run `python -m rag ingest`"):
        Catalog(path)
