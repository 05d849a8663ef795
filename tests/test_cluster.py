"""rag/ingest/cluster.py: on a real Ray cluster of two nodes and a real Chroma server, all on this machine."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from machines import Node, chroma_server, free_port, ray_head, ray_node

from rag import build, keeping
from rag.__main__ import main
from rag.errors import ClusterFailed, ModelFailed, TooBusy
from rag.fakes import HashEmbedder
from rag.ingest import cluster, flow
from rag.ingest.flow import VERSION, Found
from rag.ingest.report import Rejection
from rag.ports import Vectors
from rag.settings import Settings
from rag.types import Manifest, Recipe
from tests.bench.cluster import Bytes, Took, table

SHOP = Path(__file__).parents[1] / "corpus" / "shop"
RECIPE = Recipe("hash-64", 64, 160, 0, VERSION, "", "")


@pytest.fixture(scope="module")
def head() -> Iterator[str]:
    """host:port of a cluster with one node of one core."""
    pytest.importorskip("ray", reason="ray is not installed: pip install -e '.[dev]'")
    with ray_head() as (address, _):
        yield address


@pytest.fixture
def second(head: str) -> Iterator[Node]:
    """Another node of it."""
    with ray_node(head) as node:
        yield node


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A corpus that has everything, things to reject included."""
    folder = tmp_path / "shop"
    for part in ("faq", "policies"):
        shutil.copytree(SHOP / part, folder / part)
    (folder / "empty.md").write_bytes(b"")
    (folder / "aaa.pdf").write_bytes(b"no pdf")
    (folder / "photo.xyz").write_bytes(b"?")
    (folder / "rows.csv").write_text("question,answer\nDoes it fit?,\nIs it red?,It is blue.\n", encoding="utf-8")
    return folder


class Slow(HashEmbedder):
    """Takes its time, and leaves the number of its process in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def embed(self, texts: Sequence[str]) -> Vectors:
        self._folder.mkdir(exist_ok=True)
        (self._folder / str(os.getpid())).touch()
        time.sleep(0.2)
        return super().embed(texts)


def slow_embedder(settings: Settings) -> Slow:
    return Slow(settings.home / "embedding")


class Failing(HashEmbedder):
    def embed(self, texts: Sequence[str]) -> Vectors:
        raise ModelFailed(expected="vectors", found=f"a failure at {texts[0]}", remedy="use another model")


class Deadly(HashEmbedder):
    def embed(self, texts: Sequence[str]) -> Vectors:
        os.kill(os.getpid(), signal.SIGKILL)
        return super().embed(texts)


def live(settings: Settings) -> Manifest:
    found = keeping.build_generations(settings).live()
    assert found is not None
    return found


def sealed(manifest: Manifest) -> dict[str, str]:
    """The files that depend on chunks and vectors alone: Chroma names its own by chance."""
    return {name: file for name, file in manifest.files.items() if not name.startswith(("chroma/", "where.json"))}


@pytest.mark.slow
def test_a_cluster_that_loses_a_node_makes_what_one_machine_makes(
    head: str, second: Node, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "build_embedder", slow_embedder)
    monkeypatch.setattr(flow, "WINDOW", 100)
    monkeypatch.setattr(cluster, "SLICE", sum(path.stat().st_size for path in shop.rglob("*") if path.is_file()) // 2)
    local = Settings(home=tmp_path / "local", corpus=shop, fakes=True)
    expected = build.run_ingest(local, embedder=HashEmbedder())
    killed: list[int] = []

    def kill(stage: str, done: int, total: int) -> None:
        busy = {int(path.name) for path in (tmp_path / "home" / "embedding").glob("*")} if stage == "embed" else set()
        if busy & second.processes() and not killed:
            killed.append(done)
            second.kill()

    with chroma_server(tmp_path / "server") as url:
        settings = Settings(home=tmp_path / "home", corpus=shop, fakes=True, index={"chroma_url": url})
        report = build.run_ingest(settings, kill, cluster=head)
        assert keeping.build_generations(settings).verify() == []
    assert killed and 0 < killed[0] < report.embedded
    assert len(list((tmp_path / "home" / "embedding").glob("*"))) >= 2
    assert (report.added, report.embedded, report.documents) == (expected.added, expected.embedded, expected.documents)
    assert report.rejected == expected.rejected and len(report.rejected) == 4
    one, two = live(local), live(settings)
    assert (two.digest, two.sources, two.documents) == (one.digest, one.sources, one.documents)
    assert sealed(two) == sealed(one)


@pytest.mark.slow
@pytest.mark.model
def test_the_default_embedder_makes_the_same_bits(head: str, second: Node, tmp_path: Path) -> None:
    corpus = tmp_path / "shop"
    corpus.mkdir()
    for path in sorted((SHOP / "policies").glob("*.md"))[:12]:
        shutil.copy(path, corpus)
    local, settings = (Settings(home=tmp_path / name, corpus=corpus) for name in ("local", "home"))
    embedded = build.run_ingest(local).embedded
    assert embedded > 256, "more than one batch"
    assert build.run_ingest(settings, cluster=head).embedded == embedded
    assert live(settings).digest == live(local).digest
    assert sealed(live(settings)) == sealed(live(local))
    again = build.run_ingest(settings, cluster=head)
    assert (again.changed, again.embedded) == (False, 0)


@pytest.mark.slow
def test_what_stands_in_the_way_is_told_as_on_one_machine(head: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\nText.\n", encoding="utf-8")
    found = Found((("page.md", page),), {"page.md": cluster.digest_of(page)}, ())
    with cluster.connected(head, Failing, 1) as steps:
        with pytest.raises(ModelFailed, match="found a failure at b; use another model"):
            list(steps.embed([["b"]]))
        unlike = Path("/proc/self/cmdline")  # each process sees another
        with pytest.raises(ClusterFailed, match="every node .* to see /proc/self/cmdline as this one does; found another file"):
            list(steps.cut(Found((("a.md", unlike),), {"a.md": cluster.digest_of(unlike)}, ()), RECIPE))
        page.unlink()
        (rejection,) = steps.cut(found, RECIPE)
        assert isinstance(rejection, Rejection) and rejection.file == "page.md" and "No such file" in rejection.reason, (
            "as if it vanished on this machine"
        )
        assert list(steps.embed([])) == []
    monkeypatch.setattr(cluster, "VERSION", 999)
    with cluster.connected(head, HashEmbedder, 1) as steps:
        with pytest.raises(ClusterFailed, match=r"expected Shoptalk .* \(chunks 999\) .* on every node; found Shoptalk .*"):
            list(steps.embed([["b"]]))


@pytest.mark.slow
def test_what_kills_every_process_ends_the_ingest(head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "RETRIES", 2)
    with (
        cluster.connected(head, Deadly, 1) as steps,
        pytest.raises(ClusterFailed, match="to read, chunk and embed; found .*Actor"),
    ):
        list(steps.embed([["b"]]))


class Seeing(HashEmbedder):
    """Its vectors tell which GPU it may use."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        return np.full((len(texts), 1), float(os.environ.get("CUDA_VISIBLE_DEVICES") or -1), np.float32)


