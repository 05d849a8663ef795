"""A picture -> the lines of text in it with their places, by models that come inside the package rapidocr."""

from __future__ import annotations

import functools
import math
import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rag.errors import ModelMissing
from rag.ingest.readers.effort import expect

_MODELS = {"Det": "PP-OCRv6_det_small.onnx", "Rec": "PP-OCRv6_rec_small.onnx"}
_SIDE = 2000  # pixels of the longer side that is searched for text
_LEAST = 736  # ... and at least so many, so that small print is found
_SURE = 0.6  # below this a line is more likely a pattern than text
_READS_WELL = 0.8  # mean score of a picture that stands upright; upside down it is 0.55 to 0.75
SECONDS = 10  # that one look at a picture may take
_threads = 0


@dataclass(frozen=True, slots=True)
class Box:
    """A line of text as found; places in pixels, the origin at the top left, once the picture stands straight."""

    text: str
    score: float  # 0..1
    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        """Roughly the size of its letters."""
        return self.bottom - self.top


def limit(threads: int) -> None:
    """How many threads reading a picture may use from now on; 0: as many as there are cores."""
    global _threads
    _threads = threads


def threads() -> int:
    """What limit() was told."""
    return _threads


def recognize(picture: Image.Image) -> list[Box]:
    """The lines in an RGB picture, in no particular order. One that lies on its side or upside down is turned."""
    pages = {0: _read(picture)}
    if _lies(pages[0]):
        pages |= {angle: _read(picture.rotate(angle, expand=True)) for angle in (90, 270)}
    elif pages[0] and _mean(pages[0]) < _READS_WELL:
        pages[180] = _read(picture.rotate(180))
    best = max(pages.values(), key=lambda quads: sum(score * len(text) for _, text, score in quads if score >= _SURE))
    return _straight([quad for quad in best if quad[2] >= _SURE and any(map(str.isalnum, quad[1]))])


Quad = tuple[Any, str, float]  # corners, shape (4, 2), from the top left clockwise; text; score


def _read(picture: Image.Image) -> list[Quad]:
    expect(SECONDS, models=True)
    pixels = np.asarray(picture)[:, :, ::-1]  # the models know blue, green, red
    found = _engine(_threads)(pixels)
    return [] if found.boxes is None else list(zip(found.boxes, found.txts, found.scores, strict=True))


def _lies(quads: list[Quad]) -> bool:
    """Whether most of the text runs upwards or downwards."""
    tall = sum(len(text) for corners, text, _ in quads if _size(corners)[1] >= 1.5 * _size(corners)[0])
    return tall > 0.5 * sum(len(text) for _, text, _ in quads)


def _size(corners: Any) -> tuple[float, float]:  # noqa: ANN401 - an array
    return math.dist(corners[0], corners[1]), math.dist(corners[1], corners[2])


def _mean(quads: list[Quad]) -> float:
    return sum(score * len(text) for _, text, score in quads) / sum(len(text) for _, text, _ in quads)


def _straight(quads: list[Quad]) -> list[Box]:
    """Upright boxes, as if the picture had been taken without a tilt."""
    if not quads:
        return []
    edges = sorted((math.atan2(c[1][1] - c[0][1], c[1][0] - c[0][0]), _size(c)[0]) for c, _, _ in quads)
    half = sum(length for _, length in edges) / 2
    tilt = next(angle for i, (angle, _) in enumerate(edges) if sum(length for _, length in edges[: i + 1]) >= half)
    cos, sin = math.cos(-tilt), math.sin(-tilt)
    boxes: list[Box] = []
    for corners, text, score in quads:
        middle_x, middle_y = (float(sum(corner[axis] for corner in corners)) / 4 for axis in (0, 1))
        x, y = middle_x * cos - middle_y * sin, middle_x * sin + middle_y * cos
        width, height = _size(corners)
        boxes.append(Box(text, float(score), x - width / 2, y - height / 2, x + width / 2, y + height / 2))
    return boxes


@functools.lru_cache(maxsize=1)
def _engine(threads: int) -> Any:  # noqa: ANN401 - rapidocr ships no types
    """Loaded once a process. The sessions are made here: by itself rapidocr would download a model that it misses."""
    import cv2
    import onnxruntime
    from omegaconf import flag_override
    from rapidocr import RapidOCR

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(threads or os.cpu_count() or 1, os.cpu_count() or 1)
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = False
    cv2.setNumThreads(options.intra_op_num_threads)
    engine = RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.use_cls": False,
            "Global.max_side_len": _SIDE,
            "Det.limit_side_len": _LEAST,
        }
    )
    spec = find_spec("rapidocr")
    folder = Path(spec.origin or "").parent / "models" if spec else Path()
    for part, name in _MODELS.items():
        if not (folder / name).is_file():
            raise ModelMissing(expected=f"{name} in the package rapidocr", found="none", remedy="install it again")
        with flag_override(engine.cfg, "allow_objects", True):
            engine.cfg[part].session = onnxruntime.InferenceSession(
                str(folder / name), options, providers=["CPUExecutionProvider"]
            )
    return engine
