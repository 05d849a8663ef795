"""Opens a generation in a process of its own and checks all of it.

Chroma's native core trusts its files: damaged ones end the process that opens them with a signal, hang it, or fill the disk.
So no process that matters is the first to open a generation.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rag.errors import IndexDamaged
from rag.index.codec import Ledger
from rag.index.limits import confine
from rag.index.manifest import CHROMA, load_ledger, load_where

if TYPE_CHECKING:
    from rag.index.chroma import ChromaStore

SEARCHED = 5_000  # chunks looked up by their own vector; of a larger index, a sample
ROUNDING = 1e-5  # of a cosine
MISSED = 0.01  # share of them that an approximate graph may miss; each one's vector has been compared before


def examine(folder: Path, count: int) -> list[str]:
    """Check the generation in `folder` from a fresh process; what is wrong with it, one sentence each.

    Takes about 2 s and 0.2 ms a chunk; given up after 60 s and 10 ms a chunk.
    """
    command = [sys.executable, "-m", "rag.index.canary", str(folder.resolve()), str(count)]
    package = Path(__file__).resolve().parents[2]
    try:
        result = subprocess.run(command, cwd=package, capture_output=True, text=True, timeout=60 + count / 100)
    except subprocess.TimeoutExpired as error:
        return [f"reading {folder} hung for {error.timeout:.0f} s"]
    if result.returncode != 0:
        last = result.stderr.strip().splitlines()[-1:] or ["no message"]
        return [f"reading {folder} ended its process with code {result.returncode}: {last[0]}"]
    return [str(problem) for problem in json.loads(result.stdout)]


def find_problems(folder: Path) -> list[str]:
    """What differs from the ledger: chunks that are missing, unknown, altered or not found by their own vector."""
    from rag.index.chroma import ChromaStore

    ledger = load_ledger(folder)
    place, name = load_where(folder)
    store = ChromaStore.open(folder / CHROMA, place, name)
    found: Ledger = {}
    problems: list[str] = []
    sample = set(random.Random(0).sample(sorted(ledger), min(SEARCHED, len(ledger))))
    missed = 0
    for chunks, vectors, seals in store.rows():
        found |= seals
        own = [(chunk.id, vector) for chunk, vector in zip(chunks, vectors, strict=True) if chunk.id in sample]
        missed += _missed(store, own)
    store.close()
    problems += [f"chunk {id} is missing" for id in sorted(ledger.keys() - found.keys())]
    problems += [f"chunk {id} was never added" for id in sorted(found.keys() - ledger.keys())]
    for id in sorted(ledger.keys() & found.keys()):
        altered = [field for field in found[id]._fields if getattr(found[id], field) != getattr(ledger[id], field)]
        if altered:
            problems.append(f"chunk {id} is altered: {', '.join(altered)}")
    if missed > MISSED * len(sample):
        problems.append(f"{missed} of {len(sample)} chunks are not found by their own vector")
    return problems


def _missed(store: ChromaStore, own: list[tuple[str, np.ndarray]]) -> int:
    """How many are not the nearest to themselves. Of vectors that are equal but for rounding, any one will do."""
    missed = 0
    for start in range(0, len(own), 500):
        batch = own[start : start + 500]
        nearest = store.nearest(np.stack([vector for _, vector in batch]), 1)
        for (_, vector), hits in zip(batch, nearest, strict=True):
            missed += not any(cosine > float(vector @ vector) - ROUNDING for _, cosine in hits)
    return missed


def main() -> None:
    """`python -m rag.index.canary FOLDER COUNT`: a JSON list of problems on stdout; any other end means damage."""
    confine(int(sys.argv[2]))
    try:
        problems = find_problems(Path(sys.argv[1]))
    except IndexDamaged as error:
        problems = [str(error)]
    json.dump(problems, sys.stdout)


if __name__ == "__main__":
    main()
