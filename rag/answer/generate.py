"""The generated rung: prompt, stream, check, cite. What the checks do not carry is never the answer."""

from __future__ import annotations

from collections.abc import Generator

from rag.answer.check import check
from rag.answer.cite import cite
from rag.answer.evidence import is_official
from rag.answer.parts import Case, Reply
from rag.answer.prompt import Prompt, render
from rag.answer.quote import score_units
from rag.language import sentences
from rag.types import Passage, Token

_SENTENCES = 3  # more than that is rambling, and every further one is a risk


def generated(case: Case) -> Generator[Token, None, Reply | None]:
    """Tokens as they come; then the sentences that passages carry, cited, or None if none does. Raises ModelFailed."""
    parts = case.parts
    if case.language not in parts.policy.generate_languages or not all(map(is_official, case.usable)):
        return None  # what customers write is quoted as theirs, never retold as ours
    prompt = case.clock.timed("prompt", build_prompt, case)
    text = yield from _stream(case, prompt)
    kept = case.clock.timed("check", check, text, prompt.passages, parts.rarity, parts.policy.support, prompt.messages[0].text)
    return cite(kept) if kept else None


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


def _stream(case: Case, prompt: Prompt) -> Generator[Token, None, str]:
    started = case.clock.elapsed()
    most = case.parts.policy.new_tokens
    text, waiting, number = "", 0.0, 0
    pieces = case.parts.generator.stream(prompt.messages, most, case.halted)
    try:
        for piece in pieces:
            number += 1
            waiting += case.clock.elapsed() - started
            case.clock.first_token()
            shown = harmless(piece, text)
            text += shown
            yield Token(shown)
            started = case.clock.elapsed()
            if sum(1 for _ in sentences(text)) > _SENTENCES:
                return _whole(text)
    finally:
        case.clock.add("generate", waiting)
        if isinstance(pieces, Generator):
            pieces.close()  # the shopper may have closed us: the model stops now, not when memory is next cleaned
    return _whole(text) if case.halted() or number >= most else text


def harmless(piece: str, before: str) -> str:
    """`piece` such that no page can read HTML, a picture or a hidden link target into `before` + piece, wherever it was split."""
    shown = ""
    for character in piece:
        last = (before + shown)[-1:]
        if character in "<>":
            continue
        joined = (last == "]" and character in "([:") or (last == "!" and character == "[")
        shown += f" {character}" if joined else character
    return shown


def _whole(text: str) -> str:
    """Without the last sentence if it was cut off."""
    spans = list(sentences(text))
    if spans and text[spans[-1][1] - 1] not in ".!?。！？；]】":
        return text[: spans[-2][1]] if len(spans) > 1 else ""
    return text


def _best_sentences(case: Case, passage: Passage, most: int) -> str:
    best = sorted(score_units(case, [passage])[:most], key=lambda item: item.unit.start)
    return "\n".join(item.unit.text for item in best) or passage.chunk.text[:200]
