"""Markers and quotes."""

from __future__ import annotations

from answering import CHUNKS, LAMP, PAY, RETURNS, chunk
from indexing import rarity_of

from rag.answer.cite import cite, locate
from rag.answer.units import layout, units
from rag.ports import Layout
from rag.types import Kind, Passage

RARITY = rarity_of(item.search_text for item in CHUNKS)


def test_quotes_are_numbered_in_the_order_of_their_use() -> None:
    returns, lamp = Passage(RETURNS, 1.0), Passage(LAMP, 1.0)
    reply = cite([("A.", lamp, (0, 5)), ("B.", returns, (0, 3)), ("C.", returns, (0, 3)), ("D.", lamp, (0, 5))])
    assert reply.text == "A. [1] B. C. [2] D. [1]"
    assert [(c.n, c.chunk, c.quote) for c in reply.citations] == [(1, LAMP.id, "Ember"), (2, RETURNS.id, "You")]


def test_the_quote_is_the_shortest_run_that_states_it() -> None:
    where = locate("A label is 4.90 EUR", RETURNS, RARITY)
    assert where and RETURNS.text[slice(*where)] == "A return label costs 4.90 EUR."
    both = locate("Return within 30 days, the label costs 4.90 EUR", RETURNS, RARITY)
    assert both and RETURNS.text[slice(*both)] == RETURNS.text
    assert locate("It costs 5 EUR", RETURNS, RARITY) is None


def test_units_are_what_can_be_read_alone() -> None:
    page = chunk("a.md#1", "# Care\n\n- Rinse it. Dry it.\n1. Open the lid\n\n| a | b |\n|---|---|\n| 10 | 5 % |\n", "Lamp")
    single = ["Rinse it.", "Dry it.", "Open the lid", "| a | b |", "| 10 | 5 % |"]
    assert [unit.text for unit in units(page) if not unit.is_whole] == single
    assert [unit.text for unit in units(page) if unit.is_whole] == ["- Rinse it. Dry it.\n1. Open the lid", "Rinse it. Dry it."]
    assert all(page.text[unit.start : unit.end] == unit.text for unit in units(page))
    assert [unit.text for unit in units(PAY)] == [
        "We accept Visa and Mastercard.",
        PAY.answer,
        "Invoices are for companies only.",
    ]
    steps = chunk("b.md#1", "Do this:\n\n1. Open it.\n2. Close it.\n\nDone.", "Lamp")
    assert [unit.text for unit in units(steps)] == ["Do this:\n\n1. Open it.\n2. Close it.", "Open it.", "Close it.", "Done."]
    laid = Layout("Lamp", ("Open it.", "Close it.", "Done."), ((0, 2), (0, 1), (1, 2), (2, 3)))  # what is whole is a run of them
    assert layout(steps) == laid and len(laid.units) == len(units(steps))
    assert layout(chunk("d.md#1", "# Care", "Lamp")) == Layout("", (), ())
    named = chunk("c.jsonl#1", "Ember 400 (PB-HL210)\nPrice: 5 EUR.", "Ember 400", Kind.PRODUCT)
    assert [unit.text for unit in units(named)] == ["Price: 5 EUR."]
    long = chunk("f.csv#1", "Q?\n" + "One. Two. " * 60, "Q?", Kind.FAQ, answer=("One. Two. " * 60).strip())
    assert len(units(long)) > 100
