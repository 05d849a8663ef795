"""The chat page in a real headless browser, with a stand-in for the assistant: what a shopper does, at both widths."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from standin import StandIn, serving

pytestmark = pytest.mark.browser
expect.set_options(timeout=15_000)  # milliseconds: a busy machine is no fault of the page
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
Open = Callable[..., Page]


def find_browser() -> str:
    """A Chromium on this machine. A missing one fails the test: a page nobody looked at has not been tested."""
    named = os.environ.get("CHROMIUM", "")
    found = named if os.path.exists(named) else next(filter(None, map(shutil.which, NAMES)), None)  # noqa: PTH110
    assert found, (
        f"expected Chromium or Chrome, as one of {', '.join(NAMES)} or at $CHROMIUM; found none; run: apt-get install chromium"
    )
    return found


@pytest.fixture(scope="module")
def standin() -> StandIn:
    return StandIn(delay=0.05)


@pytest.fixture(scope="module")
def service(standin: StandIn) -> Iterator[httpx.Client]:
    with serving(standin) as client:
        yield client


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = find_browser()
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


@pytest.fixture
def visit(browser: Browser, service: httpx.Client) -> Iterator[Open]:
    """Opens the page; afterwards there must have been no console error and no request beyond this machine."""
    complaints: list[str] = []

    def opened(width: int = 1280, height: int = 800, locale: str = "en-GB", scheme: str = "light") -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, locale=locale, color_scheme=scheme)  # type: ignore[arg-type]
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.on("console", lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda sent: complaints.append(sent.url) if not sent.url.startswith(home) else None)
        page.on("response", lambda got: complaints.append(f"{got.status} {got.url}") if got.status >= 400 else None)
        page.goto(home)
        expect(page.locator(".welcome")).to_be_visible()
        return page

    home = str(service.base_url)
    yield opened
    for context in browser.contexts:
        context.close()
    assert not complaints


def left_alone(standin: StandIn) -> bool:
    """Whether it soon works on nothing; the whole long story takes longer."""
    end = time.monotonic() + 3
    while standin.open and time.monotonic() < end:
        time.sleep(0.05)
    return standin.open == 0


def ask(page: Page, question: str) -> None:
    page.locator("#box textarea").fill(question)
    page.keyboard.press("Enter")
    expect(page.locator(".asked").last).to_have_text(question)


WATCH = """() => {
  window.seen = [];
  new MutationObserver(() => {
    const reply = [...document.querySelectorAll(".reply")].pop();
    if (reply) window.seen.push([reply.className, (reply.querySelector(".text")?.textContent ?? "").length]);
  }).observe(document.body, { childList: true, subtree: true, characterData: true });
}"""


def test_tokens_arrive_one_after_the_other_and_the_answer_names_its_sources(visit: Open) -> None:
    page = visit()
    page.evaluate(WATCH)
    ask(page, "How long do I have to send something back?")
    expect(page.locator(".reply.answered .text strong")).to_have_text("30 days")
    expect(page.locator("details.source")).to_have_count(2)
    seen = page.evaluate("window.seen")
    phases = list(dict.fromkeys(kind.split()[1] for kind, _ in seen))
    assert phases[0] == "searching" and phases[-2:] == ["writing", "answered"]
    lengths = list(dict.fromkeys(length for kind, length in seen if "writing" in kind))
    assert len(lengths) >= 3 and lengths == sorted(lengths)


def test_a_source_opens_to_the_quoted_words(visit: Open) -> None:
    page = visit()
    ask(page, "How long?")
    marked = page.locator("details.source").first.locator("mark").first
    expect(page.locator(".reply.answered")).to_be_visible()
    expect(marked).to_be_hidden()
    page.locator("a.marker").first.click()
    expect(marked).to_be_visible()
    expect(marked).to_have_text("within 30 days")
    second = page.locator("details.source").nth(1)
    second.locator("summary").click()
    expect(second.locator("mark")).to_contain_text("prepaid")
    expect(page.locator("details.source").first.locator(".facts")).to_contain_text("Valid from 1 Mar 2025")


def test_thumbs_reach_the_record_and_copy_the_clipboard(visit: Open, standin: StandIn) -> None:
    page = visit()
    ask(page, "How long?")
    page.locator(".action.vote-up").click()
    expect(page.locator(".action.vote-up.chosen")).to_be_visible()
    answer = (page.locator(".action.vote-up").get_attribute("id") or "").removeprefix("vote-up-")
    assert standin.votes[answer] == 1
    page.locator(".action.vote-down").click()
    expect(page.locator(".action.vote-down.chosen")).to_be_visible()
    expect(page.locator(".action.vote-up.chosen")).to_have_count(0)
    assert standin.votes[answer] == -1
    page.locator(".action.copy").click()
    expect(page.locator(".action.copy.done")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("You have 30 days from the day it arrived to send something back [1].")


def test_stop_stops_the_work_and_keeps_what_arrived(visit: Open, standin: StandIn) -> None:
    page = visit()
    ask(page, "a long story")
    expect(page.locator(".reply.writing")).to_be_visible()
    page.locator("#box .stop-button").click()
    expect(page.locator(".reply.stopped .note")).to_have_text("Stopped")
    expect(page.locator(".reply.stopped .text")).to_contain_text("You")
    expect(page.locator("#box .submit-button")).to_be_visible()
    assert left_alone(standin)
    ask(page, "echo once more")
    expect(page.locator(".reply.answered")).to_contain_text("echo once more / 2")


def test_a_new_chat_forgets_even_while_an_answer_is_written(visit: Open, standin: StandIn) -> None:
    page = visit()
    ask(page, "echo first")
    expect(page.locator(".reply.answered")).to_contain_text("/ 0")
    ask(page, "echo second")
    expect(page.locator(".reply.answered").nth(1)).to_contain_text("/ 2")
    ask(page, "a long story")
    expect(page.locator(".reply.writing")).to_be_visible()
    page.locator(".tool.fresh").click()
    expect(page.locator(".welcome")).to_be_visible()
    assert left_alone(standin)
    page.wait_for_timeout(500)  # what a late step of the old turn would take
    expect(page.locator(".reply")).to_have_count(0)
    first = standin.asked[-1][2]
    ask(page, "echo third")
    expect(page.locator(".reply.answered")).to_contain_text("/ 0")
    assert re.fullmatch("[0-9a-f]{32}", first) and standin.asked[-1][2] != first


def test_a_refusal_is_calm_a_hand_over_blue_and_an_error_red_with_a_retry(visit: Open, standin: StandIn) -> None:
    page = visit()
    colours = []
    for question, kind in (("a unicorn?", "refused"), ("a person, please", "handed_over"), ("fail", "failed")):
        ask(page, question)
        card = page.locator(f".reply.{kind} .card")
        expect(card).to_be_visible()
        expect(card.locator("a[href='mailto:help@pinebeck.example']")).to_be_visible()
        colours.append(card.evaluate("card => getComputedStyle(card).backgroundColor"))
    assert len(set(colours)) == 3
    expect(page.locator(".reply.failed")).to_contain_text("Something went wrong")
    expect(page.locator(".reply.failed")).not_to_contain_text("secret")
    asked = len(standin.asked)
    page.locator(".retry").click()
    expect(page.locator(".reply.failed")).to_have_count(2)
    assert standin.asked[asked][0] == "fail"
    assert len(standin.asked[asked][1]) == 4  # a failed turn is no part of the history


def test_the_interface_follows_the_browser_and_the_switch(visit: Open) -> None:
    page = visit(locale="zh-CN")
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    expect(page.locator(".greeting")).to_contain_text("有什么可以帮您？")
    expect(page.locator("#box textarea")).to_have_attribute("placeholder", "请输入您的问题…")
    page.locator(".example:visible").first.click()
    expect(page.locator(".reply.answered .text")).to_contain_text("7 天内")
    expect(page.locator(".sources-title")).to_have_text("来源")
    page.locator(".tool.language").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("#top .tagline")).to_contain_text("Automatic assistant")
    expect(page.locator(".reply.answered")).to_have_count(1)
    page.reload()
    expect(page.locator(".greeting .in-en")).to_be_visible()


def test_what_a_shopper_types_is_only_text(visit: Open) -> None:
    page = visit()
    ask(page, "<img src=x onerror=alert(1)> **bold** [x](javascript:alert(1)) $$x$$ {{7*7}}")
    expect(page.locator(".reply.answered")).to_be_visible()
    assert page.locator("#log img, #log .katex, .asked a, .asked strong").count() == 0


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scroll_and_has_large_targets(visit: Open, locale: str, scheme: str) -> None:
    page = visit(375, 812, locale, scheme)
    fits(page)
    ask(page, "退货？" if locale == "zh-CN" else "How long?")
    expect(page.locator(".reply.answered")).to_be_visible()
    page.locator("details.source summary").first.click()
    ask(page, "a unicorn?" + "x" * 120)
    expect(page.locator(".reply.refused")).to_be_visible()
    fits(page)
    for target in page.locator("button:visible, summary:visible").all():
        box = target.bounding_box()
        assert box and box["height"] >= 40 and box["width"] >= 40, target.evaluate("one => one.outerHTML")
    assert page.locator("button:visible, textarea").evaluate_all(
        "all => all.every(one => (one.innerText || one.ariaLabel || one.textContent).trim())"
    )


def fits(page: Page) -> None:
    for part in ("html", "#log .bubble-wrap", "#log", "body"):
        if page.locator(part).count():
            assert page.locator(part).first.evaluate("one => one.scrollWidth <= one.clientWidth"), part


def test_a_closed_tab_ends_the_work(visit: Open, standin: StandIn) -> None:
    page = visit()
    ask(page, "a long story")
    expect(page.locator(".reply.writing")).to_be_visible()
    assert standin.open == 1
    page.close()
    assert left_alone(standin)
