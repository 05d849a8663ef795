"""Other machines, played by this one: nodes of a Ray cluster, and a Chroma server, on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rag.errors import ClusterFailed
from rag.ingest import cluster

TESTS = Path(__file__).parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def chroma_server(folder: Path) -> Iterator[str]:
    """A server of a folder, by its URL."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("chroma")), "run", "--host", "127.0.0.1", "--port", str(port), "--path"]
    process = subprocess.Popen([*command, str(folder)], stdout=subprocess.DEVNULL)
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


class Node:
    """One `ray start --block` and all that it started, which stays in its session."""

    def __init__(self, *options: str) -> None:
        self.process = subprocess.Popen(
            [Path(sys.executable).with_name("ray"), "start", "--block", "--num-cpus=1", "--node-ip-address=127.0.0.1", *options],
            env=os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": f"{TESTS.parent}:{TESTS}"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def processes(self) -> set[int]:
        return {pid for pid, session in sessions() if session == self.process.pid}

    def kill(self) -> None:
        until(lambda: not self._killed())
        self.process.wait()

    def _killed(self) -> set[int]:
        found = self.processes()
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        return found


def sessions() -> Iterator[tuple[int, int]]:
    """(pid, session) of every process."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:  # it ended meanwhile
            continue
        if state != "Z":
            yield int(path.parent.name), int(session)


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.1)


@contextmanager
def ray_head(*options: str) -> Iterator[tuple[str, Node]]:
    """host:port of a new cluster, and its only node, of one core. Nothing of it is left behind."""
    folder = tempfile.mkdtemp(prefix="ray-")  # not below pytest's, whose paths are too long for sockets
    port = free_port()
    node = Node("--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={folder}", *options)
    try:
        until(lambda: answers(f"127.0.0.1:{port}"))
        yield f"127.0.0.1:{port}", node
    finally:
        node.kill()
        shutil.rmtree(folder)


@contextmanager
def ray_node(address: str) -> Iterator[Node]:
    """One more node of one core, ready. Nothing of it is left behind."""
    import ray

    node = Node(f"--address={address}")
    try:
        ray.init(address=address, log_to_driver=False)
        until(lambda: sum(found["Alive"] and found["Resources"].get("CPU", 0) for found in ray.nodes()) == 2)
        ray.shutdown()
        yield node
    finally:
        node.kill()


def answers(address: str) -> bool:
    try:
        cluster.knock(address)
    except ClusterFailed:
        return False
    return True
