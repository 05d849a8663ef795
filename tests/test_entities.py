from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest

from rag.language import words
from rag.retrieve.entities import NOTHING, Entities
from rag.types import Chunk, Facets, Kind

NAMES = [
    "KOHINOOR", "GONVILLE HOTEL", "ASHLEY HOTEL", "THE LENSFIELD HOTEL", "ACORN GUEST HOUSE", "BRIDGE GUEST HOUSE",
    "ALPHA-MILTON GUEST HOUSE", "WORTH HOUSE", "RESTAURANT ALIMENTUM", "PIPASHA RESTAURANT", "SESAME RESTAURANT",
    "BLOOMSBURY RESTAURANT", "HOTEL DU VIN AND BISTRO", "ROSA'S BED AND BREAKFAST", "PIZZA HUT CITY CENTRE",
    "PIZZA HUT FEN DITTON", "全季酒店", "和平酒店", "如家酒店", "How do I get there?",
]  # fmt: skip
LAMP = Chunk("lamp", "a.csv", "", 0, Kind.PRODUCT, "Ember 400 Lamp", (), "", facets=Facets(product="HL210"))


def shop() -> list[Chunk]:
    places = [
        Chunk(f"{name}#{number}", "a.jsonl", "", 0, Kind.PASSAGE, name, (), f"Review {number} of the place: fine.")
        for name in NAMES
        for number in range(3)
    ]
    pages = [
        Chunk(
            f"page{number}",
            "b.md",
            "",
            number,
            Kind.PAGE,
            "Returns" if number < 2 else f"Page {number}",
            (),
            "All about returns.",
        )
        for number in range(9)
    ]
    return sorted([*places, *pages, LAMP], key=lambda chunk: chunk.id)


SHOP = shop()
ENTITIES = Entities.of(SHOP, Counter(word for chunk in SHOP for word in set(words(chunk.search_text))))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("Is the kohinoor open?", ["KOHINOOR"]),
        ("parking at the Gonville", ["GONVILLE HOTEL"]),
        ("parking at Gonville Hotel or the lensfield hotel's?", ["GONVILLE HOTEL", "THE LENSFIELD HOTEL"]),
        ("Does Alimentum take cards?", ["RESTAURANT ALIMENTUM"]),
        ("the hotel du vin & bistro", ["HOTEL DU VIN AND BISTRO"]),
        ("rosas bed and breakfast, or rosa’s?", ["ROSA'S BED AND BREAKFAST"]),
        ("acorn guesthouse", ["ACORN GUEST HOUSE"]),
        ("the alpha milton guesthouse", ["ALPHA-MILTON GUEST HOUSE"]),
        ("gonvile hotel, blomsbury, and kohinor", ["GONVILLE HOTEL", "BLOOMSBURY RESTAURANT", "KOHINOOR"]),
        ("is it worth it? is there a bridge?", []),  # everyday words are no short forms
        ("I stayed at worth house", ["WORTH HOUSE"]),
        ("a hotel, a restaurant, a guest house", []),
        ("How do returns work?", []),  # a word of many pages is no name, and a question is none
        ("How do I get there?", []),
        ("全季酒店有停车场吗", ["全季酒店"]),
        ("全季有停车场吗？和平呢", ["全季酒店", "和平酒店"]),
        ("ember400 in the pizza hut fen ditton", ["HL210", "PIZZA HUT FEN DITTON"]),
        ("", []),
    ],
)
def test_names_as_people_write_them(text: str, ids: list[str]) -> None:
    assert list(ENTITIES.ids(text)) == ids


def test_names_are_given_as_the_documents_write_them() -> None:
    assert ENTITIES.mentioned("ember400 near the gonvile") == {"Ember 400": ("HL210",), "GONVILLE HOTEL": ("GONVILLE HOTEL",)}
    assert (ENTITIES.spelled("my ember400"), ENTITIES.spelled("my EMBER 400")) == (["Ember 400"], [])
    assert NOTHING.ids("the Gonville Hotel") == () and not len(NOTHING.rows(["GONVILLE HOTEL"]))


def test_one_short_name_may_mean_several() -> None:
    chunks = [
        Chunk(f"{name}{n}", "a", "", 0, Kind.PASSAGE, name, (), "x")
        for name in ("Zafir Hotel", "Zafir Motel", "Ibex Hotel", "Ibex Motel", "Oryx Hotel", "Oryx Motel")
        for n in range(2)
    ]
    found = Entities.of(chunks, Counter(word for chunk in chunks for word in set(words(chunk.search_text))))
    assert found.ids("the zafir") == ("Zafir Hotel", "Zafir Motel")
    assert found.ids("the zafir hotel") == ("Zafir Hotel",)


def test_rows_are_the_chunks_about_it() -> None:
    assert [SHOP[row].title for row in ENTITIES.rows(["KOHINOOR", "HL210", "nothing"])] == ["KOHINOOR"] * 3 + ["Ember 400 Lamp"]


def test_columns_tell_named_carried_and_others_apart() -> None:
    rows = np.array(
        [next(row for row, chunk in enumerate(SHOP) if chunk.title == title) for title in ("KOHINOOR", "ASHLEY HOTEL", "Returns")]
    )
    columns = ENTITIES.columns(["KOHINOOR"], [], rows)
    assert {name: column.tolist() for name, column in columns.items() if column.any()} == {
        "entity": [1, 0, 0],
        "other_entity": [0, 1, 0],
    }
    columns = ENTITIES.columns([], [["HL210"], ["ASHLEY HOTEL", "KOHINOOR"]], rows)
    assert {name: column.tolist() for name, column in columns.items() if column.any()} == {"entity_carried": [0.5, 0.5, 0]}
    assert not any(column.any() for column in ENTITIES.columns([], [], rows).values())


def test_a_long_history_is_looked_through_in_milliseconds() -> None:
    names = [
        f"{first}{second} House"
        for first in ("Al", "Be", "Co", "Du", "Em")
        for second in (f"{number:04}n"[::-1] for number in range(400))
    ]
    chunks = [Chunk(f"{name}{n}", "a", "", 0, Kind.PASSAGE, name, (), "x") for name in names for n in range(2)]
    found = Entities.of(chunks, Counter(word for chunk in chunks for word in set(words(chunk.search_text))))
    turns = [f"Tell me more about the Aln{number} House and wether it has everthing" * 3 for number in range(20)]
    started = time.thread_time()
    for turn in turns:
        found.ids(turn)
    assert time.thread_time() - started < 0.1  # twenty times what it takes


def test_a_product_is_known_without_its_number_unless_that_is_an_everyday_word() -> None:
    names = (
        ("Acme Marmot 1 Headset", "土拨鼠 1 耳机"),
        ("Acme Ember 400 Lamp", "余烬 400 头灯"),
        ("Acme Ember 200 Lamp", "相机 2"),
    )
    chunks = [
        Chunk(f"p#{n}", "p", str(n), n, Kind.PRODUCT, title, (), "text", aliases=(alias,), facets=Facets(product=f"PB-{n}"))
        for n, (title, alias) in enumerate(names)
    ]
    entities = Entities.of(chunks, {"marmot": 1, "ember": 2})
    assert entities.ids("is the marmot waterproof") == ("PB-0",)
    assert entities.ids("my Ember died") == ("PB-1", "PB-2")
    assert entities.ids("my Ember 400 died") == ("PB-1",)
    assert entities.ids("土拨鼠怎么戴") == ("PB-0",)
    assert entities.ids("相机怎么用") == ()
