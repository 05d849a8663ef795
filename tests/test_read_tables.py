"""Tables: FAQs, products, passages and others, from CSV, JSON lines and Excel; a bad row loses only itself."""

from __future__ import annotations

import gzip
import io
import json
from datetime import date
from pathlib import Path

import openpyxl
import pytest

from rag.errors import Unreadable
from rag.ingest.read import read
from rag.types import Document, Facets, Kind


def table(folder: Path, name: str, content: str | bytes) -> Document:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read(path, name)


def lines(*rows: object) -> str:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)


FAQ = "Question,ANSWER,Similar Questions,negative-questions,tags\n"
FAQ += '"How long, please?","30 days.",period?|how long|period?,warranty?,a|b\n'


def test_faq_in_csv(tmp_path: Path) -> None:
    document = table(tmp_path, "faq_returns.csv", FAQ)
    (entry,) = document.entries
    assert (document.title, document.text, document.facets) == ("Faq returns", "", Facets(language="en"))
    assert entry.kind is Kind.FAQ
    assert entry.title == "How long, please?"
    assert entry.text == "How long, please?\n30 days."
    assert (entry.answer, entry.aliases, entry.negatives) == ("30 days.", ("period?", "how long"), ("warranty?",))
    assert (entry.tags, entry.facets) == (("a", "b"), Facets(language="en"))


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators(tmp_path: Path, separator: str) -> None:
    document = table(tmp_path, "faq.tsv", f"sep={separator}\nquestion{separator}answer\nWhen?{separator}Now, at once.\n")
    assert document.entries[0].answer == "Now, at once."


def test_faq_in_chinese(tmp_path: Path) -> None:
    text = "问题,答案,语言,相似问题,反例问题,标签\n几天到货？,两天。,zh,多久到|几天到,几天能退？,物流\n"
    (entry,) = table(tmp_path, "faq.csv", text.encode("gb18030")).entries
    assert (entry.title, entry.answer, entry.aliases) == ("几天到货？", "两天。", ("多久到", "几天到"))
    assert (entry.negatives, entry.tags, entry.facets.language) == (("几天能退？",), ("物流",), "zh")


def test_faq_in_json_lines_with_facets(tmp_path: Path) -> None:
    row = {"question": "Sale?", "answer": "Yes.", "similar_questions": ["a|b", "c"], "region": "eu", "valid_to": "2026-12-31"}
    (entry,) = table(tmp_path, "faq.jsonl", "\ufeff" + lines(row)).entries
    assert entry.aliases == ("a|b", "c")
    assert entry.facets == Facets(language="en", region="EU", valid_to=date(2026, 12, 31))


def test_bad_faq_rows_lose_only_themselves(tmp_path: Path) -> None:
    document = table(
        tmp_path,
        "faq.csv",
        "question,answer,valid_to\nA?,one.,\nB?,,\n,two.,\na ?,one.,\nA?,other.,\nC?,three.,never\nD?,a,b,c\n\nE?,five.\n",
    )
    assert [entry.title for entry in document.entries] == ["A?", "E?"]
    assert [reason.split(":")[0] for reason in document.rejected] == ["8", "3", "4", "6", "7"]
    assert "3: expected an answer; found an empty cell ('B?'); fill it in or delete the row" in document.rejected
    assert "6: expected each question once; found 'A?' again, different from row 2; keep the right one" in document.rejected
    assert any(reason.startswith("8: expected 3 cells as in the header; found 4") for reason in document.rejected)


def test_the_same_row_twice_is_one(tmp_path: Path) -> None:
    document = table(tmp_path, "faq.csv", "question,answer\nA?,one.\nA?,one.\n")
    assert (len(document.entries), document.rejected) == (1, ())


def test_an_open_quotation_mark_loses_one_row(tmp_path: Path) -> None:
    document = table(tmp_path, "faq.csv", 'question,answer\nA?,one.\nB?,"two.\nC?,three.\n"D?","fo""ur"\nE?,"fi"ve\n')
    assert [entry.answer for entry in document.entries] == ["one.", "three.", 'fo"ur']
    assert [reason.split(":")[0] for reason in document.rejected] == ["3", "6"]
    assert "expected cells in matching quotation marks" in document.rejected[0]


