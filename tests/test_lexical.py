from __future__ import annotations

import math
import threading
import time
from pathlib import Path

import bm25s
import numpy as np
import pytest
from indexing import lexical_index

from rag.index.lexical import LexicalIndex
from rag.index.terms import hash_terms, tokens
from rag.ports import Terms
from rag.types import Chunk, Kind, Query

ROOT = Path(__file__).parent.parent


def chunk(id: str, text: str, title: str = "") -> Chunk:
    return Chunk(id, "d", "", 0, Kind.PAGE, title, (), text)


def query(text: str) -> Query:
    return Query(text, text, "en")


SHOP = [
    chunk("a", "Returns are free for 30 days.", "Returns"),
    chunk("b", "The headlamp PB-HL210 runs for 12.5 hours on a 30 W charger.", "PB-HL210"),
    chunk("c", "退货期限为三十天，运费由我们承担。", "退货"),
    chunk("d", "头灯的防水等级是 IPX4。", "头灯"),
    chunk("e", "Shipping takes 2-3 days; the shop's café is closed.", "Shipping"),
]


def found(text: str, k: int = 10) -> list[str]:
    return [passage.chunk.id for passage in lexical_index(SHOP).find(query(text), k)]


@pytest.mark.parametrize(
    "question, id",
    [
        ("can I return my lamp", "a"),
        ("pbhl210", "b"),
        ("HL210 hours", "b"),
        ("PB-HL210", "b"),
        ("退貨要多久", "c"),
        ("头灯防水吗", "d"),
        ("ipx4", "d"),
        ("shops cafe shipping", "e"),
    ],
)
def test_the_right_chunk_comes_first(question: str, id: str) -> None:
    assert found(question)[0] == id


@pytest.mark.parametrize("question", ["", "？？", "zebra", "what is the", "\u200b", "的 了 吗"])
def test_nothing_shared_is_nothing_found(question: str) -> None:
    assert found(question) == []


def test_a_score_is_lucene_bm25() -> None:
    passage = lexical_index(SHOP).find(query("shipping"), 1)[0]
    lengths = [len(tokens(c.search_text)) for c in SHOP]
    k1, b = 1.5, 0.75
    idf = math.log(1 + (5 - 1 + 0.5) / (1 + 0.5))
    expected = idf * 1 / (1 + k1 * (1 - b + b * lengths[4] / (sum(lengths) / 5)))
    assert passage.score == pytest.approx(expected, rel=1e-5)
    assert passage.scores == {"lexical": passage.score}


def paragraphs() -> list[Chunk]:
    """The bundled shop's pages and tables, cut at empty lines."""
    files = sorted(path for path in (ROOT / "corpus" / "shop").rglob("*") if path.suffix in (".md", ".csv", ".txt"))
    parts = [part for path in files for part in path.read_text(encoding="utf-8").split("\n\n")]
    return [chunk(f"{n:05}", part[:600]) for n, part in enumerate(parts)]


def test_scores_are_those_of_bm25s() -> None:
    chunks = [*paragraphs(), chunk("z", "…")]
    texts = [tokens(c.search_text) or [""] for c in chunks]
    vocabulary = {term: number for number, term in enumerate(sorted({term for text in texts for term in text}))}
    reference = bm25s.BM25(method="lucene")
    reference.index(([[vocabulary[term] for term in text] for text in texts], vocabulary), show_progress=False)
    index = lexical_index(chunks)
    questions = [c.text[10:60] for c in chunks[::20]] + [
        "Ember 400 waterproof",
        "退货 运费 谁付",
        "how how how long is the battery battery",
    ]
    for question in questions:
        known = [vocabulary[term] for term in tokens(question) if term in vocabulary]
        scores = reference.get_scores_from_ids(known) if known else np.zeros(len(chunks))
        found = {passage.chunk.id: passage.score for passage in index.find(query(question), len(chunks))}
        assert [found.get(c.id, 0.0) for c in chunks] == pytest.approx(scores, rel=1e-5, abs=1e-5), question
    assert len(chunks) > 200


