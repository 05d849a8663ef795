"""`search` and `expiring` on the test doubles and real Chroma."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from test_cli import run, shop  # noqa: F401 - a fixture

from rag.answer.fitted import shipped

FRONT = "---\ntitle: Sale\nregion: eu\nvalid_from: 2026-01-01\nvalid_to: 2026-05-20\n---\n\nLamps are half price in the sale.\n"
CN = "---\ntitle: Returns in China\nregion: cn\n---\n\nYou can return a lamp within 7 days.\n"
PRODUCTS = "id,name,language,price\nHL1,Swift 360 Lamp,en,10 EUR\n"
Output = pytest.CaptureFixture[str]


@pytest.fixture
def searched(shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:  # noqa: F811
    (shop / "sale.md").write_text(FRONT, encoding="utf-8")
    (shop / "cn.md").write_text(CN, encoding="utf-8")
    (shop / "products.csv").write_text(PRODUCTS, encoding="utf-8")
    monkeypatch.setenv("SHOPTALK_ANSWER__TODAY", "2026-05-10")
    assert run(monkeypatch, "ingest") == 0
    capsys.readouterr()


def find(monkeypatch: pytest.MonkeyPatch, capsys: Output, *arguments: str) -> dict[str, object]:
    assert run(monkeypatch, "search", *arguments, "--json") == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def documents(found: dict[str, object]) -> list[str]:
    return [passage["document"] for passage in found["passages"]]  # type: ignore[attr-defined]


@pytest.mark.usefixtures("searched")
def test_passages_best_first(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    found = find(monkeypatch, capsys, "return a lamp", "-k", "2")
    assert found["query"] == "return a lamp" and set(documents(found)) == {"returns.md", "cn.md"}
    best = found["passages"][0]  # type: ignore[index]
    assert set(best) == {"rank", "id", "document", "title", "score", "scores", "text"} and best["rank"] == 1
    assert run(monkeypatch, "search", "return a lamp") == 0
    assert "You can return a lamp within" in capsys.readouterr().out


@pytest.mark.usefixtures("searched")
def test_filters_and_the_shops_own_region(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    assert "cn.md" not in documents(find(monkeypatch, capsys, "return a lamp", "--region", "eu"))
    monkeypatch.setenv("SHOPTALK_RETRIEVE__REGION", "EU")
    assert "cn.md" not in documents(find(monkeypatch, capsys, "return a lamp"))
    assert "sale.md" not in documents(find(monkeypatch, capsys, "return a lamp", "--region", "cn"))
    assert "products.csv" in documents(find(monkeypatch, capsys, "price", "--product", "the swift360"))


@pytest.mark.usefixtures("searched")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("search", "returns", "--region", "US"), "expected region to be one of CN, EU; found 'US'"),
        (("ask", "returns", "--product", "PB-1"), "expected product to be one of HL1; found 'PB-1'"),
        (("ask", "returns", "--audience", "kids"), "expected audience to be left out, because no document says one"),
        (("search", "🙂"), "expected a question with a letter or a digit"),
        (("search", "returns", "--history", "nowhere.json"), "nowhere.json"),
    ],
)
def test_what_cannot_be_searched_says_why(
    arguments: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    assert run(monkeypatch, *arguments) == 2
    assert told in capsys.readouterr().err


@pytest.mark.usefixtures("searched")
def test_explain_shows_forms_names_scores_and_reasons(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    Path("history.json").write_text('[{"role": "user", "text": "Tell me of the Swift 360."}]', encoding="utf-8")
    monkeypatch.setenv("SHOPTALK_ANSWER__TODAY", "2026-06-01")
    asked = ("is it in the sale?", "--history", "history.json", "--explain", "-k", "1", "--region", "eu")
    trace = find(monkeypatch, capsys, *asked)
    assert trace["forms"] == {
        "text": "Swift 360: is it in the sale?",
        "context": "Swift 360: is it in the sale? Tell me of the Swift 360.",
    }
    assert trace["named"] == {"Swift 360": ["HL1"]} and trace["carried"] == [["HL1"]]
    assert trace["filter"] == {"language": "", "region": "eu", "product": "", "audience": ""} and trace["day"] == "2026-06-01"
    dropped = {one["document"]: (one["dropped"] or {}).get("why") for one in trace["considered"]}  # type: ignore[attr-defined]
    assert dropped["products.csv"] is None and dropped["returns.md"] == "below the first 1"
    assert dropped["sale.md"] == "expired on 2026-05-20" and dropped["cn.md"] == "filter: its region is CN"
    best = trace["considered"][0]  # type: ignore[index]
    assert best["score"] == pytest.approx(sum(best["parts"].values()), abs=0.01) and best["features"]["product"] == 1
    assert run(monkeypatch, "search", *asked) == 0
    table = capsys.readouterr().out
    for part in (
        "rewritten  Swift 360: is it",
        "names      Swift 360 (HL1)",
        "region=eu in force on 2026-06-01",
        "expired on 2026-05-20",
    ):
        assert part in table


@pytest.mark.usefixtures("searched")
@pytest.mark.parametrize("question", ["x" * 10_000, "b", "ما هي سياسة الإرجاع؟", "[red]return[/]", "退货？"])
def test_odd_questions_find_something(question: str, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    assert documents(find(monkeypatch, capsys, question))
    assert run(monkeypatch, "search", question, "--explain") == 0
    assert question[:50] in capsys.readouterr().out


@pytest.mark.usefixtures("searched")
def test_what_ends_next(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    assert run(monkeypatch, "expiring", "--json") == 0
    [term] = json.loads(capsys.readouterr().out)
    assert (term["document"], term["state"], term["days"], term["valid_to"]) == ("sale.md", "ends", 10, "2026-05-20")
    assert run(monkeypatch, "expiring", "--within", "9") == 0
    assert capsys.readouterr().out == "nothing ends or begins within 9 days\n"
    assert run(monkeypatch, "expiring") == 0
    assert "in 10 days" in capsys.readouterr().out


@pytest.mark.usefixtures("searched")
def test_each_question_of_a_batch_may_have_its_own_filter(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    questions = [{"question": "return a lamp", "filter": {"region": "CN"}}, {"question": "return a lamp"}]
    Path("questions.jsonl").write_text("\n".join(map(json.dumps, questions)), encoding="utf-8")
    assert run(monkeypatch, "ask", "--batch", "questions.jsonl", "--region", "EU") == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert "sale.md" not in documents(first) and "cn.md" in documents(first)
    assert "cn.md" not in documents(second) and "sale.md" in documents(second)


@pytest.mark.usefixtures("searched")
def test_explain_tells_the_confidence_where_one_is_fitted(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    assert find(monkeypatch, capsys, "returns", "--explain")["confidence"] is None
    own = replace(shipped(), embedder="hash-64", found={"en": {"one": 1.0, "score": 0.5}, "zh": {"one": 0.0}})
    Path(".shoptalk/fitted.toml").write_text(own.as_toml(), encoding="utf-8")
    trace = find(monkeypatch, capsys, "returns", "--explain")
    best = trace["considered"][0]["score"]  # type: ignore[index]
    assert trace["confidence"] == pytest.approx(1 / (1 + math.exp(-1 - best / 2)), abs=1e-3)
    assert run(monkeypatch, "search", "退货？", "--explain") == 0
    assert "confidence 0.500" in capsys.readouterr().out
