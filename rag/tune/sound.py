"""Training data as it comes: rows that cannot be learnt from are left out, each with its file, line and reason, none silently."""

from __future__ import annotations

import gzip
import json
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rag.errors import DataError
from rag.language import fold

log = logging.getLogger(__name__)
LONGEST = 200_000  # bytes of a line: what is longer is no row
_FIGURE = re.compile(r"\d+")


class Skipped(list[str]):
    """Why rows were left out, "file:line: reason" each; it is logged as well."""

    def add(self, where: str, reason: str) -> None:
        """Leave a row out."""
        log.warning("%s: %s; left out", where, reason)
        self.append(f"{where}: {reason}")


def sound_rows(path: Path, keys: tuple[str, ...], skipped: Skipped) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file:line, object) of every line that is an object with these keys, the rest skipped. Raises DataError where all are."""
    opener = gzip.open if path.suffix == ".gz" else open
    found = faulty = 0
    with opener(path, "rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            row = _row(line, keys)
            if isinstance(row, str):
                faulty += 1
                skipped.add(f"{path}:{number}", row)
                continue
            found += 1
            yield f"{path}:{number}", row
    if faulty and not found:
        raise DataError(
            expected=f"JSON objects with {', '.join(keys) or 'keys'}, one a line, in {path}",
            found=f"{faulty} lines of which none is",
            remedy="correct the file",
        )


def invented(reply: str, text: str) -> list[str]:
    """The figures of a reply that the text lacks, full-width ones taken as plain."""
    return sorted(set(_FIGURE.findall(fold(reply))) - set(_FIGURE.findall(fold(text))))


def missing(row: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    """The first of the keys under which there is no text that says something; empty if all have one."""
    return next((key for key in keys if not (isinstance(row.get(key), str) and row[key].strip())), "")


def _row(line: bytes, keys: tuple[str, ...]) -> dict[str, Any] | str:
    """The object, or what is wrong with the line."""
    if len(line) > LONGEST:
        return f"a line of {len(line)} bytes, more than {LONGEST}"
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        return f"no JSON: {type(error).__name__}"
    if not isinstance(row, dict):
        return "no JSON object"
    lacking = [key for key in keys if key not in row]
    return f"no {', '.join(lacking)}" if lacking else row
