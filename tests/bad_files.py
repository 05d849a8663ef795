"""Files made to hang, crash, starve or spy on whoever reads them, and good ones to go with them. All are made here.

python -m tests.bad_files FOLDER     writes them
"""

from __future__ import annotations

import gzip
import io
import os
import random
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

GIGABYTES_4 = 4_000_000_000
LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
DOCTYPE = f'<!DOCTYPE x [<!ENTITY a0 "{"lol" * 10}">{LAUGHS}]>'
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
S = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
MAIN = {".docx": "word/document.xml", ".xlsx": "xl/worksheets/sheet1.xml", ".pptx": "ppt/slides/slide1.xml", ".epub": "c.xhtml"}


def build(folder: Path, canary: Path, port: int) -> list[str]:
    """Write every bad file into `folder`; their names. Some want to read `canary`, or to reach `port` of this machine."""
    makers = dict(_bombs()) | dict(_spies(canary, port)) | dict(_documents()) | dict(_texts()) | dict(_noise())
    for name, make in makers.items():
        (folder / name).write_bytes(make())
    (folder / "empty.md").touch()
    (folder / "out.md").symlink_to(canary)
    (folder / "nowhere.md").symlink_to(folder / "none.md")
    (folder / "in\nname.md").write_text("A name of two lines.")
    os.mkfifo(folder / "pipe.md")
    names = [*makers, "empty.md", "out.md", "nowhere.md", "in\\nname.md", "pipe.md"]
    if os.geteuid() != 0:  # nothing is closed to root
        (folder / "closed.md").write_text("?")
        (folder / "closed.md").chmod(0)
        names.append("closed.md")
    return names


def build_good(folder: Path) -> list[str]:
    """Write fifty files that each hold a sentence of their own; their names."""
    import fpdf

    makers: dict[str, Callable[[str], bytes]] = {
        ".md": str.encode,
        ".html": lambda text: f"<html><body><main><h1>Lamp</h1><p>{text}</p></main></body></html>".encode(),
        ".csv": lambda text: f"question,answer\nWhat of it?,{text}\n".encode(),
        ".jsonl": lambda text: f'{{"question": "What of it?", "answer": "{text}"}}\n'.encode(),
        ".srt": lambda text: f"1\n00:00:01,000 --> 00:00:04,000\n{text}\n".encode(),
        ".docx": lambda text: office(".docx", text),
        ".xlsx": lambda text: office(".xlsx", text),
        ".pptx": lambda text: office(".pptx", text),
        ".epub": lambda text: office(".epub", text),
    }

    def printed(text: str) -> bytes:
        document = fpdf.FPDF()
        document.add_page()
        document.set_font("helvetica", size=12)
        document.multi_cell(0, 8, text)
        return bytes(document.output())

    makers[".pdf"] = printed
    names = [f"good-{number:02}{list(makers)[number % len(makers)]}" for number in range(50)]
    for name in names:
        path = folder / name
        path.write_bytes(makers[path.suffix](said_in(name)))
    return names


def said_in(name: str) -> str:
    """What the good file of this name says."""
    return f"Lamp number {name[5:7]} shines for forty hours and survives rain."


def office(suffix: str, text: str = "A lamp.", **changed: bytes) -> bytes:
    """A small file of an office format, with `text` in it; `main` replaces the part that holds the text."""
    from docx import Document
    from openpyxl import Workbook
    from pptx import Presentation

    out = io.BytesIO()
    if suffix == ".docx":
        document = Document()
        document.add_paragraph(text)
        document.save(out)
    elif suffix == ".xlsx":
        book = Workbook()
        for row in (["question", "answer"], ["What of it?", text]):
            book.worksheets[0].append(row)
        book.save(out)
    elif suffix == ".pptx":
        show = Presentation()
        show.slides.add_slide(show.slide_layouts[5]).shapes.title.text = text
        show.save(out)
    else:
        out = io.BytesIO(zipped(_book(text)))
    parts = {name: zipfile.ZipFile(out).read(name) for name in zipfile.ZipFile(out).namelist()}
    return zipped(parts | ({MAIN[suffix]: changed["main"]} if changed else {}))


def _book(text: str) -> dict[str, bytes]:
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="b.opf"/>'
        "</rootfiles></container>"
    )
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf"><manifest><item id="c" href="c.xhtml"/></manifest>'
        '<spine><itemref idref="c"/></spine></package>'
    )
    return {"META-INF/container.xml": container.encode(), "b.opf": package.encode(), "c.xhtml": f"<p>{text}</p>".encode()}


