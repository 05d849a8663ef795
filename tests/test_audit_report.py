"""`report` over a shop with planted problems: on the test doubles, and with the real embedder."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from test_cli import run, shop  # noqa: F401 - a fixture

from rag.settings import load

Output = pytest.CaptureFixture[str]
RULES = "# Returns\n\nYou can return a lamp within 30 days of delivery. The refund takes 5 working days.\n"
HELP = "# Help <with> returns\n\nYou can return a lamp within 14 days of delivery. The shop is in Arnhem.\n"
CARE = "# Care\n\nNever wash a lamp in the dishwasher; wipe it with a damp cloth and let it dry before you charge it.\n"
SALE = "---\ntitle: Sale\nvalid_from: 2026-01-01\nvalid_to: 2026-05-20\n---\n\nLanterns are cheaper in the sale.\n"
QUESTION = "How do I charge it?"
FAQ = """question,answer,language
How do I reset the lamp?,Hold the button for 10 s until the light blinks.,en
如何重置头灯？,按住按钮 10 秒，直到灯闪烁。,zh
"""
COLOURS = "red blue green black white grey pink brown orange yellow purple silver".split()


def plant(corpus: Path) -> None:
    texts = {"returns.md": RULES, "help.md": HELP, "care.md": CARE, "tips.md": CARE, "sale.md": SALE, "faq.csv": FAQ}
    for name, text in texts.items():
        (corpus / name).write_text(text, encoding="utf-8")
    for colour in COLOURS:  # more than an answer reads, each with its own answer to one question
        row = f"question,answer,language\n{QUESTION},The {colour} plug goes into the {colour} socket.,en\n"
        (corpus / f"{colour}.csv").write_text(row, encoding="utf-8")
    (corpus / "broken.pdf").write_bytes(b"%PDF-1.7 nothing more")
    (corpus / "more.csv").write_text("question,answer\nDo you sell tents?,\nDo you sell stoves?,Yes.\n", encoding="utf-8")


def check(found: dict[str, Any]) -> None:
    """What plant() has hidden, and nothing else."""
    places = {one["place"]: one["is_file"] for one in found["refused"]}
    assert places == {"broken.pdf": True, "more.csv:2": False} and all(one["reason"] for one in found["refused"])
    assert [{chunk["document"] for chunk in group} for group in found["repeats"]] == [{"care.md", "tips.md"}]
    [conflict] = found["conflicts"]
    assert {conflict["one"]["quote"], conflict["other"]["quote"]} == {
        "You can return a lamp within 30 days of delivery.",
        "You can return a lamp within 14 days of delivery.",
    }
    assert [(term["document"], term["days"]) for term in found["terms"]] == [("sale.md", 10)]
    lost = found["finding"]["unfound"]
    assert len(lost) == len(COLOURS) - load().retrieve.passages and {one["question"] for one in lost} == {QUESTION}
    assert {one["instead"]["title"] for one in lost} == {QUESTION}
    assert found["clean"] is False and found["documents"] == 19
    formats = {share["value"]: share["documents"] for share in found["shares"] if share["group"] == "format"}
    assert formats == {".md": 5, ".csv": 14}


def ingested(corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    plant(corpus)
    monkeypatch.setenv("SHOPTALK_ANSWER__TODAY", "2026-05-10")
    assert run(monkeypatch, "ingest") == 3
    capsys.readouterr()


def test_what_is_planted_is_told_on_the_terminal_as_json_and_as_a_page(
    shop: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: Output,
) -> None:
    ingested(shop, monkeypatch, capsys)
    assert run(monkeypatch, "report", "--json", "--html", "report.html") == 0
    found = json.loads(capsys.readouterr().out)
    check(found)
    page = Path("report.html").read_text(encoding="utf-8")
    assert "Help &lt;with&gt; returns" in page and "<with>" not in page
    assert not re.search(r"<script|(?:src|href)=|url\(|@import", page)
    assert run(monkeypatch, "report", "--strict") == 1
    told = capsys.readouterr().out
    for part in (
        "Refused files: 1. Refused rows and pages of files that were read: 1. Files without any text: none.",
        "figures for the same thing: 1.",
        "nearly word for word: 1.",
        "within 30 days, or did as lately: 1.",
        "own words find: 4 of 20 looked for, of 20 in force.",
        "in 10 days",
    ):
        assert part in told and part in page, part


def test_strict_is_content_with_a_sound_shop(shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:  # noqa: F811
    assert run(monkeypatch, "ingest") == 0
    assert run(monkeypatch, "report", "--strict", "--sample", "0") == 0
    told = capsys.readouterr().out
    assert "the same thing: 0." in told and "0 of 0 looked for" in told


def test_what_stands_in_the_way_is_told_before_the_work(
    shop: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: Output,
) -> None:
    assert run(monkeypatch, "report", "--html", "nowhere/report.html") == 2
    assert "expected a file that can be written at nowhere/report.html; found no folder nowhere" in capsys.readouterr().err
    assert run(monkeypatch, "report", "--html", "corpus") == 2
    assert "found a folder" in capsys.readouterr().err
    Path("report.html").write_text("the last one", encoding="utf-8")
    assert run(monkeypatch, "report", "--html", "report.html") == 2
    assert "a live index" in capsys.readouterr().err
    assert Path("report.html").read_text(encoding="utf-8") == "the last one"


@pytest.mark.model
def test_the_real_embedder_finds_what_is_planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.chdir(tmp_path)
    corpus = tmp_path / "corpus" / "shop"
    corpus.mkdir(parents=True)
    ingested(corpus, monkeypatch, capsys)
    assert run(monkeypatch, "report", "--json", "--strict") == 1
    check(json.loads(capsys.readouterr().out))
