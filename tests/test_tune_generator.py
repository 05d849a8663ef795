from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import make_llama
from torch.nn import functional

from rag.answer.reply import NONE
from rag.errors import DataError, ModelMissing
from rag.fakes import ScriptedGenerator
from rag.models.generate import TransformersGenerator
from rag.tune.generator import flow
from rag.tune.generator.judge import judged
from rag.tune.generator.lessons import own_lessons, written_lessons
from rag.tune.generator.pack import IGNORED, Row, pack
from rag.tune.generator.pages import page_lessons
from rag.tune.generator.public import public_lessons
from rag.tune.generator.train import Plan, adapted, train
from rag.tune.retriever.sources import authored
from rag.tune.sound import Skipped
from rag.types import Language

SHOPS: dict[Language, str] = {"en": "Shop", "zh": "店"}


def entry(number: int) -> dict[str, Any]:
    """One written entry with all that it may have."""
    return {
        "topic": f"thing {number}",
        "en": [f"How long does thing {number} run?", f"When does {number} stop?", f"thing {number} hours"],
        "zh": [f"{number} 号能用多久？", f"{number} 号几时停？", f"{number} 号时长"],
        "en_answer": f"Thing number {number} runs for {number + 310} hours and charges in {number + 40} minutes.",
        "zh_answer": f"{number} 号可用 {number + 310} 小时，充电 {number + 40} 分钟。",
        "en_reply": f"It runs for {number + 310} hours.",
        "zh_reply": f"可用 {number + 310} 小时。",
        "en_false": [f"Thing {number} runs for 9 hours?", f"It runs for {number + 310} hours."],
        "zh_false": [f"{number} 号只能用 9 小时？", f"可用 {number + 310} 小时。"],
        "en_next": ["And charging?", f"It charges in {number + 40} minutes."],
        "zh_next": None,
    }


ENTRIES = [entry(number) for number in range(30)]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_reply_stands_in_the_passage_it_cites_and_what_is_missing_is_declined(language: Language) -> None:
    lessons = written_lessons(ENTRIES, language, 0)
    kinds = [branch.kind for lesson in lessons for branch in lesson.branches]
    assert {"answer", "premise", "missing"} <= set(kinds)
    assert ("follow-up" in kinds) == (language == "en")
    assert 0.1 < kinds.count("missing") / len(kinds) < 0.3
    for lesson in lessons:
        for branch in lesson.branches:
            if branch.kind == "missing":
                assert branch.reply == NONE
                continue
            reply, _, marker = branch.reply.rpartition(" [")
            cited = lesson.passages[int(marker.rstrip("]")) - 1].chunk.text
            figures = [word for word in reply.replace("。", " ").replace(".", " ").split() if word.isdigit()]
            assert figures and all(figure in cited for figure in figures)


def test_the_replies_written_for_shoptalk_say_no_figure_that_their_passage_does_not() -> None:
    learnt, unseen = authored()
    checked = 0
    for row in learnt + unseen:
        for language in ("en", "zh"):
            told = [row.get(f"{language}_reply"), *(row.get(f"{language}_{kind}", ["", ""])[1] for kind in ("false", "next"))]
            for reply in filter(None, told):
                assert set(re.findall(r"\d+", reply)) <= set(re.findall(r"\d+", row[f"{language}_answer"])), reply
                checked += 1
    assert checked > 20_000


def test_figures_are_swapped_in_about_half_of_the_lessons() -> None:
    original = {row["en_answer"] for row in ENTRIES}
    lessons = written_lessons(ENTRIES, "en", 0, rounds=4)
    kept = [any(text in passage.chunk.text for text in original for passage in lesson.passages) for lesson in lessons]
    assert 0.3 < sum(kept) / len(kept) < 0.7


def test_some_passages_are_in_the_other_language() -> None:
    lessons = written_lessons(ENTRIES, "zh", 0, rounds=6)
    foreign = [lesson for lesson in lessons if any("runs for" in passage.chunk.text for passage in lesson.passages)]
    assert 0.05 < len(foreign) / len(lessons) < 0.4
    assert all("号" in branch.query.text for lesson in foreign for branch in lesson.branches)
    assert all("号" not in passage.chunk.text for lesson in foreign for passage in lesson.passages)


def test_a_swapped_figure_is_the_same_wherever_it_stands() -> None:
    """Replies may state a figure that stands behind a colon, or within a time, in the passage."""
    text = "Noon:310 hours, from 12:45 to 13:50."
    row = ENTRIES[0] | {"en_answer": text, "zh_answer": text, "en_reply": "It runs for 310 hours from 12:45."}
    rows = [row | {"en": [f"How long {number}?"] * 3, "en_false": None, "en_next": None} for number in range(20)]
    changed = set()
    for lesson in written_lessons(rows, "en", 0, rounds=2):
        for branch in lesson.branches:
            if branch.kind != "missing":
                figure = re.findall(r"for (\d+) hours from 12:45", branch.reply)[0]
                assert any(f":{figure} hours, from 12:45 to 13:50." in passage.chunk.text for passage in lesson.passages)
                changed.add(figure)
    assert {"310"} < changed


