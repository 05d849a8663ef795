"""Grids of cells -> tables: where they begin, what their headers are, what a row is called."""

from __future__ import annotations

import pytest

from rag.ingest.readers.grid import Table, header_rows, is_unit, joined, names, stated, table, tables


def grid(text: str) -> list[tuple[int, list[str]]]:
    """A line a row, cells between bars; equal lengths."""
    rows = [[cell.strip() for cell in line.split("|")] for line in text.strip("\n").split("\n")]
    width = max(map(len, rows))
    return [(number, [*row, *[""] * (width - len(row))]) for number, row in enumerate(rows, start=1)]


def test_a_title_a_note_and_two_tables() -> None:
    found = tables(
        grid("""
Rates|
Place|EUR
Isles|9
Coast|4

Without batteries.|

Extras|
Service|EUR
Evening|6
* Not on Sundays.|
""")
    )
    assert found == [
        Table("Rates", ("Place", "EUR"), ((3, ["Isles", "9"]), (4, ["Coast", "4"])), ("Without batteries.",)),
        Table("Extras", ("Service", "EUR"), ((10, ["Evening", "6"]),), ("* Not on Sundays.",)),
    ]


def test_an_empty_row_within_a_table_parts_nothing() -> None:
    [found] = tables(grid("Lamp|Price\nA|5\n\nB|6\n"))
    assert [cells for _, cells in found.rows] == [["A", "5"], ["B", "6"]]
    [found] = tables(grid("Name|Colour\nA|red\n\nB|blue\n"))
    assert len(found.rows) == 2


def test_tables_side_by_side() -> None:
    left, right = tables(grid("Lamp|EUR||Cable|Length\nA|5||USB-C|2 m\nB|6||Micro|1 m"))
    assert (left.labels, right.labels) == (("Lamp", "EUR"), ("Cable", "Length"))
    assert right.rows == ((2, ["USB-C", "2 m"]), (3, ["Micro", "1 m"]))


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("Model|Price|Price\nModel|EUR|GBP\nA|5|4", ("Model", "Price / EUR", "Price / GBP")),  # merged cells, filled
        ("Model|Price|\n|EUR|GBP\nA|5|4", ("Model", "Price / EUR", "Price / GBP")),  # left empty
        ("型号|续航|续航\n型号|高亮|低亮\n甲|1|2", ("型号", "续航 / 高亮", "续航 / 低亮")),
        ("Model|up to 2 kg|up to 2 kg\nModel|2 kg|5 kg\nA|5|4", ("Model", "up to 2 kg / 2 kg", "up to 2 kg / 5 kg")),
    ],
)
def test_headers_in_two_rows(text: str, labels: tuple[str, ...]) -> None:
    rows = [cells for _, cells in grid(text)]
    assert header_rows(rows) == 2
    assert joined(rows[:2]) == labels


@pytest.mark.parametrize(
    "text",
    [
        "Model|Price\nA|5\nB|6",
        "Model|Colour|Colour\nA|5|6\nB|7|8",
        "Name|Size|\nA|M|red\nB|L|blue",
        "question|answer\nA?|yes.\nB?|no.",
        "Model|Price",
    ],
)
def test_one_header_is_one(text: str) -> None:
    assert header_rows([cells for _, cells in grid(text)]) == 1


def test_a_table_that_is_all_of_a_file() -> None:
    found = table(grid("Price list|\nValid in 2026|\n\nLamp|EUR\nA|5\n\nB|6"))
    assert found == Table("Price list", ("Lamp", "EUR"), ((5, ["A", "5"]), (7, ["B", "6"])), ("Valid in 2026",))
    assert table([(1, ["", ""])]) is None


@pytest.mark.parametrize(
    ("label", "value", "found"),
    [
        ("Weight (g)", "86", ("Weight", "86 g")),
        ("价格（元）", "268", ("价格", "268 元")),
        ("Price [EUR]", "4,90", ("Price", "4,90 EUR")),
        ("Size (cm)", "20 x 30", ("Size", "20 x 30 cm")),
        ("Weight, kg", "1.2", ("Weight", "1.2 kg")),
        ("Price / GBP", "12", ("Price", "12 GBP")),
        ("Battery life (h) / low", "120", ("Battery life / low", "120 h")),
        ("Boil time, 1 l (min)", "3.5", ("Boil time, 1 l", "3.5 min")),
        ("Weight (g)", "86 g", ("Weight", "86 g")),
        ("Weight (g)", "n/a", ("Weight (g)", "n/a")),
        ("Price (incl. VAT)", "5", ("Price (incl. VAT)", "5")),
        ("Size (EU)", "42", ("Size (EU)", "42")),
        ("Days", "3-4", ("Days", "3-4 days")),
        ("EUR", "5", ("EUR", "5 EUR")),
    ],
)
def test_units_of_headers_go_to_the_values(label: str, value: str, found: tuple[str, str]) -> None:
    assert stated(label, value) == found


def test_units() -> None:
    assert all(map(is_unit, ("g", "mAh", "元", "g/m", "元/件", "€", "kN")))
    assert not any(map(is_unit, ("EU", "VAT", "", "net")))


@pytest.mark.parametrize(
    ("labels", "rows", "called"),
    [
        ("Model|Price", "A|5\nB|6", ["A", "B"]),
        ("No.|Model|Price", "1|A|5\n2|B|6", ["A", "B"]),
        ("Season|Model|Price", "warm|Kestrel|5\nwarm|Plover|6", ["Kestrel", "Plover"]),
        ("Model|Size|Litres", "Heron|M|55\nHeron|L|58", ["Heron M", "Heron L"]),
        ("Shoe / EU|cm", "38|24\n40|25", ["EU 38", "EU 40"]),
        ("Model|Price", "A|5\nA|6", ["", ""]),
    ],
)
def test_what_rows_are_called(labels: str, rows: str, called: list[str]) -> None:
    assert names(labels.split("|"), [row.split("|") for row in rows.split("\n")]) == called
