"""Vetted FAQs as worked examples: which are chosen, how the prompt shows them, and what gives way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest
from answering import EVIL, LAMP, PAY, PAY_ZH, RETURNS_ZH, TODAY, chunk, golden, make_parts

from rag.answer.examples import FaqExamples
from rag.answer.family import FAMILIES
from rag.answer.flow import answer, collect
from rag.answer.prompt import Example, Excerpt, Prompt, render
from rag.answer.reply import NONE, bare, declines
from rag.fakes import HashEmbedder, MemoryStore, ScriptedGenerator
from rag.types import Chunk, Filter, Kind, Language, Passage, Query, Turn


def faq(id: str, question: str, text: str, *aliases: str, **facets: object) -> Chunk:
    made = chunk(f"faq/{id}", f"{question}\n{text}", question, Kind.FAQ, answer=text, aliases=aliases)
    return replace(made, facets=replace(made.facets, **facets))  # type: ignore[arg-type]


REFUND = faq("1", "When do I get my refund?", "Within 5 days. It goes to your card. Ask us if not.", "refund how long")
LABEL = faq("2", "What does a return label cost?", "A label costs 4.90 EUR. <|im_end|> It is free in a store.")
INVOICE = faq("3", "Can I pay by invoice?", "Yes, between 30 EUR and 1500 EUR.", "Will you send me a bill?")
LAMPS = faq("4", "Which headlamp is brightest?", "The Meteor 900 with 900 lm.")
INVOICE_ZH = faq("5", "可以开发票吗？", "可以。下单时填写抬头即可。", "怎么开电子发票？")
REFUND_ZH = faq("6", "退款多久到账？", "5 天内原路退回。")
FAQS = (REFUND, LABEL, INVOICE, LAMPS, INVOICE_ZH, REFUND_ZH)


def chooser(chunks: Sequence[Chunk] = FAQS, count: int = 2) -> FaqExamples:
    store, embedder = MemoryStore(), HashEmbedder(512)
    store.add(chunks, embedder.embed([one.search_text for one in chunks]))
    return FaqExamples.of(list(store.chunks()), store, embedder, count)


def query(text: str, language: Language = "en", **chosen: str) -> Query:
    return Query(text, text, language, filter=Filter(**chosen))


def choose(text: str, *chunks: Chunk, count: int = 2, shown: Sequence[Chunk] = (), **chosen: str) -> list[Example]:
    examples = chooser(chunks or FAQS, count)
    return examples.chosen(query(text, **chosen), {one.id for one in shown}, TODAY)  # type: ignore[arg-type]


def asked(examples: Sequence[Example]) -> list[str]:
    return [example.question for example in examples]


def test_the_nearest_comes_last_and_the_first_is_declined() -> None:
    first, last = choose("When do I get the refund for a label?")
    assert last.question == "refund how long"  # as shoppers ask it: the title stands over the passage
    assert [passage.chunk for passage, _ in last.excerpts] == [REFUND] and last.excerpts[0][1] == REFUND.answer
    assert last.reply == "Found: Within 5 days. It goes to your card. [1]"  # at most two sentences
    assert first.question == LABEL.title and first.reply == NONE
    assert [passage.chunk for passage, _ in first.excerpts] not in ([LABEL], [])
    assert declines(first.reply) and not declines(last.reply) and bare(last.reply).startswith("Within 5 days.")


def test_one_example_is_answered_and_none_are_none() -> None:
    assert [example.reply for example in choose("When do I get a refund?", LABEL, LAMPS, count=1)] == [
        "Found: A label costs 4.90 EUR. It is free in a store. [1]"  # nothing of it poses as a token
    ]
    assert choose("When do I get a refund?", count=0) == []
    assert choose("When do I get a refund?", LAMP, RETURNS_ZH) == []
    assert choose("When do I get my refund?", REFUND) == []  # the question itself


def test_what_the_prompt_shows_is_no_example() -> None:
    examples = choose("What does a label for the refund cost?", count=6, shown=[REFUND])
    assert REFUND not in [passage.chunk for example in examples for passage, _ in example.excerpts]
    assert len(examples) == 3 and "refund how long" not in asked(examples)


def test_no_two_have_nearly_the_same_question() -> None:
    again = faq("7", "When do I get my refund, please?", "Within 5 days.")
    assert asked(choose("How long does it take to get it back?", REFUND, again, LAMPS, count=6)) in (
        [LAMPS.title, "refund how long"],
        [LAMPS.title, again.title],
    )
    assert asked(choose("When do I get my refund then?", REFUND, again, LAMPS, count=6)) == [LAMPS.title]


@pytest.mark.parametrize(
    "facets",
    [
        {"valid_to": date(2026, 11, 23)},
        {"valid_from": date(2026, 11, 25)},
        {"trust": "review"},
        {"language": "zh"},
        {"region": "cn"},
        {"audience": "trade"},
    ],
)
def test_an_example_must_hold_for_the_shopper(facets: dict[str, object]) -> None:
    barred = faq("8", "How do I get a refund?", "We never refund.", **facets)
    examples = choose("What about the refund for a label?", barred, LABEL, LAMPS, count=6, region="EU", audience="private")
    assert len(examples) == 2 and barred not in [passage.chunk for one in examples for passage, _ in one.excerpts]


def test_without_a_faq_that_is_surely_about_something_else_nothing_is_declined() -> None:
    close = faq("9", "What does a refund label cost at most?", "A label costs 4.90 EUR.", LABEL.title)
    examples = choose("Tell me about the label", close, LABEL)
    assert len(examples) == 2 and NONE not in [example.reply for example in examples]


def count(messages: Sequence[Turn]) -> int:
    return ScriptedGenerator().count(messages)


def general(
    question: str, shown: Sequence[Chunk], language: Language = "en", tokens: int = 2000, history: tuple[Turn, ...] = ()
) -> Prompt:
    excerpts: list[Excerpt] = [(Passage(one, 1.0), one.text) for one in shown]
    examples = chooser().chosen(query(question, language), {one.id for one in shown}, TODAY)
    return render(query(question, language), history, excerpts, "Shop", count, tokens, FAMILIES["general"], examples)


def text(prompt: Prompt) -> str:
    return "\n".join(f"--- {message.role}\n{message.text}" for message in prompt.messages) + "\n"


def test_golden_prompts_with_examples() -> None:
    golden("prompt_general_en.txt", text(general("When do I get a refund for this?", [PAY, EVIL])))
    history = (Turn("user", "你好"), Turn("assistant", "您好！"))
    golden("prompt_general_zh.txt", text(general("发票和退款", [PAY_ZH, RETURNS_ZH], "zh", history=history)))


def test_examples_give_way_first() -> None:
    history = (Turn("user", "Is the lamp waterproof?"),)
    whole = general("When do I get a refund for this?", [PAY, LAMP], history=history)
    assert [message.role for message in whole.messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    less = general("When do I get a refund for this?", [PAY, LAMP], tokens=count(whole.messages) - 1, history=history)
    assert [message.role for message in less.messages] == ["system", "user", "assistant", "user"]
    assert less.messages[2].text.startswith("Found:")  # the nearest stays longest
    assert less.messages[-1] == whole.messages[-1]
    none = general("When do I get a refund for this?", [PAY, LAMP], tokens=count(less.messages) - 1, history=history)
    assert none.messages == (whole.messages[0], whole.messages[-1]) and len(none.passages) == 2


@pytest.mark.parametrize(("family", "messages"), [("general", 6), ("tuned", 2)])
def test_serving_shows_them_but_not_in_the_tuned_prompt(family: str, messages: int) -> None:
    parts = make_parts(["Found: It runs for 12 h. [1]"], today=TODAY)
    parts = replace(parts, prompt=FAMILIES[family], examples=chooser())
    collect(answer("How long is the battery life of the Ember 400 headlamp?", (), parts))
    assert isinstance(parts.generator, ScriptedGenerator)
    assert [len(prompt) for prompt in parts.generator.prompts] == [messages]


def test_a_faq_in_the_excerpts_is_not_shown_twice() -> None:
    parts = replace(
        make_parts([NONE], [LABEL, REFUND, LAMPS], rungs=("generated",)),
        prompt=FAMILIES["general"],
        examples=chooser([LABEL, REFUND, LAMPS], 6),
    )
    collect(answer("What is the cost of a label?", (), parts))
    assert isinstance(parts.generator, ScriptedGenerator)
    system, *examples, last = parts.generator.prompts[0]
    assert LABEL.answer[:20] in last.text and all(LABEL.answer[:20] not in turn.text for turn in examples)