def zipped(parts: Mapping[str, bytes]) -> bytes:
    """A zip."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def zeros(size: int, ends: bool = True) -> bytes:
    """A raw deflate stream of so many zero bytes, made without making them: one packed block, repeated."""
    block = 4_000_000
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
    return packed * (size // block) + (b"\x03\x00" if ends else b"")


def _bomb(suffix: str, declared: int) -> bytes:
    """An office file whose main part is 4 GB of zeros, and says it is `declared` bytes."""
    good = zipfile.ZipFile(io.BytesIO(office(suffix)))
    raw = {name: (good.read(name), None) for name in good.namelist() if name != MAIN[suffix]}
    return _raw_zip({**raw, MAIN[suffix]: (zeros(GIGABYTES_4), declared)})


def _raw_zip(parts: Mapping[str, tuple[bytes, int | None]]) -> bytes:
    """A zip of parts as stored, or as packed already where a size is declared."""
    body, directory = b"", b""
    for name, (content, size) in parts.items():
        method, real = (0, len(content)) if size is None else (8, size)
        fields = struct.pack("<HHHHHIIIHH", 20, 0, method, 0, 33, zlib.crc32(content), len(content), real, len(name), 0)
        directory += b"PK\x01\x02\x14\x00" + fields + struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + name.encode()
        body += b"PK\x03\x04" + fields + name.encode() + content
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, len(parts), len(parts), len(directory), len(body), 0)
    return body + directory + end


def _bombs() -> Iterator[tuple[str, Callable[[], bytes]]]:
    for suffix in MAIN:
        yield f"bomb{suffix}", lambda suffix=suffix: _bomb(suffix, GIGABYTES_4)
        yield f"lying-bomb{suffix}", lambda suffix=suffix: _bomb(suffix, 1000)
    yield "nested-zip.docx", lambda: zipped({"a.zip": zipped({"b.zip": _bomb(".docx", GIGABYTES_4)})})
    yield "many-parts.xlsx", lambda: zipped({f"{n}.xml": b"" for n in range(50_000)})
    yield "zip-slip.docx", lambda: zipped({"../../../slipped.md": b"?", "/slipped.md": b"?", "..\\slipped.md": b"?"})
    paragraphs = f"<w:document {W}><w:body>" + "<w:p><w:r><w:t>a</w:t></w:r></w:p>" * 2_500_000 + "</w:body></w:document>"
    yield "paragraphs.docx", lambda: office(".docx", main=paragraphs.encode())
    deep = f"<w:document {W}><w:body>" + "<w:p><w:r>" * 100_000 + "</w:r></w:p>" * 100_000 + "</w:body></w:document>"
    yield "deep.docx", lambda: office(".docx", main=deep.encode())
    yield "million-cells.xlsx", lambda: office(".xlsx", main=_sheet("<c><v>1</v></c>" * 10, 100_000))
    yield "far-cell.xlsx", lambda: office(".xlsx", main=_sheet('<c r="XFD1048576"><v>1</v></c>', 1))
    yield "chapters.epub", lambda: office(".epub", main=b"<p>a</p>" * 12_000_000)
    yield "bomb.jsonl.gz", lambda: b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + zeros(GIGABYTES_4) + bytes(8)
    yield "lines.jsonl.gz", lambda: gzip.compress(b"{}\n[]\n" * 10_000_000, 1)


def _sheet(row: str, count: int) -> bytes:
    return f"<worksheet {S}><sheetData>{f'<row>{row}</row>' * count}</sheetData></worksheet>".encode()


def _spies(canary: Path, port: int) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Billions of laughs; and external entities, which read a file or call a server where a parser follows them."""
    for what, doctype, text in (
        ("laughs", DOCTYPE, "&a11;"),
        ("file", f'<!DOCTYPE x [<!ENTITY a SYSTEM "{canary.as_uri()}">]>', "&a;"),
        ("server", f'<!DOCTYPE x SYSTEM "http://127.0.0.1:{port}/x.dtd" [<!ENTITY a SYSTEM "http://127.0.0.1:{port}/">]>', "&a;"),
    ):
        yield (
            f"{what}.docx",
            _changed(".docx", f"{doctype}<w:document {W}><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>"),
        )
        cell = f'<c t="inlineStr"><is><t>{text}</t></is></c>'
        yield f"{what}.xlsx", _changed(".xlsx", doctype + _sheet(cell, 2).decode())
        yield f"{what}.pptx", _changed(".pptx", f"{doctype}<a:p {A}>{text}</a:p>")
        page = f"{doctype}<html><body><p>Of {text} this.</p><svg><text>{text}</text></svg></body></html>"
        yield f"{what}.epub", _changed(".epub", page)
        yield f"{what}.html", page.encode
        yield f"{what}.svg", f'{doctype}<svg xmlns="http://www.w3.org/2000/svg"><text>{text}</text></svg>'.encode
        book = _book("?") | {"b.opf": f"{doctype}<package>{text}</package>".encode()}
        yield f"{what}-list.epub", lambda book=book: zipped(book)
    links = f'<img src="{canary.as_uri()}"><iframe src="http://127.0.0.1:{port}/"></iframe><object data="{canary}"></object>'
    yield "links.html", f"<p>A lamp.</p>{links}<link rel=stylesheet href=http://127.0.0.1:{port}/>".encode


