"""Pictures of text, drawn here, read by the real recognition: its models come inside its package."""

from __future__ import annotations

import io
import socket
import struct
import zlib
from pathlib import Path

import pytest
from fpdf import FPDF
from pictures import CHINESE, CHINESE_FONTS, ENGLISH, LATIN_FONTS, drawn, measure, photographed, saved
from PIL import Image, ImageDraw, ImageFont

from rag.errors import Unreadable
from rag.ingest.chunk import chunk
from rag.ingest.read import READERS, read
from rag.ingest.readers import image, recognize
from rag.ingest.readers.layout import markdown
from rag.types import Document

needs_chinese = pytest.mark.skipif(not CHINESE_FONTS, reason="no Chinese font (apt-get install fonts-noto-cjk)")
HOURS = ("Opening hours", "Monday to Friday: 9:00 to 18:30", "Closed on Sundays and public holidays.")


def opened(folder: Path, name: str, data: bytes) -> Document:
    path = folder / name
    path.write_bytes(data)
    return read(path, name)


def rejects(folder: Path, name: str, data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        opened(folder, name, data)


def notice() -> Image.Image:
    return drawn(HOURS, LATIN_FONTS[0])


READ = "# Opening hours\n\nMonday to Friday: 9:00 to 18:30\n\nClosed on Sundays and public holidays."


@pytest.mark.parametrize(
    ("texts", "fonts"), [(ENGLISH, LATIN_FONTS), pytest.param(CHINESE, CHINESE_FONTS, marks=needs_chinese)], ids=["en", "zh"]
)
def test_characters_are_right(texts: list[str], fonts: list[Path]) -> None:
    found = measure(texts[1:4], fonts)
    assert found.printed >= 0.97 and found.photographed >= 0.95


@pytest.mark.parametrize(
    ("ending", "kind"), [("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP"), ("gif", "GIF"), ("tiff", "TIFF")]
)
def test_every_kind_of_file(tmp_path: Path, ending: str, kind: str) -> None:
    document = opened(tmp_path, f"hours.{ending}", saved(notice(), kind))
    assert (document.title, document.text, document.facets.language) == ("Opening hours", READ, "en")


@needs_chinese
def test_a_chinese_notice(tmp_path: Path) -> None:
    document = opened(
        tmp_path, "n.png", saved(drawn(["退货须知", "收到商品后30天内凭小票办理。", "耳机和礼品卡不予退换。"], CHINESE_FONTS[0]))
    )
    assert document.text == "# 退货须知\n\n收到商品后30天内凭小票办理。\n\n耳机和礼品卡不予退换。"
    assert (document.title, document.facets.language) == ("退货须知", "zh")


@pytest.mark.parametrize("angle", [90, 180, 270, 8])
def test_a_turned_picture_is_read_in_the_right_order(angle: int) -> None:
    assert markdown(image.seen(notice().rotate(angle, expand=True, fillcolor="white"))) == READ


def test_turned_as_the_camera_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the picture must be turned right by 90 degrees
    data = saved(notice().rotate(90, expand=True), "JPEG", exif=exif)
    assert opened(tmp_path, "hours.jpg", data).text == READ


def test_a_price_list_becomes_a_table(tmp_path: Path) -> None:
    picture = Image.new("RGB", (1000, 400), "white")
    draw, letters = ImageDraw.Draw(picture), ImageFont.truetype(LATIN_FONTS[0], 26)
    draw.text((40, 20), "Price list", font=ImageFont.truetype(LATIN_FONTS[2], 46), fill="black")
    rows = [("Item", "Size", "Price"), ("Ember headlamp", "one size", "49.90 EUR"), ("Trail gaiters", "", "24.50 EUR")]
    for i, row in enumerate(rows):
        for x, cell in zip((40, 400, 650), row, strict=True):
            draw.text((x, 120 + 60 * i), cell, font=letters, fill="black")
    document = opened(tmp_path, "prices.png", saved(photographed(picture)))
    assert document.text == (
        "# Price list\n\n| Item | Size | Price |\n| --- | --- | --- |\n"
        "| Ember headlamp | one size | 49.90 EUR |\n| Trail gaiters |  | 24.50 EUR |"
    )


@pytest.mark.parametrize("ink", ["black", "white"])
def test_letters_on_nothing(tmp_path: Path, ink: str) -> None:
    letters = notice().convert("L").point(lambda value: 255 - value)
    picture = Image.new("RGBA", letters.size, ink)
    picture.putalpha(letters)
    assert opened(tmp_path, "hours.png", saved(picture)).text == READ


@pytest.mark.parametrize(
    "picture",
    [
        Image.new("RGB", (400, 300), "white"),
        Image.new("RGB", (1, 1)),
        Image.effect_noise((600, 400), 100),
        Image.linear_gradient("L"),
    ],
    ids=["empty", "dot", "noise", "sky"],
)
def test_a_picture_without_text_is_refused(tmp_path: Path, picture: Image.Image) -> None:
    rejects(tmp_path, "photo.png", saved(picture), "found no text was found in the picture; leave it out")


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is huge."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    packed = (struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.png", bomb(8000, 6000), "at most 40 million pixels; found 8000 x 6000; make it smaller"),
        ("a.png", bomb(60_000, 60_000), "at most 40 million pixels; found more; make it smaller"),
        ("a.png", bomb(800, 600), "a damaged file or another format"),
        ("a.jpg", saved(notice(), "JPEG")[:3000], "a damaged file or another format"),
        ("a.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "a damaged file or another format"),
        ("a.webp", b"no picture", "a damaged file or another format"),
        ("a.png", b"", "an empty file"),
    ],
)
def test_bombs_and_damaged_pictures(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    rejects(tmp_path, name, data, reason)


def test_pages_of_a_tiff_keep_their_numbers(tmp_path: Path) -> None:
    blank = Image.new("RGB", (300, 200), "white")
    data = saved(notice(), "TIFF", save_all=True, append_images=[blank, drawn(["Parking is free."], LATIN_FONTS[0])])
    text = opened(tmp_path, "fax.tif", data).text
    assert text.startswith("## Page 1\n\n### Opening hours\n\nMonday") and text.endswith("## Page 3\n\nParking is free.")


def test_a_scanned_pdf_keeps_its_pages(tmp_path: Path) -> None:
    pdf = FPDF()
    for picture in (notice(), drawn(["Parking is free for two hours."], LATIN_FONTS[0])):
        pdf.add_page()
        pdf.image(io.BytesIO(saved(picture)), 10, 10, 180)
    document = opened(tmp_path, "scan.pdf", bytes(pdf.output()))
    assert document.text.startswith("# Opening hours\n\n## Page 1\n\nMonday to Friday: 9:00 to 18:30")
    found = chunk(document, lambda text: len(text.split()), 60, 0)
    assert found[-1].headings == ("Page 2",) and found[-1].text == "Parking is free for two hours."


def test_a_scanned_page_among_others(tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.set_font("Helvetica", size=12)
    pdf.add_page()
    pdf.multi_cell(0, 6, "Returns are free within thirty days of delivery.")
    pdf.add_page()
    pdf.image(io.BytesIO(saved(notice())), 10, 10, 180)
    text = opened(tmp_path, "mixed.pdf", bytes(pdf.output())).text
    assert text == (
        "## Page 1\n\nReturns are free within thirty days of delivery.\n\n## Page 2\n\n"
        "### Opening hours\n\nMonday to Friday: 9:00 to 18:30\n\nClosed on Sundays and public holidays."
    )


def test_nothing_is_ever_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr("rapidocr.utils.download_file.DownloadFile.run", refuse)
    recognize._engine.cache_clear()
    assert recognize.recognize(drawn(["Parking is free."], LATIN_FONTS[0]))[0].text == "Parking is free."


def test_a_missing_model_is_an_error_and_no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognize, "_MODELS", {"Det": "elsewhere.onnx"})
    recognize._engine.cache_clear()
    with pytest.raises(recognize.ModelMissing, match="elsewhere.onnx in the package rapidocr; found none"):
        recognize.recognize(notice())


def test_a_damaged_page_costs_no_other(tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.set_font("Helvetica", size=12)
    pdf.add_page()
    pdf.multi_cell(0, 6, "Returns are free within thirty days of delivery.")
    pdf.add_page()
    pdf.image(io.BytesIO(saved(notice(), "JPEG")), 10, 10, 180)
    data = bytes(pdf.output())
    for broken in (data.replace(b"/DCTDecode", b"/JBIG2Decod"), data.replace(b"/Width ", b"/Width 99999")):
        assert broken != data
        assert opened(tmp_path, "mixed.pdf", broken).text == "## Page 1\n\nReturns are free within thirty days of delivery."


def test_models_load_once_with_the_threads_that_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognize, "_threads", 0)
    recognize.limit(1)
    recognize.recognize(notice())
    engine = recognize._engine(1)
    assert engine.cfg.Det.session.get_session_options().intra_op_num_threads == 1
    recognize.recognize(notice())
    assert recognize._engine(1) is engine


def test_the_same_picture_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = image.seen(notice())
    monkeypatch.setattr(image, "recognize", lambda picture: pytest.fail("read again"))
    assert image.seen(notice()) == first


def test_every_ending_is_listed() -> None:
    assert {ending for ending, reader in READERS.items() if reader == "image"} == {
        *(".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
    }
