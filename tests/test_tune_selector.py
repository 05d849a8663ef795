"""rag/tune/selector: topics from pages and lessons, a run that a kill does not change, a model that settings can name."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import make_bert
from typer.testing import CliRunner

from rag.__main__ import app
from rag.fakes import HashEmbedder
from rag.models.joint import JointEncoder
from rag.models.selector import SentenceSelector, tokenizer_of
from rag.tune.generator.lessons import Branch, Lesson, found, passage_of, query_of
from rag.tune.schedule import CHECKPOINT
from rag.tune.selector import flow
from rag.tune.selector.topics import PAGES, Asked, Topic, drawn, garbled, lesson_topics, page_topics, with_cosines
from rag.tune.selector.train import Plan, judged, train
from rag.tune.sound import Skipped

PAGE = {
    "lang": "en",
    "title": "Kettle",
    "lines": ["It holds 2 l.", "It weighs 900 g.", "Its lid is steel.", "It boils in 4 minutes."],
    "asked": [[0, "enough for six mugs?"], [3, "quick?"]],
    "open": ["is there a red one?"],
    "other": [[1, "重不重？"]],
}
SUBJECTS = ("battery", "return", "price", "days", "how", "long")
# A sentence about another subject that says "hours" is right: a random model does not know.
TOPICS = [
    Topic((f"{other} hours", f"{own} free", f"{other} free"), (Asked(f"{own} ?", frozenset({0})),), "pages", "en")
    for own, other in itertools.permutations(SUBJECTS, 2)
]
PLAN = Plan(steps=6, pairs=12, rate=5e-3, head=5e-3, warm_up=2, every=2)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    make_bert(folder, layers=3)
    return folder / "bert"


def fresh(base: Path) -> JointEncoder:
    torch.manual_seed(0)
    return JointEncoder.of(base)


def pages(tmp_path: Path, *rows: object) -> tuple[list[Topic], list[Topic], Skipped]:
    path, skipped = tmp_path / "pages.jsonl", Skipped()
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return *page_topics(0, skipped, path), skipped


def test_a_page_is_its_lines_and_pieces_of_them(tmp_path: Path) -> None:
    [topic], unseen, _ = pages(tmp_path, PAGE)
    assert not unseen and topic.source == "pages" and topic.language == "en"
    assert topic.sentences[:4] == tuple(f"Kettle: {line}" for line in PAGE["lines"])
    for one, line in zip(topic.asked, (0, 3, 1), strict=False):
        holding = {n for n, sentence in enumerate(topic.sentences) if str(PAGE["lines"][line]) in sentence}
        assert one.right == holding and line in holding
    assert topic.asked[-1] == Asked("is there a red one?", frozenset())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"lang": "fr"}, "no title, or no lang"),
        ({"title": " "}, "no title, or no lang"),
        ({"lines": ["one", "two"]}, "fewer than three lines"),
        ({"lines": ["one", "two", ""]}, "fewer than three lines, or one without text"),
        ({"asked": [["?", 0]]}, "no list of [line, question]"),
        ({"asked": [[9, "where?"]]}, "about a line that is not there"),
        ({"open": [""]}, "a question without text"),
    ],
)
def test_a_line_that_is_no_page_is_left_out_with_its_number(tmp_path: Path, change: dict[str, object], reason: str) -> None:
    learnt, unseen, skipped = pages(tmp_path, PAGE, PAGE | change)
    assert len(learnt) + len(unseen) == 1
    assert len(skipped) == 1 and "pages.jsonl:2" in skipped[0] and reason in skipped[0]


def test_the_pages_that_ship_are_sound_and_some_are_held_out() -> None:
    skipped = Skipped()
    learnt, unseen = page_topics(0, skipped, PAGES)
    assert not skipped
    assert Counter(topic.language for topic in learnt).keys() == {"en", "zh"} == {topic.language for topic in unseen}
    assert len(learnt) > 300 and 8 * len(unseen) < len(learnt) < 25 * len(unseen)
    assert not {topic.sentences for topic in learnt} & {topic.sentences for topic in unseen}


def test_a_lesson_tells_which_units_state_the_reply() -> None:
    passages = (passage_of("Boots cost 90 EUR. They weigh (3) 900 g. They come in red.", "Boots"), passage_of("Caps: 5 EUR.", ""))
    branches = (
        Branch(query_of("how heavy", "en"), (), found("They weigh (3) 900 g.", 1), "answer"),
        Branch(query_of("are they green", "en"), (), "None", "missing"),
        Branch(query_of("帽子多少钱", "zh"), (), found("帽子 5 欧元。", 2), "answer"),
        Branch(query_of("how old", "en"), (), found("Something else entirely said.", 1), "answer"),
    )
    [topic] = lesson_topics([Lesson(passages, branches, "written")])
    heavy, green, cap = topic.asked  # the last is stated nowhere, so it is no example
    assert {topic.sentences[place] for place in heavy.right} >= {"Boots: They weigh (3) 900 g."}
    assert all("900 g" in topic.sentences[place] for place in heavy.right) and not green.right
    assert [topic.sentences[place] for place in cap.right] == [": Caps: 5 EUR."]


def test_the_wrong_sentences_that_are_drawn_are_near_and_never_right_or_vague() -> None:
    topic = Topic(tuple("abcdefghij"), (Asked("q", frozenset({0}), frozenset({1})), Asked("r", frozenset())), "pages", "en")
    near = replace(topic, cosines=np.array([np.linspace(0, 1, 10), np.linspace(1, 0, 10)], dtype=np.float32))
    dice = random.Random(0)
    seen: Counter[str] = Counter()
    for _ in range(200):
        for choice in drawn(near, dice):
            wrong = [one for place, one in enumerate(choice.sentences) if place not in choice.right]
            assert len(wrong) == 5
            if choice.question == "q":
                assert not {"a", "b"} & set(wrong) and {"j", "i", "h"} <= set(wrong)
                seen["with" if choice.right else "without"] += 1
            else:
                assert not choice.right and {"a", "b", "c"} <= set(wrong)
    assert seen["with"] > 2 * seen["without"] > 40


def test_questions_are_typed_as_shoppers_type() -> None:
    dice = random.Random(1)
    made = {garbled("How long does the battery last?", dice) for _ in range(300)}
    assert {"How long does the battery last?", "how long does the battery last"} < made and len(made) > 20
    assert all(garbled(text, dice) for text in ("a", "?a", "多久到货？"))


def test_it_learns_what_is_right(base: Path, tmp_path: Path) -> None:
    model, tokens = fresh(base), tokenizer_of(base)
    before = judged(model, tokens, TOPICS)
    train(model, tokens, TOPICS, replace(PLAN, steps=80, pairs=60, every=80, rate=1e-2, head=1e-2), tmp_path)
    after = judged(model, tokens, TOPICS)
    assert after["right"] > 0.95 > before["right"] and after["loss"] < 0.5 * before["loss"]


def test_a_killed_run_ends_where_an_undisturbed_one_does(base: Path, tmp_path: Path) -> None:
    whole, killed, resumed = fresh(base), fresh(base), fresh(base)
    tokens = tokenizer_of(base)
    train(whole, tokens, TOPICS, PLAN, tmp_path / "whole")
    steps = itertools.count(1)

    def count(*_: object) -> None:
        if next(steps) == 5:  # after the checkpoint at 4
            raise KeyboardInterrupt

    handle = killed.register_forward_pre_hook(count)
    with pytest.raises(KeyboardInterrupt):
        train(killed, tokens, TOPICS, PLAN, tmp_path / "killed")
    handle.remove()
    assert torch.load(tmp_path / "killed" / CHECKPOINT, weights_only=True)["step"] == 4
    train(resumed, tokens, TOPICS, PLAN, tmp_path / "killed")
    for (name, one), (_, other) in zip(whole.learnt(), resumed.learnt(), strict=True):
        torch.testing.assert_close(one, other, msg=name)
    start = dict(fresh(base).named_parameters())
    learnt = {name for name, _ in whole.learnt()}
    assert all(torch.equal(value, start[name]) for name, value in whole.named_parameters() if name not in learnt)


def test_cosines_are_those_of_the_embedder_and_name_the_nearest_elsewhere() -> None:
    rows = [("a lamp", "a kettle"), ("a red lamp", "a spoon"), ("a blue lamp", "a cup")]
    topics = [Topic(row, (Asked("lamp", frozenset({0})),), "pages", "en", name) for row, name in zip(rows, "ABC", strict=True)]
    made = with_cosines([*topics, Topic(("一盏灯",), (Asked("灯", frozenset()),), "pages", "zh")], HashEmbedder(64).embed)
    cosines = made[0].cosines
    assert cosines is not None and cosines.shape == (1, 2) and cosines[0, 0] > cosines[0, 1]
    assert set(made[0].away[0][:2]) == {"a red lamp", "a blue lamp"} and made[3].away == ((),)
    asked = [choice for seed in range(60) for choice in drawn(made[0], random.Random(seed))]
    named = [choice for choice in asked if "a" in choice.question.lower().replace("lamp", "").replace("lam", "")]
    assert 10 < len(named) < 40
    assert all(set(choice.sentences) & {*rows[1], *rows[2]} for choice in named)
    assert all(set(choice.sentences) <= set(rows[0]) for choice in asked if choice.question == "lamp")
    assert all(choice.sentences[place] == "a lamp" for choice in asked for place in choice.right)


def test_the_command_writes_a_selector_that_settings_can_name(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [PAGE | {"title": f"Kettle {number}"} for number in range(40)]
    learnt, unseen, _ = pages(tmp_path, *rows)
    monkeypatch.setattr(flow, "BILINGUAL", base)
    monkeypatch.setattr(flow, "SentenceEmbedder", lambda *args, **kwargs: HashEmbedder())
    monkeypatch.setattr(flow, "page_topics", lambda seed, skipped: (learnt, unseen))
    monkeypatch.setattr(flow, "authored", lambda skipped: ([], []))
    done = CliRunner().invoke(app, ["tune", "selector", "--out", str(tmp_path / "out"), "--steps", "2"])
    assert done.exit_code == 0, done.output
    assert "pages, en: right" in done.output and f"the selector is in {tmp_path / 'out' / 'model'}" in done.output
    assert SentenceSelector(tmp_path / "out" / "model", base).score("is it heavy?", ["It weighs 900 g."]).shape == (1,)
    card = (tmp_path / "out" / "model" / "README.md").read_text(encoding="utf-8")
    assert f"- pages (Apache-2.0, written for Shoptalk): {len(learnt)} topics, {4 * len(learnt)} questions" in card
    assert "| pages, en | told |" in card and "pairs 220" in card
