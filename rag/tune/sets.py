"""Retrieval sets made of what is at hand: grounded conversations, and the pairs written for Shoptalk as a FAQ."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rag.evaluate.beir import find, rows
from rag.tune.retriever.sources import authored
from rag.types import Language


def grounded(folder: Path, target: Path) -> Path:
    """Write `folder`'s answers.jsonl (question, history, gold_passages) to `target` in the BEIR layout; returns `target`.

    The passages that any answer rests on are the corpus, each answer's own are relevant. Raises DataError naming file:line for a
    row without these fields.
    """
    passages: dict[str, dict[str, str]] = {}
    questions: list[dict[str, Any]] = []
    relevant: list[tuple[str, str]] = []
    for _, row in rows(find(folder, "answers.jsonl"), ("_id", "question", "gold_passages")):
        id = str(row["_id"])
        questions.append({"_id": id, "text": row["question"], "history": row.get("history", [])})
        for passage in row["gold_passages"]:
            passages[str(passage["_id"])] = {"_id": str(passage["_id"]), "title": "", "text": str(passage["text"])}
            relevant.append((id, str(passage["_id"])))
    return _write(target, passages.values(), questions, relevant)


def written(target: Path, language: Language) -> Path:
    """The entries written for Shoptalk that its embedder has not learnt from, as a set in the BEIR layout.

    Every other one is an entry of a FAQ: the first way to ask is its title, and the others are asked. Of the rest, the answer is
    a passage without a title.
    """
    entries, questions, relevant = [], [], []
    for number, row in enumerate(authored()[1]):
        faq = number % 2 == 0
        entries.append({"_id": f"f{number}", "title": row[language][0] if faq else "", "text": row[f"{language}_answer"]})
        for place, question in enumerate(row[language][faq:]):
            questions.append({"_id": f"f{number}q{place}", "text": question})
            relevant.append((f"f{number}q{place}", f"f{number}"))
    return _write(target, entries, questions, relevant)


def _write(
    target: Path, corpus: Iterable[Mapping[str, str]], questions: Iterable[Mapping[str, Any]], relevant: Iterable[tuple[str, str]]
) -> Path:
    target.mkdir(parents=True, exist_ok=True)
    for name, lines in (("corpus.jsonl", corpus), ("queries.jsonl", questions)):
        (target / name).write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    judged = "".join(f"{question}\t{passage}\t1\n" for question, passage in relevant)
    (target / "qrels.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}", encoding="utf-8")
    return target
