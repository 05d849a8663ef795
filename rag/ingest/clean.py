"""Bytes to text, and text without the characters that nobody sees: the one place every reader goes through."""

from __future__ import annotations

import codecs
import re
import unicodedata

from charset_normalizer import from_bytes

from rag.errors import Unreadable
from rag.language import seen

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LEGACY = ["gb18030", "big5", "cp1252"]
_WIDE = ["utf_16_le", "utf_16_be"]  # without a byte order mark; their line ends and spaces hold NUL bytes
_SAMPLE = 100_000  # bytes looked at to guess an encoding
_BINARY_SHARE = 0.05  # control characters above which something is not text


_SPACES = dict.fromkeys((0x0B, 0x0C, 0x85, 0x2028, 0x2029), "\n") | dict.fromkeys((0xA0, 0x2007, 0x202F), " ")  # to match by hand
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")


def clean(text: str) -> str:
    """Normal form C, line feeds as line ends, plain spaces, and no character that nobody sees."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", seen(text.translate(_SPACES)))


def decode(data: bytes, declared: str | None = None) -> str:
    """The cleaned text of a file: byte order mark, `declared`, UTF-8, then a guess. Raises Unreadable if none fits."""
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return clean(_strictly(data, encoding))
    for encoding in filter(None, (declared, "utf-8")):
        try:
            text = data.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
        if "\0" not in text[:_SAMPLE] or encoding == declared:
            return _text_only(text)
    return _text_only(_guess(data))


def _strictly(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise _broken(encoding, error) from error


def _guess(data: bytes) -> str:
    _reject_damaged_utf8(data)
    wide = b"\0" in data[:_SAMPLE]
    best = from_bytes(data[:_SAMPLE], cp_isolation=_WIDE if wide else _LEGACY).best()
    if best is None and wide:
        return data.decode("utf-8", "replace")  # controls decide: text with stray NULs, or binary
    if best is None:
        raise Unreadable(
            expected="text in UTF-8, UTF-16 or GB18030",
            found="an encoding that cannot be told",
            remedy='save the file again as "UTF-8"',
        )
    return _strictly(data, best.encoding)


def _reject_damaged_utf8(data: bytes) -> None:
    """UTF-8 with a few bad bytes would decode as nonsense in another encoding."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        sample = data[:_SAMPLE].decode("utf-8", "replace")
        good = sum(character > "\x7f" and character != "\ufffd" for character in sample)
        if good > 4 * sample.count("\ufffd"):
            raise _broken("UTF-8", error) from error


def _broken(encoding: str, error: UnicodeDecodeError) -> Unreadable:
    line = error.object[: error.start].count(b"\n") + 1
    return Unreadable(
        expected=f"text in {encoding.upper()}",
        found=f"a byte that does not belong there in line {line} (position {error.start})",
        remedy='open the file, correct that line and save it as "UTF-8"',
    )


def _text_only(text: str) -> str:
    controls = sum(1 for _ in _CONTROL.finditer(text[:_SAMPLE]))
    if controls > _BINARY_SHARE * min(len(text), _SAMPLE):
        raise Unreadable(expected="text", found="binary data", remedy="check that the file's name has the right ending")
    return clean(text)
