"""The page's handlers without a browser: what they send, what they keep, and that stopping reaches the work."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest
from standin import StandIn

from rag.settings import ShopSettings
from ui.metrics import Metrics
from ui.page import Chat, Page, build, dress, preferred
from ui.turns import Pulse, Turns

SHOP = ShopSettings()


def parts(standin: StandIn, concurrency: int = 1, queue: int = 1) -> tuple[Page, Turns]:
    turns = Turns(concurrency, queue, 10.0, Metrics())
    turns.ready(standin)
    return Page(turns, SHOP), turns


async def ask(page: Page, question: str, chat: Chat) -> list[tuple[Any, ...]]:
    async with aclosing(page.ask(question, chat)) as sent:
        return [step async for step in sent]


def last_reply(sent: list[tuple[Any, ...]]) -> str:
    return str(sent[-1][0][-1]["content"])


def test_the_history_grows_by_answered_turns_only() -> None:
    async def run() -> Chat:
        page, _ = parts(StandIn(delay=0))
        chat = Chat()
        for question in ("hello", "a unicorn?", "fail", "   "):
            sent = await ask(page, question, chat)
            chat = sent[-1][2] if isinstance(sent[-1][2], Chat) else chat
        return chat

    chat = asyncio.run(run())
    assert [turn.text for turn in chat.history if turn.role == "user"] == ["hello", "a unicorn?"]
    assert len(chat.shown) == 6  # the failed turn is seen, the empty question is not
    assert len(chat.id) == 32


def test_a_full_queue_is_told_on_a_card_of_its_own() -> None:
    async def run() -> tuple[list[str], str]:
        page, _ = parts(StandIn(delay=0.01))
        sent = await asyncio.gather(*(ask(page, "hello", Chat()) for _ in range(3)))
        return [last_reply(one) for one in sent], str(sent[1][1][0][-1]["content"])

    replies, second = asyncio.run(run())
    assert sorted(reply.split('"')[1] for reply in replies) == ["reply answered", "reply answered", "reply busy"]
    assert "answered first" in second


def test_stopping_works_in_the_queue_and_in_the_middle_and_frees_the_place() -> None:
    async def run() -> tuple[list[str], int]:
        standin = StandIn(delay=0.02)
        page, turns = parts(standin, queue=2)
        running = asyncio.create_task(ask(page, "a long story", Chat("a" * 32)))
        waiting = asyncio.create_task(ask(page, "hello", Chat("b" * 32)))
        await asyncio.sleep(0.4)
        await page.stop(Chat("b" * 32))
        await page.stop(Chat("a" * 32))
        await page.stop(Chat("c" * 32))  # nothing runs there
        replies = [last_reply(await waiting), last_reply(await running)]
        await asyncio.wait_for(turns.idle(), 2)
        replies.append(last_reply(await ask(page, "hello", Chat())))
        return replies, standin.open

    replies, still_open = asyncio.run(run())
    assert [reply.split('"')[1] for reply in replies] == ["reply stopped", "reply stopped", "reply answered"]
    assert still_open == 0


def test_stopping_does_not_wait_for_a_reader_that_lags_behind() -> None:
    async def run() -> tuple[int, str]:
        page, _ = parts(StandIn(delay=0))
        seen: list[tuple[Any, ...]] = []
        async with aclosing(page.ask("a long story", Chat("a" * 32))) as steps:
            async for step in steps:
                seen.append(step)
                if len(seen) == 3:
                    await asyncio.sleep(0.5)  # by now hundreds of tokens wait
                    stopping = asyncio.create_task(page.stop(Chat("a" * 32)))
                    await asyncio.sleep(0)
            await asyncio.wait_for(stopping, 1)
        return len(seen), last_reply(seen)

    steps, reply = asyncio.run(run())
    assert steps < 7
    assert "reply stopped" in reply


def test_a_new_chat_is_the_last_word_of_both_streams() -> None:
    """The browser may show a step of the old turn after the new chat's: whichever comes last, nothing is left."""

    async def run() -> tuple[tuple[Any, ...], list[tuple[Any, ...]]]:
        page, _ = parts(StandIn(delay=0.02))
        running = asyncio.create_task(ask(page, "a long story", Chat("a" * 32)))
        await asyncio.sleep(0.4)
        return await page.start_over(Chat("a" * 32)), await running

    over, sent = asyncio.run(run())
    assert over[0] == [] and over[2] == Chat()
    assert len(sent) > 2 and sent[-1][0] == []


def test_work_that_never_ends_loses_its_place(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> str:
        page, turns = parts(StandIn(delay=0))
        hanging = asyncio.create_task(ask(page, "hang", Chat("a" * 32)))
        await asyncio.sleep(0.1)
        await page.stop(Chat("a" * 32))
        await hanging
        await asyncio.wait_for(turns.idle(), 2)
        return last_reply(await ask(page, "hello", Chat()))

    monkeypatch.setattr("ui.turns.PATIENCE", 0.2)
    assert "reply answered" in asyncio.run(run())
    assert "its place is given away" in caplog.text


def test_silence_is_broken_by_pulses_so_that_leaving_is_noticed() -> None:
    async def run() -> int:
        _, turns = parts(StandIn(delay=0.3))
        async with aclosing(turns.events("hello", (), "a" * 32, "page")) as steps:
            async for step in steps:
                if isinstance(step, Pulse):
                    return 1
        return 0

    assert asyncio.run(run()) == 1


def test_every_handler_is_private_and_the_widgets_are_bare() -> None:
    _, turns = parts(StandIn())
    config = build(turns, SHOP).get_config_file()
    assert {one["api_visibility"] for one in config["dependencies"]} == {"private"}
    log = next(one for one in config["components"] if one["type"] == "chatbot")["props"]
    assert log["sanitize_html"] and not log["allow_tags"] and not log["latex_delimiters"] and not log["buttons"]


def test_the_first_known_language_wins() -> None:
    assert [preferred(header) for header in ("", "*", "fr, zh-TW;q=0.8, en", "en-US,zh", "ZH")] == ["en", "en", "zh", "en", "zh"]


def test_a_shops_name_cannot_close_the_script_it_is_told_in() -> None:
    html = dress('<html lang="en"><head></head>', ShopSettings(name_en="</script><script>alert(1)</script>"), "en", "n")
    assert "<script>alert" not in html and "</script><script>" not in html
