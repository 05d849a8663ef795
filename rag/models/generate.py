"""Messages to text with a local causal language model: forward pass after forward pass, in the caller's own thread.

The loop is ours rather than transformers' `generate` in a thread with a streamer: it is as fast, an exception rises where
the tokens are consumed, and closing the iterator stops the work.
"""

from __future__ import annotations

import functools
import math
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rag.errors import ModelFailed
from rag.models.adapter import check_tokenizer, checked, has_tokenizer, merged
from rag.models.cores import share
from rag.models.lookup import Lookup
from rag.models.prefix import PrefixCache, shared
from rag.models.resolve import identity
from rag.types import Piece, Turn

BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")  # a CPU without one of these emulates it, many times slower than float32
LOOP = 16  # tokens; a reply that writes so many a second time is going round in circles, and ends there

Model = Any  # transformers and peft ship no types that mypy can follow
Cache = Any  # a transformers.DynamicCache


class Loaded(NamedTuple):
    """What load() makes."""

    tokenizer: Any
    model: Model
    stops: frozenset[int]


class TransformersGenerator:
    """The Generator port over a folder that rag.models.resolve found, with a LoRA adapter merged in if one is given."""

    def __init__(
        self,
        folder: Path,
        adapter: Path | None = None,
        dtype: str = "auto",
        device: str = "cpu",
        threads: int = 0,
        prefix_cache: int = 4,
        prompt_lookup: int = 8,
    ) -> None:
        """`prefix_cache`: prompts kept for those that begin alike; `prompt_lookup`: tokens drafted at once; 0 turns it off."""
        self._folder = folder
        self._adapter = adapter
        self._dtype = dtype
        self._device = device
        self._threads = threads
        self._working = threading.Lock()  # held for one forward pass: streams take turns and never wait for a reader
        self._prefixes = PrefixCache(prefix_cache)  # guarded by _working
        self._prompt_lookup = prompt_lookup
        self._loaded: Loaded | None = None

    @functools.cached_property
    def fingerprint(self) -> str:
        """Name and hash of the model, and of its adapter."""
        return "+".join(identity(folder) for folder in (self._folder, self._adapter) if folder)

    def load(self) -> Loaded:
        """Load the weights unless they are. Raises ModelFailed, ModelMissing."""
        with self._working:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def count(self, messages: Sequence[Turn]) -> int:
        """Tokens of the rendered prompt."""
        return len(self.tokens(messages))

    def tokens(self, messages: Sequence[Turn]) -> list[int]:
        """Prompt tokens by the model's own chat template; special tokens written in a message become plain text."""
        tokenizer, special = self.load().tokenizer, self._special
        content = [{"role": turn.role, "content": _without(turn.text, special)} for turn in messages]
        return list(tokenizer.apply_chat_template(content, add_generation_prompt=True, return_dict=True)["input_ids"])

    @functools.cached_property
    def _special(self) -> list[str]:
        """The tokenizer's special tokens; to list them takes longer than to cut a prompt into tokens."""
        return [token.content for token in self.load().tokenizer.added_tokens_decoder.values() if token.special]

    def ending(self, reply: str) -> list[int]:
        """Tokens of a reply as the model is to write it, up to the one that ends its message."""
        tokenizer = self.load().tokenizer
        return [*tokenizer(reply, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]

    def stream(self, messages: Sequence[Turn], max_tokens: int, stopped: Callable[[], bool]) -> Iterator[Piece]:
        """Pieces of the greedy reply, whole characters each, no special tokens. Raises ModelFailed."""
        from tokenizers.decoders import DecodeStream

        loaded = self.load()
        prompt = self.tokens(messages)
        room = loaded.model.config.max_position_embeddings
        if len(prompt) + max_tokens > room:
            raise self._failed(
                f"a prompt and reply of at most {room} tokens", f"{len(prompt)} + {max_tokens}", "shorten the prompt"
            )
        decoder = DecodeStream(skip_special_tokens=True)
        behind = 0.0  # of the tokens since the last piece
        for token, logprob in self._decode(prompt, max_tokens, stopped):
            behind += logprob
            if text := decoder.step(loaded.tokenizer.backend_tokenizer, token):
                yield Piece(text, behind)
                behind = 0.0

    def _decode(self, prompt: list[int], max_tokens: int, stopped: Callable[[], bool]) -> Iterator[tuple[int, float]]:
        """Greedy tokens up to an end token, with the log of their probability. The cache lives as long as this iterator."""
        loaded = self.load()
        cache = self._cache(prompt)
        lookup = Lookup(prompt, self._prompt_lookup)
        given, written, ready = prompt[cache.get_seq_length() :], list[int](), deque[tuple[int, float]]()
        while len(written) < max_tokens and not stopped() and not _loops(written):
            if not ready:
                draft = lookup.draft(written)[: max_tokens - len(written) - 1]
                ready.extend(self._next(loaded.model, cache, given, draft))
                given = [ready[-1][0]]  # of what is ready, the cache holds all but the last
            if not written:
                self._keep(prompt, cache)
            token, logprob = ready.popleft()
            if not math.isfinite(logprob):
                raise self._failed("a next token", "scores that are not numbers")
            if token in loaded.stops:
                return
            yield token, logprob
            written.append(token)

    def _next(self, model: Model, cache: Cache, given: list[int], draft: list[int]) -> list[tuple[int, float]]:
        """The greedy tokens after `given`, with the log of their probability: one more than `draft` gets right.

        The cache, which held what stands before `given`, holds all but the last of them afterwards.
        """
        import torch

        try:
            with self._working, torch.inference_mode():
                ids = torch.tensor([given + draft], device=model.device)
                output = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=len(draft) + 1)
                best = output.logits[0].float().log_softmax(-1).max(-1)
                tokens, logprobs = best.indices.tolist(), best.values.tolist()
        except (RuntimeError, IndexError) as error:
            raise self._failed("a next token", f"{type(error).__name__}: {error}") from error
        right = shared(tokens, draft)
        if right < len(draft):
            cache.crop(right - len(draft))
        return list(zip(tokens, logprobs, strict=True))[: right + 1]

    def _cache(self, prompt: list[int]) -> Cache:
        """A cache that holds what is known of the prompt."""
        from transformers import DynamicCache

        with self._working:
            known = self._prefixes.longest(prompt)
        # Without the model's configuration every layer keeps all tokens, also one that looks at the nearest only: what is kept
        # can then be cut, and the mask still hides what is far.
        return DynamicCache(known.layers or None)

    def _keep(self, prompt: list[int], cache: Cache) -> None:
        """Remember the prompt's keys and values."""
        if all(layer.is_initialized for layer in cache.layers):  # layers may share another's
            with self._working:
                self._prefixes.keep(prompt, [(layer.keys, layer.values) for layer in cache.layers])

    def _load(self) -> Loaded:
        share()
        import torch
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging as chatter

        chatter.disable_progress_bar()
        if self._threads:
            torch.set_num_threads(self._threads)
        if self._adapter:
            checked(self._adapter)  # before the weights are read
        tokenizer = self._tokenizer(self._folder)
        try:
            model = AutoModelForCausalLM.from_pretrained(
                self._folder, dtype=_dtype(self._dtype, self._device), use_safetensors=True, local_files_only=True
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise self._failed("a causal language model", f"{type(error).__name__}: {error}") from error
        if tokenizer.chat_template is None:
            raise self._failed("a chat template beside the tokenizer", "none", "choose a model tuned to follow instructions")
        if self._adapter:
            if has_tokenizer(self._adapter):
                check_tokenizer(self._tokenizer(self._adapter), tokenizer, self._adapter)
            model = merged(model, self._adapter)
        model = model.to(self._device).eval()
        ends = model.generation_config.eos_token_id
        stops = {tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])} - {None}
        return Loaded(tokenizer, model, frozenset(stops))

    def _tokenizer(self, folder: Path) -> Any:  # noqa: ANN401 - see Model
        from transformers import AutoTokenizer

        try:
            return AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ModelFailed(
                expected=f"a tokenizer in {folder}",
                found=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}",
                remedy="choose another model, or put the files it came with there",
            ) from error

    def _failed(self, expected: str, found: str, remedy: str = "choose another models.generator") -> ModelFailed:
        return ModelFailed(expected=f"{expected} from {self._folder}", found=found, remedy=remedy)


def _loops(written: Sequence[int]) -> bool:
    """Whether the last LOOP tokens were written before.

    A penalty on repeated tokens would end loops too, but digits are tokens: with one, the default model quoted wrong prices.
    """
    tail = written[-LOOP:]
    return len(tail) == LOOP and any(written[i : i + LOOP] == tail for i in range(len(written) - LOOP))


def _dtype(name: str, device: str) -> str:
    if name != "auto":
        return name
    import torch

    fast = device != "cpu" or any(torch.cpu.get_capabilities().get(feature) for feature in BFLOAT16)
    return "bfloat16" if fast else "float32"


def _without(text: str, special: Sequence[str]) -> str:
    """The text with special tokens broken up, so that it cannot end its own message."""
    for token in special if any(first in text for first in {token[:1] for token in special}) else ():
        text = text.replace(token, f"{token[:1]} {token[1:]}")
    return text
