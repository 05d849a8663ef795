"""An audit for the terminal: one table a finding, under the sentence that says what it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rag.audit.flow import Audit
from rag.retrieve.explain import terms_table
from rag.types import Chunk

if TYPE_CHECKING:
    from rich.table import Table

SNIPPET = 90  # characters of a passage
MOST = 20  # rows of one table; the page and --json have all
NONE_SAID = "(none said)"


def tables(audit: Audit) -> Iterator[str | Table]:
    """Lines and tables in the order they are read."""
    came = audit.intake
    yield f"Generation {came.generation} of {came.created}: {came.documents} documents, {came.chunks} passages."
    shares = [(one.group, one.value or NONE_SAID, str(one.documents), str(one.chunks)) for one in came.shares]
    yield _table(("", "", "documents", "passages"), shares, most=len(shares))
    yield headline(audit, "refused")
    yield _table(("place", "reason"), [(one.place, one.reason) for one in came.refused])
    yield headline(audit, "conflicts")
    said = [
        (f"{one.chunk.document}\n{other.chunk.document}", f"{one.text}\n{other.text}", conflict.later)
        for conflict in audit.conflicts
        for one, other in [(conflict.one, conflict.other)]
    ]
    yield _table(("documents", "what they say", "in force since later"), said)
    yield headline(audit, "repeats")
    yield _table(
        ("documents", "passage"), [(_documents(repeat.chunks), snippet(repeat.chunks[0].text)) for repeat in audit.repeats]
    )
    yield headline(audit, "terms")
    if audit.terms:
        yield terms_table(audit.terms)
    yield headline(audit, "unfound")
    lost = [
        (one.chunk.document, snippet(one.chunk.text), snippet(one.question), one.instead.document if one.instead else "nothing")
        for one in audit.finding.unfound
    ]
    yield _table(("document", "passage", "searched for", "found first"), lost)


def headline(audit: Audit, part: str) -> str:
    """What was found of one kind, in a sentence."""
    files = sum(one.is_file for one in audit.intake.refused)
    rows = len(audit.intake.refused) - files
    finding = audit.finding
    return {
        "refused": f"Refused: {files} files, and {rows} rows or pages of files that were read. "
        f"Without any text: {', '.join(audit.intake.empty) or 'none'}.",
        "conflicts": f"Contradictions: {len(audit.conflicts)} pairs of sentences give different figures for the same thing.",
        "repeats": f"Said twice: {len(audit.repeats)} passages stand in several documents, nearly word for word.",
        "terms": f"For a time only: {len(audit.terms)} end or begin within {audit.within} days, or ended as lately.",
        "unfound": f"Out of reach: {len(finding.unfound)} of {finding.looked} passages looked for (of {finding.among} in force) "
        f"are not among the first {finding.k} that their own words find.",
    }[part]


def snippet(text: str) -> str:
    """The text in one line, cut."""
    line = " ".join(text.split())
    return line if len(line) <= SNIPPET else f"{line[: SNIPPET - 1]}…"


def _documents(chunks: tuple[Chunk, ...]) -> str:
    return "\n".join(dict.fromkeys(chunk.document for chunk in chunks))


def _table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], most: int = MOST) -> str | Table:
    """Nothing to print where there are no rows."""
    from rich.box import SIMPLE
    from rich.table import Table

    if not rows:
        return ""
    table = Table(box=SIMPLE)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows[:most]:
        table.add_row(*row, end_section=len(row) > 1 and "\n" in row[0])
    if len(rows) > most:
        table.add_row(f"and {len(rows) - most} more: see --json or --html", *[""] * (len(columns) - 1))
    return table
