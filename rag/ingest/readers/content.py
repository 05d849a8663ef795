"""What a reader hands back: a Page of Markdown, or the Sheets of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Page:
    """Cleaned Markdown, and what the file says about itself (keys of rag.ingest.metadata.KEYS)."""

    text: str
    meta: Mapping[str, str] = field(default_factory=dict)
    hidden: int = 0  # characters of text that nobody is meant to see; they are not in `text`


@dataclass(frozen=True, slots=True)
class Record:
    """One row. `number` is its row or line in the file, from 1. Values are text, or what JSON holds."""

    number: int
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows under one header. `name` is empty where a file has only one table."""

    name: str
    records: tuple[Record, ...]
    rejected: tuple[str, ...] = ()  # "<row>: <reason>"
    labels: Mapping[str, str] = field(default_factory=dict)  # key of a field -> the header as the author wrote it

    def place(self, number: int) -> str:
        """How a row is called in reports: "7", or "Prices!7" in a workbook."""
        return f"{self.name}!{number}" if self.name else str(number)


Content = Page | tuple[Sheet, ...]
