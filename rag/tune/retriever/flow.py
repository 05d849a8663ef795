"""Dictionary, sets -> vocabulary -> extended model -> trained model -> float16 folder with its card."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from rag.errors import ModelFailed
from rag.models.resolve import identity, resolve_embedder
from rag.ports import Vectors
from rag.tune.retriever.card import card
from rag.tune.retriever.export import export
from rag.tune.retriever.sources import Sources, authored, gather
from rag.tune.retriever.train import Plan, blend, extend, is_chinese, load, train
from rag.tune.retriever.vocabulary import choose, dictionary
from rag.types import Language

BASE = "minilm"
VOCABULARY = 17_000  # tokens added: what 60 MB in float16 leave room for
OTHERS = 1000  # answers that were learnt, among which an unseen question must find its own


def tune_retriever(data: Path, corpus: Path, out: Path, plan: Plan, start: Path | None = None) -> dict[str, float]:
    """Teach the English embedder Chinese and shop questions; the finished model lies in out/model. Returns its figures.

    With `start`, a bilingual embedder of this kind learns more. A killed run goes on from its last checkpoint in `out`. Raises
    DataError naming what is missing, ModelMissing, ModelFailed.
    """
    origin = "" if start is None else identity(start)
    glosses = dictionary()
    sources = gather(data, glosses, plan.seed)
    base = resolve_embedder(BASE)
    teacher = load(base)
    out.mkdir(parents=True, exist_ok=True)
    if start is None:
        tokens = _tokens(out / "tokens.json", sources, corpus, glosses, frozenset(teacher.tokenizer.get_vocab()))
        model = extend(base, tokens, glosses)
    else:
        model = _same_kind(load(start), teacher, start)
    judge = judging(sources, teacher)
    before = judge(model)
    train(model, teacher, sources, plan, out, judge)
    blend(model, teacher, plan.blend)
    after = judge(model)
    export(model, out / "model")
    text = card(plan, sources, sum(map(is_chinese, model.tokenizer.get_vocab())), origin, before, after)
    (out / "model" / "README.md").write_text(text, encoding="utf-8")
    return after


def _same_kind(model: SentenceTransformer, teacher: SentenceTransformer, folder: Path) -> SentenceTransformer:
    """The model, if its encoder is shaped like the teacher's. Raises ModelFailed."""
    mine, theirs = (
        {name: tuple(weight.shape) for name, weight in one[0].auto_model.named_parameters() if "word_embeddings" not in name}
        for one in (model, teacher)
    )
    if mine != theirs:
        raise ModelFailed(
            expected=f"an embedder made from {BASE} in {folder}",
            found="an encoder of another shape",
            remedy="leave out --start, or name a folder that `tune retriever` made",
        )
    return model


def judging(sources: Sources, teacher: SentenceTransformer) -> Callable[[SentenceTransformer], dict[str, float]]:
    """What a model is measured by, on what it never learnt from: translations, and questions among answers."""
    chinese, english = (list(side) for side in zip(*sources.held_out, strict=True))
    wanted = teacher.encode(english, normalize_embeddings=True, show_progress_bar=False)
    answers = sources.unseen + authored()[0][:OTHERS]

    def judge(model: SentenceTransformer) -> dict[str, float]:
        def vectors(texts: list[str]) -> Vectors:
            with torch.autocast("cpu", torch.bfloat16):
                made: Vectors = model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
            return made

        translated = vectors(chinese)
        found = {
            "Chinese sentence, its English first": _first(translated, wanted, 1),
            "cosine of Chinese to the English teacher": float((translated * wanted).sum(axis=1).mean()),
            "cosine of English to the English teacher": float((vectors(english) * wanted).sum(axis=1).mean()),
        }
        documents = {own: vectors([row[f"{own}_answer"] for row in answers]) for own in get_args(Language)}
        for own in get_args(Language):
            asked = vectors([question for row in sources.unseen for question in row[own]])
            for other in get_args(Language):
                name = f"unseen question in {own}, its answer in {other} among the first five"
                found[name] = _first(asked, documents[other], 5, len(asked) // max(len(sources.unseen), 1))
        return {name: round(value, 4) for name, value in found.items()}

    return judge


def _first(asked: Vectors, documents: Vectors, depth: int, per_row: int = 1) -> float:
    """Share of rows whose own document is among the `depth` nearest; every `per_row` rows belong to one document."""
    if not len(asked):
        return 0.0
    cosines = asked @ documents.T
    own = cosines[np.arange(len(asked)), np.arange(len(asked)) // per_row]
    return float(((cosines > own[:, None]).sum(axis=1) < depth).mean())


def _tokens(path: Path, sources: Sources, corpus: Path, glosses: dict[str, list[str]], known: frozenset[str]) -> list[str]:
    """The added tokens; kept beside the checkpoints, since a run that goes on needs the same."""
    if path.is_file():
        kept: list[str] = json.loads(path.read_text(encoding="utf-8"))
        return kept
    files = [file for file in sorted(corpus.rglob("*")) if file.suffix in (".md", ".jsonl", ".csv", ".txt", ".html")]
    shop = [file.read_text(encoding="utf-8") for file in files]
    tokens = choose([*sources.chinese(), *shop * 3], glosses, VOCABULARY, known)
    path.write_text(json.dumps(tokens, ensure_ascii=False), encoding="utf-8")
    return tokens
