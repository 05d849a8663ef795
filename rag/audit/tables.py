"""An audit for the terminal: one table a finding, under the sentence that says what it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rag.audit.conflicts import Conflict, Saying
from rag.audit.flow import Audit
from rag.evaluate.gate import Change
from rag.retrieve.explain import terms_table

if TYPE_CHECKING:
    from rich.table import Table

SNIPPET = 90  # characters of a passage
MOST = 20  # findings in one table; the page and --json have all
NONE_SAID = "(none said)"


def tables(audit: Audit) -> Iterator[str | Table]:
    """Lines and tables in the order they are read."""
    came, says = audit.intake, headlines(audit)
    yield f"Generation {came.generation} of {came.created}: {came.documents} documents, {came.chunks} passages."
    shares = [(one.group, one.value or NONE_SAID, str(one.documents), str(one.chunks)) for one in came.shares]
    yield _table(("", "", "documents", "passages"), shares)
    yield says["refused"]
    yield _table(("place", "reason"), *([(one.place, one.reason)] for one in came.refused))
    yield says["conflicts"]
    pairs = [[(one.chunk.document, one.text, _standing(one, conflict)) for one in conflict.both] for conflict in audit.conflicts]
    yield _table(("document", "what it says", ""), *pairs)
    yield says["repeats"]
    groups = [[(chunk.document, snippet(chunk.text)) for chunk in repeat.chunks] for repeat in audit.repeats]
    yield _table(("document", "passage"), *groups)
    yield says["gold"]
    asked = [[(one.question, snippet(one.before), snippet(one.after), worth(one))] for one in audit.gold.changes]
    yield _table(("question", "answered before", "answered now", ""), *asked)
    yield says["terms"]
    if audit.terms:
        yield terms_table(audit.terms)
    yield says["unfound"]
    lost = [
        [(one.chunk.document, snippet(one.chunk.text), snippet(one.question), one.instead.document if one.instead else "nothing")]
        for one in audit.finding.unfound
    ]
    yield _table(("document", "passage", "searched for", "found first"), *lost)


def headlines(audit: Audit) -> Mapping[str, str]:
    """What was found of each kind, in a sentence."""
    refused, finding = audit.intake.refused, audit.finding
    files = sum(one.is_file for one in refused)
    return {
        "refused": f"Refused files: {files}. Refused rows and pages of files that were read: {len(refused) - files}. "
        f"Files without any text: {', '.join(audit.intake.empty) or 'none'}.",
        "conflicts": "Contradictions, sentences of two documents with different figures for the same thing: "
        f"{len(audit.conflicts)}.",
        "repeats": f"Passages that stand in several documents, nearly word for word: {len(audit.repeats)}.",
        "gold": f"Gold questions answered otherwise than by generation {audit.gold.before}: {len(audit.gold.changes)}."
        if audit.gold.before
        else "Gold questions: nothing to compare with yet.",
        "terms": f"What ends or begins within {audit.within} days, or did as lately: {len(audit.terms)}.",
        "unfound": f"Passages out of reach, not among the first {finding.k} that their own words find: {len(finding.unfound)} of "
        f"{finding.looked} looked for, of {finding.among} in force.",
    }


def worth(change: Change) -> str:
    """Whether the answer got better."""
    by = change.worth_after - change.worth_before
    return "better" if by > 0 else "worse" if by < 0 else "no better, no worse"


def snippet(text: str) -> str:
    """The text in one line, cut."""
    line = " ".join(text.split())
    return line if len(line) <= SNIPPET else f"{line[: SNIPPET - 1]}…"


def _standing(saying: Saying, conflict: Conflict) -> str:
    return "in force since later" if saying.chunk.document == conflict.later else ""


def _table(columns: tuple[str, ...], *groups: Sequence[tuple[str, ...]]) -> str | Table:
    """The rows of the first groups, with a line after each; nothing to print where there are none."""
    from rich.box import SIMPLE
    from rich.table import Table

    if not any(groups):
        return ""
    table = Table(box=SIMPLE)
    for column in columns:
        table.add_column(column, overflow="fold")
    for group in groups[:MOST]:
        for row in group:
            table.add_row(*row)
        table.add_section()
    if len(groups) > MOST:
        table.add_row(f"and {len(groups) - MOST} more: see --json or --html")
    return table
