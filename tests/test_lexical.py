from __future__ import annotations

import math
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from rag.index.lexical import LexicalIndex
from rag.index.terms import tokens
from rag.types import Chunk, Kind, Query


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
    return [passage.chunk.id for passage in LexicalIndex.build(SHOP).find(query(text), k)]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("How do I return it?", ["return"]),
        ("Returned RETURNS returning", ["return"] * 3),
        ("the PB-HL210", ["pb-hl210", "pbhl210", "pb", "hl210"]),
        ("12.5 or 3/4", ["12.5", "3/4"]),
        ("shop’s", ["shop"]),
        ("不能退貨嗎", ["不能", "能退", "退货", "货吗"]),
        ("防水", ["防水"]),
        ("ＰＢ３０ ３０Ｗ", ["pb30", "30w"]),
        ("", []),
        ("？！…", []),
    ],
)
def test_tokens(text: str, expected: list[str]) -> None:
    assert sorted(tokens(text)) == sorted(expected)


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


def test_scores_are_lucene_bm25() -> None:
    passage = LexicalIndex.build(SHOP).find(query("ipx4"), 1)[0]
    lengths = [len(tokens(c.search_text)) for c in SHOP]
    k1, b = 1.5, 0.75
    idf = math.log(1 + (5 - 1 + 0.5) / (1 + 0.5))
    expected = idf * 1 / (1 + k1 * (1 - b + b * lengths[3] / (sum(lengths) / 5)))
    assert passage.score == pytest.approx(expected, rel=1e-5)
    assert passage.scores == {"lexical": passage.score}


def test_ties_go_by_id_and_k_is_a_limit() -> None:
    same = [chunk(f"{n:02}", "identical words here") for n in range(20)]
    index = LexicalIndex.build(list(reversed(same)))
    assert [passage.chunk.id for passage in index.find(query("identical"), 5)] == ["00", "01", "02", "03", "04"]
    assert len(index.find(query("identical"), 500)) == 20


def test_a_mask_lets_only_its_rows_pass() -> None:
    index = LexicalIndex.build(SHOP)
    everything = index.find(query("returned headlamp IPX4 shipping 退货"), 10)
    assert {passage.chunk.id for passage in everything} == set("abcde")
    for banned in "abcde":
        mask = np.array([c.id != banned for c in SHOP])
        expected = [passage for passage in everything if passage.chunk.id != banned]
        assert index.find(query("returned headlamp IPX4 shipping 退货"), 10, mask) == expected
    assert index.find(query("returned"), 10, np.zeros(5, np.bool_)) == []


def test_the_same_after_load(tmp_path: Path) -> None:
    built = LexicalIndex.build(SHOP)
    built.save(tmp_path / "lexical")
    loaded = LexicalIndex.load(tmp_path / "lexical", sorted(SHOP, key=lambda c: c.id))
    for text in ("PB-HL210 hours", "退货 头灯", "return shipping days", "zebra"):
        assert loaded.find(query(text), 10) == built.find(query(text), 10)


def test_chunks_without_any_word_do_no_harm() -> None:
    index = LexicalIndex.build([chunk("a", "…"), chunk("b", "？")])
    assert index.find(query("anything"), 3) == []


def test_aliases_are_searched() -> None:
    faq = Chunk("f", "d", "1", 0, Kind.FAQ, "Q", (), "You may.", aliases=("swap my gadget",))
    assert LexicalIndex.build([*SHOP, faq]).find(query("gadget"), 1)[0].chunk is faq


def test_many_threads_get_the_same_answer() -> None:
    index = LexicalIndex.build(SHOP)
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


def test_opening_1500_chunks_is_quick(tmp_path: Path) -> None:
    chunks = [chunk(f"{n:05}", f"product {n} " + " ".join(f"word{(n * i) % 700}" for i in range(80))) for n in range(1500)]
    LexicalIndex.build(chunks).save(tmp_path)
    started = time.perf_counter()
    index = LexicalIndex.load(tmp_path, chunks)
    assert time.perf_counter() - started < 0.3
    assert index.find(query("product 777"), 1)[0].chunk.id == "00777"
