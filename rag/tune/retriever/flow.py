"""Dictionary, sets -> vocabulary -> extended model -> trained model -> float16 folder with its card."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from rag.models.resolve import resolve_embedder
from rag.tune.retriever.card import card
from rag.tune.retriever.export import export
from rag.tune.retriever.sources import Sources, gather
from rag.tune.retriever.train import KIND, Plan, extend, train
from rag.tune.retriever.vocabulary import choose, dictionary

BASE = "minilm"
VOCABULARY = 17_000  # tokens added: what 60 MB in float16 leave room for
HELD_OUT = 600  # parallel sentences that are measured on, never learnt from


def tune_retriever(data: Path, corpus: Path, out: Path, plan: Plan) -> dict[str, float]:
    """Teach the English embedder Chinese and shop questions; the finished model lies in out/model. Returns its figures.

    A killed run goes on from its last checkpoint in `out`. Raises DataError naming what is missing, ModelMissing.
    """
    glosses = dictionary()
    sources = gather(data, glosses, plan.seed)
    base = resolve_embedder(BASE)
    teacher = SentenceTransformer(str(base), device="cpu", local_files_only=True, model_kwargs=KIND)
    out.mkdir(parents=True, exist_ok=True)
    tokens = _tokens(out / "tokens.json", sources, corpus, glosses, frozenset(teacher.tokenizer.get_vocab()))
    model = extend(base, tokens, glosses)
    held_out, sources.parallel[:] = sources.parallel[:HELD_OUT], sources.parallel[HELD_OUT:]
    judge = judging(held_out, teacher)
    before = judge(model)
    train(model, teacher, sources, plan, out, judge)
    after = judge(model)
    export(model, out / "model")
    (out / "model" / "README.md").write_text(card(plan, sources, len(tokens), HELD_OUT, before, after), encoding="utf-8")
    return after


def judging(pairs: list[tuple[str, str]], teacher: SentenceTransformer) -> Callable[[SentenceTransformer], dict[str, float]]:
    """What a model is measured by: is the English translation of a Chinese sentence the nearest of all, and how near."""
    english = [english for _, english in pairs]
    wanted = teacher.encode(english, normalize_embeddings=True, show_progress_bar=False)

    def judge(model: SentenceTransformer) -> dict[str, float]:
        with torch.autocast("cpu", torch.bfloat16):
            vectors = model.encode([chinese for chinese, _ in pairs], normalize_embeddings=True, show_progress_bar=False)
            own = model.encode(english, normalize_embeddings=True, show_progress_bar=False)
        found = {
            "chinese to English, first": float((np.argmax(vectors @ wanted.T, axis=1) == np.arange(len(pairs))).mean()),
            "cosine of Chinese to the English teacher": float((vectors * wanted).sum(axis=1).mean()),
            "cosine of English to the English teacher": float((own * wanted).sum(axis=1).mean()),
        }
        return {name: round(value, 4) for name, value in found.items()}

    return judge


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
