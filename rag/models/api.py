"""Messages to text by a server that speaks the OpenAI chat protocol: vLLM, Ollama, llama.cpp and others."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

import httpx

from rag.errors import ModelFailed
from rag.language import HAN
from rag.types import Piece, Turn

CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 60.0  # between two pieces; the answer's own deadline is checked by the caller
MESSAGE_TOKENS = 4  # what a chat template adds around one message
REFUSED = 400  # status of a server that does not know a field of the request


class ApiGenerator:
    """The Generator port over POST base/chat/completions with server-sent events."""

    def __init__(self, url: str, model: str, key: str = "", client: httpx.Client | None = None) -> None:
        """`url` is the base up to and including /v1, which is added if it is missing."""
        base = url.rstrip("/")
        self._url = f"{base if base.endswith('/v1') else base + '/v1'}/chat/completions"
        self._model = model
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = client or httpx.Client(timeout=httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS))
        self._tells = True  # log-probabilities, until the server has refused to

    @property
    def fingerprint(self) -> str:
        """The model's name and where it runs; its weights are the server's affair."""
        return f"{self._model}@{self._url}"

    def load(self) -> None:
        """Nothing to load here."""

    def count(self, messages: Sequence[Turn]) -> int:
        """An estimate that leans high: a token for every Chinese character and for every three others."""
        return sum(_tokens(turn.text) + MESSAGE_TOKENS for turn in messages)

    def stream(self, messages: Sequence[Turn], max_tokens: int, stopped: Callable[[], bool]) -> Iterator[Piece]:
        """Pieces of the reply as they arrive, their log-probability nan where the server does not tell it.

        Raises ModelFailed if the server is away, refuses, or dies midway.
        """
        body = {
            "model": self._model,
            "messages": [{"role": turn.role, "content": turn.text} for turn in messages],
            "max_tokens": max_tokens,
            "temperature": 0,
            "stream": True,
        }
        try:
            if self._tells:
                with self._ask({**body, "logprobs": True}) as response:
                    if response.status_code != REFUSED:
                        yield from self._pieces(response, stopped)
                        return
            with self._ask(body) as response:
                self._tells = self._tells and response.is_error  # an error in spite of it: the field was not the reason
                yield from self._pieces(response, stopped)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._failed(
                "a whole reply", f"{type(error).__name__}: {error}", "check that the server runs at models.api_url"
            ) from error

    def _ask(self, body: Mapping[str, object]) -> AbstractContextManager[httpx.Response]:
        return self._client.stream("POST", self._url, json=body, headers=self._headers)

    def _pieces(self, response: httpx.Response, stopped: Callable[[], bool]) -> Iterator[Piece]:
        """Texts of the events up to the closing mark; an event without text adds its log-probability to the next one's."""
        if response.is_error:
            text = response.read().decode(errors="replace").strip()[:300]
            raise self._failed("status 200", f"{response.status_code} {text}", "check models.generator and models.api_key")
        behind = 0.0
        for line in response.iter_lines():
            if stopped():
                return
            field, _, data = line.partition(":")
            if field != "data":
                continue  # empty lines, comments and other fields of the protocol
            if data.strip() == "[DONE]":
                return
            text, logprobs = self._read(data)
            behind += sum(logprobs)
            if text:
                yield Piece(text, behind if logprobs else math.nan)
                behind = 0.0
        raise self._failed("the closing mark [DONE]", "the end of the stream", "look into its log")

    def _read(self, data: str) -> tuple[str, list[float]]:
        """The event's text, empty for one that carries only a role, an end or token counts, and its tokens' log-probabilities."""
        try:
            choices = json.loads(data)["choices"]
            told = [token for choice in choices for token in (choice.get("logprobs") or {}).get("content") or ()]
            text = "".join(choice["delta"].get("content") or "" for choice in choices)
            return text, [float(token["logprob"]) for token in told]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._failed("events of the OpenAI chat protocol", repr(data.strip()[:300]), "look into its log") from error

    def _failed(self, expected: str, found: str, remedy: str) -> ModelFailed:
        return ModelFailed(expected=f"{expected} from {self._url}", found=found, remedy=remedy)


def _tokens(text: str) -> int:
    han = len(re.findall(f"[{HAN}]", text))
    return han + (len(text) - han + 2) // 3
