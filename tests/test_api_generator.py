"""Against a server on loopback that speaks the protocol, well and badly."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from rag.errors import ModelFailed
from rag.loading import build_generator
from rag.models.api import ApiGenerator
from rag.settings import load
from rag.types import Turn

QUESTION = [Turn("system", "Answer."), Turn("user", "多久到货？ How long?")]


def event(**delta: str) -> str:
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta}]})}\n\n"


GOOD = [
    event(role="assistant"),
    ": keep-alive\n\n",
    event(content="two "),
    event(content="天"),
    'data: {"choices": [], "usage": {"total_tokens": 9}}\n\n',
    "data: [DONE]\n\n",
    event(content="never"),
]


class Stub(ThreadingHTTPServer):
    """Answers every POST with `pieces`; None among them breaks the connection off."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.pieces: list[str | None] = list(GOOD)
        self.hold = threading.Event()  # set: go on after the first piece
        self.hold.set()
        self.refused: set[str] = set()  # fields of a request that are answered with status 400
        self.asked: list[tuple[str, dict[str, Any], str]] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the tests."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Stub
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body, self.headers.get("Authorization", "")))
        self.send_response(400 if self.server.refused & body.keys() else self.server.status)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in self.server.pieces:
            if piece is None:
                self.close_connection = True
                return  # without the closing chunk
            data = piece.encode()
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()
            self.server.hold.wait(5)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def stub() -> Iterator[Stub]:
    server = Stub()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def reply(generator: ApiGenerator) -> str:
    return "".join(piece.text for piece in generator.stream(QUESTION, 40, lambda: False))


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_it_asks_and_streams(stub: Stub, suffix: str) -> None:
    generator = ApiGenerator(stub.url + suffix, "small", "secret")
    assert reply(generator) == "two 天"
    [(path, body, authorization)] = stub.asked
    assert path == "/v1/chat/completions"
    assert authorization == "Bearer secret"
    assert body == {
        "model": "small",
        "messages": [{"role": "system", "content": "Answer."}, {"role": "user", "content": "多久到货？ How long?"}],
        "max_tokens": 40,
        "temperature": 0,
        "stream": True,
        "logprobs": True,
    }
    assert generator.fingerprint == f"small@{stub.url}/v1/chat/completions"


def token_event(text: str, *logprobs: float) -> str:
    told = {"content": [{"token": "?", "logprob": logprob} for logprob in logprobs]}
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': text}, 'logprobs': told}]})}\n\n"


def test_pieces_tell_their_probability(stub: Stub) -> None:
    stub.pieces = [GOOD[0], token_event("two", -0.5, -0.25), token_event("", -1.0), token_event("天", -2.0), "data: [DONE]\n\n"]
    assert list(ApiGenerator(stub.url, "small").stream(QUESTION, 40, lambda: False)) == [("two", -0.75), ("天", -3.0)]


def test_a_server_that_does_not_tell_probabilities_gives_nan(stub: Stub) -> None:
    pieces = list(ApiGenerator(stub.url, "small").stream(QUESTION, 40, lambda: False))
    assert [piece.text for piece in pieces] == ["two ", "天"]
    assert all(math.isnan(piece.logprob) for piece in pieces)


def test_a_server_that_refuses_to_tell_is_asked_again_without_and_once(stub: Stub) -> None:
    stub.refused = {"logprobs"}
    generator = ApiGenerator(stub.url, "small")
    assert [reply(generator), reply(generator)] == ["two 天", "two 天"]
    assert ["logprobs" in body for _, body, _ in stub.asked] == [True, False, False]


def test_a_server_that_refuses_for_another_reason_is_still_asked_to_tell(stub: Stub) -> None:
    stub.status, stub.pieces = 400, ["prompt too long"]
    generator = ApiGenerator(stub.url, "small")
    with pytest.raises(ModelFailed, match="found 400 prompt too long"):
        reply(generator)
    stub.status, stub.pieces = 200, list(GOOD)
    assert reply(generator) == "two 天"
    assert ["logprobs" in body for _, body, _ in stub.asked] == [True, False, True]


