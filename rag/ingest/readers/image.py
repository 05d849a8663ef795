"""A picture with text -> Markdown: a notice, a price list, a care label, a scanned page."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Iterator

from PIL import Image, ImageOps, ImageSequence

from rag.errors import Unreadable
from rag.ingest.readers.content import Page
from rag.ingest.readers.layout import Part, markdown, parts
from rag.ingest.readers.office import parsing
from rag.ingest.readers.recognize import recognize
from rag.language import detect
from rag.types import Language
from rag.wording import say

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")  # of the many that Pillow opens, those that need no other program
PIXELS = 40_000_000  # 120 MB once unpacked
_FRAMES = 3000
_SIDE = 4000  # larger ones are made smaller at once
_known: dict[str, tuple[Part, ...]] = {}  # by the digest of pixels: an ingest after a change reads every file again


def read(data: bytes) -> Page:
    """Raises Unreadable for a damaged or oversized picture, and for one without text."""
    with parsing("a picture (PNG, JPEG, WebP, BMP, TIFF or GIF)"):
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
    """What stands in a picture; the same picture is read once a process."""
    picture = _plain(picture)
    digest = hashlib.sha256(f"{picture.size}".encode() + picture.tobytes()).hexdigest()
    if digest not in _known:
        _known[digest] = tuple(parts(recognize(picture)))
    return _known[digest]


def _check_size(width: int, height: int) -> None:
    """Raises Unreadable before a picture is unpacked that would take more memory than it is worth."""
    if width * height > PIXELS:
        raise Unreadable(
            expected=f"a picture of at most {PIXELS // 1_000_000} million pixels",
            found=f"{width} x {height}",
            remedy="make it smaller",
        )


def _frames(data: bytes) -> Iterator[Image.Image]:
    """The pages of a TIFF file; the first frame of any other."""
    with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):  # _check_size is stricter
        try:
            picture = Image.open(io.BytesIO(data), formats=_FORMATS)
        except Image.DecompressionBombError as error:
            raise Unreadable(
                expected=f"a picture of at most {PIXELS // 1_000_000} million pixels", found="more", remedy="make it smaller"
            ) from error
    _check_size(*picture.size)
    if picture.format in ("JPEG", "MPO"):
        picture.draft("RGB", (_SIDE, _SIDE))  # a large one is unpacked at half its size or less
    if picture.format != "TIFF":
        yield picture
        return
    for frame, _ in zip(ImageSequence.Iterator(picture), range(_FRAMES), strict=False):
        _check_size(*frame.size)
        yield frame


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
