from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from rag.index.codec import Seal, decode, digest, encode, seal
from rag.types import Chunk, Facets, Kind

FULL = Chunk(
    id="policies/“odd” \t name.md#0123456789ab",
    document="policies/“odd” \t name.md",
    entry="row-7",
    ordinal=3,
    kind=Kind.FAQ,
    title="Returns — 退货",
    headings=("Returns", "How\nlong?"),
    text="You have 30 days.\r\n退货期限为 30 天。\u2028 ½ 👍",
    answer="You have 30 days.",
    aliases=("how long can I return", "退货期限"),
    negatives=("can I return gift cards?",),
    tags=("returns",),
    facets=Facets("en", "eu", "consumer", "official", "PB-HL210", date(2026, 1, 1), date(2026, 12, 31)),
)
PLAIN = Chunk("a.md#1", "a.md", "", 0, Kind.PAGE, "A", (), "text")


@pytest.mark.parametrize("chunk", [FULL, PLAIN])
def test_a_chunk_comes_back_equal(chunk: Chunk) -> None:
    assert decode(encode(chunk), chunk.text) == chunk


def test_the_text_is_not_kept_twice() -> None:
    assert "You have 30 days.\\r" not in encode(FULL)


def test_every_part_of_a_chunk_is_under_seal() -> None:
    vector = np.array([1, 0], np.float32)
    sealed = seal(PLAIN, vector)
    for change in ({"text": "texts"}, {"title": "B"}, {"ordinal": 1}, {"tags": ("x",)}, {"facets": Facets(region="eu")}):
        assert seal(replace(PLAIN, **change), vector).content != sealed.content
    assert seal(PLAIN, np.nextafter(vector, 2, dtype=np.float32)).vector != sealed.vector


def test_the_digest_knows_order_from_content() -> None:
    one, two = Seal("s", "c1", "v1"), Seal("s", "c2", "v2")
    assert digest({"a": one, "b": two}) == digest({"b": two, "a": one})
    assert digest({"a": one, "b": two}) != digest({"a": two, "b": one})
    assert digest({"a": one}) != digest({"a": one, "b": two})
