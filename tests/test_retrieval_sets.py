"""Data sets in the BEIR layout: their form, their errors, and a whole run with the fakes."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from rag.errors import DataError
from rag.evaluate import retrieval
from rag.evaluate.beir import BeirQuery, load_set, unpack
from rag.evaluate.retrieval import entries, evaluate_retrieval, score
from rag.settings import Settings
from rag.types import Chunk, History, Kind, Passage, Query, Turn

CORPUS = [
    {"_id": "returns", "title": "Returns", "text": "You can return any product within thirty days."},
    {"_id": "shipping", "title": "", "text": "Standard delivery takes two working days."},
    {"_id": "points#1", "title": "Points", "text": "Points expire after two years."},
]
QUERIES: list[dict[str, object]] = [
    {"_id": "q1", "text": "return a product within days"},
    {
        "_id": "q2",
        "text": "standard delivery working days",
        "history": [{"role": "agent", "text": "Hello"}, {"role": "user", "text": "Hi"}],
    },
    {"_id": "q3", "text": "points expire"},
    {"_id": "q4", "text": "nothing is relevant"},
]
QRELS = ["query-id\tcorpus-id\tscore", "q1\treturns\t1", "q2\tshipping\t2", "q3\tpoints#1\t1", "q3\treturns\t0"]


def write(
    folder: Path, corpus: Sequence[object] = CORPUS, queries: Sequence[object] = QUERIES, qrels: Sequence[str] = QRELS
) -> Path:
    folder.mkdir(exist_ok=True)
    for name, rows in (("corpus.jsonl", corpus), ("queries.jsonl", queries)):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "qrels.tsv").write_text("\n".join(qrels) + "\n", encoding="utf-8")
    return folder


def test_a_set_is_read(tmp_path: Path) -> None:
    found = load_set(write(tmp_path / "shop"))
    assert (found.name, found.unjudged) == ("shop", 1)
    assert found.queries[0] == BeirQuery("q1", "return a product within days", (), frozenset({"returns"}))
    assert found.queries[1].history == (Turn("assistant", "Hello"), Turn("user", "Hi"))
    assert found.queries[2].relevant == {"points#1"}  # a score of 0 is not relevant


def test_packed_files_and_trec_columns_without_a_header(tmp_path: Path) -> None:
    plain = load_set(write(tmp_path / "a", qrels=["q1 0 returns 1".replace(" ", "\t")]))
    folder = tmp_path / "a"
    for name in ("corpus.jsonl", "queries.jsonl", "qrels.tsv"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
        (folder / name).unlink()
    packed = load_set(folder)
    assert packed.queries == plain.queries and packed.digest == plain.digest
    unpack(packed.corpus, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["corpus.jsonl"]
    assert json.loads((tmp_path / "out/corpus.jsonl").read_text().splitlines()[0]) == CORPUS[0]


def test_another_file_of_queries(tmp_path: Path) -> None:
    folder = write(tmp_path / "a")
    (folder / "queries_rewrite.jsonl").write_text('{"_id": "q1", "text": "how long may I return"}\n')
    assert [query.text for query in load_set(folder, "queries_rewrite.jsonl").queries] == ["how long may I return"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"qrels": [*QRELS, "q1\tno\t1", "q2\tneither\t1"]},
            r"every passage of qrels\.tsv .*; found 2 that are not there: neither, no; add",
        ),
        ({"qrels": [*QRELS, "q9\treturns\t1"]}, r"every query of qrels\.tsv .*; found 1 that are not there: q9"),
        ({"qrels": ["q1 returns 1"]}, r"between tabs; found .*qrels\.tsv:1"),
        ({"qrels": ["query-id\tcorpus-id\tscore"]}, r"a query with a relevant passage .*; found none"),
        ({"corpus": [{"_id": "x"}]}, r"an object with _id, text; found .*corpus\.jsonl:1"),
        (
            {"queries": [{"_id": "q1", "text": "x", "history": [{"role": "king", "text": "x"}]}]},
            r"a role of user, .*queries\.jsonl:1",
        ),
    ],
)
def test_what_does_not_hang_together_is_told(tmp_path: Path, given: dict[str, list[str]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_set(write(tmp_path / "a", **given))


def test_missing_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"found no corpus\.jsonl"):
        load_set(tmp_path)
    folder = write(tmp_path / "a")
    (folder / "queries.jsonl").write_text("{oops\n")
    with pytest.raises(DataError, match=r"one JSON object a line; found .*queries\.jsonl:1"):
        load_set(folder)
    (folder / "queries.jsonl").write_bytes("退".encode("gb18030"))
    with pytest.raises(DataError, match=r"expected UTF-8; found .*queries\.jsonl:1"):
        load_set(folder)


def passage(entry: str, part: int = 0) -> Passage:
    chunk = Chunk(
        id=f"corpus.jsonl#{entry}{part}",
        document="corpus.jsonl",
        entry=entry,
        ordinal=0,
        kind=Kind.PASSAGE,
        title="",
        headings=(),
        text="x",
    )
    return Passage(chunk, 1.0)


def test_chunks_become_entries_each_once() -> None:
    assert entries([passage("a"), passage("b"), passage("a", 1), passage("c")]) == ["a", "b", "c"]
    assert len(entries([passage(str(number)) for number in range(20)])) == 10


def test_scores_by_hand() -> None:
    ranked = {"one": ["a", "b"], "two": ["x", "y", "c"]}

    def find(text: str, history: History, k: int) -> tuple[Query, list[Passage]]:
        return Query(text, text, "en"), [passage(entry) for entry in ranked[text]][:k]

    queries = [BeirQuery("1", "one", (), frozenset("ab")), BeirQuery("2", "two", (), frozenset("c"))]
    figures = score(find, queries)
    assert figures["recall@1"].value == pytest.approx((1 / 2 + 0) / 2)
    assert figures["recall@5"].value == 1.0
    assert figures["mrr@10"].value == pytest.approx((1 + 1 / 3) / 2)
    assert figures["ndcg@10"].value == pytest.approx((1 + 1 / 2) / 2)  # 1 / log2(4)
    assert figures["latency.p95"].n == 2


def test_a_whole_run_with_the_fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "shop")
    (folder / "README.md").write_text("This is not part of the corpus.")
    settings = Settings(home=tmp_path / "home", fakes=True)
    result = evaluate_retrieval(settings, folder)
    (home,) = (tmp_path / "home" / "sets").iterdir()
    assert home.name == f"shop-{result.data['digest']}"
    assert result.figures["recall@5"].value == 1.0 and result.figures["recall@5"].n == 3
    assert result.system["chunks"] == "3"
    assert "1 queries without a relevant passage and 0 passages left out" in result.table()
    assert result.as_dict()["figures"]["mrr@10"]["n"] == 3
    monkeypatch.setattr(retrieval, "unpack", lambda *_: pytest.fail("unpacked twice"))
    assert evaluate_retrieval(settings, folder, limit=1).figures["recall@5"].n == 1
