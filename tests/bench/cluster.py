"""What ingest on a Ray cluster costs beyond one process, and what ten million chunks would take: prints and writes cluster.md.

    python -m tests.bench.cluster

All nodes are on this machine, one core each, so that two of them cannot be faster than its two cores are: the table is about what
a cluster adds. It counts seconds of processor, too, which other programs beside it change little.
"""

from __future__ import annotations

import os
import pickle
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rag import loading
from rag.fakes import HashEmbedder
from rag.index.catalog import Catalog
from rag.index.chroma import ChromaStore
from rag.ingest.cluster import RaySteps, connected
from rag.ingest.flow import BATCH, VERSION, WINDOW, Found, LocalSteps, Read, Steps, fill, look, silent
from rag.ingest.read import read
from rag.ingest.report import Rejection
from rag.ports import Embedder, Vectors
from rag.settings import ModelSettings, Settings
from rag.types import Chunk, Recipe
from tests.machines import chroma_server, ray_head, ray_node, sessions

CORPUS = Path(__file__).parents[2] / "corpus" / "shop"
RESULTS = Path(__file__).with_name("cluster.md")
COPIES = 8  # of the corpus, to weigh what little the cluster adds to a chunk
EVERY = 4  # the model embeds every fourth file, some two minutes of one core
STORED = 20_000  # chunks put into a Chroma server to see what it takes
MANY = 10_000_000  # chunks


class Instant(HashEmbedder):
    """Takes no time, so that what is left is the machinery."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        return np.full((len(texts), self.dimension), self.dimension**-0.5, np.float32)


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds of one pass over files: by the clock, and of processor in this process and in the nodes'."""

    files: int
    chunks: int
    texts: int
    wall: float
    here: float
    nodes: float


@dataclass(frozen=True, slots=True)
class Bytes:
    """What one chunk with its questions and sentences takes, all in bytes."""

    shipped: float  # over the network, both ways
    catalogue: float
    driver: float  # in memory, from when it is read until it is kept
    server_disk: float
    server_memory: float


class Processor:
    """Seconds of processor that sessions took while this was open; ended processes count as last seen."""

    def __init__(self, leaders: Sequence[int]) -> None:
        self._leaders = set(leaders)
        self._before = self._now()
        self._last = dict(self._before)
        self._done = threading.Event()
        self._watch = threading.Thread(target=self._look)

    def __enter__(self) -> Processor:
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watch.join()

    def seconds(self) -> float:
        return sum(last - self._before.get(pid, 0) for pid, last in self._last.items())

    def _look(self) -> None:
        while not self._done.wait(0.2):
            self._last |= self._now()

    def _now(self) -> dict[int, float]:
        return {pid: processor(pid) for pid, leader in sessions() if leader in self._leaders}


