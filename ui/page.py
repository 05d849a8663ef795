"""The chat page in Gradio: widgets, and the wiring from a question to the events that answer it.

The look is in page.css, what happens inside the browser (language, copy, thumbs, opening a source) in page.js.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

# Read by Gradio when it is imported: nothing leaves this machine, and no variable opens what this file keeps shut.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
for _name in ("GRADIO_VIBE_MODE", "GRADIO_SHARE", "GRADIO_MCP_SERVER", "GRADIO_ALLOWED_PATHS", "GRADIO_SSR_MODE"):
    os.environ.pop(_name, None)

import gradio as gr  # noqa: E402
from fastapi import FastAPI  # noqa: E402

from rag.language import detect  # noqa: E402
from rag.settings import ServeSettings, ShopSettings  # noqa: E402
from rag.types import History, Language, Turn  # noqa: E402
from ui import markup, present  # noqa: E402
from ui.turns import Stopped, Turns  # noqa: E402

log = logging.getLogger(__name__)
HERE = Path(__file__).parent
_SPOKEN = (
    "placeholder",
    "question_label",
    "conversation_label",
    "send",
    "stop",
    "new_chat",
    "other_language_label",
    "copied",
    "vote_failed",
)
_KEPT_TURNS = 40  # messages of a conversation that are kept for the next question
_FONT = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "sans-serif"]
_SESSIONS = 1000


@dataclass(frozen=True)
class Chat:
    """One conversation as this page's session keeps it, on the server."""

    id: str = ""
    history: History = ()
    shown: tuple[dict[str, str], ...] = ()  # messages of the log, finished


class Page:
    """The handlers behind the widgets. Errors end here, as a card; everything else only translates."""

    def __init__(self, turns: Turns, shop: ShopSettings) -> None:
        self._turns = turns
        self._shop = shop

    async def ask(self, question: str, chat: Chat) -> AsyncGenerator[tuple[Any, ...], None]:
        """Stream one answer: (log, box, chat) after every step."""
        if not question.strip():
            yield gr.skip(), gr.skip(), gr.skip()
            return
        chat = chat if chat.id else Chat(secrets.token_hex(16))
        language = detect(question) or "en"
        reply = present.Reply(language, contact(self._shop, language))
        asked = {"role": "user", "content": present.question(question)}
        yield _log(chat, asked, reply), gr.update(value="", submit_btn=False, stop_btn=True), chat
        try:
            async with aclosing(self._turns.events(question, chat.history, chat.id, "page")) as steps:
                async for step in steps:
                    if isinstance(step, Stopped) and step.quiet:
                        # The browser takes this turn's steps and start_over's side by side, so the last step clears as well.
                        yield [], gr.skip(), gr.skip()
                        return
                    reply = present.advance(reply, step)
                    yield _log(chat, asked, reply), gr.skip(), gr.skip()
        except Exception as error:  # the page is the edge: whatever failed becomes a card with a trace id
            trace = secrets.token_hex(4)
            log.exception("turn %s of the page failed", trace)
            reply = present.fail(reply, error, trace)
        yield _log(chat, asked, reply), gr.update(submit_btn=True, stop_btn=False), _after(chat, asked, question, reply)

    async def stop(self, chat: Chat) -> None:
        """End the turn; what has arrived stays."""
        await self._turns.stop(chat.id)

    async def start_over(self, chat: Chat) -> tuple[Any, ...]:
        """A new conversation; a turn that still runs is ended without a trace."""
        await self._turns.stop(chat.id, quiet=True)
        return [], gr.update(value="", submit_btn=True, stop_btn=False), Chat()


def contact(shop: ShopSettings, language: Language) -> str:
    """Whom a shopper reaches in this language."""
    return shop.contact_zh if language == "zh" else shop.contact_en


def name(shop: ShopSettings, language: Language) -> str:
    """The shop's name in this language."""
    return shop.name_zh if language == "zh" else shop.name_en


def build(turns: Turns, shop: ShopSettings) -> gr.Blocks:
    """The widgets and which handler each event calls."""
    page = Page(turns, shop)
    with gr.Blocks(title=present.say("title", "en", shop=shop.name_en), fill_height=True, analytics_enabled=False) as blocks:
        gr.Markdown(header(shop), elem_id="top", latex_delimiters=[])
        chat = gr.State(Chat(), time_to_live=3600)
        conversation = gr.Chatbot(
            elem_id="log", show_label=False, label=present.say("conversation_label", "en"), placeholder=welcome(shop),
            latex_delimiters=[], allow_tags=False, buttons=[], feedback_options=None, container=False, scale=1, height="100%",
        )  # fmt: skip
        box = gr.Textbox(
            elem_id="box", show_label=False, label=present.say("question_label", "en"), lines=1, max_lines=6, autofocus=True,
            placeholder=present.say("placeholder", "en"), submit_btn=True, container=False, scale=0,
        )  # fmt: skip
        gr.Markdown(footer(shop), elem_id="bottom", latex_delimiters=[])
        fresh = gr.Button(elem_id="start-over", visible="hidden")
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        box.submit(page.ask, [box, chat], [conversation, box, chat], **quiet)
        box.stop(page.stop, [chat], None, concurrency_limit=None, **quiet)
        fresh.click(page.start_over, [chat], [conversation, box, chat], concurrency_limit=None, **quiet)
    blocks.state_session_capacity = _SESSIONS
    return blocks


