"""A folder -> the files worth reading, and why the others are not."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rag.errors import CorpusEmpty, Unreadable
from rag.ingest.read import READERS, suffix_of
from rag.ingest.report import Rejection
from rag.ingest.site import assets, counted

_LIMIT = 200_000_000  # bytes
_SILENT = {"thumbs.db", "desktop.ini"}  # what file managers leave behind
_NO_NAME = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control characters, marks that nobody sees, and bytes that are no text
_JOINING = "\u200c\u200d\u200e\u200f\u061c"  # but Persian, Arabic, Hebrew and emoji need these
_NEWER = {
    ".doc": ".docx",
    ".xls": ".xlsx",
    ".rtf": ".docx",
    ".odt": ".docx",
    ".ods": ".xlsx",
    ".json": ".jsonl",
    ".ppt": ".pptx",
    ".odp": ".pptx",
}


@dataclass(frozen=True, slots=True)
class Scan:
    """Files to read, by path; what was left out. Hidden files and Office lock files are in neither."""

    files: tuple[Path, ...]
    rejected: tuple[Rejection, ...]


def scan(corpus: Path) -> Scan:
    """Walk the folder. Raises CorpusEmpty if it is none, or holds nothing that can be read."""
    if not corpus.is_dir():
        found = "a file" if corpus.exists() else "nothing there"
        raise CorpusEmpty(expected=f"a folder at {corpus}", found=found, remedy="name the folder that holds the documents")
    files: list[Path] = []
    rejected: list[Rejection] = []
    root = corpus.resolve()
    paths = list(_walk(corpus, rejected))
    serving = assets(paths)
    for path in paths:
        if path in serving:
            continue
        try:
            _check(path, root)
            _check_name(path.relative_to(corpus))
        except Unreadable as error:
            rejected.append(Rejection(_printable(path.relative_to(corpus)), str(error)))
        else:
            files.append(path)
    rejected += counted(serving, corpus)
    if not files:
        reasons = "; ".join(f"{rejection.file}: {rejection.reason}" for rejection in rejected[:3])
        raise CorpusEmpty(
            expected=f"documents ({', '.join(READERS)}) in {corpus}",
            found=f"{len(rejected)} files that cannot be read ({reasons})" if rejected else "an empty folder",
            remedy="put the shop's documents there",
        )
    return Scan(tuple(files), tuple(rejected))


def _walk(corpus: Path, rejected: list[Rejection]) -> Iterator[Path]:
    """Every path that is not a real folder, in a fixed order; a folder that cannot be opened is rejected."""

    def failed(error: OSError) -> None:
        name = _printable(Path(error.filename).relative_to(corpus))
        rejected.append(Rejection(name, f"expected a folder that can be opened; found {error.strerror}; check its permissions"))

    for folder, folders, names in os.walk(corpus, onerror=failed):
        folders[:] = sorted(name for name in folders if not _is_silent(name))
        linked = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in sorted([*names, *linked]):
            if not _is_silent(name):
                yield Path(folder) / name


def _is_silent(name: str) -> bool:
    return name.startswith((".", "~$")) or name.casefold() in _SILENT or name == "__MACOSX"


def _check(path: Path, root: Path) -> None:
    """Raises Unreadable for what must not or cannot be opened. Nothing is opened here: a pipe would wait for ever."""
    if path.is_symlink() and not path.resolve().is_relative_to(root):
        raise Unreadable(
            expected="files inside the folder", found="a link that leads out of it", remedy="copy the file into the folder"
        )
    try:
        state = path.stat()
    except OSError as error:
        raise Unreadable(
            expected="a file", found=f"a link that leads nowhere ({error.strerror})", remedy="remove or correct it"
        ) from error
    if not stat.S_ISREG(state.st_mode):
        kind = "a link to a folder" if path.is_dir() else "a pipe, socket or device"
        raise Unreadable(expected="a file", found=kind, remedy="remove it or put the documents themselves there")
    _check_format(path)
    if state.st_size > _LIMIT:
        raise Unreadable(
            expected=f"at most {_LIMIT // 1_000_000} MB", found=f"{state.st_size // 1_000_000} MB", remedy="split the file"
        )
    if not os.access(path, os.R_OK):
        raise Unreadable(expected="a file that can be opened", found="no permission to read it", remedy="change its permissions")


def _check_name(path: Path) -> None:
    if any(map(_has_no_form, path.as_posix())):
        raise Unreadable(expected="a file name of visible characters", found=_printable(path), remedy="rename the file")


def _check_format(path: Path) -> None:
    suffix = suffix_of(path)
    if suffix not in READERS:
        better = _NEWER.get(suffix)
        raise Unreadable(
            expected=f"one of {', '.join(READERS)}",
            found=suffix or "a name without an ending",
            remedy=f"save it as {better}" if better else "save it in one of these formats, or keep it elsewhere",
        )


def _printable(path: Path) -> str:
    """The path with "/" between its parts; what cannot be printed is escaped."""
    return "".join(ascii(character)[1:-1] if _has_no_form(character) else character for character in path.as_posix())


def _has_no_form(character: str) -> bool:
    return unicodedata.category(character) in _NO_NAME and character not in _JOINING
