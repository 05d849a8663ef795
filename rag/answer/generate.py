"""The generated rung: the generator reads the likeliest sentences; its reply is evidence, and said where the checks carry it."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Sequence
from datetime import date

from rag.answer.check import check, claims
from rag.answer.cite import Supported, cite
from rag.answer.evidence import is_official
from rag.answer.parts import Case, Reply
from rag.answer.prompt import TUNED, Example, Excerpt, Prompt, render
from rag.answer.rank import Candidate, Said
from rag.answer.reply import bare, reading
from rag.language import sentences
from rag.types import Passage, Piece, Token

_SENTENCES = 3  # more than that is rambling, and every further one is a risk
UNITS = 10  # that are shown: of 204 questions of gold/dev 186 have their answer among them
HOPELESS = 0.02  # likelihood of the best unit below which reading is not worth the wait


def generated(case: Case) -> Generator[Token, None, Reply | None]:
    """Sentence after sentence, each shown only when a passage carries it; None if none does. Raises ModelFailed.

    Once it has read, the candidates are weighed anew: what is quoted or refused after this takes the reply into account.
    """
    least = HOPELESS if case.language in case.parts.fitted.read else case.threshold
    if not worth_reading(case, least):
        return None
    prompt = case.clock.timed("prompt", build_prompt, case)
    drafts = replies(case, prompt)
    first = next(drafts)
    case.clock.timed("rank", case.weigh, said(*first, prompt))
    kept: list[Supported] = []
    if case.answerable and case.said and case.said[0].text:
        for text, _ in itertools.chain([first], drafts):
            standing = stands(case, text, prompt)
            if len(standing) <= len(kept) or not states(standing[0], case.candidates[0]):
                break  # the newest sentence does not stand: what a model says after a slip is not worth the wait
            kept = standing
            case.clock.first_token()
            yield Token(f"{kept[-1][0]} ")
    drafts.close()
    return cite(kept) if kept else None


def worth_reading(case: Case, least: float) -> bool:
    """Whether to ask the generator: the best candidate has that likelihood, and the shop itself says what would be shown.

    What customers write is quoted as theirs, never retold as ours.
    """
    if not case.candidates or case.language not in case.parts.policy.generate_languages:
        return False
    return case.candidates[0].probability >= least and all(map(is_official, case.usable))


def build_prompt(case: Case) -> Prompt:
    """The case's prompt: examples unless it is the tuned one, the last turns, the likeliest units by passage, as many as fit."""
    parts, policy, shown = case.parts, case.parts.policy, excerpts(case)
    turns = case.history[len(case.history) - min(policy.history_turns, len(case.history)) :]
    examples: Sequence[Example] = ()
    if parts.examples and parts.prompt != TUNED:
        ids = {passage.chunk.id for passage, _ in shown}
        examples = parts.examples.chosen(case.query, ids, policy.today or date.today())
    shop = parts.shops[case.language]
    return render(case.query, turns, shown, shop, parts.generator.count, policy.prompt_tokens, parts.prompt, examples)


def excerpts(case: Case) -> list[Excerpt]:
    """The likeliest units, those of a passage in their order, the passage with the likeliest unit first."""
    chosen: dict[str, tuple[Passage, dict[tuple[int, int], str]]] = {}
    shown = itertools.islice((one for one in case.candidates if not one.unit.is_whole), UNITS)
    for candidate in shown:
        passage, unit = candidate.passage, candidate.unit
        chosen.setdefault(passage.chunk.id, (passage, {}))[1][unit.start, unit.end] = unit.text
    return [(passage, " ".join(texts[span] for span in sorted(texts))) for passage, texts in chosen.values()]


def said(reply: str, pieces: Sequence[Piece], prompt: Prompt) -> Said:
    """What a reply in these pieces says, and the passage it names."""
    found = reading(reply, pieces)
    known = 0 < found.marker <= len(prompt.passages)
    return found, prompt.passages[found.marker - 1] if known else None


def stands(case: Case, text: str, prompt: Prompt) -> list[Supported]:
    """The sentences of a reply that the passages of its prompt carry."""
    parts = case.parts
    return case.clock.timed(
        "check", check, bare(text), prompt.passages, parts.rarity, parts.policy.support, prompt.messages[0].text
    )


def states(sentence: Supported, candidate: Candidate) -> bool:
    """Whether the sentence was found in the candidate: what is true can still be beside the point."""
    _, passage, (start, end) = sentence
    unit = candidate.unit
    return passage.chunk.id == candidate.passage.chunk.id and start < unit.end and unit.start < end


def replies(case: Case, prompt: Prompt) -> Generator[tuple[str, list[Piece]], None, None]:
    """The reply so far and its pieces, each time another sentence is complete, at most _SENTENCES times; at least once."""
    text, given, claimed, started = "", list[Piece](), 0, case.clock.elapsed()
    most = case.parts.policy.new_tokens
    pieces = case.parts.generator.stream(prompt.messages, most, case.halted)
    try:
        for piece in pieces:
            text += piece.text
            given.append(piece)
            if len(claims(_complete(text))) > claimed:
                claimed += 1
                case.clock.add("generate", case.clock.elapsed() - started)
                yield _complete(text), given
                if claimed == _SENTENCES:
                    return
                started = case.clock.elapsed()
    finally:
        if isinstance(pieces, Generator):
            pieces.close()  # the shopper may have closed us: the model stops now, not when memory is next cleaned
    case.clock.add("generate", case.clock.elapsed() - started)
    whole = _whole(text) if case.halted() or len(given) >= most else text
    if not claimed or len(claims(whole)) > claimed:
        yield whole, given


def _complete(text: str) -> str:
    """Without the last sentence, which may go on."""
    spans = list(sentences(text))
    return text[: spans[-2][1]] if len(spans) > 1 else ""


def _whole(text: str) -> str:
    """Without the last sentence unless it has an end: it was cut off."""
    return text if text.rstrip()[-1:] in tuple(".!?。！？；]】") else _complete(text)
