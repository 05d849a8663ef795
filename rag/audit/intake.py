"""What came in, and what was refused with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from rag.types import Chunk, Manifest

GROUPS: Mapping[str, Callable[[Chunk], str]] = {
    "format": lambda chunk: PurePosixPath(chunk.document.removesuffix(".gz")).suffix,
    "kind": lambda chunk: chunk.kind.value,
    "language": lambda chunk: chunk.facets.language,
    "region": lambda chunk: chunk.facets.region,
    "audience": lambda chunk: chunk.facets.audience,
    "trust": lambda chunk: chunk.facets.trust,
}


@dataclass(frozen=True, slots=True)
class Share:
    """How much of the index has one value of a group; an empty value is that of chunks that say none."""

    group: str
    value: str
    documents: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that was not read at all, or a row or page of one that was; `reason` says what to do."""

    place: str
    reason: str
    is_file: bool


@dataclass(frozen=True, slots=True)
class Intake:
    """What a generation holds and what it lacks."""

    generation: int
    created: str  # ISO 8601, UTC
    documents: int
    chunks: int
    shares: tuple[Share, ...]  # by group, the largest first
    empty: tuple[str, ...]  # documents that were read and hold no text
    refused: tuple[Refused, ...]


def intake(manifest: Manifest, chunks: Sequence[Chunk]) -> Intake:
    """What the manifest and the chunks of one generation tell."""
    refused = [Refused(place, reason, is_file=place in manifest.sources) for place, reason in manifest.rejected]
    empty = sorted(id for id, count in manifest.documents.items() if not count)
    shares = tuple(share for group in GROUPS for share in _shares(group, chunks))
    held = manifest.number, manifest.created, len(manifest.documents), manifest.count
    return Intake(*held, shares, tuple(empty), tuple(sorted(refused, key=lambda one: (not one.is_file, one.place))))


def _shares(group: str, chunks: Sequence[Chunk]) -> list[Share]:
    values = [(GROUPS[group](chunk), chunk.document) for chunk in chunks]
    counts = Counter(value for value, _ in values)
    documents = Counter(value for value, _ in set(values))
    return [Share(group, value, documents[value], count) for value, count in counts.most_common()]
