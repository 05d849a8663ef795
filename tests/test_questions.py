from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from indexing import question_index

from rag.errors import IndexDamaged
from rag.fakes import HashEmbedder
from rag.index.questions import Questions
from rag.types import Chunk, Kind

EMBEDDER = HashEmbedder(48)


def faq(id: str, question: str, aliases: Sequence[str] = (), negatives: Sequence[str] = ()) -> Chunk:
    text = f"{question}\nIt depends."
    return Chunk(id, "d", id, 0, Kind.FAQ, question, (), text, "It depends.", tuple(aliases), tuple(negatives))


def page(id: str, title: str, *headings: str) -> Chunk:
    return Chunk(id, "d", "", 0, Kind.PAGE, title, headings, "Some text.")


SHOP = [
    faq("b", "Can I return a lamp?", ["how do I send a lamp back", "退货怎么办"], ["Can I return a gift card?"]),
    faq("a", "How long is the warranty?", ["保修期多久"]),
    page("c", "How to clean a lamp"),
    page("d", "Shipping", "Costs"),
    faq("e", "Is it waterproof?", ["Can I return a lamp?"], ["how long is the warranty for rain", "Is the box waterproof?"]),
]


def vector(text: str) -> np.ndarray:
    return EMBEDDER.embed([text])[0]


@pytest.fixture
def questions() -> Questions:
    return question_index(SHOP, EMBEDDER.embed)


@pytest.mark.parametrize(
    "chunk, expected",
    [
        (SHOP[0], ("Can I return a lamp?", "how do I send a lamp back", "退货怎么办")),
        (faq("x", "Gift cards", ["Gift cards", "礼品卡"]), ("Gift cards", "礼品卡")),
        (page("x", "Returns and refunds"), ()),
        (page("x", "Returns", "Costs", "Who pays?"), ("Who pays?",)),
        (page("x", "Returns", "Who pays?", "In the EU"), ()),
        (page("x", "What is covered", "How long?"), ("What is covered", "How long?")),
        (page("x", "头灯防水吗？", "头灯防水吗？"), ("头灯防水吗？",)),
        (page("x", "如何退貨"), ("如何退貨",)),
        (page("x", "可以用支付宝吗"), ("可以用支付宝吗",)),
        (page("x", "Do I need an account"), ("Do I need an account",)),
        (page("x", "Why doesn’t it charge"), ("Why doesn’t it charge",)),
        (page("x", "“Is it safe?”"), ("“Is it safe?”",)),
        (page("x", "Can opener 3000"), ()),
        (page("x", "May sale"), ()),
        (page("x", "Do not disturb"), ()),
        (page("x", "Whatever the weather"), ()),
        (page("x", "几何图形收纳盒"), ()),
        (page("x", ""), ()),
    ],
)
def test_which_questions_a_chunk_answers(chunk: Chunk, expected: tuple[str, ...]) -> None:
    assert chunk.questions == expected


def test_the_nearest_question_finds_its_chunk_and_is_told(questions: Questions) -> None:
    (chunk, score, question), *rest = questions.find(vector("how do I send a lamp back"), 9)
    assert (chunk.id, question) == ("b", "how do I send a lamp back")
    assert score == pytest.approx(1, abs=1e-6)
    assert {found.id for found, _, _ in rest} == {"a", "c", "e"}, "a page whose title asks nothing is not among them"
    assert [s for _, s, _ in rest] == sorted((s for _, s, _ in rest), reverse=True)


def test_a_question_of_two_chunks_points_to_both_in_the_order_of_their_ids(questions: Questions) -> None:
    found = questions.find(vector("Can I return a lamp?"), 2)
    assert [(chunk.id, question) for chunk, _, question in found] == [
        ("b", "Can I return a lamp?"),
        ("e", "Can I return a lamp?"),
    ]


def test_a_mask_lets_only_its_rows_pass(questions: Questions) -> None:
    mask = np.array([True, False, True, True, True])  # without "b"
    found = questions.find(vector("how do I send a lamp back"), 9, mask)
    assert {chunk.id for chunk, _, _ in found} == {"a", "c", "e"}
    assert questions.find(vector("lamp"), 9, np.zeros(5, np.bool_)) == []