def test_one_passage_may_hold_what_two_entries_say() -> None:
    lessons = written_lessons(ENTRIES, "en", 0)
    joined = [p for lesson in lessons for p in lesson.passages if p.chunk.text.count("Thing number") == 2]
    assert 0.05 < len(joined) / sum(len(lesson.passages) for lesson in lessons) < 0.4


def test_the_first_token_of_a_reply_weighs_more(llama: TransformersGenerator) -> None:
    [row] = rows(llama, 1)
    lesson = written_lessons(ENTRIES, "en", 0)[0]
    assert sorted(set(row.weights.tolist())) == [0.0, 1.0, 3.0]
    assert int((row.weights == 3.0).sum()) == len(lesson.branches)
    assert torch.equal(row.weights > 0, row.labels != IGNORED)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> TransformersGenerator:
    generator = TransformersGenerator(make_llama(tmp_path_factory.mktemp("llama")), dtype="float32")
    generator.load().model.config.max_position_embeddings = 4096
    return generator


def rows(generator: TransformersGenerator, count: int) -> list[Row]:
    lessons = written_lessons(ENTRIES, "en", 0)[:count]
    return [pack(lesson, SHOPS, generator.tokens, generator.ending) for lesson in lessons]


def test_a_packed_row_costs_what_its_branches_cost_alone(llama: TransformersGenerator) -> None:
    [lesson] = written_lessons(ENTRIES, "en", 0)[:1]
    model = llama.load().model
    row = pack(lesson, SHOPS, llama.tokens, llama.ending)

    def losses(row: Row) -> torch.Tensor:
        with torch.inference_mode():
            logits = model(input_ids=row.ids[None], position_ids=row.positions[None], attention_mask=row.mask()).logits[0]
        places = (row.labels != IGNORED).nonzero()[:, 0]
        return functional.cross_entropy(logits[places - 1], row.labels[places], reduction="none")

    alone = [
        losses(pack(type(lesson)(lesson.passages, (branch,), "written"), SHOPS, llama.tokens, llama.ending))
        for branch in lesson.branches
    ]
    torch.testing.assert_close(losses(row), torch.cat(alone), rtol=1e-3, atol=1e-3)
    assert len(row.ids) < 0.6 * sum(len(one) for one in alone) + 400 * len(alone)
    text = llama.load().tokenizer.decode([int(label) for label in row.labels if label != IGNORED])
    assert all(branch.reply in text for branch in lesson.branches)


def test_training_lowers_the_loss_and_a_killed_run_ends_where_an_undisturbed_one_does(tmp_path: Path) -> None:
    folder = make_llama(tmp_path / "base")

    def run(out: Path, write: Any = lambda *_: None) -> tuple[Any, list[dict[str, float]]]:
        generator = TransformersGenerator(folder, dtype="float32")
        model = adapted(generator.load().model, plan)
        own = rows(generator, 8)
        train(model, own[:6], own[6:], plan, out, write)
        return model, [json.loads(line) for line in (out / "curve.jsonl").read_text().splitlines()]

    def killed(step: int, figures: dict[str, float]) -> None:
        if step == 4:
            raise KeyboardInterrupt

    plan = Plan(steps=12, rank=4, alpha=8, rate=0.02, warm_up=2, lessons=2, every=2)
    undisturbed, curve = run(tmp_path / "whole")
    assert curve[-1]["loss"] < curve[0]["loss"]
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", killed)
    resumed, again = run(tmp_path / "killed")
    assert [row["step"] for row in again] == [row["step"] for row in curve]
    for (name, weight), (_, other) in zip(undisturbed.named_parameters(), resumed.named_parameters(), strict=True):
        torch.testing.assert_close(weight, other, rtol=0, atol=0, msg=name)


