"""The service: page, API and health behind one guard, started and stopped cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, Response

from rag.errors import PortInUse, SettingsError
from rag.settings import ServeSettings, Settings, ShopSettings
from ui import api, page
from ui.guard import Guard, loopback
from ui.metrics import Metrics
from ui.turns import Assistant, Turns

GRACE = 20  # seconds for running answers once the service is told to stop
Load = Callable[[], Assistant]
Announce = Callable[[str], None]
_FILES = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}


def check_address(serve: ServeSettings) -> None:
    """Raises SettingsError for a host that others reach without serve.public, PortInUse for a taken port."""
    if not serve.public and not loopback(serve.host):
        raise SettingsError(
            expected="serve.host to be a loopback address such as 127.0.0.1, because nobody has to log in",
            found=serve.host,
            remedy="set serve.public = true if everyone who can reach this machine may chat, or put a proxy in front",
        )
    _bind(serve).close()


def serve(load: Load, settings: Settings, announce: Announce) -> None:
    """Listen at once, load behind /readyz, serve until SIGINT or SIGTERM. Raises what check_address and `load` raise."""
    check_address(settings.serve)
    turns = Turns(settings.serve.concurrency, settings.serve.queue, settings.answer.deadline_seconds, Metrics())
    app, letting_go = create_app(turns, settings.shop, settings.serve)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=GRACE, timeout_keep_alive=15,
        h11_max_incomplete_event_size=32 * 1024, ws="none",
    )  # fmt: skip
    server = _Server(config, turns, letting_go)
    failures: list[BaseException] = []

    def loading() -> None:
        try:
            assistant = load()
        except BaseException as error:  # noqa: BLE001 - raised again below, in the thread that called serve()
            failures.append(error)
            server.should_exit = True
            return
        turns.ready(assistant)
        for line in _loaded(assistant, settings.serve):
            announce(line)

    announce("Loading model and index ...")
    threading.Thread(target=loading, name="load", daemon=True).start()
    with _signals(), contextlib.closing(_bind(settings.serve)) as listening:
        server.run(sockets=[listening])
    if failures:
        raise failures[0]
    if turns.assistant:
        turns.assistant.close()
    announce("Stopped.")


def create_app(turns: Turns, shop: ShopSettings, serve: ServeSettings) -> tuple[FastAPI, Callable[[], None]]:
    """The ASGI application, which answers once turns.ready() was called, and what makes it let go of open pages."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(api.routes(turns, shop))

    @app.exception_handler(api.Problem)
    async def told(request: Request, problem: api.Problem) -> Response:
        return problem.response()

    @app.get("/page/{name}")
    async def asset(name: str) -> Response:
        if name not in _FILES:
            return Response(status_code=404)
        return FileResponse(Path(__file__).parent / name, media_type=_FILES[name], headers={"cache-control": "no-cache"})

    letting_go = page.mount(app, turns, shop, serve)
    dress = functools.partial(_dress, shop)
    app.add_middleware(Guard, dress=dress, public=serve.public)
    return app, letting_go


class _Server(uvicorn.Server):
    """Lets running answers end, then hangs up on open pages, which would otherwise hold the shutdown up."""

    def __init__(self, config: uvicorn.Config, turns: Turns, let_go: Callable[[], None]) -> None:
        super().__init__(config)
        self._turns = turns
        self._let_go = let_go

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal lets answers end, the second does not."""
        self.force_exit = self.should_exit
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Called once, on SIGINT or SIGTERM; uvicorn gives up after GRACE seconds."""
        hanging_up = asyncio.create_task(self._hang_up())
        await super().shutdown(sockets)
        hanging_up.cancel()

    async def _hang_up(self) -> None:
        await self._turns.idle()
        self._let_go()


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Uvicorn raises the signal that stopped it once more; being told to stop is no failure."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _dress(shop: ShopSettings, html: str, accept_language: str, nonce: str) -> str:
    return page.dress(html, shop, accept_language, nonce)


def _loaded(assistant: Assistant, serve: ServeSettings) -> list[str]:
    host = f"[{serve.host}]" if ":" in serve.host else serve.host
    facts = "\n".join(f"  {key:<12}{value}" for key, value in assistant.describe().items())
    return [facts, f"Chat at http://{host}:{serve.port} (Ctrl+C stops it)"]


def _bind(serve: ServeSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in serve.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((serve.host, serve.port))
    except OSError as error:
        listening.close()
        raise PortInUse(
            expected=f"port {serve.port} on {serve.host} to be free", found=error.strerror or str(error),
            remedy="stop the other program, or choose another port with --port or serve.port",
        ) from error  # fmt: skip
    return listening
