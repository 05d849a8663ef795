"""A damaged index neither takes the server down nor makes it lie: it starts within a minute and answers as before."""

from __future__ import annotations

import os
import pickle
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from scale import SOAK

from rag import build
from rag.settings import Settings

SERVE = """
import sys
from rag import __main__ as command, settings
assistant = command.prepared(settings.Settings(home=sys.argv[1], corpus=sys.argv[2], fakes=True))
for number in range(20):
    print([passage.chunk.text for passage in assistant.find(f"lamp number {number} hours", k=3)[1]])
"""
FILES = ("*/data_level0.bin", "*/header.bin", "*/length.bin", "*/link_lists.bin", "*/index_metadata.pickle", "chroma.sqlite3")


def changed(pattern: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def run(chroma: Path) -> None:
        (path,) = chroma.glob(pattern)
        path.write_bytes(change(path.read_bytes()))

    return run


def _flipped(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]


def _without_dimension(data: bytes) -> bytes:
    held = pickle.loads(data)
    held["dimensionality" if isinstance(held, dict) else 0] = None
    return pickle.dumps(held)


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "half": lambda data: data[: len(data) // 2],
    "flipped": _flipped,
    "random": lambda data: random.Random(1).randbytes(len(data)),
}
DAMAGE: dict[str, Callable[[Path], None]] = {
    **{f"{file}-{name}": changed(file, change) for file in FILES for name, change in CHANGES.items()},
    "no-dimension": changed("*/index_metadata.pickle", _without_dimension),
    "runaway": lambda chroma: os.truncate(next(chroma.glob("*/link_lists.bin")), 10 * 2**30),
    "gone": shutil.rmtree,
    "read-only": lambda chroma: [path.chmod(0o555 if path.is_dir() else 0o444) for path in (chroma, *chroma.rglob("*"))][0],
}
HARMLESS = {"read-only", "chroma.sqlite3-flipped"}  # the one is no damage; the other may fall into a page that is not used
CASES = sorted(DAMAGE) if SOAK else ["*/data_level0.bin-flipped", "chroma.sqlite3-random", "gone", "runaway"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("shop")
    settings = Settings(home=folder / "home", corpus=folder / "corpus", fakes=True)
    settings.corpus.mkdir()
    for number in range(60):
        (settings.corpus / f"{number}.md").write_text(f"# Lamp {number}\n\nLamp number {number} shines {number * 3} hours.\n")
    build.run_ingest(settings)
    return settings


def serve(settings: Settings, home: Path) -> tuple[str, str]:
    command = [sys.executable, "-c", SERVE, str(home), str(settings.corpus)]
    environment = os.environ | {"SHOPTALK_FAKES": "true"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 if SOAK else 240, check=True, env=environment)
    return "\n".join(line for line in done.stdout.splitlines() if line.startswith("[")), done.stderr


@pytest.fixture(scope="module")
def undamaged(shop: Settings) -> str:
    return serve(shop, shop.home)[0]


@pytest.mark.slow
@pytest.mark.parametrize("damage", CASES)
def test_it_starts_names_the_file_and_answers_as_before(shop: Settings, undamaged: str, tmp_path: Path, damage: str) -> None:
    home = tmp_path / "home"
    shutil.copytree(shop.home, home)
    DAMAGE[damage](home / "index" / "gen-0001" / "chroma")
    answers, said = serve(shop, home)
    assert answers == undamaged
    if damage not in HARMLESS:
        assert "gen-0001" in said and "Ingesting" in said
        named = damage.split("-")[0].removeprefix("*/").removesuffix(".sqlite3")
        assert named in said or damage in ("gone", "runaway", "no-dimension")
