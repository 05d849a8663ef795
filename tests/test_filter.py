from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from rag.errors import WrongFilter
from rag.retrieve.filter import Filters, barred
from rag.retrieve.trace import Dropped
from rag.types import Chunk, Facets, Filter, Kind

TODAY = date(2026, 5, 1)
FACETS = [
    Facets(),
    Facets(language="en", region="EU"),
    Facets(language="zh", region="CN", audience="business"),
    Facets(language="en", product="PB-HL210"),
    Facets(valid_to=TODAY),
    Facets(valid_to=date(2026, 4, 30)),
    Facets(valid_from=TODAY),
    Facets(valid_from=date(2026, 5, 2)),
    Facets(region="EU", valid_from=date(2026, 1, 1), valid_to=date(2026, 12, 31)),
]


def chunk(row: int, facets: Facets) -> Chunk:
    return Chunk(f"{row:02}", "page.md", "", row, Kind.PAGE, "", (), "", facets=facets)


FILTERS = Filters([chunk(row, facets) for row, facets in enumerate(FACETS)])


@pytest.mark.parametrize(
    ("chosen", "day", "rows"),
    [
        (Filter(), TODAY, [0, 1, 2, 3, 4, 6, 8]),
        (Filter(region="EU"), TODAY, [0, 1, 3, 4, 6, 8]),
        (Filter(region="eu", language="en"), TODAY, [0, 1, 3, 4, 6, 8]),
        (Filter(language="zh"), TODAY, [0, 2, 4, 6, 8]),
        (Filter(audience="business", region="CN"), TODAY, [0, 2, 3, 4, 6]),
        (Filter(product="PB-PS710"), TODAY, [0, 1, 2, 4, 6, 8]),
        (Filter(), date(2027, 1, 1), [0, 1, 2, 3, 6, 7]),
        (Filter(), date(2025, 1, 1), [0, 1, 2, 3, 4, 5]),
    ],
)
def test_a_chunk_passes_where_its_facet_is_empty_or_equal_and_in_force(chosen: Filter, day: date, rows: list[int]) -> None:
    mask = FILTERS.mask(chosen, day)
    assert mask is not None and mask.dtype == np.bool_
    assert np.flatnonzero(mask).tolist() == rows
    assert [row for row, facets in enumerate(FACETS) if barred(facets, chosen, day) is None] == rows


def test_where_all_may_be_found_there_is_no_mask() -> None:
    timeless = Filters([chunk(row, facets) for row, facets in enumerate(FACETS[:4])])
    assert timeless.mask(Filter(), TODAY) is None
    assert timeless.mask(Filter(region="EU"), TODAY) is not None
    assert Filters([]).mask(Filter(), TODAY) is None


def test_a_mask_is_made_once_a_filter_and_day() -> None:
    filters = Filters([chunk(0, FACETS[1]), chunk(1, FACETS[2])])
    first = filters.mask(Filter(region="EU"), TODAY)
    assert filters.mask(Filter(region="EU"), TODAY) is first
    assert filters.mask(Filter(region="CN"), TODAY) is not first


@pytest.mark.parametrize(
    ("facets", "chosen", "why"),
    [
        (FACETS[5], Filter(), Dropped("expired", "2026-04-30")),
        (FACETS[7], Filter(), Dropped("not yet", "2026-05-02")),
        (FACETS[2], Filter(region="EU", language="en"), Dropped("language", "zh")),
        (FACETS[2], Filter(region="EU"), Dropped("region", "CN")),
        (FACETS[3], Filter(product="PB-PS710"), Dropped("product", "PB-HL210")),
        (FACETS[4], Filter(region="EU"), None),
    ],
)
def test_what_is_kept_out_says_why(facets: Facets, chosen: Filter, why: Dropped | None) -> None:
    assert barred(facets, chosen, TODAY) == why


def test_a_value_that_no_chunk_has_is_an_error_with_the_known_ones() -> None:
    FILTERS.check(Filter())
    FILTERS.check(Filter(language="EN", region="cn", audience="Business", product="pb-hl210"))
    with pytest.raises(WrongFilter, match="expected region to be one of CN, EU; found 'US'; choose one of them, or leave"):
        FILTERS.check(Filter(region="US"))
    with pytest.raises(WrongFilter, match="expected audience to be left out, because no document says one"):
        Filters([chunk(0, Facets())]).check(Filter(audience="anyone"))
    many = Filters([chunk(row, Facets(product=f"PB-{row:03}")) for row in range(40)])
    with pytest.raises(WrongFilter, match=r"one of PB-039, .* and 28 more; found 'PB-0399'"):
        many.check(Filter(product="PB-0399"))
