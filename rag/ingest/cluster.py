"""The door to Ray: reading, chunking and embedding by the processes of a cluster, everything else by the one that ingests.

Every node runs LocalSteps on what it is sent, one file or one batch of texts at a time, so the results are those of one machine.
Ray runs again what a lost process or node was busy with. All nodes see the corpus folder under the same path and have the same
Shoptalk, model and settings; the first call in each process checks that, for two versions would make two kinds of chunks.
"""

from __future__ import annotations

import logging
import os
import pickle
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag import __version__
from rag.errors import ClusterFailed, ShoptalkError
from rag.ingest.apart import reading_apart
from rag.ingest.flow import VERSION, Found, LocalSteps, Read, digest_of
from rag.ingest.report import Rejection
from rag.ports import Embedder, Vectors
from rag.types import Recipe

if TYPE_CHECKING:
    from pyarrow import Table

Step = Callable[[LocalSteps, Any], Any]  # one item's
CONNECT = 10  # seconds
SLICE = 256_000_000  # bytes of files read at a time
RETRIES = 50  # of what was lost, some of them on a node not yet known to be dead; what kills every process ends the ingest
BLOCKS = 4_000  # that the items are dealt out in, at most: what is lost with a node is done again by the block


@contextmanager
def connected(address: str, make_embedder: Callable[[], Embedder], cores: int, gpus: int = 0) -> Iterator[RaySteps]:
    """A block that may use the cluster at HOST:PORT, of which this machine is a node.

    Each of its processes gets `cores`, and one that embeds `gpus`. Raises ClusterFailed if there is no cluster, or if it runs
    another Ray or Python.
    """
    if find_spec("ray") is None:
        raise ClusterFailed(expected="Ray", found="it is not installed", remedy="run `pip install 'shoptalk[cluster]'`")
    knock(address)
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
    import ray

    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (RuntimeError, ConnectionError, ValueError) as error:
        raise _unfit(address, " ".join(str(error).split())) from error
    try:
        yield RaySteps(address, make_embedder, cores, gpus)
    finally:
        ray.shutdown()


