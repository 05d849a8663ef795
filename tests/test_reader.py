"""The generator alone on given passages: figures by hand, the prompt, rows that are kept, with and without the adapter."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rag import loading
from rag.__main__ import app
from rag.answer.similarity import Similarity
from rag.errors import ModelFailed, SettingsError
from rag.evaluate.comprehension import Exercise, load_comprehension
from rag.evaluate.reader import Reader, evaluate_reader
from rag.evaluate.reading import MEASURES, marks, published_readers
from rag.evaluate.rows import Row
from rag.fakes import HashEmbedder, ScriptedGenerator
from rag.settings import ModelSettings, Settings
from rag.types import Chunk, Kind, Language, Passage
from tests.test_comprehension import LAMP, ROWS, TEA, write

SHOPS: dict[Language, str] = {"en": "Pinebeck", "zh": "松溪"}
REPLIES = ("It runs for 40 hours [1].", "NO ANSWER", "福建 [1]。")


def exercise(*texts: str, question: str = "How long does it run?", answers: Sequence[str] = ("40 hours",)) -> Exercise:
    passages = tuple(Passage(Chunk("", "", "", 0, Kind.PASSAGE, "Lamp", (), text), 0.0) for text in texts or (LAMP,))
    return Exercise("q", "zh" if "茶" in question else "en", question, passages, tuple(answers))


def reader(*replies: str, prompt_tokens: int = 600) -> Reader:
    return Reader(ScriptedGenerator(replies), Similarity(HashEmbedder()), SHOPS, prompt_tokens, 80)


def row(text: str, outcome: str = "answered") -> Row:
    return Row(id="q", fingerprint="", outcome=outcome, text=text, total_ms=1500.0)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> dict[str, ScriptedGenerator]:
    """Adapter -> its generator, with REPLIES; the base answers everything with "90 g", even what the passage leaves open."""
    made = {"": ScriptedGenerator(["90 g."] * 3), "tuned": ScriptedGenerator(REPLIES)}
    monkeypatch.setattr(loading, "build_generator", lambda settings: made[settings.models.adapter])
    return made


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", fakes=True, models=ModelSettings(adapter="tuned"))


def test_marks_by_hand() -> None:
    assert marks(exercise(), row("It runs for 40 hours [1].")) == {
        "seconds": 1.5,
        "number not held": False,
        "F1 where answered": pytest.approx(2 * 2 / (5 + 2)),  # it, runs, for, 40, hours
        "F1": pytest.approx(4 / 7),
        "SQuAD 2.0 F1": pytest.approx(4 / 7),
        "exact match": False,
        "contains an answer": True,
        "declined wrongly": False,
    }
    assert marks(exercise(), row("NO ANSWER", "refused")) == {
        "seconds": 1.5,
        "F1": 0,
        "SQuAD 2.0 F1": 0,
        "exact match": False,
        "contains an answer": False,
        "declined wrongly": True,
    }
    left_open = exercise(question="Is it waterproof?", answers=())
    assert marks(left_open, row("NO ANSWER", "refused")) == {"seconds": 1.5, "declined rightly": True, "SQuAD 2.0 F1": True}
    assert marks(left_open, row("Yes, to 30 m [1].")) == {
        "seconds": 1.5,
        "number not held": True,
        "declined rightly": False,
        "SQuAD 2.0 F1": False,
    }


def test_the_nearest_gold_answer_counts() -> None:
    found = marks(exercise(answers=("forty hours of light", "40 hours")), row("The 40 hours [1]!"))
    assert (found["F1"], found["exact match"]) == (1, True)


def test_chinese_is_scored_by_character() -> None:
    found = marks(exercise(TEA, question="茶产自哪里？", answers=("福建",)), row("產自福建 [1]。"))
    assert found["F1"] == pytest.approx(2 * 2 / (4 + 2)) and found["contains an answer"] and not found["exact match"]


@pytest.mark.parametrize(
    ("reply", "outcome"), [("40 hours [1].", "answered"), ("No answer.", "refused"), ("", "refused"), ("[1].", "refused")]
)
def test_a_reply_is_answered_or_declined(reply: str, outcome: str) -> None:
    read = reader(reply).read(exercise(), "key")
    assert (read.id, read.fingerprint, read.outcome, read.text) == ("q", "key", outcome, reply)
    assert read.total_ms is not None and read.total_ms > 0


def test_a_short_passage_is_shown_whole_in_the_prompt_of_serving() -> None:
    system, user = reader().prompt(exercise()).messages
    assert "Pinebeck" in system.text and "write only None" in system.text
    assert user.text == f'Passages:\n[1] Lamp\n"""\n{LAMP}\n"""\n\nQuestion: How long does it run?'


def test_a_long_passage_is_cut_to_whole_sentences_around_the_best() -> None:
    told = [f"Sentence number {word} speaks of nothing in particular." for word in "abcdefghijklmnopqrstuvwxyz"]
    told.insert(13, "On one charge the lamp runs for 40 hours.")
    given = exercise(" ".join(told), question="How long does the lamp run on one charge?")
    measured = reader(prompt_tokens=150)
    prompt = measured.prompt(given)
    assert measured.generator.count(prompt.messages) <= 150
    shown = prompt.messages[1].text.split('"""')[1].strip().split("\n")
    assert set(told[12:15]) <= set(shown) and 3 < len(shown) < len(told)
    assert shown == [sentence for sentence in told if sentence in shown]
    assert measured.cut(given.question, " ".join(told), 0) == told[13]  # one sentence stays, whatever the room