@pytest.mark.slow
def test_who_embeds_on_a_gpu_is_given_one(head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        cluster.connected(head, Seeing, 1, gpus=1) as steps,
        pytest.raises(ClusterFailed, match="a node with a GPU .*; found none .*; start it with `ray start --num-gpus=1`"),
    ):
        list(steps.embed([["a"]]))
    with ray_head("--num-gpus=1") as (address, _), cluster.connected(address, Seeing, 1, gpus=1) as steps:
        assert [vectors.tolist() for _, vectors in steps.embed([["a"], ["b"]])] == [[[0.0]]] * 2
    asked: list[int] = []
    monkeypatch.setattr(cluster, "connected", lambda address, make, cores, gpus: asked.append(gpus))
    for device in ("cpu", "cuda", "cuda:1"):
        build.cluster_steps(Settings(fakes=True, models={"device": device}), "127.0.0.1:1")
    assert asked == [0, 1, 1]


@pytest.mark.slow
def test_another_ray_is_told(head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.__version__", "1.2.3")
    with (
        pytest.raises(ClusterFailed, match="the same Ray and Python; found .*1.2.3"),
        cluster.connected(head, HashEmbedder, 1),
    ):
        pass


def test_no_cluster_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ray", reason="ray is not installed: pip install -e '.[dev]'")
    monkeypatch.setenv("SHOPTALK_FAKES", "true")
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.setattr(sys, "argv", ["rag", "ingest", "--corpus", str(SHOP), "--home", str(tmp_path), "--cluster", address])
    started = time.monotonic()
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2 and time.monotonic() - started < 15
    assert f"expected a Ray cluster at {address} " in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with (
        pytest.raises(ClusterFailed, match=r"pip install 'shoptalk\[cluster\]'"),
        cluster.connected("h:1", HashEmbedder, 1),
    ):
        pass


def test_errors_cross_processes() -> None:
    error = pickle.loads(pickle.dumps(TooBusy(expected="a", found="b", remedy="c", wait=4)))
    assert (type(error), str(error), error.remedy, error.wait) == (TooBusy, "expected a; found b; c", "c", 4)


def test_workers_are_sent_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    monkeypatch.setattr(cluster, "connected", lambda address, make, *rest: sent.append(pickle.dumps(make)))
    settings = Settings(
        fakes=True, database_url="sqlite:///secret.db", models={"api_url": "http://127.0.0.1:1", "api_key": "secret"}
    )
    build.cluster_steps(settings, "127.0.0.1:1")
    assert sent and b"secret" not in sent[0]


def test_ten_million_are_worked_out_from_what_was_measured() -> None:
    local, alone = Took(9, 100, 900, 5.0, 4.0, 0), Took(9, 1000, 9000, 1.0, 1.0, 0)
    start, machinery = Took(1, 1, 1, 8.0, 1.0, 7.0), Took(9, 1000, 9000, 20.0, 3.0, 8.0)
    took = {"model, one process": local, "machinery, one process": alone, "start, 1 node": start, "machinery, 1 node": machinery}
    told = table(took, Bytes(13_200, 17_600, 3_000, 9_000, 12_000))
    assert (
        "9.0 texts with questions and sentences, takes 40 ms of one core" in told
        and "adds 2.0 ms" in told
        and "8 s to start" in told
    )
    assert "| 42 ms | 117 h |" in told and "| 13.2 kB | 132 GB |" in told and "at a time | 3.0 kB | 0.4 GB |" in told