def _changed(suffix: str, main: str) -> Callable[[], bytes]:
    return lambda: office(suffix, main=main.encode())


def pdf(
    content: bytes = b"BT /F1 12 Tf 50 700 Td (A lamp.) Tj ET",
    *,
    page: str = "",
    catalog: str = "",
    trailer: str = "",
    **streams: str,
) -> bytes:
    """A PDF of one page: 1 catalog, 2 pages, 3 page, 4 font, 5 content."""
    filters = streams.get("filters", "")
    objects = [
        f"<< /Type /Catalog /Pages 2 0 R {catalog} >>".encode(),
        streams.get("pages", "<< /Type /Pages /Kids [3 0 R] /Count 1 >>").encode(),
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 5 0 R"
        f" /Resources << /Font << /F1 4 0 R >> {page} >> >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        f"<< /Length {len(content)} {filters} >> stream\n".encode() + content + b"\nendstream",
        *(text.encode() for text in streams.get("more", "").split("\n") if text),
    ]
    body, places = b"%PDF-1.7\n", []
    for number, text in enumerate(objects, start=1):
        places.append(len(body))
        body += f"{number} 0 obj\n".encode() + text + b"\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = trailer or f"/Size {len(objects) + 1} /Root 1 0 R"
    return (
        body
        + (
            f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer\n<< {end} >>\nstartxref\n{len(body)}\n%%EOF\n"
        ).encode()
    )


