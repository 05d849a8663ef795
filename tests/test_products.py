from __future__ import annotations

import pytest

from rag.retrieve.products import Products
from rag.types import Chunk, Facets, Kind

PRODUCTS = Products(
    {
        "PB-HL210": "PB-HL210",
        "Acme Ember 400 Headlamp": "PB-HL210",
        "余烬 400 头灯": "PB-HL210",
        "PB-PS710": "PB-PS710",
        "Acme Summit 1500 Power Station": "PB-PS710",
        "PB-PS904": "PB-PS904",
        "Acme Summit Pack 1500 Extra Battery": "PB-PS904",
        "Kettle": "KT",
        "12 号车充线": "PB-PS901",
    }
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("How bright is the Ember 400?", {"Ember 400": "PB-HL210"}),
        ("how bright is the EMBER400", {"Ember 400": "PB-HL210"}),
        ("the Acme Ember 400 Headlamp, please", {"Acme Ember 400 Headlamp": "PB-HL210"}),
        ("余烬400多亮？", {"余烬 400": "PB-HL210"}),
        ("餘燼 400 頭燈", {"余烬 400 头灯": "PB-HL210"}),
        ("pb hl210 or PB-PS710", {"PB-HL210": "PB-HL210", "PB-PS710": "PB-PS710"}),
        ("Does the Summit Pack 1500 fit the Summit 1500?", {"Summit Pack 1500": "PB-PS904", "Summit 1500": "PB-PS710"}),
        ("a kettle", {"Kettle": "KT"}),
        ("member 400, Ember 4000, Ember", {}),
        ("I need 12 of them, 12 号 is fine", {}),
        ("", {}),
    ],
)
def test_names_as_shoppers_write_them(text: str, expected: dict[str, str]) -> None:
    assert list(PRODUCTS.mentioned(text).items()) == list(expected.items())


def test_no_products_are_never_mentioned() -> None:
    assert Products({}).mentioned("Ember 400") == {}


def chunk(kind: Kind, title: str, product: str = "", aliases: tuple[str, ...] = ()) -> Chunk:
    return Chunk(title, "a.md", "", 0, kind, title, (), title, aliases=aliases, facets=Facets(product=product))


def test_names_come_from_product_entries_and_say_what_a_chunk_is_about() -> None:
    entry = chunk(Kind.PRODUCT, "Glow 806 Bulb", "SH210", ("微光 806 灯泡",))
    page = chunk(Kind.PAGE, "Smart bulbs: manual", "SH210")
    question = chunk(Kind.FAQ, "Can I dim the Glow 806?")
    other = chunk(Kind.FAQ, "Do you sell gift cards?")
    products = Products.of([entry, page, question, other])
    assert products.mentioned("sh210 微光806") == {"SH210": "SH210", "微光 806": "SH210"}
    assert [products.about(item) for item in (entry, page, question, other)] == [{"SH210"}, {"SH210"}, {"SH210"}, set()]
