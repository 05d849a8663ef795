"""The HTTP API over the same turns as the page. Strict in what it takes; failures are told apart from refusals by status.

POST /api/answer {"question", "history", "conversation", "filter", "stream"} -> the answer object, or server-sent events when
    streaming: sources (the standalone query, and where the passages are from), token, then one of done | refused | handed_over
    (the answer object) or error. A filter has some of language, region, product, audience. What fails with 5xx has in "answer"
    what a shopper may be shown: a fixed sentence with the shop's contact.
POST /api/vote {"answer", "value", "comment"} -> 204
GET /healthz, /readyz, /metrics
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect

from rag.answer.contract import as_dict, parse_filter, source
from rag.errors import DataError, Overdue, Starting, TooBusy, WrongFilter
from rag.language import detect
from rag.settings import ShopSettings
from rag.types import Done, HandOver, Refused, Sources, Token, Turn
from ui import present
from ui.turns import PULSE, Step, Turns

log = logging.getLogger(__name__)
_BODY_SECONDS = 15.0
_Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,80}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Message(_Strict):
    """One earlier message of the conversation."""

    role: Literal["user", "assistant"]
    text: str = Field(max_length=20_000)


class Question(_Strict):
    """The body of POST /api/answer."""

    question: str = Field(max_length=200_000)  # settings say how much of it is read
    history: list[Message] = Field(default=[], max_length=100)
    conversation: str = Field("", pattern=r"^(?:[0-9a-f]{32})?$")  # hex, chosen at random by whoever starts one
    filter: dict[str, Any] = {}  # parse_filter says what is wrong with it in words
    stream: bool = False


class Vote(_Strict):
    """The body of POST /api/vote."""

    answer: _Id
    value: Literal[-1, 1]
    comment: str = Field("", max_length=2_000)


Body = TypeVar("Body", bound=_Strict)


class Problem(Exception):
    """A request that ends with this status."""

    def __init__(self, status: int, error: str, message: str, **more: object) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": error, "message": message, **more}
        self.headers = {"Retry-After": str(more["retry_after"])} if "retry_after" in more else {}

    def response(self) -> JSONResponse:
        """As JSON."""
        return JSONResponse(self.body, self.status, self.headers)


def routes(turns: Turns, shop: ShopSettings) -> APIRouter:
    """The routes, bound to `turns`; the shop's contact is in what is said when they fail."""
    router = APIRouter()

    @router.post("/api/answer")
    async def answer(request: Request) -> Response:
        asked = await _read(request, Question)
        if asked.stream:
            first = _stream(turns, asked, shop)
            opening = await anext(first)  # a full queue or a cold start must still become a status
            return StreamingResponse(
                _after(opening, first), media_type="text/event-stream", headers={"cache-control": "no-store"}
            )
        return JSONResponse(await _whole(turns, asked, request, shop))

    @router.post("/api/vote")
    async def vote(request: Request) -> Response:
        given = await _read(request, Vote)
        if turns.assistant is None:
            raise problem(Starting(expected="a loaded assistant", found="none yet", remedy="try again in a few seconds"))
        try:
            await asyncio.to_thread(turns.assistant.vote, given.answer, given.value, given.comment)
        except DataError as error:
            raise Problem(404, "unknown", "no answer of this id") from error
        return Response(status_code=204)

    @router.get("/healthz")
    async def healthz() -> Response:
        return PlainTextResponse("ok")

    @router.get("/readyz")
    async def readyz() -> Response:
        if turns.assistant is None:
            return JSONResponse({"ready": False}, 503, {"Retry-After": "2"})
        return JSONResponse({"ready": True, **await asyncio.to_thread(turns.assistant.describe)})

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(turns.metrics.text(), media_type="text/plain; version=0.0.4")

    return router


