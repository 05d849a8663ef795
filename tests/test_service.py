"""The service as a client sees it: a real server on a free loopback port, with a stand-in for the assistant."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from standin import NO_ANSWER, StandIn, free_port, serving

from rag.errors import NoIndex, PortInUse, SettingsError
from rag.settings import ServeSettings, Settings, ShopSettings
from rag.types import Done, Event, History
from ui.service import check_address, serve

ROOT = Path(__file__).parent.parent
CLOSED = [  # what Gradio answers on and this page does not need, and what nobody should
    "/gradio_api/upload",
    "/gradio_api/upload_progress",
    "/gradio_api/file=/etc/passwd",
    "/gradio_api/file=ui/page.py",
    "/gradio_api/file/etc/passwd",
    "/gradio_api/proxy=http://169.254.169.254/",
    "/gradio_api/stream/x/y/z/playlist.m3u8",
    "/gradio_api/runs",
    "/gradio_api/info",
    "/gradio_api/openapi.json",
    "/gradio_api/run/predict",
    "/gradio_api/call/ask",
    "/gradio_api/api/predict",
    "/gradio_api/component_server",
    "/gradio_api/deep_link",
    "/gradio_api/vibe-edit",
    "/gradio_api/monitoring",
    "/monitoring",
    "/monitoring/summary",
    "/login",
    "/token",
    "/gradio_api/token",
    "/logout",
    "/docs",
    "/openapi.json",
    "/robots.txt",
    "/custom_component/x/y/z",
    "/svelte/svelte.js",
    "/static/../../../etc/passwd",
    "/static/%2e%2e/%2e%2e/blocks.py",
    "/assets/..%2f..%2f..%2fblocks.py",
    "/static//etc/passwd",
    "/static/..\\..\\blocks.py",
    "/page/../service.py",
    "/page/service.py",
    "/page/page.css%00.py",
    "//etc/passwd",
    "/.env",
]
MALFORMED = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"q"',
    b"{}",
    b'{"question": 1}',
    b'{"question": null}',
    b'{"question": NaN}',
    b'{"question": "q", "stream": "yes"}',
    b'{"question": "q", "extra": 1}',
    b'{"question": "q", "history": "x"}',
    b'{"question": "q", "history": [{"role": "system", "text": "x"}]}',
    b'{"question": "q", "history": [{"role": "user", "text": "x", "id": 1}]}',
    b'{"question": "q", "conversation": "../../x"}',
    b'{"question": "q", "conversation": "x"}',
    b'{"question": "\\ud800"}',
    b'{"question": "\xff\xfe"}',
    b'{"question": "q", "\\ud800": 1}',
    b'{"question": "q", "filter": "EU"}',
    b'{"question": "q", "filter": {"colour": "red"}}',
    b'{"question": "q", "filter": {"region": 1}}',
    b'{"question": "q", "filter": {"region": "US"}}',
    b'{"question": "q", "stream": true, "filter": {"region": "US"}}',
    b'{"question": ' + b"[" * 10_000,
    b'{"question": "q", "history": ' + json.dumps([{"role": "user", "text": "x"}] * 101).encode() + b"}",
    b'{"question": "' + b"x" * 200_001 + b'"}',
]


@pytest.fixture(scope="module")
def standin() -> StandIn:
    return StandIn(delay=0.005)


@pytest.fixture(scope="module")
def client(standin: StandIn) -> Iterator[httpx.Client]:
    with serving(standin) as client:
        yield client


def events(response: httpx.Response) -> Iterator[tuple[str, dict[str, object]]]:
    """The server-sent events of a response, comments left out."""
    name = ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            yield name, json.loads(line[6:])


def until(true: object, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():  # type: ignore[operator]
            return True
        time.sleep(0.02)
    return False


# --- answering ---


def test_an_answer_is_the_documented_object(client: httpx.Client) -> None:
    answer = client.post("/api/answer", json={"question": "How long may I send it back?"}).json()
    assert answer["outcome"] == "answered" and answer["generation"] == 7
    for citation in answer["citations"]:
        passage = next(one for one in answer["passages"] if one["id"] == citation["chunk"])
        assert passage["text"][citation["start"] : citation["end"]] == citation["quote"]


def test_streamed_events_come_in_order_and_the_tokens_make_the_answer(client: httpx.Client) -> None:
    with client.stream("POST", "/api/answer", json={"question": "How long?", "stream": True}) as response:
        told = list(events(response))
    assert response.headers["content-type"].startswith("text/event-stream")
    assert [name for name, _ in told] == ["sources", *["token"] * (len(told) - 2), "done"]
    assert "".join(str(data["text"]) for name, data in told if name == "token") == told[-1][1]["answer"]


@pytest.mark.parametrize(("question", "outcome"), [("a unicorn?", "refused"), ("a person!", "handed_over")])
def test_refusals_and_hand_overs_are_results(client: httpx.Client, question: str, outcome: str) -> None:
    assert client.post("/api/answer", json={"question": question}).json()["outcome"] == outcome
    with client.stream("POST", "/api/answer", json={"question": question, "stream": True}) as response:
        assert list(events(response))[-1][0] == outcome
    assert NO_ANSWER


def test_the_history_reaches_the_assistant(client: httpx.Client, standin: StandIn) -> None:
    history = [{"role": "user", "text": "lamp?"}, {"role": "assistant", "text": "Ember."}]
    answer = client.post("/api/answer", json={"question": "echo it", "history": history, "conversation": "ab" * 16}).json()
    assert answer["answer"] == "echo it / 2 [1]"
    assert standin.asked[-1][2] == "ab" * 16
    client.post("/api/answer", json={"question": "echo it"})
    assert re.fullmatch("[0-9a-f]{32}", standin.asked[-1][2])


def test_answers_never_cross(client: httpx.Client) -> None:
    def one(number: int) -> bool:
        question = f"echo {number:08x}"
        for _ in range(100):
            response = client.post("/api/answer", json={"question": question})
            if response.status_code != 503:
                return response.json()["answer"].startswith(f"{question} /")
            time.sleep(0.05)
        return False

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(64)))


def test_a_failure_is_no_refusal_and_tells_nothing_but_a_trace(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    response = client.post("/api/answer", json={"question": "fail"})
    assert response.status_code == 500 and response.json()["error"] == "failed"
    assert "secret detail" not in response.text and "secret detail" in caplog.text and response.json()["trace"] in caplog.text
    assert client.post("/api/answer", json={"question": "fail", "stream": True}).status_code == 500


# --- load ---


def test_what_does_not_fit_is_refused_at_once_with_a_time_to_come_back() -> None:
    slow = StandIn(delay=0.02)
    with serving(slow, concurrency=1, queue=2) as client, ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: client.post("/api/answer", json={"question": "hello"}), range(12)))
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [200] * 3 + [503] * 9
        assert all(int(one.headers["retry-after"]) >= 1 for one in answers if one.status_code == 503)
        assert client.post("/api/answer", json={"question": "hello"}).status_code == 200
        metrics = client.get("/metrics").text
    assert 'shoptalk_rejected_total{channel="api"} 9.0' in metrics and "shoptalk_admitted 0.0" in metrics
    assert 'shoptalk_turns_total{channel="api",outcome="answered",rung="generated"} 4.0' in metrics


def test_when_the_client_leaves_the_work_stops() -> None:
    slow = StandIn(delay=0.04)
    with serving(slow, concurrency=1, queue=1) as client:
        for _ in range(5):
            with client.stream("POST", "/api/answer", json={"question": "a long story", "stream": True}) as response:
                next(events(response))
            assert until(lambda: slow.open == 0, 1.5)
        with contextlib.suppress(httpx.ReadTimeout):
            client.post("/api/answer", json={"question": "a long story"}, timeout=0.5)
        assert until(lambda: slow.open == 0, 2.0)
        assert client.post("/api/answer", json={"question": "hello"}).status_code == 200


def test_a_client_that_leaves_before_its_question_is_sent_is_no_failure(capfd: pytest.CaptureFixture[str]) -> None:
    head = b"POST /api/answer HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"
    with serving(StandIn()) as client:
        with socket.create_connection(("127.0.0.1", client.base_url.port or 0)) as leaving:
            leaving.sendall(head)
            time.sleep(0.1)
        time.sleep(0.3)
        assert client.post("/api/answer", json={"question": "hello"}).status_code == 200
    assert "Traceback" not in capfd.readouterr().err


def test_a_turn_ends_at_its_deadline_and_the_queue_counts() -> None:
    with serving(StandIn(delay=0.2), concurrency=1, queue=4, deadline=1.0) as client, ThreadPoolExecutor(3) as pool:
        started = time.monotonic()
        answers = list(pool.map(lambda _: client.post("/api/answer", json={"question": "hello"}), range(3)))
        assert [answer.status_code for answer in answers] == [504] * 3
        assert time.monotonic() - started < 2.0


def test_health_before_and_after_loading(client: httpx.Client) -> None:
    with serving(None) as cold:
        assert cold.get("/healthz").status_code == 200
        for response in (cold.get("/readyz"), cold.post("/api/answer", json={"question": "hello"})):
            assert response.status_code == 503 and int(response.headers["retry-after"]) >= 1
    assert client.get("/readyz").json() == {"ready": True, **StandIn().describe()}


# --- votes ---


def test_votes_are_kept_and_foreign_ones_refused(client: httpx.Client, standin: StandIn) -> None:
    answer = client.post("/api/answer", json={"question": "hello"}).json()["id"]
    assert client.post("/api/vote", json={"answer": answer, "value": -1}).status_code == 204
    assert standin.votes[answer] == -1
    assert client.post("/api/vote", json={"answer": "f" * 32, "value": 1}).status_code == 404
    for body in ({"answer": answer, "value": 5}, {"answer": "../x", "value": 1}, {"answer": answer}, {}):
        assert client.post("/api/vote", json=body).status_code == 422
    assert client.post("/api/vote", content=f'{{"answer": "{answer}", "value": 1}}').status_code == 415
    assert client.get("/api/vote").status_code in (404, 405)


# --- bad input ---


@pytest.mark.parametrize("body", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_bodies_are_4xx_and_not_repeated(client: httpx.Client, body: bytes) -> None:
    response = client.post("/api/answer", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert len(response.content) < 4_000


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"colour": "red"}, 'expected filter to have fields of audience, language, product, region; found "colour"; remove or'),
        ({"region": 1}, "expected filter.region to be a text; found 1; "),
        ({"region": "US"}, "expected region to be one of EU; found 'US'; "),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_wrong_filter_says_what_fits(client: httpx.Client, chosen: dict[str, object], told: str, stream: bool) -> None:
    response = client.post("/api/answer", json={"question": "returns", "filter": chosen, "stream": stream})
    assert response.status_code == 422
    assert response.json()["error"] == "filter" and response.json()["message"].startswith(told)


def test_a_filter_that_fits_is_handed_on(client: httpx.Client) -> None:
    response = client.post("/api/answer", json={"question": "How long can I return it?", "filter": {"region": "EU"}})
    assert response.status_code == 200 and response.json()["outcome"] == "answered"


def test_bodies_over_the_limit_are_refused_unread(client: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        yield from [b"x" * 65_536] * 200

    headers = {"content-type": "application/json"}
    assert client.post("/api/answer", content=b"x" * 600_000, headers=headers).status_code == 413
    with contextlib.suppress(httpx.TransportError):  # the server may hang up while the rest is still being sent
        assert client.post("/api/answer", content=endless(), headers=headers).status_code == 413
    with contextlib.suppress(httpx.TransportError):
        assert client.post("/gradio_api/queue/join", content=endless(), headers=headers).status_code == 413


@pytest.mark.parametrize(
    "question", ["", "   ", "\u200b", "x" * 100_000, "هل لديكم PB-HL210؟", "<img src=x>", "\x00\x1b[2J", "🙂" * 500]
)
def test_odd_questions_are_answered(client: httpx.Client, question: str) -> None:
    assert client.post("/api/answer", json={"question": question}).status_code == 200


# --- exposure ---


@pytest.mark.parametrize("path", CLOSED)
def test_closed_routes_do_not_exist(client: httpx.Client, path: str) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port or 0), 5) as raw:  # httpx would tidy the path
        for method in ("GET", "POST"):
            raw.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode())
            assert b" 404 " in raw.recv(65_536).split(b"\r\n")[0]


def test_every_response_carries_the_headers(client: httpx.Client) -> None:
    for path in ("/", "/config", "/healthz", "/page/page.js", "/nothing", "/theme.css"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "img-src 'self' data:" in policy and "connect-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy and "unsafe-eval" not in policy
        assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
        assert headers["x-content-type-options"] == "nosniff" and "access-control-allow-origin" not in headers


def test_a_foreign_host_name_is_refused(client: httpx.Client) -> None:
    assert client.get("/", headers={"host": "evil.example"}).status_code == 421
    for host in ("localhost:7860", "127.0.0.1", "[::1]:80"):
        assert client.get("/", headers={"host": host}).status_code == 200


def test_gradio_is_switched_off_where_it_reaches_out(client: httpx.Client) -> None:
    config = client.get("/config").json()
    assert not config.get("run_history") and not config["analytics_enabled"] and not config.get("mcp_server")
    assert (
        not config["show_error"] and config["footer_links"] == [] and not config.get("is_space") and not config.get("vibe_mode")
    )
    assert all(one["api_visibility"] == "private" for one in config["dependencies"])
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"


# --- the page ---


@pytest.mark.parametrize(
    ("accepted", "language", "title"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh", "松溪 · 客服"),
        ("de-DE,en;q=0.5", "en", "Pinebeck · help"),
        ("", "en", "Pinebeck · help"),
    ],
)
def test_the_page_speaks_the_browsers_language(client: httpx.Client, accepted: str, language: str, title: str) -> None:
    html = client.get("/", headers={"accept-language": accepted}).text
    assert f'<html\n\tlang="{language}" data-language="{language}"' in html and f"<title>{title}</title>" in html


def test_the_page_names_no_other_host_and_signs_its_scripts(client: httpx.Client) -> None:
    response = client.get("/")
    nonce = re.search(r"'nonce-([^']+)'", response.headers["content-security-policy"])
    assert nonce and response.text.count("<script") == response.text.count(f'<script nonce="{nonce.group(1)}"')
    for url in re.findall(r'(?:src|href|content)="(https?://[^"]+)"', response.text):
        assert url.startswith(str(client.base_url)), url
    assert client.get("/").headers["content-security-policy"] != response.headers["content-security-policy"]


# --- starting and stopping ---


def test_a_taken_port_is_told_before_anything_is_loaded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            PortInUse, match=rf"expected port {port} on 127.0.0.1 to be free; found .*in use; stop the other program"
        ):
            check_address(ServeSettings(port=port))


def test_other_machines_are_let_in_only_on_purpose() -> None:
    with pytest.raises(SettingsError, match="expected serve.host to be a loopback address .*; found 0.0.0.0; set serve.public"):
        check_address(ServeSettings(host="0.0.0.0", port=free_port()))
    check_address(ServeSettings(host="0.0.0.0", port=free_port(), public=True))


def test_when_loading_fails_the_service_ends_with_that_error() -> None:
    def load() -> StandIn:
        raise NoIndex(expected="a live generation", found="none", remedy="run make ingest")

    with pytest.raises(NoIndex, match="run make ingest"):
        serve(load, Settings(serve=ServeSettings(port=free_port())), lambda line: None)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_finishes_answers_and_exits_clean(how: signal.Signals) -> None:
    port = free_port()
    command = [sys.executable, str(ROOT / "tests" / "standin.py"), str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client, ThreadPoolExecutor(2) as pool:
        assert until(lambda: ready(client), 30)
        page = pool.submit(lambda: client.get("/gradio_api/heartbeat/abc"))  # an open page must not hold the exit up
        answer = pool.submit(lambda: client.post("/api/answer", json={"question": "hello"}))
        time.sleep(0.7)
        process.send_signal(how)
        assert process.wait(8) == 0
        assert answer.result().json()["outcome"] == "answered" and "ALIVE" in page.result().text
    assert process.stdout
    said = process.stdout.read()
    assert f"Chat at http://127.0.0.1:{port} (Ctrl+C stops it)" in said and "generator   scripted" in said and "Stopped." in said


def ready(client: httpx.Client) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return client.get("/readyz").status_code == 200
    return False


def test_a_failure_has_a_sentence_for_the_shopper_with_the_contact_and_the_next_question_works(client: httpx.Client) -> None:
    shop = ShopSettings()
    for question, contact, word in (
        ("fail", shop.contact_en, "went wrong"),
        ("fail 出错了，怎么办", shop.contact_zh, "出了点问题"),
    ):
        told = client.post("/api/answer", json={"question": question}).json()["answer"]
        assert contact in told and word in told
    assert client.post("/api/answer", json={"question": "How long?"}).json()["outcome"] == "answered"


def test_a_turn_that_was_answered_without_its_generator_is_counted() -> None:
    class Crippled(StandIn):
        def _events(self, question: str, history: History) -> Iterator[Event]:
            for event in super()._events(question, history):
                yield Done(replace(event.answer, failed="generated")) if isinstance(event, Done) else event

    with serving(Crippled(delay=0)) as client:
        assert client.post("/api/answer", json={"question": "How long?"}).json()["failed"] == "generated"
        assert 'shoptalk_failures_total{channel="api",rung="generated"} 1.0' in client.get("/metrics").text
