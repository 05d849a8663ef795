"""The generated rung: the generator reads the likeliest sentences; its reply is evidence, and said where the checks carry it."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import re
from collections.abc import Callable, Generator, Sequence
from datetime import date

from rag.answer.check import MARKER, check, claims
from rag.answer.cite import Supported, cite
from rag.answer.evidence import is_official
from rag.answer.family import prompt_tokens
from rag.answer.guard import gives_instructions, printable
from rag.answer.parts import Case, Reply
from rag.answer.prompt import TUNED, Example, Excerpt, Prompt, disarm, render
from rag.answer.quote import contradicted
from rag.answer.rank import Candidate, Said
from rag.answer.rarity import Rarity
from rag.answer.reply import bare, reading
from rag.content import term_set
from rag.errors import ModelFailed, ShoptalkError
from rag.language import detect, sentences
from rag.types import Passage, Piece, Token

log = logging.getLogger(__name__)
_WIDEST = 20  # characters of a token, on average: a reply of more than new_tokens times that is no answer but a flood
_BROKEN = "\ufffd"  # what stands for bytes that are no character: a model slipped, and nothing after it is worth reading
_BEGUN = re.compile(r"\s*[\[【(（]?\s*\d{0,2}\s*")  # what may become a marker
_SENTENCES = 3  # more than that is rambling, and every further one is a risk
UNITS = 10  # that are shown
AGREED = 0.5  # of the best candidate's likelihood, which that of the sentence the reply stands on has at least
FULL = 0.6  # share, by rarity, of the best candidate that a reply says at least: a bare figure leaves open what it is of
SURE = -0.13  # mean natural log of the probabilities of a reply's tokens: below, a quote is right more often
HOPELESS = 0.02  # likelihood of the best unit below which reading is not worth the wait


def generated(case: Case) -> Generator[Token, None, Reply | None]:
    """Sentence after sentence, each shown only when a passage carries it; None if none does, or the generator fails before.

    Once it has read, the candidates are weighed anew: what is quoted or refused after this takes the reply into account.
    """
    least = HOPELESS if case.language in case.parts.fitted.read else case.threshold
    if not worth_reading(case, least):
        return None
    kept: list[Supported] = []
    with contextlib.closing(drafts(case, lambda: build_prompt(case, excerpts(case)))) as read:
        for prompt, text, pieces in read:
            if not case.said:
                case.clock.timed("rank", case.weigh, said(text, pieces, prompt))
                if not (case.answerable and case.said and case.said[0].text):
                    break
            standing = stands(case, text, prompt)
            if len(standing) <= len(kept) or not _answers(case, standing[0]) or not _belongs(case, standing):
                break  # the newest sentence does not stand: what a model says after a slip is not worth the wait
            kept = standing
            case.clock.first_token()
            yield Token(f"{kept[-1][0]} ")
    return cite([*kept, *contradicted(case)]) if kept else None


def drafts(case: Case, make: Callable[[], Prompt]) -> Generator[tuple[Prompt, str, list[Piece]], None, None]:
    """The prompt with each of the replies() to it. A failure ends them; it is logged and noted, and costs no more than that.

    The prompt is made aside, too: counting its tokens may load the model, and waits for it where it hangs.
    """
    parts = case.parts
    try:
        if parts.aside.stuck(parts.policy.deadline_seconds):
            raise _failed("an end to what it was asked before", "none")
        with contextlib.closing(parts.aside.items(lambda _: iter([make()]), case.halted, case.clock.over)) as made:
            prompt = case.clock.timed("prompt", next, made)
        with contextlib.closing(replies(case, prompt)) as read:
            for text, pieces in read:
                if text.strip():
                    yield prompt, text, pieces
                elif not case.halted():
                    raise _failed("a reply", "nothing that can be read")
    except Exception as error:  # whatever a model raises, the shopper is answered without it
        case.failed = "generated"
        unforeseen = None if isinstance(error, ShoptalkError) else error
        log.warning("turn %s goes on without the generator: %s", case.id, error or type(error).__name__, exc_info=unforeseen)


def worth_reading(case: Case, least: float) -> bool:
    """Whether to ask the generator: the best candidate has that likelihood, and the shop itself says what would be shown.

    What customers write is quoted as theirs, never retold as ours.
    """
    if not case.candidates or case.language not in case.parts.policy.generate_languages:
        return False
    return case.candidates[0].probability >= least and all(map(is_official, case.usable))


def build_prompt(case: Case, shown: Sequence[Excerpt]) -> Prompt:
    """The case's prompt: examples unless it is the tuned one, the last turns, what of passages is `shown`, as much as fits."""
    parts, policy = case.parts, case.parts.policy
    turns = case.history[len(case.history) - min(policy.history_turns, len(case.history)) :]
    examples: Sequence[Example] = ()
    if parts.examples and parts.prompt != TUNED:
        ids = {passage.chunk.id for passage, _ in shown}
        examples = parts.examples.chosen(case.query, ids, policy.today or date.today())
    shop, tokens = parts.shops[case.language], prompt_tokens(policy.prompt_tokens, parts.prompt)
    return render(case.query, turns, shown, shop, parts.generator.count, tokens, parts.prompt, examples)


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


