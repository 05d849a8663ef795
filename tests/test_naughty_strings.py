"""Strings that break programs, as questions, earlier messages, ids and filters over HTTP: each is answered or refused cleanly."""

from __future__ import annotations

import itertools
import json
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from answering import GOOD_EN, make_parts
from standin import StandIn, serving

from rag.answer.contract import as_dict
from rag.answer.flow import answer
from rag.record.store import Recorder
from rag.types import Done, Event, Filter, HandOver, History, Refused

COUNT = 515
QUOTES = [
    "'",
    '"',
    "`",
    "''",
    '""',
    "'\"'",
    "“”",
    "„“",
    "«»",
    "‘’",
    "「」",
    "'''",
    '"""',
    "```",
    "\\'",
    '\\"',
    "`'\"",
    "′″",
    "＇",
    "＂",
]
RESERVED = (
    "undefined null nil None NULL true false True NaN nan -nan Infinity -Infinity inf hasOwnProperty __proto__ constructor "
    "toString this self __init__ __class__ then arguments eval exec lambda yield async await CON PRN AUX NUL COM1 LPT1 con.txt "
    "data: about:blank file:// javascript: undef (null) <null> #N/A #REF! #VALUE! N/A - -- . .. / // \\ \\\\ * ? % %% & ; | ~ ^"
).split()
NUMBERS = (
    "0 -0 1 -1 00 007 1.00 $1.00 1/2 1/0 0/0 1E2 1E+02 1e309 -1e309 1e-400 9223372036854775807 9223372036854775808 "
    "-9223372036854775808 18446744073709551616 2147483648 0x0 0xffffffff 0xabad1dea 0b11 0o17 1,000,000 1.000.000 1'000 "
    "١٢٣ १२३ 一二三 ①②③ ½⅓¼ ²³ Ⅷ 𝟙𝟚𝟛 １２３ 1_000 .5 5. +5 --5 1..2 0.1e1e1 −5 ±5 ∞ 1e 1e+ 3.14159265358979323846 NaN NaN%"
).split()
SCRIPTS = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg/onload=alert(1)>",
    "<a href=javascript:alert(1)>a</a>", "<iframe src=//a.example></iframe>", "<body onload=alert(1)>",
    "\"><script>alert(1)</script>", "'><img src=x>", "</textarea>", "<!--", "-->", "]]>", "<![CDATA[x]]>",
    "<?xml version='1.0'?>", "<!DOCTYPE a [<!ENTITY b 'c'>]>", "&lt;script&gt;", "&#60;b&#62;",
    "<math><mi//xlink:href=\"data:x\">", "<style>@import'//a.example'</style>", "<plaintext>",
    "<details open ontoggle=alert(1)>", "{{7*7}}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "{% debug %}", "{{config}}",
    "[[7*7]]", "@(7*7)", "*{7*7}", "${jndi:ldap://a.example}",
]  # fmt: skip
SQL = [
    "1; DROP TABLE turns", "1' OR '1'='1", "' OR 1=1--", "'; DELETE FROM votes; --", "1 UNION SELECT * FROM turns",
    "admin'--", "%' --", "') OR ('1'='1", "1; SELECT pg_sleep(9)", "' AND 1=CONVERT(int,@@version)--", "'||'a'||'",
    "\\' OR 1=1 --", "${ne: null}", "*)(uid=*", "/* a */ SELECT", "x' AND email IS NULL; --", "NEAR(a b)",
    '"a" AND NOT', "a*", "col:value", "^a", "{a}", "MATCH 'a'", "LIKE '%'",
]  # fmt: skip
FORMATS = [
    "%s", "%d", "%n%n%n", "%s%s%s%s%s", "%x%x", "%99999999s", "%(name)s", "%c", "%p", "{}", "{0}", "{name}",
    "{0.__class__}", "{!r}", "{:>99}", "{{}}", "$name", "${name}", "$(id)", "`id`", "%PATH%", "$HOME", "\\n", "\\x00",
    "\\u0000", "\\ud800", "%00", "%0d%0a", "%E0%80%80", "\\e[31m",
]  # fmt: skip
PATHS = [
    "../../etc/passwd", "..\\..\\windows\\win.ini", "/etc/passwd%00", "/dev/random", "/proc/self/environ",
    "C:\\boot.ini", "file:///etc/passwd", "....//....//etc/passwd", "%2e%2e%2f", "\\\\server\\share", "~root",
    "/dev/null; touch /a", "$(touch a)", "| cat /etc/passwd", "&& id", "; id", "`touch a`", "-rf /", "--help",
    "@/etc/passwd", "http://169.254.169.254/", "gopher://a.example", "//a.example", "a\0.md", "a/./b",
]  # fmt: skip
WRITING = [
    "Ω≈ç√∫˜µ≤≥÷", "åß∂ƒ©˙∆˚¬…æ", "œ∑´®†¥¨ˆøπ", "¡™£¢∞§¶•ªº–≠", "ЁЂЃЄЅІЇЈЉЊЋЌЍЎЏ",
    "田中さんにあげて下さい", "사회과학원", "和製漢語", "部落格", "𠜎𠜱𠝹𠱓", "Ⱥ", "Ⱦ", "ﬃ", "İi̇ıI", "ẞß", "ſ",
    "Å Å Å", "ǆ", "ŉ", "ΐ", "ヽ༼ຈل͜ຈ༽ﾉ", "(｡◕ ∀ ◕｡)", "`ｨ(´∀｀∩", "__ﾛ(,_,*)", "・(￣∀￣)・:*:",
    "ﾟ･✿ヾ╲(｡◕‿◕｡)╱✿･ﾟ", "(╯°□°）╯︵ ┻━┻", "ʇunpᴉpᴉɔuᴉ ɹodɯǝʇ", "𝐓𝐡𝐞 𝐪𝐮𝐢𝐜𝐤", "𝕋𝕙𝕖",
    "𝓣𝓱𝓮", "⒯⒣⒠", "Ｔｈｅ", "T̸̢͓h̶̰͠e̵̘͝", "Z̮̞̠͙͔ͅḀ̗̞͈̻̗Ḷ͙͎̯̹̞͓G̻O̭̗̮",
]  # fmt: skip
RIGHT_TO_LEFT = [
    "ثم نفس سقطت وبالتحديد،", "בְּרֵאשִׁית", "הָיְתָהtestالصفحات", "﷽", "ﷺ", "مُنَاقَشَةُ سُبُلِ", "کتاب‌ها",
    "‏مرحبا‏", "؟", "١٢٫٥ ٪", "שלום world", "العربية 123 abc",
]  # fmt: skip
EMOJI = [
    "😍", "👩🏽", "👨‍🦰", "👾 🙇 💁 🙅", "🐵 🙈 🙉 🙊", "❤️ 💔 💌", "✋🏿 💪🏿", "👨‍👩‍👦", "🚾 🆒 🆓",
    "0️⃣ 1️⃣", "🇺🇸🇷🇺🇸", "🏴\U000e0067\U000e0062\U000e007f", "🏳️‍🌈", "☃️", "⌨️",
]  # fmt: skip


