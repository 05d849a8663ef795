from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rag.errors import IndexDamaged
from rag.fakes import HashEmbedder
from rag.index.catalog import Catalog
from rag.index.codec import encode
from rag.index.terms import analyze
from rag.ports import Terms
from rag.types import Chunk, Document, Facets, Kind, Recipe

RECIPE = Recipe("m", 32, 160, 0, 3, "", "")
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


def document(name: str, *texts: str) -> tuple[Document, list[Chunk], list[str]]:
    """A document of one chunk a text."""
    chunks = [Chunk(f"{name}#{n}", name, "", n, Kind.PAGE, "", (), text) for n, text in enumerate(texts)]
    read = Document(name, name.upper(), "", Facets(trust="review"), f"sha of {name}", rejected=("3: no name",))
    return read, chunks, list(texts)


def sources(*names: str) -> dict[str, str]:
    return {name: f"sha of {name}" for name in names}


def test_what_is_kept_comes_back_in_order_and_by_recipe(tmp_path: Path) -> None:
    one, two = document("one", "b", "a"), document("two", "c")
    other = replace(RECIPE, tokens=99)
    with Catalog(tmp_path / "c") as catalog:
        catalog.keep(RECIPE, [two, one])
    with Catalog(tmp_path / "c") as catalog:
        assert catalog.known(RECIPE, sources("one", "two", "three")) == {"one", "two"}
        assert catalog.known(RECIPE, {"one": "another sha"}) == catalog.known(other, sources("one")) == set()
        assert catalog.enlist(1, RECIPE, sources("one", "two", "three")) == {"one": 2, "two": 1}
        assert catalog.enlist(2, RECIPE, sources("two")) == {"two": 1}
        found = [chunk for page in catalog.pages(1) for chunk, _ in page]
        assert found == [*one[1], *two[1]]
        assert [encoded for page in catalog.pages(2) for _, encoded in page] == [encode(two[1][0])]
        assert catalog.rejected(2) == {"two": ["3: no name"]}
        assert catalog.compare(1, 2) == (0, 1, 2)
        assert catalog.compare(0, 1) == (3, 0, 0)
        changed = [replace(two[1][0], text="d")]
        catalog.keep(RECIPE, [(two[0], changed, ["d"])])
        assert [chunk.text for page in catalog.pages(1) for chunk, _ in page] == ["b", "a"], "members go with what they were"


def test_prune_forgets_what_no_generation_holds(tmp_path: Path) -> None:
    with Catalog(tmp_path / "c") as catalog:
        vectors = HashEmbedder().embed(TEXTS)
        for embedder in ("m", "n"):
            catalog.put(embedder, TEXTS, vectors)
        catalog.keep(RECIPE, [document("one", "one"), document("two", "two"), document("三", "三")])
        catalog.enlist(1, RECIPE, sources("one"))
        catalog.enlist(2, RECIPE, sources("two"))
        catalog.prune([2])
        assert catalog.count() == 1
        assert catalog.missing("m", TEXTS) == ["one", "三"]
        assert catalog.known(RECIPE, sources("one", "two", "三")) == {"two"}
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert vectors[1].tobytes() in held
    assert vectors[0].tobytes() not in held, "deleted means gone from the disk"


def test_prune_writes_nothing_where_all_is_held(tmp_path: Path) -> None:
    with Catalog(tmp_path / "c") as catalog:
        catalog.keep(RECIPE, [document("one", "one")])
        catalog.enlist(1, RECIPE, sources("one"))
        catalog.prune([1])
        before = [(path, path.stat().st_mtime_ns) for path in sorted(tmp_path.iterdir())]
        catalog.prune([1])
        assert [(path, path.stat().st_mtime_ns) for path in sorted(tmp_path.iterdir())] == before


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
            assert kept.content.tolist() == found.content.tolist() == analyze(text).content.tolist()
        catalog.keep(RECIPE, [document("one", "三盏头灯")])
        catalog.enlist(1, RECIPE, sources("one"))
        catalog.prune([1])
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
