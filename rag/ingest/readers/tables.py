"""Sheets -> Entries: what kind of table it is, and which rows had to be left out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

from rag.errors import Unreadable
from rag.ingest.metadata import facets
from rag.ingest.readers import faq, products, rows
from rag.ingest.readers.cells import text
from rag.ingest.readers.content import Record, Sheet
from rag.ingest.readers.grid import names
from rag.types import Entry, Facets, Kind

RowReader = Callable[[Record], list[Entry]]  # raises Unreadable when the row cannot be used


def entries(sheets: tuple[Sheet, ...]) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """Entries with keys unique in the document, and the reasons "<row>: <reason>" of rows left out."""
    found: dict[str, Entry] = {}
    places: dict[str, str] = {}
    rejected: list[str] = []
    for sheet in sheets:
        rejected += sheet.rejected
        read = _row_reader(sheet)
        for record in sheet.records:
            place = sheet.place(record.number)
            try:
                made = read(record)
                for entry in made:
                    _check_new(entry, found, places)
            except Unreadable as error:
                rejected.append(f"{place}: {error}")
                continue
            for entry in made:
                found.setdefault(entry.key, entry)
                places.setdefault(entry.key, place)
        found |= {note.key: note for note in (_note(line, sheet) for line in sheet.notes) if note.key not in found}
    return tuple(found.values()), tuple(rejected)


def _row_reader(sheet: Sheet) -> RowReader:
    columns = {name for record in sheet.records for name in record.fields}
    if {"question", "answer"} <= columns:
        return faq.read
    if products.is_catalogue(columns):
        return products.Catalogue(sheet).read
    if "text" in columns and columns & {"_id", "id"}:
        return _passage
    return _rows(sheet)


def _check_new(entry: Entry, found: dict[str, Entry], places: dict[str, str]) -> None:
    """The same row again is no harm; another text under a known key is."""
    known = found.get(entry.key)
    if known is None or (known.answer or known.text) == (entry.answer or entry.text):
        return
    name = "question" if entry.kind is Kind.FAQ else "id"
    raise Unreadable(
        expected=f"each {name} once",
        found=f"{entry.title or entry.key!r} again, different from row {places[entry.key]}",
        remedy="keep the right one",
    )


def _passage(record: Record) -> list[Entry]:
    """A row of a corpus.jsonl in the BEIR layout: _id, title, text."""
    key = text(record.fields.get("_id")) or text(record.fields.get("id"))
    title, body = text(record.fields.get("title")), text(record.fields.get("text"))
    if not key or not (title or body):
        raise Unreadable(expected="an id and a text", found="a row without", remedy="fill it in or delete the row")
    return [Entry(key, Kind.PASSAGE, title, body or title, facets=facets({}, f"{title} {body}"))]


def _rows(sheet: Sheet) -> RowReader:
    """Any other table: one "header: value" a line, under the row's name."""
    keys = list(dict.fromkeys(name for record in sheet.records for name in record.fields))
    labels = [sheet.labels.get(key) or key for key in keys]
    cells = {record.number: [text(record.fields.get(key)) for key in keys] for record in sheet.records}
    named = dict(zip(cells, names(labels, list(cells.values())), strict=True))

    def read(record: Record) -> list[Entry]:
        headings = tuple(filter(None, (sheet.title, named[record.number])))
        made = rows.entry(labels, cells[record.number], sheet.name, headings, Facets())
        return [replace(made, facets=facets({}, made.text))] if made else []

    return read


def _note(line: str, sheet: Sheet) -> Entry:
    """What stands above or below a table."""
    key = hashlib.sha256(line.encode()).hexdigest()[:12]
    return Entry(key, Kind.PASSAGE, sheet.name, line, facets=facets({}, line), headings=tuple(filter(None, [sheet.title])))
