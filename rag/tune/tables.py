"""What tuning found as tables for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from rag.tune.answers import AnswersTuned


def answers_table(result: AnswersTuned) -> Table:
    """By language: the ladder as it was, as it is now where it has not seen the questions, and then with a generator."""
    table = Table(
        box=box.SIMPLE,
        caption="score: +1 right, 0 declined, -1 wrong; right: of those answered; settled: before the ladder, not counted\n"
        "before: by numbers that may have been fitted on these very questions; after: cross-validated\n"
        "read: after, with what the generator makes of the passages\n"
        "AUC: how well passages that hold the answer are told from those that do not by their scores alone, cross-validated",
        caption_justify="left",
    )
    for name in ("language", "n", "settled", "", "score", "answered", "right", "penalty", "refuse below", "FAQ from", "AUC"):
        table.add_column(name, justify="left" if name in ("language", "") else "right")
    for language, tuned in result.languages.items():
        limits = tuned.thresholds
        fitted = (f"{result.penalty:g}", f"{limits.refuse_below:.3f}", f"{limits.faq:.3f}", f"{tuned.auc:.3f}")
        states = [("before", tuned.before, ("", "", "", "")), ("after", tuned.after, fitted)]
        if tuned.told:
            states.append(("read", tuned.told, ("", f"{limits.read:.3f}", "", "")))
        for state, tally, more in states:
            figures = (f"{tally.score:+.3f}", f"{tally.coverage:.3f}", f"{tally.accuracy:.3f}")
            table.add_row(language, str(tally.n), str(tuned.settled), state, *figures, *more)
    return table