class RaySteps:
    """See flow.Steps."""

    windows = 32  # some 130,000 chunks, so that starting the processes of the cluster takes little of the time

    def __init__(self, address: str, make_embedder: Callable[[], Embedder], cores: int, gpus: int) -> None:
        self._address, self._cores, self._gpus = address, cores, gpus
        self._local = make_embedder, identity(make_embedder())

    def cut(self, found: Found, recipe: Recipe) -> Iterator[Read | Rejection]:
        """See flow.Steps. Raises ClusterFailed, too, if a node sees another file than this machine."""
        for files in _slices(found.files):
            made = dict(self._made(partial(_cut, recipe), files))
            for at, (id, path) in enumerate(files):
                digest, result = made.pop(at)
                if digest != found.sources[id] and digest != digest_of(path):  # unless it changed or vanished meanwhile
                    raise ClusterFailed(
                        expected=f"every node of the cluster at {self._address} to see {path} as this one does",
                        found="another file there" if digest else "none there",
                        remedy="share the corpus folder among the nodes, under the same path",
                    )
                yield result

    def embed(self, batches: Sequence[Sequence[str]]) -> Iterator[tuple[Sequence[str], Vectors]]:
        """See flow.Steps. Raises ClusterFailed, too, if no node has the GPUs that the embedder is to run on."""
        return ((batches[at], vectors) for at, vectors in self._made(_embed, batches, self._gpus))

    def _made(self, step: Step, items: Sequence[Any], gpus: int = 0) -> Iterator[tuple[int, Any]]:
        """What the step makes of each item, with the item's number, as it comes."""
        import ray
        import ray.data

        if not items:
            return
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what goes wrong is raised
        ray.data.DataContext.get_current().enable_progress_bars = False
        size = -(-len(items) // BLOCKS)
        parts = (range(start, min(start + size, len(items))) for start in range(0, len(items), size))
        blocks = [ray.put(_table({at: items[at] for at in part})) for part in parts]
        workers = max(1, min(len(blocks), self._places(ray.cluster_resources(), gpus)))
        made = ray.data.from_arrow_refs(blocks).map_batches(
            Worker,
            fn_constructor_args=(step, *self._local, self._cores),
            batch_size=1,
            batch_format="pyarrow",
            num_cpus=self._cores,
            num_gpus=gpus or None,
            max_task_retries=RETRIES,
            compute=ray.data.ActorPoolStrategy(min_size=1, initial_size=workers, max_size=workers),
        )
        try:
            for table in made.iter_batches(batch_size=None, batch_format="pyarrow"):
                for at, result in _rows(table):
                    if isinstance(result, ShoptalkError):
                        raise result
                    yield at, result
        except ray.exceptions.RayError as error:
            raise ClusterFailed(
                expected=f"the cluster at {self._address} to read, chunk and embed",
                found=f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}",
                remedy="see the logs of its nodes, then run it again: what was embedded is kept, the live index is as it was",
            ) from error

    def _places(self, held: Mapping[str, float], gpus: int) -> int:
        """How many processes have room in a cluster that has these resources."""
        if gpus > held.get("GPU", 0):
            raise ClusterFailed(
                expected=f"a node with a GPU in the cluster at {self._address}, as models.device says",
                found="none that Ray knows of",
                remedy="start it with `ray start --num-gpus=1`, or set models.device to cpu",
            )
        return min(int(held.get("CPU", 0)) // self._cores, int(held["GPU"]) // gpus if gpus else BLOCKS)


class Worker:
    """One process of the cluster, which keeps its model from item to item."""

    def __init__(self, step: Step, make_embedder: Callable[[], Embedder], expected: str, cores: int) -> None:
        self._step, self._make_embedder, self._expected, self._cores = step, make_embedder, expected, cores

    def __call__(self, table: Table) -> Table:
        """Items in, results out; an error that a person can act on is a result, any other ends the ingest."""
        return _table({at: self._result(item) for at, item in _rows(table)})

    def _result(self, item: Any) -> Any:  # noqa: ANN401 - the step's own
        try:
            return self._step(self._steps, item)
        except ShoptalkError as error:
            return error

    @cached_property
    def _steps(self) -> LocalSteps:
        from rag.ingest.readers import recognize

        embedder = self._make_embedder()
        if identity(embedder) != self._expected:
            raise ClusterFailed(
                expected=f"{self._expected} on every node",
                found=f"{identity(embedder)} on {platform.node()}",
                remedy="install the same Shoptalk and model there; set models.embedder_dtype if the processors differ",
            )
        recognize.limit(self._cores)
        self._reading = reading_apart()  # until this process ends
        return LocalSteps(embedder, self._reading.__enter__())


def _cut(recipe: Recipe, steps: LocalSteps, file: tuple[str, Path]) -> tuple[str, Read | Rejection]:
    (made,) = steps.cut(Found((file,), {}, ()), recipe)
    return digest_of(file[1]), made


def _embed(steps: LocalSteps, batch: Sequence[str]) -> Vectors:
    ((_, vectors),) = steps.embed([batch])
    return vectors


def _slices(files: Sequence[tuple[str, Path]]) -> Iterator[list[tuple[str, Path]]]:
    """Files to read at a time: what becomes of them fits into memory. Their paths are those of any working folder."""
    part: list[tuple[str, Path]] = []
    size = 0
    for id, path in files:
        part.append((id, path.absolute()))
        with suppress(OSError):  # it vanished, which whoever reads it tells
            size += path.stat().st_size
        if size >= SLICE:
            yield part
            part, size = [], 0
    yield part


def identity(embedder: Embedder) -> str:
    """What decides which chunks and vectors a process makes."""
    return f"Shoptalk {__version__} (chunks {VERSION}) with {embedder.fingerprint}"


def _table(items: Mapping[int, Any]) -> Table:
    """Pickled: Arrow by itself would hand a worker numpy strings and bytes, which lose what ends in zeros."""
    import pyarrow

    packed = pyarrow.array([pickle.dumps(item) for item in items.values()], pyarrow.binary())
    return pyarrow.table({"at": pyarrow.array(list(items), pyarrow.int64()), "packed": packed})


def _rows(table: Table) -> list[tuple[int, Any]]:
    return [(row["at"], pickle.loads(row["packed"])) for row in table.to_pylist()]


def knock(address: str) -> None:
    """Ray itself would try for minutes. Raises ClusterFailed if no one who speaks its protocol answers."""
    import grpc

    with grpc.insecure_channel(address) as channel:
        try:
            channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=CONNECT)
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise _unfit(address, f"no answer ({error.details()})") from error


def _unfit(address: str, found: str) -> ClusterFailed:
    return ClusterFailed(
        expected=f"a Ray cluster at {address} that this machine is a node of, with the same Ray and Python",
        found=found,
        remedy="start it with `ray start`, or correct --cluster",
    )
