"""The gold sets checked against the corpus and each other: verbatim quotes, enough of each kind, no leak between them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from rag.errors import DataError
from rag.evaluate.catalogue import Truth
from rag.evaluate.gold import NOISY, Located, Question, about, locate_gold
from rag.evaluate.metrics import squeeze
from rag.language import fold
from rag.types import Document

LEAK = 15  # characters: a shorter quote may stand inside another by chance
TURNS = range(2, 6)  # questions in a dialogue, the last one included


def check_gold(folder: Path, documents: Sequence[Document], truth: Truth) -> list[str]:
    """Everything wrong with the gold sets below `folder`, one line a problem. Raises DataError for a wrong line."""
    questions = locate_gold(folder)
    split = {name: [q for q in questions if _split(q, folder) == name] for name in ("train", "fit", "dev", "test", "plain")}
    measured = [*split["dev"], *split["test"]]
    problems = check_quotes(questions, documents)
    problems += check_templates([*split["train"], *split["fit"]], [*measured, *split["plain"]], truth)
    problems += check_templates(split["dev"], split["test"], truth) + check_same_quotes(split["dev"], split["test"])
    return problems + check_counts([question.item for question in measured], about(folder).minimum)


def _split(question: Located, folder: Path) -> str:
    return Path(question.where.rpartition(":")[0]).relative_to(folder).parts[0]


def check_quotes(questions: Iterable[Located], documents: Sequence[Document]) -> list[str]:
    """Every gold quote that its document does not hold, character by character, as the ingest reads it."""
    texts = {(document.id, ""): "\n".join((document.text, *(e.text for e in document.entries))) for document in documents}
    texts |= {(document.id, entry.key): entry.text for document in documents for entry in document.entries}
    problems = []
    for question in questions:
        for source in question.item.sources:
            place = f"{question.where}: {question.item.id}"
            where = f"{source.document} {source.entry}".strip()
            text = texts.get((source.document, source.entry))
            if text is None:
                problems.append(f"{place} quotes {where}, which is not in the corpus")
            elif source.quote not in text:
                near = "only the white space differs" if squeeze(source.quote) in squeeze(text) else "not there"
                problems.append(f"{place}: {source.quote!r} is not verbatim in {where} ({near})")
    return problems


def counts(questions: Sequence[Question]) -> dict[str, float]:
    """How many questions of what sort; zh_share is 0..1."""
    dialogues = [
        question for question in questions if len([turn for turn in question.history if turn.role == "user"]) + 1 in TURNS
    ]
    return {
        "items": len(questions),
        "dialogues": len(dialogues),
        "unanswerable": sum(not question.answerable and question.kind != "attack" for question in questions),
        "noisy": sum(question.kind in NOISY for question in questions),
        "attacks": sum(question.kind == "attack" for question in questions),
        "cross_zh": sum((question.kind, question.lang) == ("cross", "zh") for question in questions),
        "cross_en": sum((question.kind, question.lang) == ("cross", "en") for question in questions),
        "zh_share": sum(question.lang == "zh" for question in questions) / len(questions),
    }


def check_counts(questions: Sequence[Question], minimum: Mapping[str, float]) -> list[str]:
    """Every count below its minimum. Raises DataError for a minimum of something that is not counted."""
    found = counts(questions)
    if unknown := minimum.keys() - found.keys():
        raise DataError(expected=f"minimums of {', '.join(found)}", found=", ".join(sorted(unknown)), remedy="correct gold.toml")
    return [f"gold: {found[key]:g} {key}, at least {least:g} asked for" for key, least in minimum.items() if found[key] < least]


def template(question: str, truth: Truth) -> str:
    """The question with product names, numbers, case, spaces and punctuation taken out: what two of a template share."""
    masked = truth.name_pattern.sub("‹product›", question)
    masked = re.sub(r"\d+(?:[.,]\d+)*", "‹n›", fold(masked))
    return re.sub(r"[^\w‹›]", "", masked)


def check_templates(known: Sequence[Located], measured: Sequence[Located], truth: Truth) -> list[str]:
    """Every question template that two sets share."""
    seen = {template(one.item.question, truth): one for one in known}
    twins = [(one, seen.get(template(one.item.question, truth))) for one in measured]
    return [f"{one.where}: {one.item.id} has the template of {twin.item.id} ({twin.where})" for one, twin in twins if twin]


def check_same_quotes(dev: Sequence[Located], test: Sequence[Located]) -> list[str]:
    """Every quote that dev and test share."""
    problems = []
    quotes = {(source.entry, squeeze(source.quote)): question for question in dev for source in question.item.sources}
    for question in test:
        for source in question.item.sources:
            same = (quotes[other] for other in quotes if _same((source.entry, squeeze(source.quote)), other))
            if twin := next(same, None):
                problems.append(f"{question.where}: {question.item.id} shares a quote with {twin.item.id} ({twin.where})")
    return problems


def shares_a_quote(known: Iterable[Question]) -> Callable[[Question], bool]:
    """Tells questions whose answer, by one of its quotes, is that of a `known` question."""
    quotes = {(source.entry, squeeze(source.quote)) for item in known for source in item.sources}
    return lambda item: any(_same((source.entry, squeeze(source.quote)), other) for source in item.sources for other in quotes)


def _same(one: tuple[str, str], two: tuple[str, str]) -> bool:
    (entry, quote), (another, other) = one, two
    if entry and another and entry != another:
        return False  # rows of different products may say the same
    return quote == other or (min(len(quote), len(other)) >= LEAK and (quote in other or other in quote))
