"""Tables as people lay them out in workbooks, CSV, HTML and Markdown: titles, merged cells, hidden parts, formats of numbers."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import time
from pathlib import Path

from test_read_tables import saved, table, workbook

from rag.ingest.read import read
from rag.types import Kind


def test_excel_shows_numbers_as_the_sheet_does(tmp_path: Path) -> None:
    book = workbook(A=[["Lamp", "a", "b", "c", "d", "e", "f", "i"], ["Ember", 4.9, 0.125, 49, 1299.5, 12.0, time(21, 30), 0.5]])
    formats = ["0.00", "0.0%", "#,##0.00\\ [$€-407]", "#,##0.00", '0" pcs"', "hh:mm", "General"]
    for column, code in enumerate(formats, start=2):
        book["A"].cell(2, column).number_format = code
    (entry,) = table(tmp_path, "a.xlsx", saved(book)).entries
    assert entry.text == "Lamp: Ember\na: 4.90\nb: 12.5%\nc: 49.00 €\nd: 1,299.50\ne: 12 pcs\nf: 21:30\ni: 0.5"
    assert entry.headings == ("Ember",)


def test_excel_gives_what_formulas_last_came_to(tmp_path: Path) -> None:
    data = saved(workbook(A=[["Lamp", "EUR"], ["Ember", "=20*2"], ["Lark", 5]]))
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            new.writestr(name, re.sub(rb"(</f>)<v ?/>|(</f>)<v></v>", rb"</f><v>40</v>", old.read(name)))
    assert [entry.text for entry in table(tmp_path, "a.xlsx", stream.getvalue()).entries] == [
        "Lamp: Ember\nEUR: 40 EUR",
        "Lamp: Lark\nEUR: 5 EUR",
    ]


def test_what_excel_hides_is_left_out_and_reported(tmp_path: Path) -> None:
    book = workbook(Prices=[["Lamp", "EUR", "Cost"], ["Ember", 49, 11], ["Lark", 5, 1], ["Old", 3, 1]], Empty=[])
    book["Prices"].row_dimensions[4].hidden = True
    book["Prices"].column_dimensions["C"].hidden = True
    document = table(tmp_path, "a.xlsx", saved(book))
    assert [entry.text for entry in document.entries] == ["Lamp: Ember\nEUR: 49 EUR", "Lamp: Lark\nEUR: 5 EUR"]
    assert document.rejected == (
        "Prices!4: expected a visible row; found a hidden one; unhide it if shoppers may be told what it says",
        "Prices!C: expected a visible column; found a hidden one; unhide it if shoppers may be told what it says",
    )


def test_questions_with_gaps_are_one_table(tmp_path: Path) -> None:
    rows: list[list[object]] = [["Our FAQ"], ["question", "answer"], ["A?", "one."], [], ["Prices"], ["B?", "2"], ["C?", "3"]]
    document = table(tmp_path, "a.xlsx", saved(workbook(A=rows)))
    assert [entry.text for entry in document.entries] == ["A?\none.", "B?\n2", "C?\n3"]
    assert [reason.split(":")[0] for reason in document.rejected] == ["5"]


def test_lines_above_a_table_of_any_separator(tmp_path: Path) -> None:
    text = "Prices, all included\nValid until May, see below\n\nLamp;Weight (g);Price (EUR)\nEmber;86;49,90\nLark;30;5,00\n"
    ember, _, note = table(tmp_path, "a.csv", text).entries
    assert (ember.text, ember.headings) == ("Lamp: Ember\nWeight: 86 g\nPrice: 49,90 EUR", ("Prices, all included", "Ember"))
    assert (note.kind, note.text) == (Kind.PASSAGE, "Valid until May, see below")


def test_merged_cells_in_html(tmp_path: Path) -> None:
    markup = (
        "<table><tr><th rowspan=2>Lamp</th><th colspan=2>Price</th></tr><tr><th>EUR</th><th>GBP</th></tr>"
        "<tr><td>Ember</td><td rowspan='2'>49</td><td>42</td></tr><tr><td>Lark</td><td>40</td></tr></table>"
    )
    (tmp_path / "a.html").write_text(f"<h1>Lamps</h1>{markup}")
    document = read(tmp_path / "a.html", "a.html")
    assert document.text == (
        "# Lamps\n\n| Lamp | Price / EUR | Price / GBP |\n| --- | --- | --- |\n| Ember | 49 | 42 |\n| Lark | 49 | 40 |"
    )
    assert [(entry.kind, entry.title, entry.headings, entry.text) for entry in document.entries] == [
        (Kind.ROW, "Lamps", ("Ember",), "Lamp: Ember\nPrice: 49 EUR\nPrice: 42 GBP"),
        (Kind.ROW, "Lamps", ("Lark",), "Lamp: Lark\nPrice: 49 EUR\nPrice: 40 GBP"),
    ]


def test_spans_that_would_fill_the_memory(tmp_path: Path) -> None:
    row = "<tr>" + "<td colspan=1000 rowspan=65000>x</td>" * 30 + "</tr>"
    (tmp_path / "a.html").write_text(f"<p>ok</p><table>{row * 20}</table>")
    assert "ok" in read(tmp_path / "a.html", "a.html").text


def test_tables_of_text_have_no_rows(tmp_path: Path) -> None:
    long = "Hold the side switch for two seconds, then charge the lamp"
    (tmp_path / "a.md").write_text(f"| What you see | What to do |\n|---|---|\n| Nothing | {long} |\n| Flickers | {long} |\n")
    assert read(tmp_path / "a.md", "a.md").entries == ()


def test_a_list_of_facts_has_no_header_and_no_rows(tmp_path: Path) -> None:
    rows = "".join(
        f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in (("Case", "black"), ("SIM", "nano"), ("Weight", "39 g"))
    )
    (tmp_path / "a.html").write_text(f"<h1>Watch</h1><table>{rows}</table>")
    (tmp_path / "b.md").write_text("# Watch\n\n| Case | 38 mm |\n|---|---|\n| SIM | nano |\n| Weight | 39 g |\n")
    for name in ("a.html", "b.md"):
        document = read(tmp_path / name, name)
        assert document.entries == () and "| SIM | nano |" in document.text
    assert "| Case | black |\n| SIM" in read(tmp_path / "a.html", "a.html").text