def _answers(case: Case, sentence: Supported) -> bool:
    """Whether the sentence was found in the likeliest candidate, the shortest that holds it is likely by itself, and is_full().

    A model picks a sentence of a list or of a vetted answer less surely than the whole was picked, which is then quoted.
    """
    best = case.candidates[0]
    if (
        not states(sentence, best)
        or not case.said
        or not is_full(sentence[0], case.said[0].surety, best.unit.text, case.parts.rarity)
    ):
        return False
    own = min((one for one in case.candidates if states(sentence, one)), key=lambda one: len(one.unit.text))
    return own.probability >= AGREED * best.probability


def is_full(said: str, surety: float, unit: str, rarity: Rarity) -> bool:
    """Whether a reply of that surety, or its first sentence, says most of what it was found in; else that is quoted."""
    return surety >= SURE and rarity.coverage(term_set(unit), term_set(said)) >= FULL


def _belongs(case: Case, standing: Sequence[Supported]) -> bool:
    """Whether the newest sentence stands where the first does or is likely to be what was asked for, and gives no orders.

    Nor may it hold what poses as a prompt, or be in a language that is not ours. A model that obeys a passage adds its orders
    behind the answer, word for word as they stand there.
    """
    newest = standing[-1]
    if gives_instructions(newest[0]) or disarm(newest[0]) != newest[0] or detect(newest[0]) is None:
        return False
    if newest[1].chunk.id == standing[0][1].chunk.id:
        return True
    return any(states(newest, one) for one in case.candidates if one.probability >= case.threshold)


def replies(case: Case, prompt: Prompt) -> Generator[tuple[str, list[Piece]], None, None]:
    """The reply so far and its pieces, each time another sentence is complete, at most _SENTENCES times; at least once.

    Raises what the generator raises, and ModelFailed for one that hangs; closing it closes the generator's stream.
    """
    text, given, claimed, started = "", list[Piece](), 0, case.clock.elapsed()
    most, cut = case.parts.policy.new_tokens, False
    with contextlib.closing(_pieces(case, prompt)) as pieces:
        for piece in pieces:
            text += piece.text
            given.append(piece)
            cut = len(given) >= most or len(text) > most * _WIDEST or _BROKEN in text
            text = text[: most * _WIDEST].partition(_BROKEN)[0]
            if len(claims(_complete(text))) > claimed:
                claimed += 1
                case.clock.add("generate", case.clock.elapsed() - started)
                yield _complete(text), given
                if claimed == _SENTENCES:
                    return
                started = case.clock.elapsed()
            if cut:
                break
    case.clock.add("generate", case.clock.elapsed() - started)
    whole = _whole(text) if case.halted() or cut else text
    if not claimed or len(claims(whole)) > claimed:
        yield whole, given


def _pieces(case: Case, prompt: Prompt) -> Generator[Piece, None, None]:
    """What the generator writes, aside, without characters that no text holds; no probability is above 1."""
    parts, most = case.parts, case.parts.policy.new_tokens
    stream = functools.partial(parts.generator.stream, prompt.messages, most)
    with contextlib.closing(parts.aside.items(stream, case.halted, case.clock.over)) as pieces:
        for piece in pieces:
            yield Piece(printable(piece.text[: most * _WIDEST + 1]), min(piece.logprob, 0.0))


def _failed(expected: str, found: str) -> ModelFailed:
    return ModelFailed(expected=f"{expected} from the generator", found=found, remedy="look into its log, or choose another")


def _complete(text: str) -> str:
    """Without the last sentence, which may go on, and with the marker behind the one before, once that is whole."""
    ends = [end for _, end in sentences(text)][:-1]
    while ends:
        if marker := MARKER.match(text, ends[-1]):
            return text[: marker.end()]
        if not _BEGUN.fullmatch(text, ends[-1]):
            return text[: ends[-1]]
        ends.pop()
    return ""


def _whole(text: str) -> str:
    """Without the last sentence unless it has an end: it was cut off."""
    return text if text.rstrip()[-1:] in tuple(".!?。！？；]】") else _complete(text)
