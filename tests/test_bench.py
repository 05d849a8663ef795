"""The benchmark measures what it says: the corpus grows, the whole search is timed, filtered stands against unfiltered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tiny_models import make_llama

from rag.fakes import HashEmbedder
from rag.index.terms import analyze
from rag.models.generate import TransformersGenerator
from rag.settings import Settings
from rag.types import Chunk, Facets, Kind, Turn
from tests.bench import engine
from tests.bench.retrieval import Measured, Took, bundled, grow, measure, questions, table, terms


def chunk(number: int, language: str, text: str) -> Chunk:
    facets = Facets(language=language, region="EU" if number % 2 else "CN")
    kind = Kind.FAQ if number == 0 else Kind.PAGE
    return Chunk(f"d{number}", f"d{number}.md", "", 0, kind, f"Title {number}", (), text, facets=facets)


BASE = [
    chunk(0, "en", "Is it light? It weighs 86 g."),
    chunk(1, "en", "It lasts 12 hours. Charge it."),
    chunk(2, "zh", "续航十二小时。很轻。"),
]


def test_a_corpus_grows_to_any_size_and_stays_in_its_language() -> None:
    grown = list(grow(BASE, 50))
    assert len({piece.id for piece in grown}) == 50
    assert [piece.text for piece in grown[:3]] == [piece.text for piece in BASE]
    english = {"Is it light?", "It weighs 86 g.", "It lasts 12 hours.", "Charge it."}
    for piece in grown[3:]:
        assert (set(piece.text.split("\n")) <= english) == (piece.facets.language == "en")
    assert len({piece.title for piece in grown if piece.kind is Kind.FAQ}) == 17  # a question of its own each
    assert list(grow(BASE, 50)) == grown


def test_terms_of_lines_are_the_terms_of_the_whole() -> None:
    for piece in BASE:
        whole = analyze(piece.search_text)
        assert sorted(terms(piece).hashes) == sorted(whole.hashes)
        assert set(terms(piece).words.split()) == set(whole.words.split())


def test_a_whole_run_with_the_fakes() -> None:
    embedder = HashEmbedder()
    base = bundled(embedder.count)[::9]
    found = measure(200, base, questions()[:3], Settings(fakes=True), embedder)
    assert len(found.plain.wall) == len(found.filtered.cpu) == len(found.embed.cpu) == 6
    assert min(found.plain.wall) > 0 and found.ratio > 0
    assert 0 < found.add < found.rebuild
    assert "| 200 |" in table([found])


def test_goals_are_judged_at_the_median() -> None:
    fast, slow = Took([10.0] * 9 + [500.0], [10.0] * 10), Took([90.0] * 10, [90.0] * 10)
    met = table([Measured(10_000, fast, fast, fast, 0.1, 1.0)])
    assert (
        "p50 at most 60 ms: met (10.0; CPU 10.0)" in met
        and "| 10,000 | 10.0 | 500.0 | 10.0 | 10.0 | 10.0 | 1.00 | 0.10 | 0.10 |" in met
    )
    missed = table([Measured(10_000, slow, Took([], [np.float64(180.0)]), slow, 0.1, 1.0)])
    assert "missed (90.0; CPU 90.0)" in missed and "1.2 times unfiltered: missed (2.00)" in missed


def test_the_engine_is_held_against_the_model_alone(tmp_path: Path) -> None:
    generator = TransformersGenerator(make_llama(tmp_path / "llama"), threads=1, dtype="float32")
    said = [engine.say_both(generator, [Turn("user", text)], 6) for text in ("How long?", "The price is")]
    assert all(one.engine == one.reference != "" for one in said) and all(one.engine_seconds > 0 for one in said)
    text = engine.table([*said, *said, engine.Said("a", "b", 1.0, 2.0)])
    assert "| 80.0% |" in text and "missed" in text and "'a', alone 'b'" in text
    assert "met." in engine.table(said)
