"""A picture with text -> Markdown: a notice, a price list, a care label, a scanned page."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator

from PIL import Image, ImageOps

from rag.errors import Unreadable
from rag.ingest.readers.content import Page
from rag.ingest.readers.layout import Part, markdown, parts
from rag.ingest.readers.office import parsing
from rag.ingest.readers.recognize import recognize
from rag.language import detect
from rag.types import Language
from rag.wording import say

_KIND = "a picture (PNG, JPEG, WebP, BMP, TIFF or GIF)"
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")  # of the many that Pillow opens, those that need no other program
PIXELS = 40_000_000  # 120 MB once unpacked
_FRAMES = 3000
_SIDE = 4000  # larger ones are made smaller at once
_known: dict[str, tuple[Part, ...]] = {}  # by the digest of pixels: one without text is met again by every ingest of a watch


def read(data: bytes) -> Page:
    """Raises Unreadable for a damaged or oversized picture, and for one without text."""
    frames = [seen(picture) for picture in _frames(data)]
    if not any(frames):
        raise Unreadable(
            expected="a picture with text in it",
            found="no text was found in the picture",
            remedy="leave it out, or put its text into a document",
        )
    if len(frames) == 1:
        return Page(markdown(frames[0]))
    language: Language = detect("".join(part.text for frame in frames for part in frame)[:2000]) or "en"
    headings = (f"## {say('page_heading', language, number=number)}" for number in range(1, len(frames) + 1))
    return Page(
        "\n\n".join(f"{heading}\n\n{markdown(frame, 3)}" for heading, frame in zip(headings, frames, strict=True) if frame)
    )


def seen(picture: Image.Image) -> tuple[Part, ...]:
    """What stands in a picture; the same picture is read once a process. Raises Unreadable if it cannot be unpacked."""
    with parsing(_KIND):
        picture = _plain(picture)
        digest = hashlib.sha256(f"{picture.size}".encode() + picture.tobytes()).hexdigest()
    if digest not in _known:
        _known[digest] = tuple(parts(recognize(picture)))
    return _known[digest]


def _frames(data: bytes) -> Iterator[Image.Image]:
    """The pages of a TIFF file; the first frame of any other."""
    with parsing(_KIND):  # warnings are silent in here, Pillow's of large pictures too: the limit below is lower
        try:
            picture = Image.open(io.BytesIO(data), formats=_FORMATS)
        except Image.DecompressionBombError as error:
            raise _too_large("more") from error
    if picture.width * picture.height <= PIXELS and picture.format in ("JPEG", "MPO"):
        picture.draft("RGB", (_SIDE, _SIDE))  # a large one is unpacked at half its size or less
    number = 0
    while number < _FRAMES:
        if picture.width * picture.height > PIXELS:
            raise _too_large(f"{picture.width} x {picture.height}")
        yield picture
        number += 1
        with parsing(_KIND):
            if picture.format != "TIFF" or number == getattr(picture, "n_frames", 1):
                return
            picture.seek(number)


def _too_large(found: str) -> Unreadable:
    return Unreadable(
        expected=f"a picture of at most {PIXELS // 1_000_000} million pixels", found=found, remedy="make it smaller"
    )


def _plain(picture: Image.Image) -> Image.Image:
    """Turned as the camera was held, in red, green, blue; what is transparent becomes white, or black behind light letters."""
    picture = ImageOps.exif_transpose(picture)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        alpha = picture.getchannel("A")
        ink = ImageOps.grayscale(picture).histogram(alpha.point(lambda value: 255 if value > 127 else 0))
        light = sum(ink[128:]) > sum(ink[:128])
        ground = Image.new("RGBA", picture.size, "black" if light else "white")
        picture = Image.alpha_composite(ground, picture)
    picture = picture.convert("RGB")
    picture.thumbnail((_SIDE, _SIDE))
    return picture
