"""Opens a generation in a process of its own and checks all of it.

Chroma's native core trusts its files: damaged ones end the process that opens them with a signal, hang it, or fill the disk.
So no process that matters is the first to open a generation.
"""

from __future__ import annotations

import importlib
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
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


Examine = Callable[[Path, int], list[str]]


@contextmanager
def canary() -> Iterator[Examine]:
    """A block with a fresh process, which makes ready while its generation is still being written.

    What the block is given is called once: with the folder of a generation, and the number of its chunks. It returns what is
    wrong, one sentence each. Takes about 0.2 ms a chunk; given up after 60 s and 10 ms a chunk.
    """
    pipe = subprocess.PIPE
    package = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "rag.index.canary"]
    with subprocess.Popen(command, cwd=package, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as child:
        try:
            yield partial(_examine, child)
        finally:
            child.kill()


def _examine(child: subprocess.Popen[str], folder: Path, count: int) -> list[str]:
    try:
        found, said = child.communicate(json.dumps([str(folder.resolve()), count]), timeout=60 + count / 100)
    except subprocess.TimeoutExpired as error:
        return [f"reading {folder} hung for {error.timeout:.0f} s"]
    if child.returncode != 0:
        last = said.strip().splitlines()[-1:] or ["no message"]
        return [f"reading {folder} ended its process with code {child.returncode}: {last[0]}"]
    return [str(problem) for problem in json.loads(found)]


def find_problems(folder: Path) -> list[str]:
    """What differs from the ledger: chunks that are missing, unknown, altered or not found by their own vector."""
    from rag.index.chroma import ChromaStore  # slow to import, and the ingesting process has no use for it

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
    """`python -m rag.index.canary`: JSON [folder, count] on stdin, the problems on stdout; any other end means damage."""
    importlib.import_module("rag.index.chroma")  # while there is nothing to read yet
    told = sys.stdin.read()
    if not told:
        return  # whoever started this has ended
    folder, count = json.loads(told)
    confine(count)
    try:
        problems = find_problems(Path(folder))
    except IndexDamaged as error:
        problems = [str(error)]
    json.dump(problems, sys.stdout)


if __name__ == "__main__":
    main()