def mount(app: FastAPI, turns: Turns, shop: ShopSettings, serve: ServeSettings) -> Callable[[], None]:
    """Put the page at / of `app`, with everything Gradio offers beyond it switched off. Returns what closes open pages."""
    blocks = build(turns, shop)
    # Turns decides who runs and who waits, so that the page and the API share one queue; Gradio only must not be tighter.
    places = serve.concurrency + serve.queue
    blocks.queue(max_size=4 * places, default_concurrency_limit=2 * places, api_open=False)
    gr.mount_gradio_app(
        app, blocks, path="/", server_name=serve.host, server_port=serve.port, theme=theme(), footer_links=[], run_history=False,
        show_error=False, enable_monitoring=False, max_file_size="1kb", allowed_paths=[], mcp_server=False, ssr_mode=False,
        pwa=False,
    )  # fmt: skip
    return app.routes[-1].app.stop_event.set  # type: ignore[attr-defined, no-any-return]


def theme() -> gr.themes.Base:
    """System fonts and the shop's green; sizes and colours of the rest are in page.css."""
    return gr.themes.Base(primary_hue="emerald", neutral_hue="stone", font=_FONT, font_mono=["ui-monospace", "monospace"])


def header(shop: ShopSettings) -> str:
    """Shop, what this is, and two buttons that page.js brings to life."""
    names = "".join(f'<span class="in-{language}">{escape(name(shop, language))}</span>' for language in present.LANGUAGES)
    tagline = f'{present.both("tagline")}<span class="more">{present.both("tagline_more")}</span>'
    return (
        f'<div class="brand"><span class="logo">{escape(name(shop, "en")[:1])}</span>'
        f'<div class="who"><p class="name">{names}</p><p class="tagline">{tagline}</p></div></div>'
        f'<div class="tools"><button type="button" class="tool language">{present.both("other_language")}</button>'
        f'<button type="button" class="tool fresh"><span class="label">{present.both("new_chat")}</span></button></div>'
    )


def welcome(shop: ShopSettings) -> str:
    """What an empty conversation shows: a greeting and questions to start from."""
    examples: dict[Language, tuple[str, ...]] = {"en": shop.examples_en, "zh": shop.examples_zh}
    asks = "".join(
        f'<button type="button" class="example in-{language}" lang="{language}">{escape(example)}</button>'
        for language in present.LANGUAGES
        for example in examples[language]
    )
    return (
        f'<div class="welcome"><p class="greeting">{present.both("welcome")}</p>'
        f'<p class="hint">{present.both("welcome_hint")}</p><div class="examples">{asks}</div></div>'
    )


def footer(shop: ShopSettings) -> str:
    """Where answers come from and who helps when they don't."""
    lines = []
    for language in present.LANGUAGES:
        person = contact(shop, language)
        help_line = escape(present.say("footer_person", language, contact=person)).replace(escape(person), markup.contact(person))
        text = f'{escape(present.say("footer", language))} <span class="person">{help_line}</span>'
        lines.append(f'<span class="in-{language}" lang="{language}">{text}</span>')
    return f'<p class="foot-line">{"".join(lines)}</p>'


def dress(html: str, shop: ShopSettings, accept_language: str, nonce: str) -> str:
    """Gradio's index page with our language, title, style and script, its social tags gone and its scripts signed."""
    language = preferred(accept_language)
    title = escape(present.say("title", language, shop=name(shop, language)))
    html = re.sub(r'<meta\s+(?:property="og|name="twitter)[^>]*>', "", html)
    html = html.replace('lang="en"', f'lang="{language}" data-language="{language}"', 1).replace(
        "<script", f'<script nonce="{nonce}"'
    )
    ours = (
        f'<title>{title}</title><meta name="robots" content="noindex"><link rel="icon" href="./page/icon.svg">'
        '<link rel="stylesheet" href="./page/page.css">'
        f'<script nonce="{nonce}" type="application/json" id="wording">{_wording(shop)}</script>'
        f'<script nonce="{nonce}" type="module" src="./page/page.js"></script></head>'
    )
    return html.replace("</head>", ours, 1)


def _wording(shop: ShopSettings) -> str:
    """What page.js says, as JSON that cannot close its script element."""
    words = {
        language: {
            "title": present.say("title", language, shop=name(shop, language)),
            **{key: present.say(key, language) for key in _SPOKEN},
        }
        for language in present.LANGUAGES
    }
    return json.dumps(words, ensure_ascii=False).replace("<", "\\u003c")


def preferred(accept_language: str) -> Language:
    """The first of our languages that an Accept-Language header names; English if none."""
    for part in accept_language.lower().split(","):
        code = part.split(";")[0].strip()[:2]
        if code in present.LANGUAGES:
            return "zh" if code == "zh" else "en"
    return "en"


def _log(chat: Chat, asked: dict[str, str], reply: present.Reply) -> list[dict[str, str]]:
    return [*chat.shown, asked, {"role": "assistant", "content": present.render(reply)}]


def _after(chat: Chat, asked: dict[str, str], question: str, reply: present.Reply) -> Chat:
    """The conversation with this turn in it; a turn that failed is shown but is no part of the history."""
    history = chat.history
    if reply.phase not in ("failed", "busy"):
        history = (*history, Turn("user", question), Turn("assistant", reply.text))[-_KEPT_TURNS:]
    return replace(chat, history=history, shown=tuple(_log(chat, asked, reply)))