def test_a_line_break_inside_a_cell(tmp_path: Path) -> None:
    assert table(tmp_path, "faq.csv", 'question,answer\r\nA?,"one\r\ntwo"\r\n').entries[0].answer == "one\ntwo"


def test_bad_json_lines(tmp_path: Path) -> None:
    good = json.dumps({"question": "A?", "answer": "one."}).encode()
    rows = [good, b"{not json}", b"[1, 2]", b'{"a": "' + b"x" * 2_500_000 + b'"}', b"", b"\xff\xfe", b"[" * 100_000, good]
    document = table(tmp_path, "faq.jsonl", b"\n".join(rows))
    assert len(document.entries) == 1
    assert [reason.split(":")[0] for reason in document.rejected] == ["2", "3", "4", "6", "7"]
    assert "expected one JSON object; found a list" in document.rejected[1]
    assert "expected a row of at most 1 MB; found a longer line" in document.rejected[2]


def test_no_usable_row(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="found no usable row; the first problem is in row 2: expected an answer"):
        table(tmp_path, "faq.csv", "question,answer\nA?,\n")
    with pytest.raises(Unreadable, match="found a table without rows"):
        table(tmp_path, "faq.csv", "question,answer\n")


PRODUCTS = [
    {
        "id": "PB-2",
        "name_en": "Ember 400",
        "name_zh": "余烬 400",
        "category": "Headlamps",
        "category_zh": "头灯",
        "price_eur": 49.9,
        "price_cny": 369,
        "stock_eu": 0,
        "stock_cn": 40,
        "attributes": {"battery_life": "12 h"},
        "attributes_zh": {"续航": "12 小时"},
        "compatible_with": ["PB-1", "X-9"],
        "accessories": [],
        "replaces": "PB-1",
        "summary_en": "A light headlamp.",
        "summary_zh": "轻量头灯。",
        "colour": "red",
    },
    {"id": "PB-1", "name_en": "Ember 300", "price_eur": "39", "stock_eu": "on request", "replaces": None},
]


def test_products_in_two_languages(tmp_path: Path) -> None:
    english, chinese, old = table(tmp_path, "products.jsonl", lines(*PRODUCTS)).entries
    assert [entry.key for entry in (english, chinese, old)] == ["PB-2#en", "PB-2#zh", "PB-1"]
    assert english.text.split("\n") == [
        "Ember 400 (PB-2)",
        "A light headlamp.",
        "Category: Headlamps.",
        "Price: 49.90 EUR.",
        "Price: 369 CNY.",
        "Stock (EU): out of stock, 0 available.",
        "Stock (China): in stock, 40 available.",
        "Battery life: 12 h.",
        "Colour: red.",
        "Compatible with: Ember 300 (PB-1), X-9.",
        "Replaces: Ember 300 (PB-1).",
    ]
    assert chinese.text.split("\n")[:9] == [
        "余烬 400（PB-2）",
        "轻量头灯。",
        "类别：头灯。",
        "价格：369 元。",
        "价格：49.90 欧元。",
        "库存（欧盟）：缺货，0 件。",
        "库存（中国）：有货，40 件。",
        "续航：12 小时。",
        "Colour：red。",
    ]
    assert (english.aliases, chinese.aliases) == (("余烬 400",), ("Ember 400",))
    assert chinese.facets == Facets(language="zh", product="PB-2")
    assert old.text == "Ember 300 (PB-1)\nPrice: 39 EUR.\nStock (EU): on request.\nReplaced by: Ember 400 (PB-2)."


def test_products_in_csv(tmp_path: Path) -> None:
    text = "SKU,Name,Price,Currency,Stock,Attributes,Accessories\nA1,Lamp,5.5,usd,3,weight: 86 g; size: 3 cm,A2 A3\n"
    (entry,) = table(tmp_path, "p.csv", text).entries
    assert (
        entry.text
        == "Lamp (A1)\nPrice: 5.50 USD.\nStock: in stock, 3 available.\nWeight: 86 g.\nSize: 3 cm.\nAccessories: A2, A3."
    )


