"""Text files in the encodings that shops have: each is read as it was written, whatever the format."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.ingest.read import read

SIMPLIFIED = "余烬 400 头灯的续航为 12 小时，重量 86 克。保修期三年，七天内可以无理由退货。"
TRADITIONAL = "餘燼 400 頭燈的續航為 12 小時，重量 86 克。保固期三年，七天內可以無理由退貨。"
WESTERN = "The Ember 400 runs for 12 hours – it’s the “lightest” lamp. It costs 49 € in cafés."
UNICODE = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be")
FORMATS = {
    "txt": "{text}",
    "md": "# 400\n\n{text}\n",
    "csv": 'question,answer\n400?,"{text}"\n',
    "srt": "1\n00:00:01,000 --> 00:00:04,000\n{text}\n",
    "html": "<html><body><p>{text}</p></body></html>",
}


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(
    ("text", "encodings"),
    [
        (SIMPLIFIED, ("gbk", "gb18030", *UNICODE)),
        (TRADITIONAL, ("big5", *UNICODE)),
        (WESTERN, ("cp1252", *UNICODE)),
        ("头灯多少钱？49 元。", ("gbk", "utf-16-le", "utf-16-be")),
        ("頭燈多少錢？49 元。", ("big5",)),
    ],
)
def test_every_encoding_in_every_text_format(tmp_path: Path, text: str, encodings: tuple[str, ...], ending: str) -> None:
    for encoding in encodings:
        path = tmp_path / f"{encoding}.{ending}"
        path.write_bytes(FORMATS[ending].format(text=text).encode(encoding))
        document = read(path, path.name)
        assert text in "\n".join((document.text, *(entry.text for entry in document.entries))), encoding


def test_big_endian_with_a_mark(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(("\ufeff" + SIMPLIFIED).encode("utf-16-be"))
    assert read(tmp_path / "a.txt", "a.txt").text == SIMPLIFIED
