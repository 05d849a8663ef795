"""What a new prompt shares with a recent one is not computed again, and nothing of the reply changes by it."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny_models import make_llama

from rag.models import prefix
from rag.models.generate import TransformersGenerator
from rag.models.prefix import Layer, PrefixCache
from rag.models.resolve import resolve_generator
from rag.types import Turn

Written = list[tuple[int, float]]

SYSTEM = Turn("system", "Answer from the passages.")
PASSAGES = "The battery lasts 12 hours. Returns are free within 30 days."
PROMPTS = [
    [SYSTEM, Turn("user", f"{PASSAGES} How long does the battery last?")],
    [SYSTEM, Turn("user", f"{PASSAGES} How long does it take?")],
    [SYSTEM, Turn("user", "The price is 49.90 EUR. What is the price?")],
    [SYSTEM, Turn("user", f"{PASSAGES} How long does the battery last?")],
    [Turn("user", "Returns?")],
    [SYSTEM],
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_llama(tmp_path_factory.mktemp("tiny") / "llama")


def generator(folder: Path, most: int) -> TransformersGenerator:
    return TransformersGenerator(folder, dtype="float32", threads=1, prefix_cache=most)


def write(generator: TransformersGenerator, messages: list[Turn], tokens: int = 20) -> Written:
    return list(generator._decode(generator.tokens(messages), tokens, lambda: False))


def computed(generator: TransformersGenerator) -> list[int]:
    """Lengths of what the model is given, filled as it runs."""
    lengths: list[int] = []

    def note(model: Any, given: Any, named: dict[str, Any]) -> None:
        lengths.append(named["input_ids"].shape[1])

    generator.load().model.register_forward_pre_hook(note, with_kwargs=True)
    return lengths


def same(one: Written, other: Written) -> bool:
    return [token for token, _ in one] == [token for token, _ in other] and [logprob for _, logprob in one] == pytest.approx(
        [logprob for _, logprob in other], abs=1e-4
    )


def test_replies_are_token_for_token_those_of_a_generator_that_remembers_nothing(folder: Path) -> None:
    remembering, forgetful = generator(folder, 4), generator(folder, 0)
    for messages in PROMPTS:
        assert same(write(remembering, messages), write(forgetful, messages))


def test_only_what_is_new_is_computed(folder: Path) -> None:
    remembering = generator(folder, 4)
    lengths = computed(remembering)
    ids = [remembering.tokens(messages) for messages in PROMPTS]
    for messages in PROMPTS[:4]:
        write(remembering, messages, 1)
    assert lengths[0] == len(ids[0])
    assert lengths[1] == len(ids[1]) - prefix.shared(ids[0], ids[1]) < 30
    assert lengths[2] == len(ids[2]) - prefix.shared(ids[0], ids[2]) < len(ids[2])
    assert lengths[3] == 1  # asked again: only the last token's scores are not known


def test_none_is_remembered_where_settings_say_so(folder: Path) -> None:
    forgetful = generator(folder, 0)
    lengths = computed(forgetful)
    for _ in range(2):
        write(forgetful, PROMPTS[0], 1)
    assert lengths == [forgetful.count(PROMPTS[0])] * 2


def test_streams_that_share_a_prefix_do_not_disturb_each_other(folder: Path) -> None:
    remembering, forgetful = generator(folder, 4), generator(folder, 0)
    write(remembering, PROMPTS[0], 1)
    expected = [write(forgetful, messages) for messages in PROMPTS]
    got: list[Written] = [[] for _ in PROMPTS]

    def run(place: int) -> None:
        got[place] = write(remembering, PROMPTS[place])

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(PROMPTS))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same(*pair) for pair in zip(got, expected, strict=True))


def test_a_model_with_a_sliding_window_remembers_as_well(tmp_path: Path) -> None:
    folder = make_llama(tmp_path / "sliding", sliding_window=8)
    remembering = generator(folder, 4)
    lengths = computed(remembering)
    first = write(remembering, PROMPTS[0])
    assert same(write(remembering, PROMPTS[0]), first)
    assert lengths.count(remembering.count(PROMPTS[0])) == 1


def layers(tokens: int) -> list[Layer]:
    import torch

    numbers = torch.arange(tokens, dtype=torch.float32).reshape(1, 1, tokens, 1)
    return [(numbers, -numbers)]


def test_the_longest_of_those_kept_is_taken_and_cut() -> None:
    cache = PrefixCache(4)
    cache.keep([1, 2, 3, 4], layers(4))
    cache.keep([1, 2, 9], layers(3))
    found = cache.longest([1, 2, 3, 7, 8])
    assert found.tokens == [1, 2, 3]
    assert found.layers[0][1].flatten().tolist() == [0, -1, -2]
    assert cache.longest([1, 2, 3]).tokens == [1, 2]  # the last one is computed in any case
    assert cache.longest([5, 1, 2]) == cache.longest([1]) == ([], [])


def test_what_was_unused_for_longest_goes_first() -> None:
    cache = PrefixCache(2)
    cache.keep([1, 1], layers(2))
    cache.keep([2, 2], layers(2))
    assert cache.longest([1, 1, 0]).tokens == [1, 1]
    cache.keep([3, 3], layers(2))
    assert [cache.longest([n, n, 0]).tokens for n in (1, 2, 3)] == [[1, 1], [], [3, 3]]


def test_a_prompt_takes_the_place_of_its_own_beginning() -> None:
    cache = PrefixCache(2)
    for tokens in ([7, 7], [1], [1, 2], [1, 2, 3]):
        cache.keep(tokens, layers(len(tokens)))
    assert cache.longest([7, 7, 0]).tokens == [7, 7]
    assert cache.longest([1, 2, 3, 0]).tokens == [1, 2, 3]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    big = SimpleNamespace(nbytes=100)
    monkeypatch.setattr(prefix, "MOST_BYTES", 500)
    cache = PrefixCache(100)
    for token in range(4):
        cache.keep([token], [(big, big)])
    assert [kept.tokens for kept in cache._kept] == [[2], [3]]
    cache.keep([9], [(SimpleNamespace(nbytes=501), big)])
    assert cache._kept == []


@pytest.mark.model
@pytest.mark.slow
def test_the_default_model_writes_the_same(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = resolve_generator("default", tmp_path_factory.getbasetemp() / "home")
    remembering, forgetful = (TransformersGenerator(folder, dtype="float32", prefix_cache=most) for most in (4, 0))
    for messages in PROMPTS:
        assert same(write(remembering, messages, 30), write(forgetful, messages, 30))
