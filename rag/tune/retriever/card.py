"""The model card of a trained embedder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from rag.tune.retriever.sources import LICENCES, Sources
from rag.tune.retriever.train import Plan

FRAME = """---
language: [en, zh]
license: apache-2.0
base_model: sentence-transformers/all-MiniLM-L6-v2
library_name: sentence-transformers
---
# Shoptalk's embedder: MiniLM that reads Chinese

all-MiniLM-L6-v2 with {chinese:,} Chinese words and characters in its vocabulary, each started from the English glosses of a
dictionary, then trained so that a Chinese sentence lands where its English translation is, English stays where it was, and a
question lands near the passage that answers it. 384 dimensions, mean pooling, unit length, at most 256 tokens. Traditional
characters are to be simplified first; Shoptalk does.

Made by `python -m rag tune retriever --data DIR --out DIR{start}` (seed {seed}) on two cores. Data digest (sha256):
`{digest}`.{origin}

| | before | after |
|---|---|---|
{figures}

Measured on what was not learnt from: {held_out} parallel sentences, and {unseen} entries written for Shoptalk, each question of
which is to find its answer among theirs and 1,000 others. "Before" is {beginning}.
Retrieval figures are in the README of Shoptalk, each with its command.

## Data
{data}

| lessons | number |
|---|---|
| parallel sentences | {parallel:,} |
| dictionary words | {glosses:,} |
| English texts that keep their vector | {english:,} |
| questions with a passage, or two ways to ask | {pairs:,} |

## Plan
{plan}

## Limits
Trained for shop and service questions. It knows no language but English and Chinese, and Chinese outside of what its few sets
speak of only by the dictionary. Distances say what is near, not what is true.
"""


def card(plan: Plan, sources: Sources, chinese: int, origin: str, before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """Data and licences, seed, command, before and after, as Markdown. `origin`: the model that a second training began with."""
    return FRAME.format(
        chinese=chinese,
        held_out=len(sources.held_out),
        unseen=len(sources.unseen),
        start=" --start FOLDER" if origin else "",
        origin=f" FOLDER held `{origin}`." if origin else "",
        beginning=f"`{origin}`" if origin else "the extended vocabulary untrained",
        seed=plan.seed,
        digest=sources.digest,
        figures="\n".join(f"| {name} | {before[name]} | {value} |" for name, value in after.items()),
        data="\n".join(f"- {name}: {licence}" for name, licence in LICENCES.items()),
        parallel=len(sources.parallel),
        glosses=len(sources.glosses),
        english=len(sources.english),
        pairs=len(sources.pairs),
        plan=", ".join(f"{name} {value}" for name, value in asdict(plan).items()),
    )
