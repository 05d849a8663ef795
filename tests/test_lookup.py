"""Drafts from the prompt: what they hold, and that verifying them leaves reply and probabilities what they are without."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import make_llama

from rag.models import generate
from rag.models.generate import TransformersGenerator
from rag.models.lookup import LONGEST, Lookup
from rag.models.resolve import resolve_generator
from rag.types import Turn

Written = list[tuple[int, float]]

QUESTION = [Turn("system", "Answer."), Turn("user", "How long does the battery last? It lasts 12 hours. 余烬")]


@pytest.mark.parametrize(
    ("prompt", "written", "expected"),
    [
        ([1, 2, 3, 4, 5, 6, 7], [1, 2], [3, 4, 5]),  # at most three here
        ([1, 2, 3], [9, 1, 2], [3]),  # up to the prompt's end
        ([1, 2, 3, 4], [2], []),  # one token is no match
        ([1, 2, 3, 4], [], []),
        ([1, 2, 3, 4], [3, 9], []),
        ([1, 2, 3, 4], [3, 4], []),  # nothing follows
        ([1, 2, 3, 0, 1, 2, 4], [1, 2], [4]),  # the last of equals
        ([5, 1, 2, 3, 0, 1, 2, 4], [5, 1, 2], [3, 0, 1]),  # the longest of all
        ([1, 1, 1, 1, 2], [1, 1], [2]),
    ],
)
def test_a_draft_is_what_followed_in_the_prompt(prompt: list[int], written: list[int], expected: list[int]) -> None:
    assert Lookup(prompt, 3).draft(written) == expected
    assert Lookup(prompt, 0).draft(written) == []


def test_matches_longer_than_any_need_are_equal() -> None:
    written = list(range(LONGEST + 1))
    assert Lookup([*written, 77, *written[1:], 88], 1).draft(written) == [88]


class Oracle:
    """In Lookup's place: `right` tokens of the reply as it will be, then one that is not."""

    def __init__(self, reply: Sequence[int], right: int) -> None:
        self.reply, self.right = reply, right

    def draft(self, written: Sequence[int]) -> list[int]:
        start = len(written)
        wrong = (self.reply[(start + self.right) % len(self.reply)] + 1) % 300
        return [*self.reply[start : start + self.right], wrong] if written else []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_llama(tmp_path_factory.mktemp("tiny") / "llama")


def write(generator: TransformersGenerator, prompt: list[int], tokens: int = 20) -> Written:
    return list(generator._decode(prompt, tokens, lambda: False))


def widths(generator: TransformersGenerator) -> list[int]:
    """How many tokens each forward pass is given, filled as it runs."""
    given: list[int] = []

    def note(model: Any, positional: Any, named: dict[str, Any]) -> None:
        given.append(named["input_ids"].shape[1])

    generator.load().model.register_forward_pre_hook(note, with_kwargs=True)
    return given


def same(one: Written, other: Written) -> bool:
    return [token for token, _ in one] == [token for token, _ in other] and [logprob for _, logprob in one] == pytest.approx(
        [logprob for _, logprob in other], abs=1e-4
    )


@pytest.mark.parametrize("right", [0, 1, 3, 8])
def test_whatever_a_draft_gets_right_the_reply_is_that_of_plain_decoding(
    folder: Path, monkeypatch: pytest.MonkeyPatch, right: int
) -> None:
    generator = TransformersGenerator(folder, dtype="float32", threads=1, prompt_lookup=0)
    prompt = generator.tokens(QUESTION)
    plain = write(generator, prompt)
    reply = [token for token, _ in plain]
    assert len(reply) == 20
    monkeypatch.setattr(generate, "Lookup", lambda *_: Oracle(reply, right))
    given = widths(generator)
    assert same(write(generator, prompt), plain)
    assert len(given) == 1 + -(-19 // (right + 1))  # the first token has no draft; each pass yields what was right, and one
    for tokens in (1, 2, 7):
        assert same(write(generator, prompt, tokens), plain[:tokens])


def test_an_end_within_a_draft_is_the_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = TransformersGenerator(folder, dtype="float32", threads=1, prompt_lookup=0)
    prompt = generator.tokens(QUESTION)
    plain = write(generator, prompt)
    reply = [token for token, _ in plain]
    stop = next(n for n in range(5, 20) if reply[n] not in reply[:n])
    generator._loaded = generator.load()._replace(stops=frozenset({reply[stop]}))
    monkeypatch.setattr(generate, "Lookup", lambda *_: Oracle(reply, 8))
    assert same(write(generator, prompt), plain[:stop])


def test_it_stops_within_a_draft_when_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = TransformersGenerator(folder, dtype="float32", threads=1, prompt_lookup=0)
    prompt = generator.tokens(QUESTION)
    reply = [token for token, _ in write(generator, prompt)]
    monkeypatch.setattr(generate, "Lookup", lambda *_: Oracle(reply, 8))
    got: list[int] = []
    for token, _ in generator._decode(prompt, 20, lambda: len(got) == 4):
        got.append(token)
    assert got == reply[:4]


def copying(folder: Path, lookup: int) -> TransformersGenerator:
    """A model whose next token hangs on the last one before all, so that a prompt can hold what it will write."""
    generator = TransformersGenerator(folder, dtype="float32", threads=1, prefix_cache=0, prompt_lookup=lookup)
    for layer in generator.load().model.model.layers:
        layer.self_attn.o_proj.weight.data.mul_(0.01)
    return generator


def test_a_reply_that_copies_takes_fewer_passes_and_is_the_same(folder: Path) -> None:
    plain, drafting = copying(folder, 0), copying(folder, 8)
    start = plain.tokens(QUESTION)
    prompt = [*(token for token, _ in write(plain, start)), *start]
    expected = write(plain, prompt)
    given = widths(drafting)
    assert same(write(drafting, prompt), expected)
    assert len(given) <= len(expected) // 2


def test_settings_turn_it_off(folder: Path) -> None:
    plain = copying(folder, 0)
    start = plain.tokens(QUESTION)
    prompt = [*(token for token, _ in write(plain, start)), *start]
    given = widths(plain)
    write(plain, prompt)
    assert set(given[1:]) == {1}


def test_a_model_with_a_sliding_window_writes_what_transformers_would(tmp_path: Path) -> None:
    """Its layers keep more than their window, so that drafts can be taken back; the mask hides the rest."""
    drafting = copying(make_llama(tmp_path / "sliding", sliding_window=8), 8)
    start = drafting.tokens(QUESTION)
    prompt = [*(token for token, _ in write(drafting, start, 14)), *start]
    given = widths(drafting)
    written = [token for token, _ in write(drafting, prompt, 20)]
    assert max(given[1:]) > 1
    model = drafting.load().model
    whole = model.generate(torch.tensor([prompt]), max_new_tokens=20, do_sample=False)[0, len(prompt) :].tolist()
    assert written == whole[: len(written)] and len(written) > 8


@pytest.mark.model
@pytest.mark.slow
def test_the_default_model_writes_the_same(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = resolve_generator("default", tmp_path_factory.getbasetemp() / "home")
    plain, drafting = (TransformersGenerator(folder, dtype="float32", prefix_cache=0, prompt_lookup=most) for most in (0, 8))
    given = widths(drafting)
    text = "The Ember 400 headlamp weighs 86 g and its battery lasts 12 hours on one charge, or 4 hours at full brightness."
    prompt = plain.tokens([Turn("user", f"Repeat word for word: {text}")])
    expected = write(plain, prompt, 40)
    assert same(write(drafting, prompt, 40), expected)
    assert len(given) < len(expected)