def test_cosines_for_and_against_in_the_order_asked(questions: Questions) -> None:
    asked = vector("Can I return a gift card?")

    def best(texts: Sequence[str]) -> float:
        return max((float(vector(text) @ asked) for text in texts), default=-1.0)

    ids = ["d", "e", "b", "a", "c"]
    by_id = {chunk.id: chunk for chunk in SHOP}
    assert questions.cosines(asked, ids) == pytest.approx([best(by_id[id].questions) for id in ids], abs=1e-6)
    assert questions.against(asked, ids) == pytest.approx([best(by_id[id].negatives) for id in ids], abs=1e-6)
    assert questions.against(asked, ["b"])[0] > questions.cosines(asked, ["b"])[0]
    assert questions.cosines(asked, []) == questions.against(asked, []) == []


def test_a_negative_question_finds_nothing_by_itself(questions: Questions) -> None:
    found = questions.find(vector("Is the box waterproof?"), 9)
    assert all(question != "Is the box waterproof?" for _, _, question in found)


def test_as_comparing_one_by_one_would() -> None:
    chance = np.random.default_rng(4)
    pool = [f"word{n} word{n * 3 % 17} word{n % 5}?" for n in range(120)]
    chunks = [faq(f"{n:03}", pool[n % 60], list(chance.choice(pool, 3)), list(chance.choice(pool, 2))) for n in range(80)]
    chunks += [page(f"{n:03}x", "no question") for n in range(40)]
    chunks.sort(key=lambda chunk: chunk.id)
    built = question_index(chunks[::-1], EMBEDDER.embed)
    for text in pool[::15]:
        asked = vector(text)
        scores = {c.id: max(float(vector(q) @ asked) for q in c.questions) for c in chunks if c.questions}
        mask = chance.random(len(chunks)) < 0.5
        allowed = [chunk.id for chunk, passes in zip(chunks, mask, strict=True) if passes and chunk.questions]
        expected = sorted((scores[id] for id in allowed), reverse=True)[:15]
        found = built.find(asked, 15, mask)
        assert [score for _, score, _ in found] == pytest.approx(expected, abs=1e-6)
        for chunk, score, question in found:
            assert question in chunk.questions
            assert float(vector(question) @ asked) == pytest.approx(score, abs=1e-6)
            assert chunk.id in allowed


def test_the_same_after_load_whatever_counts_as_a_question_by_then(questions: Questions, tmp_path: Path) -> None:
    questions.save(tmp_path)
    ordered = sorted(SHOP, key=lambda chunk: chunk.id)
    retitled = [replace(chunk, title="no question any more") for chunk in ordered]
    asked, ids = vector("send a lamp back to the shop"), [chunk.id for chunk in SHOP]
    loaded = Questions.load(tmp_path, ordered)
    assert loaded.find(asked, 9) == questions.find(asked, 9)
    assert loaded.cosines(asked, ids) == questions.cosines(asked, ids)
    assert loaded.against(asked, ids) == questions.against(asked, ids)
    assert [question for *_, question in Questions.load(tmp_path, retitled).find(asked, 9)] == [
        question for *_, question in questions.find(asked, 9)
    ]


def test_each_text_is_embedded_once() -> None:
    embedder = HashEmbedder(16)
    question_index(SHOP, embedder.embed)
    assert sorted(embedder.embedded) == sorted({text for chunk in SHOP for text in (*chunk.questions, *chunk.negatives)})


def test_without_questions_nothing_is_embedded_and_nothing_found(tmp_path: Path) -> None:
    embedder = HashEmbedder(16)
    built = question_index([page("d", "Shipping")], embedder.embed)
    built.save(tmp_path)
    for empty in (built, Questions.load(tmp_path, [page("d", "Shipping")])):
        assert empty.find(vector("x"), 5) == []
        assert empty.cosines(vector("x"), ["d"]) == empty.against(vector("x"), ["d"]) == [-1.0]
    assert embedder.embedded == []


def test_texts_that_cannot_be_read_are_damage(tmp_path: Path) -> None:
    (tmp_path / "texts.json").write_text("[")
    with pytest.raises(IndexDamaged, match="texts.json"):
        Questions.load(tmp_path, SHOP)
