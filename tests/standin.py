"""A stand-in for rag.assistant.Assistant: scripted events with delays, so that the page and the service need no models.

`python tests/standin.py [PORT]` serves it, to look at the page while working on it.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date

import httpx
import uvicorn

from rag.errors import DataError, WrongFilter
from rag.settings import ServeSettings, Settings, ShopSettings
from rag.types import (
    Answer,
    Chunk,
    Citation,
    Done,
    Event,
    Facets,
    Filter,
    HandOver,
    History,
    Kind,
    Outcome,
    Passage,
    Query,
    Refused,
    Sources,
    Token,
)
from ui.metrics import Metrics
from ui.service import create_app, serve
from ui.turns import Turns

RETURNS = """## Returning an item

You may send back anything you bought from us **within 30 days** of the day it arrived, as long as it is complete and clean.
Items that were used outdoors are accepted if they can be sold again.

- Print the label in your account.
- Hand the parcel in at any post office.

We refund the full price, including standard delivery, no later than 14 days after the parcel reaches us."""
RETURNS_ZH = """自签收之日起 **7 天内**可无理由退货，商品须保持完好、配件齐全。

退款会在我们收到包裹后的 3 个工作日内原路退回。"""
FAQ = """Who pays for sending it back?
In the EU we do: the label in your account is prepaid. Large items such as power stations are picked up."""
CONTACT = "help@pinebeck.example or +44 20 7946 0182"
NO_ANSWER = f"I can't find that in our documents, so I won't guess. A colleague can help you: {CONTACT}."
NO_ANSWER_ZH = "我在店铺资料里没有找到相关内容，不敢随意作答。您可以联系同事：kefu@pinebeck.example。"
PERSON = f"Of course. A colleague will take it from here: {CONTACT}. They will see what we have talked about."
ANSWER = (
    "You have **30 days** from the day it arrived to send something back [1]. "
    "In the EU the return label is prepaid, so it costs you nothing [2]."
)
ANSWER_ZH = "签收后 **7 天内**可以无理由退货 [1]。退款会在我们收到包裹后的 3 个工作日内退回 [1]。"
EVERYWHERE = Facets()
EVERYTHING = Filter()


def chunk(text: str, document: str, title: str, *headings: str, kind: Kind = Kind.PAGE, facets: Facets = EVERYWHERE) -> Chunk:
    return Chunk(f"{document}#0123456789ab", document, "", 0, kind, title, headings, text, facets=facets)


RETURN_POLICY = chunk(
    RETURNS, "policies/returns_eu.md", "Returns and refunds", "Returns and refunds", "Returning an item",
    facets=Facets(region="EU", valid_from=date(2025, 3, 1)),
)  # fmt: skip
RETURN_FAQ = chunk(FAQ, "faq/returns.csv", "Who pays for sending it back?", kind=Kind.FAQ)
RETURN_ZH = chunk(
    RETURNS_ZH, "policies/returns_cn.md", "退货与退款", "七天无理由退货", facets=Facets("zh", "CN", valid_from=date(2025, 3, 1))
)


def is_chinese(text: str) -> bool:
    return any("\u4e00" <= letter <= "\u9fff" for letter in text)


def _cite(n: int, source: Chunk, quote: str) -> Citation:
    start = source.text.index(quote)
    return Citation(n, source.document, source.id, quote, start, start + len(quote))


CITED = (
    _cite(1, RETURN_POLICY, "**within 30 days** of the day it arrived"),
    _cite(2, RETURN_FAQ, "In the EU we do: the label in your account is prepaid."),
)
CITED_ZH = (_cite(1, RETURN_ZH, "自签收之日起 **7 天内**可无理由退货"),)


class StandIn:
    """Answers by the words of the question; `open` counts iterators that were neither finished nor closed."""

    def __init__(self, delay: float = 0.05) -> None:
        self.delay = delay
        self.open = 0
        self.asked: list[tuple[str, History, str]] = []
        self.votes: dict[str, int] = {}
        self.closed = False
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

    def answer(
        self,
        question: str,
        history: History = (),
        conversation: str = "",
        stopped: Callable[[], bool] = lambda: False,
        chosen: Filter = EVERYTHING,
    ) -> Iterator[Event]:
        if chosen.region not in ("", "EU"):
            raise WrongFilter(expected="region to be one of EU", found=repr(chosen.region), remedy="leave it out")
        with self._lock:
            self.asked.append((question, history, conversation))
            self.open += 1
        try:
            yield from self._events(question, history)
        finally:
            with self._lock:
                self.open -= 1

    def _events(self, question: str, history: History) -> Iterator[Event]:
        time.sleep(self.delay * 4)
        chinese = is_chinese(question)
        if "fail" in question:
            raise RuntimeError("secret detail of the machinery")
        if "hang" in question:
            time.sleep(30)
        if "person" in question or "人工" in question:
            yield HandOver(self._made(question, "person", Outcome.HANDED_OVER, PERSON))
            return
        passages = (Passage(RETURN_ZH, 0.9),) if chinese else (Passage(RETURN_POLICY, 0.9), Passage(RETURN_FAQ, 0.7))
        yield Sources(Query(question, question, "zh" if chinese else "en"), passages)
        time.sleep(self.delay * 4)
        if "unicorn" in question or "独角兽" in question:
            yield Refused(self._made(question, "refusal", Outcome.REFUSED, NO_ANSWER_ZH if chinese else NO_ANSWER, passages))
            return
        text, quotes = (ANSWER_ZH, CITED_ZH) if chinese else (ANSWER, CITED)
        if "echo" in question:
            text, quotes = f"{question} / {len(history)} [1]", quotes[:1]
        if "long story" in question:
            text = f"{text} " * 40
        for start in range(0, len(text), 6):
            time.sleep(self.delay)
            yield Token(text[start : start + 6])
        yield Done(self._made(question, "generated", Outcome.ANSWERED, text, passages, quotes))

    def _made(
        self,
        question: str,
        rung: str,
        outcome: Outcome,
        text: str,
        passages: tuple[Passage, ...] = (),
        citations: tuple[Citation, ...] = (),
    ) -> Answer:
        language = "zh" if is_chinese(question) else "en"
        reason = "no_answer" if outcome is Outcome.REFUSED else ""
        query = Query(question, question, language)
        return Answer(
            f"{next(self._ids):032x}", outcome, text, rung, language, query, 7, citations, passages, reason, {"total": 1.0}
        )

    def vote(self, answer_id: str, value: int, comment: str = "") -> None:
        if int(answer_id, 16) >= next(self._ids):
            raise DataError(expected="the id of an answer", found=answer_id, remedy="vote on an answer that was given")
        self.votes[answer_id] = value

    def describe(self) -> dict[str, str]:
        return {"generation": "7", "documents": "3", "chunks": "3", "embedder": "none", "generator": "scripted"}

    def close(self) -> None:
        self.closed = True


@contextlib.contextmanager
def serving(standin: StandIn | None, concurrency: int = 4, queue: int = 16, deadline: float = 20.0) -> Iterator[httpx.Client]:
    """A client of a running service; without a stand-in it is one that has not loaded yet."""
    turns = Turns(concurrency, queue, deadline, Metrics())
    if standin:
        turns.ready(standin)
    app, _ = create_app(turns, ShopSettings(), ServeSettings(concurrency=concurrency, queue=queue))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", timeout_graceful_shutdown=1))
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    limits = httpx.Limits(max_connections=100)
    with httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=30, limits=limits) as client:
        for _ in range(100):
            with contextlib.suppress(httpx.TransportError):
                if client.get("/healthz").is_success:
                    break
            time.sleep(0.05)
        yield client
        server.should_exit = True
        thread.join(10)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 7861
    serve(StandIn, Settings(serve=ServeSettings(port=port)), announce=lambda line: print(line, flush=True))  # noqa: T201