def test_a_server_is_one_setting_away(stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    generator = build_generator(load(models={"api_url": stub.url, "generator": "owner/small", "api_key": "secret"}))
    assert "".join(piece.text for piece in generator.stream(QUESTION, 40, lambda: False)) == "two 天"
    [(_, body, authorization)] = stub.asked
    assert (body["model"], authorization) == ("owner/small", "Bearer secret")


def test_no_key_sends_no_header(stub: Stub) -> None:
    reply(ApiGenerator(stub.url, "small"))
    assert stub.asked[0][2] == ""


def test_pieces_arrive_before_the_end(stub: Stub) -> None:
    stub.pieces = GOOD[2:]
    stub.hold.clear()
    stream = ApiGenerator(stub.url, "small").stream(QUESTION, 40, lambda: False)
    assert next(stream).text == "two "
    stub.hold.set()
    assert next(stream).text == "天"


def test_it_stops_when_told(stub: Stub) -> None:
    pieces: list[str] = []
    for piece in ApiGenerator(stub.url, "small").stream(QUESTION, 40, lambda: len(pieces) == 1):
        pieces.append(piece.text)
    assert pieces == ["two "]


@pytest.mark.parametrize(
    ("status", "pieces", "message"),
    [
        (500, ["boom"], r"expected status 200 from .*; found 500 boom; check models.generator and models.api_key"),
        (401, ['{"error": "no key"}'], r"found 401 .*no key"),
        (200, [event(content="half"), None], r"expected a whole reply from .*; found RemoteProtocolError"),
        (200, [event(content="half")], r"the closing mark \[DONE\] from .*; found the end of the stream"),
        (200, ["data: {nonsense\n\n"], r"events of the OpenAI chat protocol from .*; found '\{nonsense'"),
        (200, ['data: {"error": {"message": "out of memory"}}\n\n'], r"out of memory"),
        (200, ["<html>not an API</html>\n"], r"the closing mark \[DONE\]"),
    ],
)
def test_a_bad_server_is_a_failure(stub: Stub, status: int, pieces: list[str | None], message: str) -> None:
    stub.status, stub.pieces = status, pieces
    with pytest.raises(ModelFailed, match=message):
        reply(ApiGenerator(stub.url, "small"))


def test_what_came_before_the_failure_was_handed_on(stub: Stub) -> None:
    stub.pieces = [event(content="half"), None]
    stream = ApiGenerator(stub.url, "small").stream(QUESTION, 40, lambda: False)
    assert next(stream).text == "half"
    with pytest.raises(ModelFailed, match="a whole reply"):
        next(stream)


def test_no_server_is_a_failure(stub: Stub) -> None:
    stub.shutdown()
    stub.server_close()
    with pytest.raises(ModelFailed, match=r"ConnectError.*check that the server runs at models.api_url"):
        reply(ApiGenerator(stub.url, "small"))


def test_a_silent_server_is_a_failure(stub: Stub) -> None:
    stub.hold.clear()
    with pytest.raises(ModelFailed, match="ReadTimeout"):
        reply(ApiGenerator(stub.url, "small", client=httpx.Client(timeout=0.2)))
    stub.hold.set()


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://127.0.0.1", "http://[broken"])
def test_an_address_that_is_none_is_a_failure(url: str) -> None:
    with pytest.raises(ModelFailed, match="check that the server runs at models.api_url"):
        reply(ApiGenerator(url, "small"))


def test_the_key_is_in_no_message(stub: Stub) -> None:
    stub.status = 403
    with pytest.raises(ModelFailed) as caught:
        reply(ApiGenerator(stub.url, "small", "secret"))
    assert "secret" not in str(caught.value)


def test_count_is_an_estimate_by_script() -> None:
    generator = ApiGenerator("http://127.0.0.1", "small")
    assert generator.count([Turn("user", "多久到货")]) == 4 + 4
    assert generator.count([Turn("user", "abcdef")]) == 2 + 4
    assert generator.count([Turn("user", "")] * 2) == 8
