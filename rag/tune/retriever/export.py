"""A trained embedder as a folder small enough to ship: half precision, without the rows that no shop's text reaches."""

from __future__ import annotations

import json
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

READ = ("LATIN", "CJK", "DIGIT", "GREEK", "MICRO", "OHM")  # scripts whose tokens stay; punctuation and signs stay, too


def export(model: SentenceTransformer, folder: Path) -> None:
    """Write the model to `folder` in float16, and its tokenizer as compact JSON, in place of what is there."""
    shutil.rmtree(folder, ignore_errors=True)
    encoder = model[0].auto_model
    whole = encoder.get_input_embeddings().weight.detach()
    described: dict[str, Any] = json.loads(model.tokenizer.backend_tokenizer.to_str())
    kept = sorted(id for token, id in model.tokenizer.get_vocab().items() if _stays(token))
    _renumber(described, {old: new for new, old in enumerate(kept)})
    encoder.set_input_embeddings(torch.nn.Embedding(len(kept), whole.shape[1], padding_idx=0, _weight=whole[kept].clone()))
    encoder.config.vocab_size = len(kept)
    model.half().save(str(folder), create_model_card=False)
    (folder / "tokenizer.json").write_text(json.dumps(described, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    for name in ("vocab.txt", "special_tokens_map.json"):
        (folder / name).unlink(missing_ok=True)


def _stays(token: str) -> bool:
    """Whether a shop's text in English or Chinese may hold the token; the model's own, such as [CLS], do."""
    if token.startswith("[unused"):
        return False
    letters = [character for character in token.removeprefix("##") if character.isalpha()]
    return all(unicodedata.name(character, "").startswith(READ) for character in letters)


def _renumber(described: dict[str, Any], new: dict[int, int]) -> None:
    """Give every token of a tokenizer.json its new number, and drop those without one."""
    model = described["model"]
    model["vocab"] = {token: new[id] for token, id in model["vocab"].items() if id in new}
    described["added_tokens"] = [entry | {"id": new[entry["id"]]} for entry in described["added_tokens"] if entry["id"] in new]
    for special in described["post_processor"]["special_tokens"].values():
        special["ids"] = [new[id] for id in special["ids"]]
    described["truncation"] = described["padding"] = None
