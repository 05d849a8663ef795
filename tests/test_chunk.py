"""Chunks: verbatim, within the window, cut where a reader would cut, and the same ids whatever changes around them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from answering import golden

from rag.ingest.chunk import chunk
from rag.ingest.read import read
from rag.ingest.scan import scan
from rag.types import Chunk, Document, Entry, Facets, Kind

FIXTURE = Path(__file__).parent / "golden" / "chunks_page.md"
_TOKENS = re.compile(r"[A-Za-z0-9]+|[^\sA-Za-z0-9]")


def count(text: str) -> int:
    """A word, a Chinese character and a mark are one token each, and two frame the text."""
    return len(_TOKENS.findall(text)) + 2


def page(text: str, title: str = "Manual") -> Document:
    return Document("manual.md", title, text, Facets(language="en"), "0" * 64)


def cut(text: str, tokens: int = 40, overlap: int = 0, counter: Callable[[str], int] = count) -> list[Chunk]:
    return chunk(page(text), counter, tokens, overlap)


def sentences(topic: str, number: int) -> str:
    return " ".join(f"The {topic} has fact number {i} in it." for i in range(number))


def test_each_section_is_a_chunk_under_its_headings() -> None:
    text = f"# Manual\n\n{sentences('lamp', 2)}\n\n## Care\n\n{sentences('cloth', 2)}\n\n### Water\n\n{sentences('sea', 2)}\n"
    chunks = cut(text)
    assert [piece.headings for piece in chunks] == [(), ("Care",), ("Care", "Water")]
    assert [piece.text for piece in chunks] == [sentences("lamp", 2), sentences("cloth", 2), sentences("sea", 2)]
    assert [piece.ordinal for piece in chunks] == [0, 1, 2]
    assert chunks[2].search_text == f"Manual > Care > Water\n{sentences('sea', 2)}"
    assert {(piece.kind, piece.entry, piece.title, piece.facets.language) for piece in chunks} == {
        (Kind.PAGE, "", "Manual", "en")
    }


def test_every_chunk_fits_with_its_headings_and_is_verbatim() -> None:
    text = "\n\n".join(f"## Part {i}\n\n{sentences('lamp', i)}\n\n- {sentences('item', i)}" for i in range(1, 12))
    chunks = cut(text, tokens=60)
    assert max(count(piece.search_text) for piece in chunks) <= 60
    assert all(piece.text in text and piece.text == piece.text.strip() for piece in chunks)
    for i in range(11):
        assert any(f"fact number {i} in it." in piece.text for piece in chunks)


def test_nothing_is_lost_or_said_twice() -> None:
    text = "\n\n".join(f"## Part {i}\n\n" + " ".join(f"w{i}x{n}." for n in range(70)) for i in range(9))
    said = " ".join(piece.text for piece in cut(text, tokens=30))
    words = re.findall(r"w\d+x\d+", said)
    assert words == re.findall(r"w\d+x\d+", text)


def test_long_text_is_cut_between_sentences() -> None:
    chunks = cut(sentences("lamp", 20))
    assert len(chunks) > 4
    assert all(piece.text.startswith("The lamp") and piece.text.endswith("in it.") for piece in chunks)


def test_chinese_is_cut_between_sentences() -> None:
    text = "".join(f"第{i}条说明余烬头灯“防水吗？”的问题。" for i in range(20))
    chunks = cut(text)
    assert "".join(piece.text for piece in chunks) == text
    assert all(piece.text.startswith("第") and piece.text.endswith("。") for piece in chunks)


def test_a_table_is_cut_between_rows_and_its_rows_keep_their_columns() -> None:
    rows = [f"| Country {i} | {i} days | {i} EUR |" for i in range(20)]
    text = (
        "## Shipping\n\nCosts by country:\n\n| Country | Time | Cost |\n|---|---|---|\n"
        + "\n".join(rows)
        + "\n\nThat is all of it.\n"
    )
    chunks = cut(text, tokens=60)
    assert [line for piece in chunks for line in piece.text.split("\n") if line in rows] == rows
    assert chunks[0].headings == ("Shipping",)
    cut_off = [piece for piece in chunks[1:] if piece.text.startswith("|")]
    assert len(cut_off) > 2
    assert {piece.headings for piece in cut_off} == {("Shipping", "Country | Time | Cost")}
    assert (chunks[-1].text, chunks[-1].headings) == ("That is all of it.", ("Shipping",))
    assert max(count(piece.search_text) for piece in chunks) <= 60


def test_small_sections_join_a_neighbour() -> None:
    text = f"# Manual\n\n## Red\n\nRed light.\n\n## Green\n\nGreen light.\n\n## Long\n\n{sentences('lamp', 12)}\n\n## End\n\nBye."
    chunks = cut(text, tokens=120)
    assert [(piece.headings, piece.text[:8]) for piece in chunks] == [((), "## Red\n\n"), ((), "## Long\n")]
    assert chunks[0].text == "## Red\n\nRed light.\n\n## Green\n\nGreen light."
    assert chunks[1].text.endswith("in it.\n\n## End\n\nBye.")
    assert [piece.headings for piece in cut(text, tokens=100)] == [(), ("Long",), ("Long",), ("End",)]


def test_a_heading_without_text_is_not_lost() -> None:
    assert [piece.text for piece in cut("# Manual\n\n## We do not ship abroad\n")] == ["## We do not ship abroad"]


def test_pages_of_a_pdf_stay_apart() -> None:
    text = "## Page 1\n\nShort.\n\n## Page 2\n\nShort too.\n\n## 第 3 页\n\n短。"
    assert [piece.headings for piece in cut(text)] == [("Page 1",), ("Page 2",), ("第 3 页",)]


def test_code_is_not_taken_for_headings() -> None:
    text = "## Reset\n\n```\n# not a heading\n\n## nor this\n```\n\nDone.\n"
    (piece,) = cut(text)
    assert piece.headings == ("Reset",)
    assert piece.text == "```\n# not a heading\n\n## nor this\n```\n\nDone."


def test_entries_are_never_split_but_passages_are() -> None:
    long = sentences("lamp", 30)
    faq = Entry(
        "k", Kind.FAQ, "Why?", f"Why?\n{long}", long, ("why so",), ("who?",), ("tag",), Facets(language="en", region="EU")
    )
    passage = Entry("p", Kind.PASSAGE, "Moon", long)
    document = Document("t.csv", "Table", "", Facets(), "0" * 64, (faq, passage))
    first, *rest = chunk(document, count, 40, 0)
    assert (first.text, first.answer, first.aliases, first.negatives, first.tags) == (
        faq.text,
        long,
        ("why so",),
        ("who?",),
        ("tag",),
    )
    assert (first.kind, first.title, first.entry, first.facets.region) == (Kind.FAQ, "Why?", "k", "EU")
    assert first.search_text == f"Why?\n{long}\nwhy so"
    assert len(rest) > 5
    assert {(piece.entry, piece.title) for piece in rest} == {("p", "Moon")}
    assert max(count(piece.search_text) for piece in rest) <= 40


def test_ids_come_from_content() -> None:
    before = {piece.id: piece.text for piece in cut(f"## A\n\n{sentences('lamp', 2)}\n\n## B\n\n{sentences('cloth', 2)}\n")}
    text = f"## New\n\n{sentences('new', 2)}\n\n## A\n\n{sentences('lamp', 2)}\n\n## B\n\n{sentences('wool', 2)}\n"
    after = {piece.id: piece.text for piece in cut(text)}
    assert {before[id] for id in before.keys() & after.keys()} == {sentences("lamp", 2)}
    assert all(re.fullmatch(r"manual\.md#[0-9a-f]{12}", id) for id in before)


def test_a_repeated_piece_gets_an_id_of_its_own() -> None:
    text = f"## A\n\n{sentences('lamp', 2)}\n\n" * 3
    first, second, third = cut(text)
    assert [second.id, third.id] == [f"{first.id}-2", f"{first.id}-3"]


def test_overlap_repeats_the_end() -> None:
    chunks = cut(sentences("lamp", 20), overlap=12)
    assert all(first.text.split(". ")[-1].rstrip(".") in second.text for first, second in zip(chunks, chunks[1:], strict=False))
    assert max(count(piece.search_text) for piece in chunks) <= 40


@pytest.mark.parametrize(
    "text",
    [
        "x" * 80_000,
        "word " * 16_000,
        "余" * 80_000,
        "!" * 80_000,
        "# " * 40_000,
        "|" * 80_000,
        "\n" * 80_000 + "end",
        "((((" * 20_000,
    ],
    ids=["letters", "words", "characters", "marks", "hashes", "bars", "lines", "brackets"],
)
@pytest.mark.timeout(20)
def test_one_long_line(text: str) -> None:
    started = time.process_time()
    chunks = cut(text, tokens=160)
    assert time.process_time() - started < 2
    assert "".join("".join(piece.text.split()) for piece in chunks).count("x") == text.count("x")
    assert max(len(piece.text) for piece in chunks) <= 160 * 12


def test_one_character() -> None:
    assert [piece.text for piece in cut("5")] == ["5"]


def test_headings_longer_than_the_window() -> None:
    chunks = cut(f"## {sentences('title', 12)}\n\n{sentences('lamp', 8)}\n")
    assert "".join(piece.text for piece in chunks).count("lamp") == 8


def test_each_text_is_counted_once() -> None:
    counted: list[str] = []

    def counting(text: str) -> int:
        counted.append(text)
        return count(text)

    cut("\n\n".join(f"## Part {i}\n\n{sentences('lamp', 9)}" for i in range(50)), counter=counting)
    assert len(counted) == len(set(counted))


def test_bundled_corpus() -> None:
    """Every file is read, every row kept; every piece of a page is verbatim and fits."""
    corpus = Path(__file__).parent.parent / "corpus" / "shop"
    found = scan(corpus)
    assert found.rejected == ()
    ids: set[str] = set()
    for path in found.files:
        document = read(path, path.relative_to(corpus).as_posix())
        assert document.rejected == (), document.id
        assert document.title
        chunks = chunk(document, count, 160, 0)
        assert chunks, document.id
        ids |= {piece.id for piece in chunks}
        for piece in chunks:
            assert piece.facets.language in ("en", "zh"), piece.id
            assert not re.search(r"[\x00-\x08\u200b\u202a-\u202e\u2066-\u2069]", piece.search_text)
            if piece.kind is Kind.PAGE:
                assert piece.text in document.text
                assert count(piece.search_text) <= 160, piece.id
    assert len(ids) > 1000


def test_golden_chunks() -> None:
    """The boundaries in a page as shops write them, for review as a diff."""
    chunks = chunk(read(FIXTURE, "chunks_page.md"), count, 60, 0)
    golden("chunks.txt", "\n".join(f"[{piece.id} | {' > '.join(piece.headings)}]\n{piece.text}\n" for piece in chunks))


def test_runs_of_empty_lines_between_pieces_lose_nothing() -> None:
    texts = [f"{sentences(topic, 6)}" for topic in ("lamp", "cloth", "sea", "wood")]
    text = "\n\n \n\n".join(texts) + "\n\n \n\n"
    entry = Entry("p1", Kind.PASSAGE, "", text)
    chunks = chunk(Document("corpus.jsonl", "", "", Facets(), "0" * 64, (entry,)), count, 60, 0)
    assert " ".join(piece.text for piece in chunks).split() == text.split()


def test_what_every_chunk_would_repeat_has_a_size() -> None:
    rows = "\n".join(f"|{'a|' * 2000}" for _ in range(20))
    long = f"# {'lamp ' * 2000}\n\n" + "It shines. It lasts.\n\n" * 500 + f"|{'column|' * 2000}\n|{'-|' * 2000}\n{rows}"
    chunks = cut(long, tokens=160)
    assert max(len(piece.search_text) for piece in chunks) < 4000
    assert any("lamp lamp" in piece.text for piece in chunks), "a heading that long is text"


def test_a_page_that_repeats_itself_is_kept_fifty_times() -> None:
    chunks = cut(f"## A\n\n{sentences('lamp', 2)}\n\n" * 300)
    assert len(chunks) == 50
    assert [piece.ordinal for piece in chunks] == list(range(50))
