"""Grounded conversations as a retrieval set: the passages that answers rest on are the corpus, each answer's own are relevant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rag.evaluate.beir import find, rows


def as_set(folder: Path, target: Path) -> Path:
    """Write `folder`'s answers.jsonl (question, history, gold_passages) to `target` in the BEIR layout; returns `target`.

    Raises DataError naming file:line for a row without these fields.
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
    target.mkdir(parents=True, exist_ok=True)
    for name, lines in (("corpus.jsonl", passages.values()), ("queries.jsonl", questions)):
        (target / name).write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    judged = "".join(f"{question}\t{passage}\t1\n" for question, passage in relevant)
    (target / "qrels.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}", encoding="utf-8")
    return target
