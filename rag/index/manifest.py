"""The files of a generation that are ours: written whole, fsynced, and never changed afterwards."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from rag.errors import IndexDamaged, IndexMismatch
from rag.index.codec import Ledger, Seal
from rag.types import Manifest, Recipe

SCHEMA = 4  # raise it when the files of a generation, or the terms in them, change: older ones are then built anew
# Folders of a generation.
CHROMA, LEXICAL, CONTENT, QUESTIONS, SENTENCES = "chroma", "lexical", "content", "questions", "sentences"
MANIFEST, LEDGER, WHERE, DAMAGED = "manifest.json", "ledger.json", "where.json", "damaged.txt"
REBUILD = "run `python -m rag ingest`"  # embeds nothing again that is in the catalog


def damaged(path: Path, problems: Sequence[str]) -> IndexDamaged:
    """The error for a generation with these problems; the first few are named."""
    more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
    return IndexDamaged(expected=f"{path} as it was sealed", found="; ".join(problems[:3]) + more, remedy=REBUILD)


def write_atomically(path: Path, text: str) -> None:
    """After a crash at any instant `path` holds the old text or the new one, never a part."""
    temporary = path.with_name(f"{path.name}.new")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync(path.parent)


def sync_tree(folder: Path) -> None:
    """Ask the disk to hold every file and folder below, so that the manifest is never newer than what it describes."""
    for path in (*folder.rglob("*"), folder):
        _sync(path)


def save_manifest(folder: Path, manifest: Manifest) -> None:
    """The last file of a generation: where it lies, the generation is whole."""
    write_atomically(folder / MANIFEST, json.dumps(asdict(manifest), ensure_ascii=False, indent=1, sort_keys=True))


def load_manifest(folder: Path) -> Manifest:
    """Raises IndexDamaged if it is missing or not what was written, IndexMismatch if a newer Shoptalk wrote it."""
    path = folder / MANIFEST
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if found["schema"] != SCHEMA:
            raise IndexMismatch(
                expected=f"a manifest of schema {SCHEMA} in {path}", found=f"schema {found['schema']}", remedy=REBUILD
            )
        recipe = Recipe(**found.pop("recipe"))
        rejected = tuple((file, reason) for file, reason in found.pop("rejected"))
        return Manifest(recipe=recipe, rejected=rejected, **found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        names = ", ".join(field.name for field in fields(Manifest))
        raise IndexDamaged(expected=f"a manifest in {path} with {names}", found=repr(error), remedy=REBUILD) from error


def check_fit(manifest: Manifest, embedder: str, place: str, chroma: str) -> None:
    """Raises IndexMismatch if another embedder, another place or a newer chromadb made the generation."""
    recipe = manifest.recipe
    for name, wanted, found in (
        ("the embedder", embedder, recipe.embedder),
        ("Chroma at", place or "the home's own files", recipe.place or "the home's own files"),
    ):
        if wanted != found:
            raise IndexMismatch(expected=f"an index made with {name} {wanted}", found=f"one made with {found}", remedy=REBUILD)
    if _release(recipe.chroma) > _release(chroma):
        raise IndexMismatch(
            expected=f"an index made with chromadb {chroma} or older",
            found=f"one made with {recipe.chroma}",
            remedy=f"install chromadb {recipe.chroma}, or {REBUILD}",
        )


def save_ledger(folder: Path, ledger: Ledger) -> None:
    """The hashes of every chunk, by id."""
    (folder / LEDGER).write_text(json.dumps(ledger, ensure_ascii=False), encoding="utf-8")


def load_ledger(folder: Path) -> Ledger:
    """Raises IndexDamaged."""
    try:
        found = json.loads((folder / LEDGER).read_text(encoding="utf-8"))
        return {id: Seal(*hashes) for id, hashes in found.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise IndexDamaged(expected=f"hashes of all chunks in {folder / LEDGER}", found=repr(error), remedy=REBUILD) from error


def save_where(folder: Path, place: str, collection: str) -> None:
    """Note where the vectors go before they do, so that what a dead ingest left on a server can be found again."""
    write_atomically(folder / WHERE, json.dumps({"place": place, "collection": collection}))


def load_where(folder: Path) -> tuple[str, str]:
    """(place, name of the Chroma collection). Raises IndexDamaged."""
    try:
        found = json.loads((folder / WHERE).read_text(encoding="utf-8"))
        return str(found["place"]), str(found["collection"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IndexDamaged(expected=f"a place and a collection in {folder / WHERE}", found=repr(error), remedy=REBUILD) from error


def hash_files(folder: Path) -> dict[str, str]:
    """Size and sha256 of every file that reading leaves alone; Chroma writes to its SQLite file even when it only reads."""
    hashes: dict[str, str] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if not name.startswith(f"{CHROMA}/chroma.sqlite3") and name not in (MANIFEST, DAMAGED):
            hashes[name] = _identity(path)
    return hashes


def changed_files(folder: Path, sealed: Mapping[str, str]) -> list[str]:
    """What differs from the sealed files, one sentence each."""
    problems: list[str] = []
    for name, expected in sealed.items():
        path = folder / name
        if not path.is_file():
            problems.append(f"{path} is missing")
        elif not expected.startswith(f"{path.stat().st_size} ") or _identity(path) != expected:  # a runaway file is not hashed
            problems.append(f"{path} is not the file that was sealed")
    return problems


def _identity(path: Path) -> str:
    with path.open("rb") as file:
        return f"{path.stat().st_size} {hashlib.file_digest(file, 'sha256').hexdigest()}"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _release(number: str) -> tuple[int, ...]:
    return tuple(int(part) for part in number.split(".") if part.isdigit())
