"""Lines with places, as they are found in pictures, to Markdown in reading order."""

from __future__ import annotations

from dataclasses import replace

from rag.ingest.readers.layout import markdown, parts
from rag.ingest.readers.recognize import Box


def at(x: float, y: float, text: str, height: float = 20, width: float | None = None) -> Box:
    wide = width or sum(1 if letter > "\u2e80" else 0.5 for letter in text) * height
    return Box(text, 0.99, x, y, x + wide, y + height)


def read(*boxes: Box, level: int = 1) -> str:
    return markdown(parts(boxes), level)


def test_nothing() -> None:
    assert read() == "" and parts([]) == []


def test_a_larger_line_is_the_title_and_further_ones_are_headings() -> None:
    notice = [at(10, 10, "Opening hours", 40), at(10, 70, "Daily 9 to 18."), at(10, 120, "Parking", 34), at(10, 170, "Is free.")]
    assert read(*notice) == "# Opening hours\n\nDaily 9 to 18.\n\n## Parking\n\nIs free."
    assert read(*reversed(notice), level=3) == "### Opening hours\n\nDaily 9 to 18.\n\n### Parking\n\nIs free."
    late = read(at(10, 0, "Read this."), at(10, 40, "And this."), at(10, 90, "Parking", 40), at(10, 150, "Is free."))
    assert late == "Read this.\n\nAnd this.\n\n## Parking\n\nIs free."


def test_wrapped_lines_are_joined_and_items_are_not() -> None:
    first, second = "The warranty covers faults in", "material for two years."
    assert read(at(0, 0, first), at(0, 25, second)) == f"{first} {second}"
    assert read(at(0, 0, "收到商品后三十天内可以"), at(0, 25, "退货。")) == "收到商品后三十天内可以退货。"
    assert read(at(0, 0, "Bring the receipt."), at(0, 25, "Bring the box.")) == "Bring the receipt.\n\nBring the box."
    assert read(at(0, 0, "1. Open the box now"), at(0, 25, "2. Close it")) == "1. Open the box now\n\n2. Close it"
    assert read(at(0, 0, first), at(0, 90, second)) == f"{first}\n\n{second}"


def test_two_columns_of_prose_are_read_one_after_the_other() -> None:
    left = ["You can return any lamp within", "thirty days of the delivery, if", "you keep the receipt and the box."]
    right = ["The warranty covers all faults", "in material for two years, but", "it does not cover any batteries."]
    boxes = [at(x, 60 + 26 * i, line) for x, lines in ((0, left), (420, right)) for i, line in enumerate(lines)]
    text = read(at(0, 0, "Returns and warranty of everything we sell", 36), *boxes, at(0, 300, "Ask us."))
    assert text == f"# Returns and warranty of everything we sell\n\n{' '.join(left)}\n\n{' '.join(right)}\n\nAsk us."


def test_a_grid_under_a_header_is_a_table() -> None:
    rows = [("Item", "Size", "Price"), ("Lamp", "S", "49.90 EUR"), ("Merino socks", "", "18.00 EUR"), ("Bag", "20 l", "9 EUR")]
    boxes = [at(x, 40 * i, cell) for i, row in enumerate(rows) for x, cell in zip((0, 200, 400), row, strict=True) if cell]
    table = (
        "| Item | Size | Price |\n| --- | --- | --- |\n| Lamp | S | 49.90 EUR |\n"
        "| Merino socks |  | 18.00 EUR |\n| Bag | 20 l | 9 EUR |"
    )
    assert read(*boxes) == table
    ranged = [replace(box, left=500 - box.right + 400, right=500) if box.left == 400 else box for box in boxes]
    assert read(*ranged) == table  # the figures stand at the right


def test_a_grid_without_a_header_is_read_row_by_row() -> None:
    boxes = [at(0, 0, "Mon to Fri"), at(300, 2, "9:00 to 18:30"), at(0, 40, "Sunday"), at(300, 39, "closed")]
    assert read(*boxes) == "Mon to Fri 9:00 to 18:30\n\nSunday closed"


def test_one_line_found_in_two_pieces() -> None:
    assert read(at(0, 0, "检测费50元，", width=110), at(95, 3, "，可抵扣维修费。")) == "检测费50元，可抵扣维修费。"


def test_what_looks_like_markdown_is_none() -> None:
    assert read(at(0, 0, "# 1 of our shops | open")) == "\\# 1 of our shops / open"