def test_bad_products_lose_only_themselves(tmp_path: Path) -> None:
    rows = [{"id": "A", "name": "Lamp", "price": 5}, {"id": "A", "name": "Lamp", "price": 6}, {"id": "", "name": "x", "price": 1}]
    document = table(tmp_path, "p.jsonl", lines(*rows, {"id": "B", "name": "Kettle", "price": 7}))
    assert [entry.key for entry in document.entries] == ["A", "B"]
    assert document.rejected == (
        "2: expected each id once; found 'Lamp' again, different from row 1; keep the right one",
        "3: expected an id and a name; found an empty cell; fill it in or delete the row",
    )


def test_passages(tmp_path: Path) -> None:
    rows = lines({"_id": "d1", "title": "Moon", "text": "It is far.", "metadata": {}}, {"_id": "d2", "title": "", "text": ""})
    document = table(tmp_path, "corpus.jsonl.gz", gzip.compress(rows.encode()))
    (entry,) = document.entries
    assert (entry.key, entry.kind, entry.title, entry.text) == ("d1", Kind.PASSAGE, "Moon", "It is far.")
    assert document.rejected[0].startswith("2: expected an id and a text")


def test_a_damaged_archive(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="expected a gzip file; found a damaged one"):
        table(tmp_path, "a.jsonl.gz", gzip.compress(b"{}" * 1000)[:-9])


def test_any_other_table(tmp_path: Path) -> None:
    document = table(tmp_path, "sizes.csv", "Country,Cost (EUR),A\nGermany,4.90,x\nFrance,,\nGermany,4.90,x\n")
    assert [entry.text for entry in document.entries] == ["Country: Germany\nCost: 4.90 EUR\nA: x", "Country: France"]
    assert {entry.kind for entry in document.entries} == {Kind.ROW}


def workbook(**sheets: list[list[object]]) -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    return book


def saved(book: openpyxl.Workbook) -> bytes:
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def test_excel(tmp_path: Path) -> None:
    book = workbook(
        Costs=[
            ["Shipping costs"],
            [],
            ["Country", "Weight", "Cost", "Share", "From"],
            ["DE", "1 kg", 4.0, 0.2, date(2026, 1, 1)],
            [None, "2 kg", 6.5],
        ],
        FAQ=[["question", "answer"], ["A?", "one."], ["B?", None]],
        Hidden=[["a"], ["SECRET"]],
    )
    sheet = book["Costs"]
    sheet.merge_cells("A4:A5")
    sheet["D4"].number_format = "0%"
    book["Hidden"].sheet_state = "hidden"
    document = table(tmp_path, "a.xlsx", saved(book))
    assert [entry.text for entry in document.entries] == [
        "Country: DE\nWeight: 1 kg\nCost: 4\nShare: 20%\nFrom: 2026-01-01",
        "Country: DE\nWeight: 2 kg\nCost: 6.5",
        "A?\none.",
    ]
    assert document.entries[0].title == "Costs"
    assert document.rejected == (
        "FAQ!3: expected an answer; found an empty cell ('B?'); fill it in or delete the row",
        "Hidden: expected a visible sheet; found a hidden one; unhide it if shoppers may be told what it says",
    )


def test_excel_with_a_stray_cell(tmp_path: Path) -> None:
    book = workbook(A=[["a"], ["b"]])
    book["A"]["XFD900000"] = "stray"
    with pytest.raises(Unreadable, match="delete what stands outside the table"):
        table(tmp_path, "a.xlsx", saved(book))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no zip", "expected an Excel file"),
        (b"PK\x03\x04broken", "found a damaged file or another format"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "without a password; found an encrypted file or one in the format of before 2007"),
    ],
)
def test_excel_that_is_none(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        table(tmp_path, "a.xlsx", content)


def test_lines_that_are_no_rows_come_to_an_end(tmp_path: Path) -> None:
    path = tmp_path / "no.jsonl.gz"
    path.write_bytes(gzip.compress(b"[]\n" * 100_001))
    with pytest.raises(Unreadable, match="found more than 100,000 lines that are no rows; .* found a list"):
        read(path, path.name)
