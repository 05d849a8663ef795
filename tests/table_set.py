"""Documents full of tables, as an invented outdoor shop and an invented household shop would write them.

Merged cells, headers in two rows, units in headers, titles above and notes below, several tables in a sheet: what spreadsheets
are like. `write(folder)` makes the files; the questions are in table_questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import docx
import openpyxl
from openpyxl.worksheet.worksheet import Worksheet
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

Rows = Sequence[Sequence[object]]


def write(folder: Path) -> None:
    """All files of the set."""
    folder.mkdir(parents=True, exist_ok=True)
    _tents(folder / "tents_2026.xlsx")
    _lamps(folder / "灯具价目表.xlsx")
    _shipping(folder / "delivery.xlsx")
    (folder / "stoves.csv").write_text(STOVES, encoding="cp1252")
    (folder / "茶具.tsv").write_text(TEA, encoding="gb18030")
    (folder / "backpacks.html").write_text(BACKPACKS, encoding="utf-8")
    (folder / "鞋码.html").write_text(SHOES, encoding="utf-8")
    _word(folder / "warranty.docx", "Warranty on tents and backpacks", WARRANTY, ((1, 1, 2, 1), (3, 2, 4, 2)))
    _word(folder / "滤芯.docx", "净水器滤芯更换说明", FILTERS, ((0, 0, 1, 0), (0, 1, 0, 2), (0, 3, 1, 3)))
    _pdf(folder / "coolers.pdf", "Coolers and bottles", (("Cool boxes", COOLERS, True), ("Bottles", BOTTLES, False)), "Helvetica")
    _pdf(folder / "保温杯.pdf", "保温杯规格", (("规格表", CUPS, True),), "STSong-Light")
    (folder / "ropes.md").write_text(ROPES, encoding="utf-8")
    (folder / "充电宝.md").write_text(POWER_BANKS, encoding="utf-8")


def _fill(sheet: Worksheet, rows: Rows, merged: Sequence[str] = ()) -> None:
    for row in rows:
        sheet.append(list(row))
    for area in merged:
        sheet.merge_cells(area)


def _tents(path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.title = "Tents"
    rows: Rows = (
        ("Tallowmere tents, season 2026", None, None, None, None, None),
        ("Season", "Model", "Weight (g)", "Sleeps (persons)", "Price", None),
        (None, None, None, None, "EUR", "GBP"),
        ("3-season", "Kestrel", 1450, 2, 349, 299),
        (None, "Plover", 2180, 3, 299, 255),
        ("4-season", "Siskin", 1980, 2, 499, 429),
        (None, "Dunlin", 2900, 4, 319, 269),
        (),
        ("Weights without pegs. Prices include VAT.",),
    )
    _fill(sheet, rows, ("A1:F1", "A2:A3", "B2:B3", "C2:C3", "D2:D3", "E2:F2", "A4:A5", "A6:A7"))
    hidden = book.create_sheet("Purchase")
    _fill(hidden, (("Model", "Cost (EUR)", "Weight (g)"), ("Kestrel", 141, 1500), ("Plover", 120, 2200)))
    hidden.sheet_state = "hidden"
    book.create_sheet("Sheet3")
    book.save(path)


def _lamps(path: Path) -> None:
    book = openpyxl.Workbook()
    rows: Rows = (
        ("灯具价目表（2026 年春）", None, None, None, None, None),
        ("型号", "重量（克）", "续航（小时）", None, "保修（年）", "价格（元）"),
        (None, None, "高亮", "低亮", None, None),
        ("余烬灯", 310, 12, 60, 3, 189),
        ("萤石灯", 275, 10, 80, None, 268),
        ("霜桥灯", 420, 16, 120, 5, 329),
        ("鹿角灯", 540, 20, 150, 2, 459),
        ("合计", None, None, None, None, 1245),
        ("注：续航在 25 度下测得。",),
    )
    _fill(book.worksheets[0], rows, ("A1:F1", "A2:A3", "B2:B3", "C2:D2", "E2:E3", "F2:F3", "E4:E5", "A9:F9"))
    book.save(path)


def _shipping(path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.title = "Delivery"
    rows: Rows = (
        ("Delivery rates",),
        ("Destination", "Days", "Rate by parcel weight (EUR)", None),
        (None, None, "up to 2 kg", "up to 10 kg"),
        ("Mainland", "2-3", 4.9, 7.9),
        ("Highlands", "3-4", 6.9, 11.9),
        ("Outer Isles", "5-7", 9.5, 14.5),
        (),
        (),
        ("Surcharges",),
        ("Service", "Surcharge (EUR)", "Ends at"),
        ("Evening delivery", 6.9, "21:00"),
        ("Saturday delivery", 12.5, "14:00"),
        ("Signature on receipt", 4.2, None),
    )
    _fill(sheet, rows, ("A2:A3", "B2:B3", "C2:D2"))
    for row in sheet.iter_rows(min_row=4, max_row=6, min_col=3, max_col=4):
        for cell in row:
            cell.number_format = "0.00"
    returns = book.create_sheet("Returns")
    _fill(returns, (("Country", "Label (EUR)"), ("Mainland", 3.9), ("Outer Isles", 5.5)))
    book.save(path)


STOVES = """Tallowmere stoves and kettles;;;;
Valid from 1 March 2026, prices include VAT;;;;

