"""Chunks as JSON and as hashes: what Chroma keeps beside a vector, and what the seal is computed from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Any, NamedTuple

from rag.ports import Vectors
from rag.types import Chunk, Facets, Kind


class Seal(NamedTuple):
    """Hashes (sha256, hex) of one chunk."""

    searched: str  # Chunk.search_text: the key of its vector in the catalog
    content: str  # text and metadata
    vector: str  # bytes of the float32 vector


Ledger = dict[str, Seal]  # by chunk id


def encode(chunk: Chunk) -> str:
    """Everything but the text, as canonical JSON: equal chunks give equal strings."""
    fields = asdict(chunk)
    del fields["text"]
    if not chunk.url:
        del fields["url"]  # as in the indexes from before there was one
    return json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=date.isoformat)


def decode(encoded: str, text: str) -> Chunk:
    """The chunk that encode() was given."""
    fields: dict[str, Any] = json.loads(encoded)
    facets = fields.pop("facets")
    for name in ("valid_from", "valid_to"):
        facets[name] = date.fromisoformat(facets[name]) if facets[name] else None
    for name in ("headings", "aliases", "negatives", "tags"):
        fields[name] = tuple(fields[name])
    fields["kind"] = Kind(fields["kind"])
    return Chunk(text=text, facets=Facets(**facets), **fields)


def text_hash(text: str) -> str:
    """sha256 of the UTF-8 text, hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def seal(chunk: Chunk, vector: Vectors, encoded: str = "") -> Seal:
    """The hashes of a chunk and its vector, shape (dimension,). `encoded` is the chunk's JSON, where it is at hand."""
    # "<f4" so that the digest does not depend on the machine's byte order
    packed = vector.astype("<f4").tobytes()
    content = text_hash(f"{encoded or encode(chunk)}\n{chunk.text}")
    return Seal(text_hash(chunk.search_text), content, hashlib.sha256(packed).hexdigest())


def digest(ledger: Mapping[str, Seal]) -> str:
    """One sha256 for all chunks: sorted ids, each with its content's and its vector's hash."""
    total = hashlib.sha256()
    for id in sorted(ledger):
        total.update(f"{id}\n{ledger[id].content}\n{ledger[id].vector}\n".encode())
    return total.hexdigest()
