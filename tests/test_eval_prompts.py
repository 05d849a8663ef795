"""Prompts side by side: a whole run with the fakes, what each figure says, a run that goes on, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rag import build, loading
from rag.__main__ import app
from rag.errors import ModelFailed, SettingsError
from rag.evaluate.gold import Question, Source
from rag.evaluate.prompts import PromptsResult, evaluate_prompts, in_form, spread, variants
from rag.fakes import ScriptedGenerator
from rag.settings import AnswerSettings, RetrieveSettings, Settings

WARRANTY = "Every lamp has a warranty of 2 years."
FAQ = """\
question,answer,language
When is a refund paid?,A refund takes 5 days.,en
Can I pay by invoice?,Yes: from 30 EUR.,en
怎么开发票？,下单时填写抬头。,zh
"""
ITEMS = [
    Question(id="q1", lang="en", question="How long is the lamp warranty?", answer="2 years", answerable=True, kind="single",
             sources=[Source(document="warranty.md", quote="a warranty of 2 years")]),
    Question(id="q2", lang="en", question="Does the warranty cover a lost lamp?", answer="", answerable=False, kind="neighbour",
             sources=[]),
    Question(id="q3", lang="zh", question="头灯保修多久？", answer="3 年", answerable=True, kind="single",
             sources=[Source(document="baoxiu.md", quote="头灯保修 3 年")]),
    Question(id="q4", lang="zh", question="头灯多重？", answer="", answerable=False, kind="neighbour", sources=[]),
]  # fmt: skip
REPLIES = {
    "tuned": ["Found: Every lamp has a warranty of 2 years. [1]", "None", "Found: 头灯保修 3 年。 [1]", "None"],
    "general": ["Certainly! I am glad to help.", "No answer.", "Found: 头灯保修 3 年。[1]", "None."],
}


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    file = tmp_path / "gold" / "mine.jsonl"
    file.parent.mkdir()
    file.write_text("".join(item.model_dump_json() + "\n" for item in ITEMS), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("prompts")
    shop = folder / "shop"
    shop.mkdir()
    (shop / "warranty.md").write_text(f"# Warranty\n\n{WARRANTY}\n", encoding="utf-8")
    (shop / "baoxiu.md").write_text("# 保修\n\n头灯保修 3 年。\n", encoding="utf-8")
    (shop / "faq.csv").write_text(FAQ, encoding="utf-8")
    policy = AnswerSettings(rungs=("generated",), refuse_below_en=0, refuse_below_zh=0)
    made = Settings(home=folder / "home", corpus=shop, fakes=True, answer=policy, retrieve=RetrieveSettings(passages=2))
    build.run_ingest(made)
    return made


def script(monkeypatch: pytest.MonkeyPatch, *replies: str | Exception) -> ScriptedGenerator:
    generator = ScriptedGenerator(replies)
    monkeypatch.setattr(loading, "build_generator", lambda settings: generator)
    return generator


@pytest.fixture
def result(monkeypatch: pytest.MonkeyPatch, settings: Settings, gold: Path, tmp_path: Path) -> PromptsResult:
    script(monkeypatch, *REPLIES["general"], *REPLIES["tuned"])
    return evaluate_prompts(settings, gold, out=tmp_path / "out.json")


def test_all_families_by_default(result: PromptsResult) -> None:
    general, tuned = result.variants["general+2"], result.variants["tuned"]
    assert list(result.variants) == ["general+2", "tuned"]
    assert (general.read, general.in_form, tuned.read, tuned.in_form) == (4, 0.5, 4, 1.0)
    assert general.examples is not None and 0 < general.examples <= 2 and tuned.examples == 0
    assert general.prompt_tokens and tuned.prompt_tokens and general.prompt_tokens > tuned.prompt_tokens
    assert tuned.seconds is not None and tuned.seconds > 0
    assert tuned.overall["answers.right"].value == 1 and tuned.overall["answers.wrong"].value == 0
    assert tuned.overall["refusals.recall"].value == 1 and tuned.overall["refusals.false"].value == 0
    assert (tuned.overall["score"].value, general.overall["score"].value) == (0.5, 0.25)


def test_the_table_and_the_json(result: PromptsResult) -> None:
    table = result.table()
    rows = {line.split("  ")[0].strip(): line for line in (line.strip() for line in table.splitlines())}
    assert rows["tuned"].split()[1:8] == ["0.500", "1.000", "0.000", "1.000", "0.000", "0.444", "0.500"]
    assert rows["tuned"].split()[8:10] == ["4", "1.000"] and rows["general+2"].split()[8:10] == ["4", "0.500"]
    assert "4 questions); generator scripted" in table and "in form: replies" in table
    plain = json.loads(json.dumps(result.as_dict()))
    assert plain["variants"]["tuned"]["overall"]["score"]["value"] == 0.5
    assert plain["variants"]["general+2"]["in_form"] == 0.5


def test_a_run_that_was_cut_off_goes_on(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, gold: Path, tmp_path: Path, result: PromptsResult
) -> None:
    notes = tmp_path / "out.tuned.notes.jsonl"
    with notes.open("a", encoding="utf-8") as stream:
        stream.write('\n{"id": "q4", "cut o')  # a crash
    silent = script(monkeypatch)
    again = evaluate_prompts(settings, gold, out=tmp_path / "out.json")
    assert again.as_dict() == result.as_dict() and not silent.prompts
    failing = script(monkeypatch, *REPLIES["tuned"][:1], ModelFailed(expected="a token", found="none", remedy="no"))
    fewer = evaluate_prompts(settings, gold, ["general"], [0], tmp_path / "out.json", limit=2)
    assert fewer.variants["general+0"].read == 1 and len(failing.prompts) == 2
    assert fewer.variants["general+0"].overall["failures"].value == 0.5
    asked = script(monkeypatch, "None", "None", "None")
    whole = evaluate_prompts(settings, gold, ["general"], [0], tmp_path / "out.json")
    assert len(asked.prompts) == 3 and whole.variants["general+0"].read == 4


def test_a_shops_own_prompt_that_changed_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, gold: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for language in ("en", "zh"):
        (own / f"system_{language}.md").write_text("$shop: Found: or None", encoding="utf-8")
        (own / f"user_{language}.md").write_text("$passages\n$history\n$question", encoding="utf-8")
        (own / f"history_{language}.md").write_text("$turns", encoding="utf-8")
    for times in (4, 0):
        generator = script(monkeypatch, *["None"] * 4)
        found = evaluate_prompts(settings, gold, [str(own)], [1], tmp_path / "out.json")
        assert list(found.variants) == [f"{own}+1"] and len(generator.prompts) == times
    (own / "history_zh.md").write_text("$turns!", encoding="utf-8")
    generator = script(monkeypatch, *["None"] * 4)
    evaluate_prompts(settings, gold, [str(own)], [1], tmp_path / "out.json")
    assert len(generator.prompts) == 4


def test_nothing_is_asked_where_a_prompt_is_wrong(monkeypatch: pytest.MonkeyPatch, settings: Settings, gold: Path) -> None:
    generator = script(monkeypatch, "None")
    with pytest.raises(SettingsError, match="found 'tunde'"):
        evaluate_prompts(settings, gold, ["tuned", "tunde"])
    assert not generator.prompts


def test_variants_are_every_pair_but_the_tuned_prompt_has_no_examples() -> None:
    found = variants(Settings(), ["general", "auto"], [0, 3])
    assert list(found) == ["general+0", "general+3", "tuned"]
    assert [(one.answer.prompt, one.answer.examples) for one in found.values()] == [("general", 0), ("general", 3), ("tuned", 0)]


@pytest.mark.parametrize(
    ("reply", "well"),
    [
        ("Found: 5 days. [1]", True),
        (" None\n", True),
        ("None.", True),
        ("", False),
        ("found it", False),
        ("5 days [1].", False),
        ("None of the lamps is waterproof.", False),
    ],
)
def test_the_form(reply: str, well: bool) -> None:
    assert in_form(reply) is well


def test_a_part_is_spread_over_the_set() -> None:
    assert [item.id for item in spread(ITEMS, 2)] == ["q1", "q3"]
    assert [len(spread(ITEMS, limit)) for limit in (0, 3, 4, 9)] == [4, 3, 4, 4]


def test_the_command(monkeypatch: pytest.MonkeyPatch, settings: Settings, gold: Path, tmp_path: Path) -> None:
    monkeypatch.setenv("SHOPTALK_FAKES", "true")
    script(monkeypatch)
    out = tmp_path / "new" / "out.json"
    options = ["--home", str(settings.home), "--prompt", "general", "--examples", "0", "--examples", "1", "--limit", "2"]
    done = CliRunner().invoke(app, ["eval", "prompts", "--gold", str(gold), "--json", str(out), *options])
    assert done.exit_code == 0, done.output
    assert "general+0" in done.output and "general+1" in done.output
    assert json.loads(out.read_text(encoding="utf-8"))["data"]["questions"] == "2"
    wrong = CliRunner().invoke(app, ["eval", "prompts", "--gold", str(gold), "--examples", "7"])
    assert wrong.exit_code == 2 and "less than or equal to 6" in wrong.output