Article;Boil time, 1 l (min);Weight (g);Price (EUR);Fuel
Cinder;3,5;390;79,90;gas
Ashling;4,2;265;54,00;gas
Brazier;5,8;710;129,00;wood
Hob kettle;;180;34,50;
"""
TEA = """青林茶具 春季目录\t\t\t
品名\t容量（毫升）\t产地\t单价（元）
青瓷盖碗\t150\t瓷林\t88
紫砂壶\t220\t宜溪\t460
铸铁壶\t800\t铁岭镇\t298
"""
BACKPACKS = """<!doctype html><html lang="en"><head><title>Backpacks</title></head><body><nav>Home</nav><main>
<h1>Backpack sizes</h1><p>Measure your back before you choose.</p>
<table><thead><tr><th rowspan="2">Model</th><th rowspan="2">Size</th><th colspan="2">Measures</th>
<th rowspan="2">Weight (kg)</th></tr>
<tr><th>Volume (l)</th><th>Back length (cm)</th></tr></thead>
<tbody><tr><td rowspan="2">Heron</td><td>M</td><td>55</td><td>51</td><td rowspan="2">1.9</td></tr>
<tr><td>L</td><td>58</td><td>56</td></tr>
<tr><td rowspan="2">Wren</td><td>S</td><td>36</td><td>43</td><td>1.1</td></tr>
<tr><td>M</td><td>38</td><td>46</td><td>1.2</td></tr></tbody></table></main></body></html>
"""
SHOES = """<html><head><title>徒步鞋尺码表</title></head><body><article><h1>徒步鞋尺码表</h1>
<table><tr><th colspan="2">尺码</th><th rowspan="2">脚长（毫米）</th></tr><tr><th>欧码</th><th>中国码</th></tr>
<tr><td>38</td><td>245</td><td>240–245</td></tr><tr><td>40</td><td>255</td><td>250–255</td></tr>
<tr><td>42</td><td>265</td><td>260–265</td></tr></table>
<p>介于两个尺码之间时，请选大一码。</p></article></body></html>
"""
WARRANTY: Rows = (
    ("Part", "Warranty", "Postage paid by"),
    ("Fabric", "5 years", "the shop"),
    ("Poles", "5 years", "the shop"),
    ("Zips", "2 years", "the customer"),
    ("Buckles", "1 year", "the customer"),
)
FILTERS: Rows = (
    ("滤芯", "更换周期（个月）", "更换周期（个月）", "单价（元）"),
    ("滤芯", "普通水质", "硬水", "单价（元）"),
    ("活性炭滤芯", "6", "6", "45"),
    ("PP 棉滤芯", "12", "9", "68"),
    ("反渗透膜", "24", "18", "320"),
)
COOLERS: Rows = (
    ("Model", "Volume (l)", "Ice retention (h)", "Price (EUR)"),
    ("Fjord 20", "20", "48", "119.00"),
    ("Fjord 30", "30", "72", "149.00"),
    ("Fjord 50", "50", "120", "199.00"),
)
BOTTLES: Rows = (
    ("Bottle", "Weight (g)", "Material"),
    ("Larch", "310", "steel"),
    ("Alder", "265", "titanium"),
    ("Rowan", "420", "glass"),
)
CUPS: Rows = (
    ("型号", "容量（毫升）", "保温（小时）", "颜色"),
    ("松果杯", "350", "8", "墨绿、米白"),
    ("云杉杯", "500", "12", "雾蓝"),
    ("雪松壶", "1000", "24", "炭黑"),
)
ROPES = """# Ropes

All ropes are sold in lengths of 30, 50 and 70 m.

| Rope | Diameter (mm) | Breaking load (kN) | Weight (g/m) |
|------|--------------:|-------------------:|-------------:|
| Beck | 8.9 | 18 | 52 |
| Tarn | 9.6 | 22 | 61 |
| Mere | 10.4 | 27 | 70 |
"""
POWER_BANKS = """# 充电宝

| 型号 | 容量（毫安时） | 充满时间（小时） | 重量（克） |
| --- | --- | --- | --- |
| 谷雨 | 10000 | 2.5 | 210 |
| 小满 | 20000 | 4 | 380 |
| 白露 | 30000 | 6.5 | 590 |

20000 毫安时以下可以带上飞机。
"""


def _word(path: Path, title: str, rows: Rows, merged: Sequence[tuple[int, int, int, int]]) -> None:
    """`merged`: first row, first column, last row, last column; their text is the first cell's."""
    document = docx.Document()
    document.add_heading(title, 1)
    table = document.add_table(len(rows), len(rows[0]))
    for row, texts in zip(table.rows, rows, strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = str(text)
    for top, left, bottom, right in merged:
        text = table.cell(top, left).text
        table.cell(top, left).merge(table.cell(bottom, right)).text = text
    document.save(str(path))


def _pdf(path: Path, title: str, tables: Sequence[tuple[str, Rows, bool]], font: str) -> None:
    if font not in pdfmetrics.standardFonts:
        pdfmetrics.registerFont(UnicodeCIDFont(font))
    styles = getSampleStyleSheet()
    for style in ("Title", "Heading2"):
        styles[style].fontName = font
    parts: list[Flowable] = [Paragraph(title, styles["Title"])]
    for name, rows, ruled in tables:
        looks = [("FONT", (0, 0), (-1, -1), font, 10)]
        looks += [("GRID", (0, 0), (-1, -1), 0.5, colors.black)] if ruled else []
        parts += [Paragraph(name, styles["Heading2"]), Table([list(row) for row in rows], style=TableStyle(looks)), Spacer(1, 18)]
    SimpleDocTemplate(str(path), pagesize=A4, title=title).build(parts)