def unseen() -> Iterator[str]:
    """Characters without a form: alone, between letters, before and behind them."""
    codes = [
        0,
        1,
        7,
        8,
        9,
        10,
        13,
        0x1B,
        0x7F,
        0x85,
        0xA0,
        0xAD,
        0x34F,
        0x61C,
        0x115F,
        0x180E,
        0x200B,
        0x200D,
        0x200F,
        0x2028,
        0x202E,
    ]
    codes += [0x2060, 0x2066, 0x3000, 0x3164, 0xFE0F, 0xFEFF, 0xFFF9, 0xFFFD, 0xFFFE, 0xFFFF, 0xE000, 0xE0041, 0xE01EF, 0x10FFFF]
    codes += [0x180B, 0x2061, 0x17B4, 0xFFA0, 0x1D173, 0x13430, 0xFFFB]
    for code in codes:
        yield from (chr(code), f"return{chr(code)}a lamp", f"{chr(code)}Can I return it?{chr(code)}")


def long_runs() -> Iterator[str]:
    for piece in (
        "a",
        " ",
        "\n",
        "?",
        "0",
        "[",
        "(",
        "1,",
        "a ",
        "退",
        "。",
        "👨‍👩‍👧",
        "\u0301",
        "\u202e",
        "<",
        "-",
        "return ",
        "退货",
        "\\",
        '"',
    ):
        yield piece * (4_000 // len(piece))


def texts() -> list[str]:
    shouted = [f"Can I return {word}?" for word in (*QUOTES, *RESERVED[:40])]
    groups = (
        QUOTES,
        RESERVED,
        NUMBERS,
        SCRIPTS,
        SQL,
        FORMATS,
        PATHS,
        WRITING,
        RIGHT_TO_LEFT,
        EMOJI,
        unseen(),
        long_runs(),
        ["", " "],
        shouted,
    )
    return list(dict.fromkeys(itertools.chain(*groups)))


class Scripted(StandIn):
    """The real way to an answer and into the record, over a shop of a few chunks and a generator that says the same each time."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(delay=0)
        self.recorder = recorder

    def answer(
        self,
        question: str,
        history: History = (),
        conversation: str = "",
        stopped: Callable[[], bool] = lambda: False,
        chosen: Filter = Filter(),  # noqa: B008 - frozen
    ) -> Iterator[Event]:
        for event in answer(question, history, make_parts([GOOD_EN], deadline_seconds=20), stopped):
            if isinstance(event, Done | Refused | HandOver):
                self.recorder.observe(conversation, question, history, event.answer)
            yield event

    def vote(self, answer_id: str, value: int, comment: str = "") -> None:
        self.recorder.vote(answer_id, value, comment)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    file = tmp_path_factory.mktemp("record") / "record.sqlite"
    recorder = Recorder(f"sqlite:///{file}", as_dict)
    with serving(Scripted(recorder)) as client:
        yield client
    recorder.close()
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("PRAGMA quick_check").fetchall() == [("ok",)]


def post(client: httpx.Client, body: dict[str, Any], path: str = "/api/answer") -> httpx.Response:
    return client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})


def test_there_are_enough() -> None:
    assert len(texts()) >= COUNT


def test_each_is_answered(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        told = {text: post(client, {"question": text, "history": [{"role": "user", "text": text}]}) for text in texts()}
    assert [(text[:40], reply.status_code) for text, reply in told.items() if reply.status_code != 200] == []
    assert all(reply.json()["answer"] for reply in told.values())
    assert caplog.text == ""
    for reply in told.values():
        reply.content.decode("utf-8")


def test_anywhere_else_each_is_a_clean_refusal(client: httpx.Client) -> None:
    for text in texts():
        for body in ({"question": "q", "conversation": text or "x"}, {"question": "q", "filter": {"region": text}}, {text: "q"}):
            reply = post(client, body)
            assert reply.status_code in (200, 422), (text[:40], reply.status_code)
        reply = post(client, {"answer": text, "value": 1, "comment": text}, "/api/vote")
        assert reply.status_code in (404, 422), (text[:40], reply.status_code)
    answered = post(client, {"question": "How long can I return a product?"}).json()["id"]
    for text in texts()[::4]:  # each is a commit that waits for the disk
        assert post(client, {"answer": answered, "value": -1, "comment": text}, "/api/vote").status_code in (204, 422)
