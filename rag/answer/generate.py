"""The generated rung: prompt, generate, check, cite. What the checks do not carry is never shown."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from rag.answer.check import check, claims
from rag.answer.cite import Supported, cite
from rag.answer.evidence import is_official
from rag.answer.parts import Case, Reply
from rag.answer.prompt import Prompt, render
from rag.language import sentences
from rag.types import Passage, Token

_SENTENCES = 3  # more than that is rambling, and every further one is a risk


def generated(case: Case) -> Generator[Token, None, Reply | None]:
    """Sentence after sentence, each shown only when a passage carries it; None if none does. Raises ModelFailed."""
    if not case.answerable or case.language not in case.parts.policy.generate_languages or not all(map(is_official, case.usable)):
        return None  # what customers write is quoted as theirs, never retold as ours
    prompt = case.clock.timed("prompt", build_prompt, case)
    kept: list[Supported] = []
    for text in _sentence_by_sentence(case, prompt):
        standing = _check(case, text, prompt)
        if len(standing) <= len(kept):
            break  # the newest sentence does not stand: what a model says after a slip is not worth the wait
        kept = standing
        case.clock.first_token()
        yield Token(f"{kept[-1][0]} ")
    said = " ".join(sentence for sentence, _, _ in kept)
    # True sentences can be beside the point: they must answer at least as well as the best quote would.
    return cite(kept) if kept and case.parts.ranker.answers_better(case.query, said, case.candidates[0]) else None


def build_prompt(case: Case) -> Prompt:
    """The case's prompt: the last turns, and the passages that fit."""
    parts = case.parts
    turns = case.history[len(case.history) - min(parts.policy.history_turns, len(case.history)) :]
    return render(
        case.query,
        turns,
        case.usable,
        parts.shops[case.language],
        parts.generator.count,
        parts.policy.prompt_tokens,
        lambda passage, most: _best_sentences(case, passage, most),
    )


def _check(case: Case, text: str, prompt: Prompt) -> list[Supported]:
    parts = case.parts
    return case.clock.timed("check", check, text, prompt.passages, parts.rarity, parts.policy.support, prompt.messages[0].text)


def _sentence_by_sentence(case: Case, prompt: Prompt) -> Iterator[str]:
    """The reply so far, each time another sentence of it is complete; at most _SENTENCES times."""
    text, claimed, started, number = "", 0, case.clock.elapsed(), 0
    most = case.parts.policy.new_tokens
    pieces = case.parts.generator.stream(prompt.messages, most, case.halted)
    try:
        for piece in pieces:
            text += piece.text
            number += 1
            if len(claims(_complete(text))) > claimed:
                claimed += 1
                case.clock.add("generate", case.clock.elapsed() - started)
                yield _complete(text)
                if claimed == _SENTENCES:
                    return
                started = case.clock.elapsed()
    finally:
        if isinstance(pieces, Generator):
            pieces.close()  # the shopper may have closed us: the model stops now, not when memory is next cleaned
    case.clock.add("generate", case.clock.elapsed() - started)
    whole = _whole(text) if case.halted() or number >= most else text
    if len(claims(whole)) > claimed:
        yield whole


def _complete(text: str) -> str:
    """Without the last sentence, which may go on."""
    spans = list(sentences(text))
    return text[: spans[-2][1]] if len(spans) > 1 else ""


def _whole(text: str) -> str:
    """Without the last sentence unless it has an end: it was cut off."""
    return text if text.rstrip()[-1:] in tuple(".!?。！？；]】") else _complete(text)


def _best_sentences(case: Case, passage: Passage, most: int) -> str:
    mine = [c.unit for c in case.candidates if c.passage.chunk.id == passage.chunk.id and not c.unit.is_whole]
    return "\n".join(unit.text for unit in sorted(mine[:most], key=lambda unit: unit.start))
