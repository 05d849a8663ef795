"""A bi-encoder in its first layers, a cross-encoder in the rest: scores the sentences of passages against a question.

The first layers encode question and passage apart, so that what they make of a passage serves every question (DeFormer, Cao et
al. 2020). In the others a token of one may look at the other, held back by a learnt bias. A sentence is the mean of its tokens.
The head says nothing at first, beside a line in the cosine of question and sentence: training starts from what the encoder knows
of likeness, where a cross-encoder with a new head starts from nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertConfig, BertModel

APART = 0.5  # of the layers, the first ones, encode the texts apart; they stay as the encoder has them
_BARRED = -1e4
_SCALE = 3.0  # of the bias: how much faster it learns than the other weights
_STEEP = 10.0  # ... of the line in the cosine
_ROUNDED = 8  # lengths are multiples of it: the processor's kernels are made anew for every shape
BATCH = 3000  # tokens that go through the model at once, padding included

Ids = tuple[int, ...]  # tokens of a text, special tokens included
Span = tuple[int, int]  # first token of a sentence, and the one behind its last
Marked = tuple[Ids, tuple[Span, ...]]  # a passage, and where its sentences are
Question = tuple[Ids, int]  # with what was said before behind it, and how many of the tokens ask
_NONE: Mapping[Ids, Tensor] = {}


class JointEncoder(nn.Module):
    """Scores sentences, 0 being what "none of them" is worth."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        config._attn_implementation = "eager"  # for short texts twice as fast here as the fused one, backwards
        self.bert = BertModel(config, add_pooling_layer=False)
        self.apart = int(config.num_hidden_layers * APART)
        width = config.hidden_size
        self.bias = nn.Parameter(torch.tensor(-0.3))
        self.slope = nn.Parameter(torch.tensor(2.5))  # of the cosine, in tens
        self.level = nn.Parameter(torch.tensor(-2.1))
        self.hidden = nn.Linear(4 * width, width)
        self.out = nn.Linear(width, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    @classmethod
    def of(cls, encoder: Path) -> JointEncoder:
        """Untaught, from the folder of a BERT encoder in safetensors. Raises ValueError for one that lacks weights."""
        from safetensors.torch import load_file

        model = cls(BertConfig.from_pretrained(str(encoder), local_files_only=True))
        known = {name: value.float() for name, value in load_file(encoder / "model.safetensors").items()}
        found = model.bert.load_state_dict({name: value for name, value in known.items() if not name.startswith("pooler")}, False)
        if missing := [name for name in found.missing_keys if "position_ids" not in name]:
            raise ValueError(f"no weights {missing[0]} in {encoder}")
        return model

    def learnt(self) -> Iterator[tuple[str, nn.Parameter]]:
        """What is trained: all but the embeddings and the layers that encode the texts apart."""
        return ((name, value) for name, value in self.named_parameters() if not self._is_kept(name))

    def kept(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The rest, the same in all selectors made from one encoder."""
        return ((name, value) for name, value in self.named_parameters() if self._is_kept(name))

    def forward(self, jobs: Sequence[tuple[Question, Sequence[Marked]]], known: Mapping[Ids, Tensor] = _NONE) -> list[Tensor]:
        """Of each question with its passages, the scores of all their sentences in order, float32.

        Each distinct text is encoded once, but those whose encode() is `known`; pairs are read sorted by length, which pads far
        less.
        """
        texts = dict.fromkeys(text for (question, _), passages in jobs for text in (question, *(ids for ids, _ in passages)))
        states = {**known, **self.encode([text for text in texts if text not in known])}
        pairs = list(dict.fromkeys((question, passage) for question, passages in jobs for passage in passages))
        pairs.sort(key=lambda pair: len(pair[0][0]) + len(pair[1][0]))
        scores: dict[tuple[Question, Marked], Tensor] = {}
        for batch in _batches(pairs):
            scores |= zip(batch, self._together(batch, states), strict=True)
        return [torch.cat([scores[question, passage] for passage in passages]) for question, passages in jobs]

    def encode(self, texts: Sequence[Ids]) -> dict[Ids, Tensor]:
        """What the layers that encode the texts apart make of each, shape (its tokens, width)."""
        with torch.no_grad():
            return dict(zip(texts, self._apart(texts), strict=True))

    def _is_kept(self, name: str) -> bool:
        return name.startswith(("bert.embeddings.", *(f"bert.encoder.layer.{number}." for number in range(self.apart))))

    def _apart(self, texts: Sequence[Ids]) -> list[Tensor]:
        """The hidden states of each text, shape (its tokens, width)."""
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        states: dict[int, Tensor] = {}
        for first in range(0, len(order), 16):
            places = order[first : first + 16]
            ids, mask = _padded([torch.tensor(texts[place], device=self.out.weight.device)[:, None] for place in places])
            hidden = self.bert.embeddings(input_ids=ids[..., 0])
            for layer in self.bert.encoder.layer[: self.apart]:
                hidden = _first(layer(hidden, attention_mask=((1 - mask) * _BARRED)[:, None, None, :].to(hidden.dtype)))
            states |= {place: row[: len(texts[place])] for place, row in zip(places, hidden, strict=True)}
        return [states[place] for place in range(len(texts))]

    def _together(self, pairs: Sequence[tuple[Question, Marked]], states: dict[Ids, Tensor]) -> tuple[Tensor, ...]:
        """Of each question and passage, the scores of its sentences."""
        left, shown = _padded([states[question] for (question, _), _ in pairs])
        right, seen = _padded([states[ids] for _, (ids, _) in pairs])
        hidden, mask, width = torch.cat([left, right], 1), torch.cat([shown, seen], 1), shown.shape[1]
        side = torch.arange(mask.shape[1], device=mask.device) >= width
        crossing = (side[:, None] != side[None, :]).float() * self.bias * _SCALE
        barred = ((1 - mask) * _BARRED)[:, None, None, :] + crossing
        for layer in self.bert.encoder.layer[self.apart :]:
            hidden = _first(layer(hidden, attention_mask=barred.to(hidden.dtype)))
        hidden = hidden.float()
        asked = torch.stack([row[:count].mean(0) for row, ((_, count), _) in zip(hidden, pairs, strict=True)])
        rows = [(row, first, end) for row, (_, (_, spans)) in enumerate(pairs) for first, end in spans]
        one = asked[torch.tensor([row for row, _, _ in rows], dtype=torch.long, device=mask.device)]
        other = torch.stack([hidden[row, width + first : width + end].mean(0) for row, first, end in rows])
        both = torch.cat([one, other, (one - other).abs(), one * other], 1)
        said = self.out(functional.gelu(self.hidden(both.to(self.hidden.weight.dtype))))[:, 0].float()
        scores: Tensor = _STEEP * (self.slope.float() * functional.cosine_similarity(one, other) + self.level.float()) + said
        parts: tuple[Tensor, ...] = scores.split([len(spans) for _, (_, spans) in pairs])  # type: ignore[no-untyped-call]
        return parts


def _batches(pairs: Sequence[tuple[Question, Marked]]) -> Iterator[list[tuple[Question, Marked]]]:
    """Of at most BATCH tokens each, the longest pair of each coming last."""
    batch: list[tuple[Question, Marked]] = []
    for pair in pairs:
        longest = len(pair[0][0]) + len(pair[1][0])
        if batch and (len(batch) + 1) * longest > BATCH:
            yield batch
            batch = []
        batch.append(pair)
    if batch:
        yield batch


def _padded(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Rows of one length, and a mask of what they hold: shapes (rows, length, width) and (rows, length)."""
    length = -(-max(map(len, rows)) // _ROUNDED) * _ROUNDED
    mask = torch.tensor([[1.0] * len(row) + [0.0] * (length - len(row)) for row in rows], device=rows[0].device)
    return torch.stack([functional.pad(row, (0, 0, 0, length - len(row))) for row in rows]), mask


def _first(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    return output[0] if isinstance(output, tuple) else output