def processor(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it ended meanwhile
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def recipe_of(embedder: Embedder) -> Recipe:
    return Recipe(embedder.fingerprint, embedder.dimension, 160, 0, VERSION, "", "")


def some(every: int = 1, times: int = 1) -> Found:
    """Every so manieth file of the corpus, each under several names."""
    found = look(CORPUS)
    files = tuple((f"{copy}/{id}", path) for copy in range(times) for id, path in found.files[::every])
    return Found(files, {name: found.sources[name.partition("/")[2]] for name, _ in files}, ())


def passed(found: Found, steps: Steps, embedder: Embedder, leaders: Sequence[int] = ()) -> Took:
    """Read, chunk and embed into an empty catalogue."""
    with tempfile.TemporaryDirectory() as folder, Catalog(Path(folder) / "it.sqlite") as catalog, Processor(leaders) as nodes:
        wall, here = time.perf_counter(), time.process_time()
        *_, embedded = fill(found, catalog, recipe_of(embedder), steps, silent)
        wall, here = time.perf_counter() - wall, time.process_time() - here
        chunks = sum(catalog.enlist(1, recipe_of(embedder), found.sources).values())
    return Took(len(found.files), chunks, embedded, wall, here, nodes.seconds())


def driven(found: Found, steps: Steps, leaders: Sequence[int] = ()) -> Took:
    """Read and chunk, then an embedder that takes no time for every text, repeated ones included, and no catalogue."""
    with Processor(leaders) as nodes:
        wall, here = time.perf_counter(), time.process_time()
        reads = read_from(steps.cut(found, recipe_of(Instant())))
        texts = [text for _, _, own in reads for text in own]
        for _ in steps.embed([texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]):
            pass
        wall, here = time.perf_counter() - wall, time.process_time() - here
    return Took(len(found.files), sum(len(pieces) for _, pieces, _ in reads), len(texts), wall, here, nodes.seconds())


def read_from(made: Iterator[Read | Rejection]) -> list[Read]:
    return [one for one in made if not isinstance(one, Rejection)]


def model() -> Embedder:
    return loading.build_embedder(Settings(models=ModelSettings(threads=1)))


def passes() -> Iterator[tuple[str, Took]]:
    """One process, then one node and two."""
    one_file, all_files, some_files = replace(some(), files=some().files[-1:]), some(times=COPIES), some(EVERY)
    embedder = model()
    embedder.embed(["loaded before the clock starts"])
    yield "machinery, one process", driven(all_files, LocalSteps(Instant(), read))
    yield "model, one process", passed(some_files, LocalSteps(embedder, read), embedder)

    def on_cluster(address: str, nodes: str, leaders: Sequence[int]) -> Iterator[tuple[str, Took]]:
        with connected(address, Instant, 1) as steps:
            yield f"start, {nodes}", driven(one_file, steps, leaders)
        with connected(address, Instant, 1) as steps:
            yield f"machinery, {nodes}", driven(all_files, steps, leaders)
        with connected(address, model, 1) as steps:
            yield f"model, {nodes}", passed(some_files, steps, embedder, leaders)

    with ray_head() as (address, first):
        yield from on_cluster(address, "1 node", [first.process.pid])
        with ray_node(address) as second:
            yield from on_cluster(address, "2 nodes", [first.process.pid, second.process.pid])


def weigh() -> Bytes:
    """By the chunks of the bundled corpus."""
    embedder = HashEmbedder(384)
    reads = read_from(LocalSteps(embedder, read).cut(some(), recipe_of(embedder)))
    chunks = [chunk for _, pieces, _ in reads for chunk in pieces]
    texts = [text for _, _, own in reads for text in own]
    packed = pickle.dumps(reads)
    shipped = len(packed) + len(pickle.dumps(texts)) + len(texts) * 384 * 4
    del reads
    tracemalloc.start()
    held: list[Read] = pickle.loads(packed)
    driver = tracemalloc.get_traced_memory()[0] + sum(len(pickle.dumps(own)) for _, _, own in held)
    tracemalloc.stop()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalog.sqlite"
        with Catalog(path) as catalog:
            fill(some(), catalog, recipe_of(embedder), LocalSteps(Instant(384), read), silent)
            catalog.terms([chunk.search_text for chunk in chunks])
        catalogue = path.stat().st_size
    disk, memory = weigh_server(chunks)
    return Bytes(shipped / len(chunks), catalogue / len(chunks), driver / len(chunks), disk, memory)


def weigh_server(chunks: Sequence[Chunk]) -> tuple[float, float]:
    """Bytes a chunk that a Chroma server has on disk and in memory, by STORED of them."""
    many = [replace(chunks[at % len(chunks)], id=f"{at:08}") for at in range(STORED)]
    vectors = np.random.default_rng(1).standard_normal((STORED, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with tempfile.TemporaryDirectory() as folder, chroma_server(Path(folder)) as url:
        pid = next(int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if folder.encode() in path.read_bytes())
        memory = resident(pid)
        with closing(ChromaStore.create(Path(folder), url, "bench", STORED)) as store:
            store.add(many, vectors)
            store.nearest(vectors[:1], 10)
        memory = resident(pid) - memory
        disk = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    return disk / STORED, memory / STORED


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def table(took: dict[str, Took], size: Bytes) -> str:
    lines = [
        "# Ingest on a Ray cluster",
        "",
        "`python -m tests.bench.cluster`: read, chunk and embed the bundled corpus into an empty catalogue. Nodes of one core",
        f"each on one machine of {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end. start: one small file;",
        f"machinery: all files {COPIES} times, no catalogue, an embedder that takes no time; model: every {EVERY}th file and the",
        "default embedder. The processes of the cluster import and load within these times, the one process had done so before.",
        "",
        "| pass | files | chunks | texts | s | chunks/s | CPU s here | CPU s in nodes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, one in took.items():
        counts = f"{one.files} | {one.chunks} | {one.texts} | {one.wall:.1f} | {one.chunks / one.wall:.1f}"
        lines.append(f"| {name} | {counts} | {one.here:.1f} | {one.nodes:.1f} |")
    local, alone = took["model, one process"], took["machinery, one process"]
    start, machinery = took["start, 1 node"], took["machinery, 1 node"]
    overhead = (machinery.here + machinery.nodes - start.here - start.nodes - alone.here) / machinery.chunks
    work = local.here / local.chunks
    total = work + max(overhead, 0)
    window = RaySteps.windows * WINDOW
    lines += [
        "",
        f"A chunk, {local.texts / local.chunks:.1f} texts with questions and sentences, takes {work * 1000:.0f} ms of one core;",
        f"the cluster adds {overhead * 1000:.1f} ms (machinery less start less one process), and {start.wall:.0f} s to start.",
        "",
        f"| by arithmetic | a chunk | {MANY:,} chunks |",
        "|---|---|---|",
        f"| core-hours to read, chunk and embed | {total * 1000:.0f} ms | {MANY * total / 3600:,.0f} h |",
        f"| shipped between driver and nodes | {size.shipped / 1e3:.1f} kB | {MANY * size.shipped / 1e9:,.0f} GB |",
        f"| catalogue on disk | {size.catalogue / 1e3:.1f} kB | {MANY * size.catalogue / 1e9:,.0f} GB |",
        f"| Chroma server, disk of a generation | {size.server_disk / 1e3:.1f} kB | {MANY * size.server_disk / 1e9:,.0f} GB |",
        f"| Chroma server, memory | {size.server_memory / 1e3:.1f} kB | {MANY * size.server_memory / 1e9:,.0f} GB |",
        f"| driver, memory for {window:,} chunks at a time | {size.driver / 1e3:.1f} kB | {window * size.driver / 1e9:,.1f} GB |",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    took = {}
    for name, one in passes():
        print(name, one, flush=True)  # noqa: T201 - minutes pass
        took[name] = one
    text = table(took, weigh())
    RESULTS.write_text(text, encoding="utf-8")
    print(text)  # noqa: T201 - a command


if __name__ == "__main__":
    main()