def test_each_of_several_passages_keeps_its_share() -> None:
    long = " ".join(f"Lamp {word} is a lamp that runs on and on." for word in "abcdefghij")
    given = exercise(long, long.replace("Lamp", "Torch"))
    measured = reader(prompt_tokens=200)
    prompt = measured.prompt(given)
    assert measured.generator.count(prompt.messages) <= 200 and len(prompt.passages) == 2
    assert "Torch" in prompt.messages[1].text


def test_a_run_over_two_languages(scripted: dict[str, ScriptedGenerator], settings: Settings, tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    result = evaluate_reader(settings, write(tmp_path / "a", a_jsonl=ROWS), progress=lambda *step: steps.append(step))
    assert steps == [("ask Shoptalk", 1, 3), ("ask Shoptalk", 2, 3), ("ask Shoptalk", 3, 3)]
    english, chinese = (result.figures["Shoptalk"][language] for language in ("en", "zh"))
    assert (english["F1"].value, english["F1"].n) == (pytest.approx(4 / 7), 1)
    assert (english["declined rightly"].value, english["SQuAD 2.0 F1"].value) == (1, pytest.approx((1 + 4 / 7) / 2))
    assert english["F1"].low is not None and english["seconds, p95"].n == 2
    assert (chinese["exact match"].value, chinese["declined wrongly"].value) == (1, 0)
    assert "SQuAD 2.0 F1" not in chinese  # nothing is left open in Chinese: it would be F1 again
    assert set(english) | set(chinese) == set(MEASURES)
    assert [row.text for row in result.replies[-1].rows][2] == "这款茶产自福建。"  # it shares words with the question
    assert result.figures["best sentence"]["zh"]["contains an answer"].value == 1
    assert result.figures["best sentence"]["en"]["declined rightly"].value == 0


def test_base_and_adapter_side_by_side(scripted: dict[str, ScriptedGenerator], settings: Settings, tmp_path: Path) -> None:
    result = evaluate_reader(settings, write(tmp_path / "a", a_jsonl=ROWS), base=True)
    assert list(result.figures) == ["Shoptalk", "without adapter", "best sentence"]
    assert result.figures["without adapter"]["en"]["declined rightly"].value == 0
    table = result.table()
    head = next(line for line in table.splitlines() if "metric" in line)
    assert head.split() == ["metric", "Shoptalk", "without", "adapter", "best", "sentence", "n"]
    rightly = next(line for line in table.splitlines() if "declined rightly" in line)
    assert rightly.split()[:7] == ["en", "declined", "rightly", "1.000", "[1.000,", "1.000]", "0.000"]
    assert all(measure in table for measure in MEASURES)
    plain = json.loads(json.dumps(result.as_dict()))
    assert plain["systems"]["without adapter"]["rows"][1]["text"] == "90 g."
    assert plain["systems"]["Shoptalk"]["rows"][1]["marks"]["declined rightly"] is True
    assert plain["systems"]["Shoptalk"]["languages"]["zh"]["F1"]["n"] == 1


@pytest.mark.parametrize("models", [ModelSettings(adapter=""), ModelSettings(adapter="tuned", api_url="http://127.0.0.1:1")])
def test_base_needs_an_adapter(tmp_path: Path, models: ModelSettings) -> None:
    with pytest.raises(SettingsError, match=r"an adapter in models\.adapter, .*; set it or leave out --base"):
        evaluate_reader(Settings(fakes=True, models=models), write(tmp_path / "a", a_jsonl=ROWS), base=True)


def test_a_run_that_was_cut_off_goes_on(
    monkeypatch: pytest.MonkeyPatch, scripted: dict[str, ScriptedGenerator], settings: Settings, tmp_path: Path
) -> None:
    folder, out = write(tmp_path / "a", a_jsonl=ROWS), tmp_path / "out.json"
    failing = ScriptedGenerator([*REPLIES[:2], ModelFailed(expected="a token", found="none", remedy="no")])
    scripted["tuned"] = failing
    with pytest.raises(ModelFailed):
        evaluate_reader(settings, folder, out=out)
    scripted["tuned"] = ScriptedGenerator(REPLIES[2:])
    result = evaluate_reader(settings, folder, out=out, base=True)
    assert [row.text for row in result.replies[0].rows] == list(REPLIES)
    assert len(scripted["tuned"].prompts) == 1 and len(scripted[""].prompts) == 3
    assert {path.name for path in tmp_path.glob("out*")} == {"out.rows.jsonl", "out.base.rows.jsonl"}
    evaluate_reader(settings, folder, out=out, base=True)  # no script is left: asked again, the replies would be empty
    assert len(scripted["tuned"].prompts) == 1
    (folder / "a.jsonl").write_text((folder / "a.jsonl").read_text().replace("waterproof", "heavy"))
    evaluate_reader(settings, folder, out=out)
    assert len(scripted["tuned"].prompts) == 2  # another question


def test_what_others_published_stands_beside_its_file_alone(settings: Settings, tmp_path: Path) -> None:
    known = published_readers()[0]
    plain = settings.model_copy(update={"models": ModelSettings()})
    folder = write(tmp_path / known.name, **{known.file.replace(".", "_"): ROWS, "other_jsonl": ROWS})
    shown = evaluate_reader(plain, folder, known.file)
    assert shown.known == known and "BERT *" in shown.table() and known.says in shown.table()
    assert "0.553" in next(line for line in shown.table().splitlines() if line.strip().startswith("en  F1  "))
    assert "BERT" not in evaluate_reader(plain, folder, "other.jsonl").table()


def test_published_figures_are_of_known_measures() -> None:
    for known in published_readers():
        assert all(peer.keys() <= MEASURES.keys() for peer in known.peers.values())


def test_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SHOPTALK_FAKES", "1")
    folder, out = write(tmp_path / "a", a_jsonl=[*ROWS, {**ROWS[0], "id": "4", "question": "?"}]), tmp_path / "out.json"
    given = ["eval", "reader", "--set", str(folder), "--home", str(tmp_path / "home"), "--limit", "2", "--json", str(out)]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    assert "2 questions); 1 blank ones left out; Shoptalk: scripted" in done.output
    found = json.loads(out.read_text(encoding="utf-8"))
    assert [row["id"] for row in found["systems"]["Shoptalk"]["rows"]] == ["q1", "q2"]
    assert found["data"]["digest"] == load_comprehension(folder).spread(2).digest
