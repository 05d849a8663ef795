"""A generation that answers the gold questions worse than the live one does not go live, unless it is forced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from indexing import in_this_process
from typer.testing import CliRunner

from rag import keeping
from rag.__main__ import app
from rag.evaluate.gate import Candidate, differences, evenly
from rag.evaluate.gold import Question

FAQ = """question,answer
How long is the warranty?,The warranty lasts two years.
Do you ship to Norway?,"Yes, to Norway we ship within nine days."
Can I pay by invoice?,Companies pay by invoice within thirty days.
"""


def gold(number: int, question: str, answer: str, quote: str) -> str:
    source = {"document": "faq.csv", "entry": "", "quote": quote}
    row = {"id": f"q{number}", "lang": "en", "question": question, "answer": answer, "answerable": True, "sources": [source]}
    return json.dumps(row | {"kind": "single"})


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    in_this_process(monkeypatch)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "faq.csv").write_text(FAQ)
    (tmp_path / "docs" / "about.md").write_text("# About\n\nWe are a small shop with a large cellar.\n")
    rows = [
        gold(1, "How long is the warranty?", "Two years.", "The warranty lasts two years."),
        gold(2, "Do you ship to Norway?", "Yes, within nine days.", "Yes, to Norway we ship within nine days."),
        gold(3, "Can I pay by invoice?", "Companies can.", "Companies pay by invoice within thirty days."),
    ]
    (tmp_path / "gold.jsonl").write_text("\n".join(rows))
    (tmp_path / "shoptalk.toml").write_text('corpus = "docs"\nfakes = true\n[index]\ngold = "gold.jsonl"\n')
    assert ingest()[0] == 0
    return tmp_path


def ingest(*options: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["ingest", *options])
    return result.exit_code, str(result.exception or result.output)


def live() -> int:
    manifest = keeping.build_generations(keeping.Settings()).live()
    assert manifest is not None
    return manifest.number


def test_what_answers_worse_stays_out_until_it_is_forced(shop: Path, caplog: pytest.LogCaptureFixture) -> None:
    (shop / "docs" / "faq.csv").write_text(FAQ.replace("two years", "a lifetime"))
    code, said = ingest()
    assert code != 0 and live() == 1
    assert "no metric on 3 gold questions worse than generation 1 by more than 0.02" in said
    assert "answers.right worse by 0.333" in said and "(How long is the warranty?)" in said and "ingest --force" in said
    told = json.loads((shop / ".shoptalk" / "gold-changed.json").read_text())
    [change] = told["changes"]
    assert (told["before"], change["worth_before"], change["worth_after"]) == (1, 1, -1)
    assert "two years" in change["before"] and "a lifetime" in change["after"]
    told = CliRunner().invoke(app, ["report", "--sample=0", "--html=report.html"]).output
    assert "Gold questions answered otherwise than by generation 1: 1." in told and "worse" in told
    assert "a lifetime" in (shop / "report.html").read_text()
    assert ingest("--force")[0] == 0 and live() == 3
    assert "forced live: expected no metric" in caplog.text


def test_what_answers_as_well_goes_live_and_only_what_changed_is_asked(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    ask = Candidate.ask

    def counting(self: Candidate, items: list[Question]) -> object:
        asked.extend(item.id for item in items)
        return ask(self, items)

    monkeypatch.setattr(Candidate, "ask", counting)
    (shop / "shoptalk.toml").write_text((shop / "shoptalk.toml").read_text() + "[retrieve]\npassages = 1\n")
    (shop / "docs" / "about.md").write_text("# About\n\nWe are a large shop with a small cellar.\n")
    assert ingest()[0] == 0 and live() == 2
    asked.clear()  # the setting changed what is found
    (shop / ".shoptalk" / "gold-found.json").unlink()  # then both are searched
    (shop / "docs" / "about.md").write_text("# About\n\nWe are a shop.\n")
    assert ingest()[0] == 0 and live() == 3
    assert asked == []
    (shop / "docs" / "faq.csv").write_text(FAQ.replace("two years", "two years from the day of purchase"))
    (shop / "gold.jsonl").write_text((shop / "gold.jsonl").read_text().replace("two years.", "two years"))
    assert ingest()[0] == 0 and live() == 4
    assert asked == ["q1", "q1"], "before and after"


def test_gold_that_cannot_be_read_is_told_before_anything_is_done(shop: Path) -> None:
    (shop / "gold.jsonl").write_text("{}\n")
    (shop / "docs" / "about.md").write_text("# About\n\nNew.\n")
    code, said = ingest()
    assert code != 0 and "gold.jsonl:1" in said and live() == 1


def test_with_another_embedder_there_is_nothing_to_compare_with(shop: Path, caplog: pytest.LogCaptureFixture) -> None:
    (shop / "shoptalk.toml").write_text((shop / "shoptalk.toml").read_text() + 'chroma_url = ""\n[chunk]\ntokens = 100\n')
    assert ingest()[0] == 0 and live() == 2
    assert "could not be compared" not in caplog.text, "other chunks are compared"


def test_differences_are_over_all_questions_a_metric_applies_to() -> None:
    items = [Question.model_validate_json(gold(n, "q", "a", "a")) for n in range(4)]
    changed = [
        ({"score": 1.0, "answers.right": 1.0, "answers.wrong": 0.0}, {"score": -1.0, "answers.right": 0.0, "answers.wrong": 1.0})
    ]
    by = differences(changed, items)
    assert (by["score"], by["answers.right"], by["answers.wrong"], by["refusals.recall"]) == (-0.5, -0.25, -0.25, 0)
    assert evenly(items, 2) == [items[0], items[2]]
    assert evenly(items, 0) == evenly(items, 9) == items
