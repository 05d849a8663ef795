"""DESIGN as a test: who may import whom, one door per heavy package, sizes, nothing heavy on import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted([*ROOT.glob("rag/**/*.py"), *ROOT.glob("ui/**/*.py")])
STAGES = {"ingest", "index", "retrieve", "answer", "record", "models", "fakes"}
LEVELS = (
    {"types", "errors", ""},
    {"language", "concepts", "measures", "wording"},
    {"settings", "ports", "content"},
    STAGES,
    {"loading", "keeping", "terminal"},
    {"build"},
    {"assistant"},
    {"searching", "upkeep", "__main__", "evaluate", "ui"},
    {"audit", "tune"},
)
TUNE = {
    "rag/tune/retriever/",
    "rag/tune/selector/",
    "rag/tune/generator/",
    "rag/tune/schedule.py",
}  # a model is taught with the framework at hand
SELECTS = {"rag/models/joint.py", "rag/models/packed.py", "rag/models/selector.py"}
DOORS = {
    "chromadb": {"rag/index/chroma.py"},
    "sentence_transformers": {"rag/models/embed.py", "rag/models/rerank.py"} | TUNE,
    "langchain_text_splitters": {"rag/ingest/chunk.py"},
    "transformers": {f"rag/models/{name}.py" for name in ("embed", "rerank", "generate", "convert")} | SELECTS | TUNE,
    "torch": {f"rag/models/{name}.py" for name in ("embed", "rerank", "generate", "convert")} | SELECTS | TUNE,
    "peft": {"rag/models/adapter.py", "rag/tune/generator/"},
    "gradio": {"ui/"},
    "rapidocr": {"rag/ingest/readers/recognize.py"},
    "onnxruntime": {"rag/ingest/readers/recognize.py"},
    "ray": {"rag/ingest/cluster.py"},
    "pyarrow": {"rag/ingest/cluster.py"},
}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def unit(dotted: str) -> str:
    """The stage or top module that a dotted name belongs to: rag.index.chroma -> index."""
    parts = dotted.split(".")
    if parts[0] == "ui":
        return "ui"
    return parts[1] if len(parts) > 1 and parts[1] != "__version__" else ""


def level(name: str) -> int:
    return next(i for i, names in enumerate(LEVELS) if name in names)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_imports_point_one_way(path: Path) -> None:
    own = unit(relative(path).removesuffix(".py").replace("/", ".").removesuffix(".__init__"))
    for name in imports(path):
        if name.split(".")[0] not in ("rag", "ui"):
            continue
        other = unit(name)
        if own == "__main__" or other == own:
            continue  # the command line is the one file that starts every part
        assert other != "ui", f"{relative(path)} imports {name}: nothing under rag/ knows the page"
        assert level(other) < level(own) or (own == "ui" and level(other) < level("ui")), f"{relative(path)} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_heavy_packages_have_one_door(path: Path) -> None:
    for name in imports(path):
        doors = DOORS.get(name.split(".")[0], set())
        assert not doors or any(relative(path).startswith(door) for door in doors), f"{relative(path)} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_files_and_functions_stay_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300
    flows = {"rag/ingest/flow.py": "ingest", "rag/answer/flow.py": "answer"}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            limit = 40 if flows.get(relative(path)) == node.name else 50
            assert length <= limit, f"{relative(path)}:{node.lineno} {node.name} has {length} lines, at most {limit}"


def test_every_package_is_installed() -> None:
    packages = {relative(path.parent).replace("/", ".") for path in FILES if path.name == "__init__.py"}
    listed = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(f'"{package}"' in listed for package in packages)


def test_only_the_agreed_top_level_folders() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert {line.split("/")[0] for line in tracked if "/" in line} == {".ci", "corpus", "rag", "tests", "ui"}


def test_importing_rag_is_free() -> None:
    code = "import sys, rag, rag.types, rag.ports, rag.settings; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "chromadb", "gradio", "transformers", "jieba"} & set(loaded)