def problem(error: Exception) -> Problem:
    """The status a failure ends with. What an unforeseen one says stays in the log, under the trace id."""
    if isinstance(error, TooBusy):
        return Problem(503, "busy", "all places in the queue are taken", retry_after=error.wait)
    if isinstance(error, WrongFilter):
        return Problem(422, "filter", str(error))
    if isinstance(error, Starting):
        return Problem(503, "starting", "model and index are still loading", retry_after=2)
    trace = secrets.token_hex(4)
    log.error("turn %s of the API failed", trace, exc_info=error)
    if isinstance(error, Overdue):
        return Problem(504, "overdue", "the answer took too long", trace=trace)
    return Problem(500, "failed", "something went wrong", trace=trace)


def _told(error: Exception, question: str, shop: ShopSettings) -> Problem:
    """The problem, with what a shopper may be shown of it in the question's language."""
    failure = problem(error)
    if failure.status >= 500:
        language = detect(question) or "en"
        contact = shop.contact_zh if language == "zh" else shop.contact_en
        failure.body["answer"] = present.fail(present.Reply(language, contact), error, "").text
    return failure


async def _read(request: Request, form: type[Body]) -> Body:
    """The body as `form`. What is wrong is named, what was sent is not repeated."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise Problem(415, "media_type", "send application/json")  # also keeps other sites' forms out
    try:
        body = await asyncio.wait_for(request.body(), _BODY_SECONDS)
        return form.model_validate_json(body)
    except TimeoutError as error:
        raise Problem(408, "slow", "the body took too long") from error
    except ClientDisconnect as error:
        raise Problem(499, "gone", "the client went away") from error
    except ValidationError as error:
        wrong = [{"where": ".".join(map(str, one["loc"])), "what": one["type"]} for one in error.errors(include_input=False)[:20]]
        raise Problem(422, "invalid", "the body is not in the documented form", wrong=_printable(wrong)) from error


async def _whole(turns: Turns, asked: Question, request: Request, shop: ShopSettings) -> dict[str, Any]:
    looked = time.monotonic()
    try:
        async with aclosing(_steps(turns, asked)) as steps:
            async for step in steps:
                if isinstance(step, Done | Refused | HandOver):
                    return as_dict(step.answer)
                if time.monotonic() - looked > PULSE:
                    looked = time.monotonic()
                    if await request.is_disconnected():
                        raise Problem(499, "gone", "the client went away")
    except Problem:
        raise
    except Exception as error:
        raise _told(error, asked.question, shop) from error
    raise _told(RuntimeError("the assistant ended without an answer"), asked.question, shop)


async def _stream(turns: Turns, asked: Question, shop: ShopSettings) -> AsyncGenerator[str, None]:
    begun = False
    try:
        async with aclosing(_steps(turns, asked)) as steps:
            async for step in steps:
                yield _event(step)
                begun = True
    except Exception as error:
        failure = _told(error, asked.question, shop)
        if not begun:
            raise failure from error
        yield _sse("error", failure.body)


def _steps(turns: Turns, asked: Question) -> AsyncGenerator[Step, None]:
    history = tuple(Turn(message.role, message.text) for message in asked.history)
    chosen = parse_filter(asked.filter, "filter")
    return turns.events(asked.question, history, asked.conversation or secrets.token_hex(16), "api", chosen)


async def _after(opening: str, rest: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    yield opening
    async with aclosing(rest) as pieces:
        async for piece in pieces:
            yield piece


def _event(step: object) -> str:
    match step:
        case Sources(query=query, passages=passages):
            return _sse("sources", {"query": query.text, "passages": [source(one.chunk) for one in passages]})
        case Token(text=text):
            return _sse("token", {"text": text})
        case Done(answer=answer) | Refused(answer=answer) | HandOver(answer=answer):
            return _sse("done" if isinstance(step, Done) else answer.outcome.value, as_dict(answer))
        case _:
            return ": waiting\n\n"


def _sse(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def _printable(wrong: list[dict[str, str]]) -> list[dict[str, str]]:
    """Field names come from the sender too: keep them short and encodable."""
    return [{key: value[:80].encode("ascii", "backslashreplace").decode() for key, value in one.items()} for one in wrong]