def test_match_tells_what_a_chunk_holds_of_the_query() -> None:
    index = lexical_index(SHOP)
    rows = np.array([4, 1, 0])
    text = "Returned headlamps: shipping, shipping and zebras"
    scores, shares, coverage = index.match(text, rows)
    found = {passage.chunk.id: passage.score for passage in index.find(query(text), 10)}
    assert scores == pytest.approx([found["e"], found["b"], found["a"]], rel=1e-6)
    assert coverage == pytest.approx([1 / 3, 1 / 3, 1 / 3]), "three known terms, equally rare; a zebra is unknown"
    rarity = math.log(1 + (5 - 1 + 0.5) / (1 + 0.5))
    assert shares == pytest.approx(scores / (4 * rarity))
    assert (shares < 1).all()
    for nothing in ("zebra", "", "the"):
        assert [part.tolist() for part in index.match(nothing, rows)] == [[0, 0, 0]] * 3


def test_words_are_counted_by_chunk(tmp_path: Path) -> None:
    index = lexical_index([*SHOP, chunk("f", "Returns, returns and 退货期限", "PB-HL210")])
    assert index.words["returns"] == 2
    assert index.words["pb-hl210"] == 2
    assert index.words["退货"] == 2
    assert index.words["café"] == 1
    assert "zebra" not in index.words
    assert "" not in index.words
    index.save(tmp_path)
    assert LexicalIndex.load(tmp_path, []).words == dict(index.words)


def test_ties_go_by_id_and_k_is_a_limit() -> None:
    same = [chunk(f"{n:02}", "identical words here") for n in range(20)]
    index = lexical_index(list(reversed(same)))
    assert [passage.chunk.id for passage in index.find(query("identical"), 5)] == ["00", "01", "02", "03", "04"]
    assert len(index.find(query("identical"), 500)) == 20


def test_a_mask_lets_only_its_rows_pass() -> None:
    index = lexical_index(SHOP)
    everything = index.find(query("returned headlamp IPX4 shipping 退货"), 10)
    assert {passage.chunk.id for passage in everything} == set("abcde")
    for banned in "abcde":
        mask = np.array([c.id != banned for c in SHOP])
        expected = [passage for passage in everything if passage.chunk.id != banned]
        assert index.find(query("returned headlamp IPX4 shipping 退货"), 10, mask) == expected
    assert index.find(query("returned"), 10, np.zeros(5, np.bool_)) == []


def test_the_same_after_load(tmp_path: Path) -> None:
    built = lexical_index(SHOP)
    built.save(tmp_path / "lexical")
    loaded = LexicalIndex.load(tmp_path / "lexical", sorted(SHOP, key=lambda c: c.id))
    for text in ("PB-HL210 hours", "退货 头灯", "return shipping days", "zebra"):
        assert loaded.find(query(text), 10) == built.find(query(text), 10)


def test_chunks_without_any_word_do_no_harm(tmp_path: Path) -> None:
    chunks = [chunk("a", "…"), chunk("b", "？")]
    lexical_index(chunks).save(tmp_path)
    index = LexicalIndex.load(tmp_path, chunks)
    assert index.find(query("anything"), 3) == []


def test_aliases_are_searched() -> None:
    faq = Chunk("f", "d", "1", 0, Kind.FAQ, "Q", (), "You may.", aliases=("swap my gadget",))
    assert lexical_index([*SHOP, faq]).find(query("gadget"), 1)[0].chunk is faq


def test_many_threads_get_the_same_answer() -> None:
    index = lexical_index(SHOP)
    expected = index.find(query("returned headlamps 退货"), 5)
    results: list[bool] = []

    def ask() -> None:
        results.extend(index.find(query("returned headlamps 退货"), 5) == expected for _ in range(50))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 200


def test_100000_chunks_open_at_once_and_answer_in_ten_milliseconds(tmp_path: Path) -> None:
    chance = np.random.default_rng(5)
    vocabulary = chance.integers(0, 2**63, 200_000).astype(np.uint64)
    vocabulary[:1000] = hash_terms(f"word{n}" for n in range(1000))
    frequent = np.minimum(chance.zipf(1.3, (100_000, 60)) - 1, len(vocabulary) - 1)  # as words are: a few are everywhere
    chunks = [chunk(f"{n:06}", "") for n in range(100_000)]
    lexical_index(chunks, [Terms(row, "", row[:0]) for row in vocabulary[frequent]]).save(tmp_path)
    started = time.thread_time()
    index = LexicalIndex.load(tmp_path, chunks)
    assert time.thread_time() - started < 0.1
    taken: list[float] = []
    for n in range(30):
        started = time.thread_time()  # not what other processes take
        assert len(index.find(query(f"word9 word20 word{n} word{n * 7} word{n * 20} word{n * 30} word{n * 33}"), 100)) == 100
        taken.append(time.thread_time() - started)
    assert sorted(taken)[15] < 0.010