def _lzw(periods: int) -> bytes:
    """An LZW stream of zero bytes, 7 MB in each period of 6 kB."""
    bits: list[str] = [f"{256:09b}"]
    for _ in range(periods):
        code, width, following = 0, 9, 258
        for _ in range(3800):
            bits.append(f"{code:0{width}b}")
            code = following - 1 if following > 258 else 258
            following += 1
            width = 9 + (following > 511) + (following > 1023) + (following > 2047)
        bits.append(f"{256:0{width}b}")
    whole = "".join(bits)
    return (
        int(whole, 2).to_bytes(-(-len(whole) // 8), "big")
        if len(whole) % 8 == 0
        else int(whole + "0" * (-len(whole) % 8), 2).to_bytes(-(-len(whole) // 8), "big")
    )


def _documents() -> Iterator[tuple[str, Callable[[], bytes]]]:
    flate = b"\x78\x9c" + zeros(GIGABYTES_4) + bytes(4)
    yield "flate.pdf", lambda: pdf(flate, filters="/Filter /FlateDecode")
    yield "stacked.pdf", lambda: pdf(zlib.compress(zlib.compress(flate)), filters=f"/Filter [{'/FlateDecode ' * 3}]")
    yield "lzw.pdf", lambda: pdf(_lzw(150), filters="/Filter /LZWDecode")
    yield "runs.pdf", lambda: pdf(b"\x81a" * 1_000_000 + b"\x80", filters="/Filter [/RunLengthDecode /RunLengthDecode]")
    item = "<< /Title (Lamps) /Parent 6 0 R /First 7 0 R /Next 7 0 R /Prev 7 0 R >>"
    yield "outline.pdf", lambda: pdf(catalog="/Outlines 6 0 R", more=f"<< /First 7 0 R /Last 7 0 R /Count 9 >>\n{item}")
    yield "kids.pdf", lambda: pdf(pages="<< /Type /Pages /Kids [2 0 R 3 0 R] /Count 2 >>")
    yield (
        "same-page.pdf",
        lambda: pdf(
            b"BT /F1 12 Tf 50 700 Td " + b"(A lamp.) Tj T* " * 20_000 + b"ET",
            pages=f"<< /Type /Pages /Kids [{'3 0 R ' * 100_000}] /Count 100000 >>",
        ),
    )
    yield "size.pdf", lambda: pdf(trailer="/Size 2147483647 /Root 1 0 R")
    yield "no-root.pdf", lambda: pdf(trailer="/Size 6")
    yield "previous.pdf", lambda: pdf(trailer="/Size 6 /Root 1 0 R /Prev 9")
    yield "no-end.pdf", lambda: pdf(b"BI /W 9 /H 9 /BPC 8 /CS /G ID " + b"E I" * 1_000_000)
    inner = "/Resources << /XObject << /X 6 0 R >> >>"
    form = f"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] {inner} /Length 5 >> stream /X Do endstream"
    yield "form.pdf", lambda: pdf(b"/X Do", page="/XObject << /X 6 0 R >>", more=form)
    yield "brackets.pdf", lambda: pdf(b"[" * 1_000_000)
    yield "cut.pdf", lambda: pdf()[:300]


def _texts() -> Iterator[tuple[str, Callable[[], bytes]]]:
    yield "deep.html", lambda: b"<div>" * 100_000 + b"A lamp." + b"</div>" * 100_000
    yield "unclosed.html", lambda: b"<b><i><p><a href=x>" * 30_000
    yield "comments.html", lambda: b"<!-- <![CDATA[ <? </" * 100_000
    yield "million-cells.html", lambda: b"<table>" + (b"<tr>" + b"<td>1" * 10) * 100_000 + b"</table>"
    yield "attribute.html", lambda: b"<p style='" + b"a:b;" * 3_000_000 + b"'>A lamp."
    yield "line.txt", lambda: b"lamp " * 10_000_000
    yield "line.html", lambda: b"<p>" + b"lamp " * 10_000_000
    yield "word.txt", lambda: b"x" * 50_000_000
    yield "heading.md", lambda: b"# " + b"lamp " * 200_000 + b"\n\n" + b"It shines.\n\n" * 20_000
    yield "quotes.md", lambda: b">" * 100_000 + b" A lamp."
    yield "lists.md", lambda: b"".join(b" " * n + b"- a\n" for n in range(3000))
    yield "links.md", lambda: b"[" * 100_000 + b"a" + b"](b)" * 100_000
    yield "stars.md", lambda: b"**a *" * 100_000
    yield "columns.md", lambda: b"|" + b"a|" * 100_000 + b"\n|" + b"-|" * 100_000 + (b"\n|" + b"1|" * 100_000) * 20
    yield "headings.md", lambda: b"".join(b"#" * (n % 6 + 1) + b" a\n" for n in range(200_000))
    yield "half.txt", lambda: "灯可以照明四十小时。".encode("utf-16")[:-1]
    yield "half-utf8.md", lambda: "灯可以照明四十小时。".encode()[:-1]
    yield (
        "yaml.md",
        lambda: b"---\na: &a [b]\n" + b"".join(b"c%d: &c%d [*a, *a]\n" % (n, n) for n in range(300)) + b"---\nA lamp.",
    )
    yield "field.csv", lambda: b'question,answer\nWhat of it?,"' + b"lamp " * 4_000_000 + b'"\n'
    yield "quotes.csv", lambda: b"a,b\n" + b'"a, b\n' * 200_000
    yield "columns.csv", lambda: (b"a," * 100_000 + b"\n") * 10
    yield "rows.csv", lambda: b"a,b\n" + b"1,2,3\n" * 1_000_000
    yield "deep.jsonl", lambda: b'{"a":' + b"[" * 400_000 + b"]" * 400_000 + b"}\n"
    yield "digits.jsonl", lambda: b'{"a": ' + b"9" * 900_000 + b"}\n"
    yield "cues.srt", lambda: b"".join(b"%d\n00:00:01,000 --> 00:00:02,000\n{\\a<b\n\n" % n for n in range(100_000))


def _noise() -> Iterator[tuple[str, Callable[[], bytes]]]:
    noise = random.Random(1).randbytes(1_000_000)
    for suffix in (".pdf", ".docx", ".xlsx", ".pptx", ".epub", ".html", ".srt", ".csv", ".md", ".jsonl", ".jsonl.gz"):
        yield f"noise{suffix}", lambda: noise
    for suffix in (".docx", ".xlsx", ".pptx", ".epub"):
        yield f"noise-inside{suffix}", lambda suffix=suffix: office(suffix, main=noise)
        yield f"half{suffix}", lambda suffix=suffix: office(suffix)[:-100]
    yield "noise-after.pdf", lambda: b"%PDF-1.7\n" + noise


if __name__ == "__main__":
    there = Path(sys.argv[1])
    there.mkdir(parents=True, exist_ok=True)
    build(there, there.parent / "canary.txt", 9)
    build_good(there)
