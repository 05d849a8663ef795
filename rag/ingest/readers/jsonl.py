"""JSON lines, plain or gzipped: one object a line. A bad line loses only itself."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from typing import IO

from rag.errors import Unreadable
from rag.ingest.readers.cells import header
from rag.ingest.readers.content import Record, Sheet

_LINE = 1_000_000  # bytes of the longest row
_TOTAL = 500_000_000  # bytes after unpacking
_REJECTED = 100_000  # rows: with more, it is another format


def read(data: bytes) -> tuple[Sheet, ...]:
    """One sheet; gzip is recognised by its first bytes. Raises Unreadable for a damaged archive."""
    packed = data.startswith(b"\x1f\x8b")
    stream = gzip.open(io.BytesIO(data)) if packed else io.BytesIO(data)
    records: list[Record] = []
    rejected: list[str] = []
    labels: dict[str, str] = {}
    try:
        for number, line in _lines(stream):
            found = _parse(line)
            if isinstance(found, str):
                rejected.append(f"{number}: {found}")
                if len(rejected) > _REJECTED:
                    reason = f"more than {_REJECTED:,} lines that are no rows; the last: {found}"
                    raise Unreadable(expected="JSON lines", found=reason, remedy="make it again")
            elif found is not None:
                labels |= {header(key): key for key in found}
                records.append(Record(number, {header(key): value for key, value in found.items()}))
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise Unreadable(expected="a gzip file", found=f"a damaged one ({error})", remedy="make it again") from error
    return (Sheet("", tuple(records), tuple(rejected), labels),)


def _lines(stream: IO[bytes] | gzip.GzipFile) -> Iterator[tuple[int, bytes | None]]:
    """(number, line) from 1; None for a line that is too long to be a row."""
    total = number = 0
    while line := stream.readline(_LINE + 1):
        number += 1
        total += len(line)
        fits = len(line) <= _LINE
        yield number, line if fits else None
        while not fits and line and not line.endswith(b"\n") and total <= _TOTAL:
            line = stream.readline(_LINE)
            total += len(line)
        if total > _TOTAL:
            raise Unreadable(expected=f"at most {_TOTAL // 1_000_000} MB after unpacking", found="more", remedy="split the file")


def _parse(line: bytes | None) -> dict[str, object] | str | None:
    """The row, why it is none, or None for an empty line."""
    if line is None:
        return f"expected a row of at most {_LINE // 1_000_000} MB; found a longer line; put each object on a line of its own"
    try:
        text = line.decode("utf-8-sig").strip()
        found = json.loads(text) if text else None
    except UnicodeDecodeError:
        return "expected UTF-8; found another encoding; save the file as UTF-8"
    except (ValueError, RecursionError) as error:
        return f"expected one JSON object; found something else ({str(error)[:80]}); correct the line"
    if found is not None and not isinstance(found, dict):
        return f"expected one JSON object; found a {type(found).__name__}; write the row as {{...}}"
    return found or None
