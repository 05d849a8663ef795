"""What stands before every route: which paths exist, how large a body may be, from where, and which headers leave.

Gradio answers on more routes than a chat page needs (uploads, files, monitoring, runs, proxies); hiding them is no protection,
so only the listed ones exist. Pure ASGI: nothing here buffers a stream.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import secrets
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 512 * 1024  # bytes
_OURS = r"/|/api/(?:answer|vote)|/healthz|/readyz|/metrics|/page/[a-z-]+\.(?:css|js|svg)"
_FILES = r"/config|/theme\.css|/(?:assets|static)/[\w./-]+"
_EVENTS = r"/gradio_api/(?:queue/(?:join|data)|cancel|startup-events|app_id|heartbeat/\w+)"
_PATHS = re.compile(rf"(?:{_OURS}|{_FILES}|{_EVENTS})\Z")
Dress = Callable[[str, str, str], str]  # Gradio's index page, Accept-Language, nonce -> the page as sent


def loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


class Guard:
    """ASGI middleware around the whole service."""

    def __init__(self, app: ASGIApp, dress: Dress, public: bool) -> None:
        self._app = app
        self._dress = dress
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on with limits and headers."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        nonce = secrets.token_urlsafe(16)
        harden = _Harden(send, nonce)
        if refusal := self._refusal(scope, headers):
            await refusal(scope, receive, harden)
            return
        if scope["path"] == "/":
            await self._page(scope, receive, harden, headers.get("accept-language", ""), nonce)
        else:
            await self._app(scope, _Limit(receive), harden)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        path = scope["path"]
        if not _PATHS.match(path) or ".." in path or "//" in path:
            return _refuse(404, "no such page")
        host = re.sub(r":\d*\Z", "", headers.get("host", "")).strip("[]")
        if not self._public and not loopback(host):  # a foreign name that resolves to this machine
            return _refuse(421, "this service is reached under localhost only")
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length[:12]) > LARGEST_BODY:
            return _refuse(413, "the body is too large")
        return None

    async def _page(self, scope: Scope, receive: Receive, send: Send, language: str, nonce: str) -> None:
        """The index page is small: take it whole, dress it, send it."""
        caught = _Catch()
        await self._app({**scope, "query_string": b""}, receive, caught)
        if caught.status != 200:
            await _refuse(caught.status, "the page is not available")(scope, receive, send)
            return
        page = self._dress(caught.body.decode(), language, nonce)
        sent = {"cache-control": "no-store", "vary": "accept-language"}
        await Response(page, media_type="text/html", headers=sent)(scope, receive, send)


class _Limit:
    """Counts the body; a client may lie about its length or send none."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._seen = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        if self._seen > LARGEST_BODY:
            raise HTTPException(413, "the body is too large")
        return message


class _Harden:
    """Adds the headers that keep the page to itself, and Retry-After where Gradio forgets it."""

    def __init__(self, send: Send, nonce: str) -> None:
        self._send = send
        self._nonce = nonce

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["content-security-policy"] = (
                f"default-src 'none'; script-src 'self' 'nonce-{self._nonce}'; style-src 'self' 'unsafe-inline'; "
                "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; manifest-src 'self'; "
                "base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
            )
            headers["x-content-type-options"] = "nosniff"
            headers["x-frame-options"] = "DENY"
            headers["referrer-policy"] = "no-referrer"
            headers["permissions-policy"] = "camera=(), microphone=(), geolocation=()"
            headers["cross-origin-opener-policy"] = "same-origin"
            if message["status"] in (429, 503):
                headers.setdefault("retry-after", "2")
        await self._send(message)


class _Catch:
    """A Send that keeps the response."""

    def __init__(self) -> None:
        self.status = 500
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        self.body += message.get("body", b"")


def _refuse(status: int, why: str) -> Response:
    return JSONResponse({"error": why}, status)
