"""A page of a PDF that is a picture -> what stands in it."""

from __future__ import annotations

from contextlib import suppress

from PIL import Image
from pypdf import PageObject

from rag.errors import Unreadable
from rag.ingest.readers.image import PIXELS, seen
from rag.ingest.readers.layout import Part
from rag.ingest.readers.office import parsing

_LEAST = 40  # pixels of a picture's sides; less is a rule or a bullet
_PICTURES = 50  # some scanners cut a page into strips


def parts(page: PageObject) -> list[Part]:
    """Headings and texts of the page's pictures, in the order of the file; one that cannot be unpacked has none."""
    found: list[Part] = []
    names: list[str] = []
    with suppress(Unreadable), parsing("a page's pictures"):
        names = _pictures(page)[:_PICTURES]
    for name in names:
        with suppress(Unreadable):
            picture = _unpacked(page, name)
            found += seen(picture) if picture else ()
    return found


def _unpacked(page: PageObject, name: str) -> Image.Image | None:
    """The picture as the page shows it."""
    with parsing("a picture"):
        picture = page.images[name].image
        return picture.rotate(-page.rotation, expand=True) if picture and page.rotation else picture


def _pictures(page: PageObject) -> list[str]:
    """The names of the page's own pictures, as far as they are neither specks nor too large to unpack, by what the file says."""
    resources = page.get("/Resources")
    objects = resources.get_object().get("/XObject") if resources else None
    items = {name: entry.get_object() for name, entry in (objects.get_object() if objects else {}).items()}
    sizes = {
        name: (int(item.get("/Width", 0)), int(item.get("/Height", 0)))
        for name, item in items.items()
        if item.get("/Subtype") == "/Image"
    }
    return [name for name, (width, height) in sizes.items() if min(width, height) >= _LEAST and width * height <= PIXELS]