def test_a_declined_question_earns_nothing_and_declining_is_counted_apart() -> None:
    lessons = written_lessons(ENTRIES, "en", 0)
    asked = [branch for lesson in lessons for branch in lesson.branches]
    perfect = judged(ScriptedGenerator([branch.reply for branch in asked]), lessons, SHOPS, len(asked))
    assert [perfect[f"{name}, en"] for name in ("answered", "declined rightly", "declined wrongly")] == [1, 1, 0]
    silent = judged(ScriptedGenerator([NONE] * len(asked)), lessons, SHOPS, len(asked))
    assert [silent[f"{name}, en"] for name in ("answered", "declined rightly", "declined wrongly")] == [0, 1, 1]


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def test_public_lessons_cite_their_passage_decline_what_is_open_and_leave_measured_rows_out(tmp_path: Path) -> None:
    squad = tmp_path / "zh_squad2_dev"
    write(squad / "corpus.jsonl", [{"_id": "c", "title": "電池", "text": "電池在1800年由伏打發明。"}])
    write(squad / "queries.jsonl", [{"_id": id, "text": f"問{id}"} for id in "abx"])
    answers = [("a", ["伏打"], False), ("b", [], False), ("x", ["1800年"], True)]
    rows = [{"_id": id, "context_id": "c", "answers": texts, "in_xquad_context": held} for id, texts, held in answers]
    write(squad / "answers.jsonl", rows)
    policy = {
        "title": "site",
        "question": "What do you keep?",
        "context": "We keep your name and address.",
        "answers": ["your name and address"],
    }
    write(tmp_path / "policyqa" / "dev.jsonl", [policy])
    evidence = [
        {"question": f"q{n}?", "candidate": f"the lamp number {n} is very bright", "answer": f"the lamp number {n} is bright"}
        for n in range(5)
    ]
    opinion = {"question": "good?", "candidate": "yes i love the lamp", "answer": "yes i love the lamp"}
    write(tmp_path / "amazon_hetpqa_gen" / "train.jsonl", [*evidence, opinion])
    found = {(branch.query.text, branch.reply) for lesson in public_lessons(tmp_path, 0) for branch in lesson.branches}
    assert {("问a", "Found: 伏打 [1]"), ("问b", NONE), ("What do you keep?", "Found: your name and address [1]")} <= found
    assert not {question for question, _ in found} & {"问x", "good?"}
    with pytest.raises(DataError, match="zh_squad2_dev"):
        public_lessons(tmp_path / "nowhere", 0)


def test_the_adapter_that_is_written_loads_and_its_card_tells_what_it_was_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    base = make_llama(tmp_path / "base")
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 8192}))
    monkeypatch.setattr(flow, "authored", lambda skipped: (ENTRIES[:12], ENTRIES[12:24]))
    monkeypatch.setattr(flow, "JUDGED", 1)
    monkeypatch.setattr(flow, "VALIDATED", 1)
    plan = Plan(steps=2, rank=4, alpha=8, warm_up=1, lessons=2, every=1)
    lesson = {"lang": "en", "passages": [{"text": "You have 14 days."}], "question": "How long?", "reply": "You have 14 days."}
    long = lesson | {"question": "How long? " * 2000}
    write(tmp_path / "own.jsonl", [lesson, lesson | {"reply": "You have 15 days."}, long])
    monkeypatch.setattr(flow, "page_lessons", lambda seed, skipped: [])
    skipped = Skipped()
    own = own_lessons(tmp_path / "own.jsonl", skipped)
    figures = flow.tune_generator(base, SHOPS, None, tmp_path / "out", plan, "make it", skipped, brought=own)
    card = (tmp_path / "out" / "adapter" / "README.md").read_text(encoding="utf-8")
    assert "- the shop's own (brought by the shop): 2 lessons; 2 answer" in card and "and 1 faults of single rows" in card
    assert f"{tmp_path / 'own.jsonl'}:3: " in caplog.text and "more than 1600" in caplog.text
    assert "`make it`" in card and "- written (Apache-2.0, written for Shoptalk)" in card
    assert all(f"| {name} | {before} | {after} |" in card for name, (before, after) in figures.items())
    assert list((tmp_path / "out" / "curves").iterdir())
    TransformersGenerator(base, tmp_path / "out" / "adapter").load()


def test_training_goes_on_from_an_adapter(tmp_path: Path) -> None:
    base = make_llama(tmp_path / "base")
    first = adapted(TransformersGenerator(base).load().model, Plan(rank=4, alpha=8))
    for name, weight in first.named_parameters():
        if "lora_B" in name:
            weight.data += 0.5
    first.save_pretrained(str(tmp_path / "adapter"))
    second = adapted(TransformersGenerator(base).load().model, Plan(rank=2), tmp_path / "adapter")
    learnt = {name: weight for name, weight in second.named_parameters() if weight.requires_grad}
    assert learnt and all("lora_" in name for name in learnt)
    assert all(bool((weight == 0.5).all()) for name, weight in learnt.items() if "lora_B" in name)
    with pytest.raises(ModelMissing, match="nowhere"):
        adapted(TransformersGenerator(base).load().model, Plan(), tmp_path / "nowhere")


def test_a_page_is_asked_about_what_is_shown_of_it_and_what_is_not() -> None:
    lessons = page_lessons(0, Skipped())
    assert len(lessons) > 1000
    for lesson in lessons[:200]:
        texts = [passage.chunk.text for passage in lesson.passages]
        for branch in lesson.branches:
            if branch.kind == "answer":
                said, number = re.fullmatch(r"Found: (.*) \[(\d)\]", branch.reply, re.DOTALL).groups()  # type: ignore[union-attr]
                assert said in texts[int(number) - 1]
            else:
                assert branch.reply == NONE
    kinds = [branch.kind for lesson in lessons for branch in lesson.branches]
    assert 0.25 < kinds.count("missing") / len(kinds) < 0.4
