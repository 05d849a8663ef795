"""An embedder that reads two texts together: as a bi-encoder in its first layers, as a cross-encoder in the rest.

The first layers encode question and sentence apart, so that what they make of a sentence serves every question (DeFormer, Cao et
al. 2020). In the others a token of one may look at the other, held back by a learnt bias. With the bias far below zero and a head
that says nothing, the score is a line in the embedder's own cosine: training starts from what the embedder knows, where a
cross-encoder with a new head starts from nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertConfig, BertModel

APART = 2  # first layers, in which the texts are encoded apart; they stay the embedder's own
_BARRED = -1e4
_SCALE = 3.0  # of the bias: how much faster it learns than the other weights
_ROUNDED = 8  # lengths are multiples of it: the processor's kernels are made anew for every shape
BATCH = 3000  # tokens that go through the model at once, padding included

Texts = Sequence[Sequence[int]]  # token ids, special tokens included


class JointEncoder(nn.Module):
    """Scores pairs of texts, 0 being what "none of them" is worth."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        config._attn_implementation = "eager"  # for short texts twice as fast here as the fused one, backwards
        self.bert = BertModel(config, add_pooling_layer=False)
        width = config.hidden_size
        self.bias = nn.Parameter(torch.tensor(-0.5))
        self.slope = nn.Parameter(torch.tensor(14.0))  # of the cosine
        self.level = nn.Parameter(torch.tensor(-6.0))
        self.hidden = nn.Linear(4 * width, width)
        self.out = nn.Linear(width, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    @classmethod
    def of(cls, embedder: Path) -> JointEncoder:
        """From the folder of a BERT embedder in safetensors."""
        from safetensors.torch import load_file

        model = cls(BertConfig.from_pretrained(str(embedder), local_files_only=True))
        known = {name: value.float() for name, value in load_file(embedder / "model.safetensors").items()}
        found = model.bert.load_state_dict({name: value for name, value in known.items() if not name.startswith("pooler")}, False)
        if missing := [name for name in found.missing_keys if "position_ids" not in name]:
            raise ValueError(f"no weights {missing[0]} in {embedder}")
        return model

    def learnt(self) -> Iterator[tuple[str, nn.Parameter]]:
        """What is trained: all but the embeddings and the layers APART."""
        kept = ("bert.embeddings.", *(f"bert.encoder.layer.{number}." for number in range(APART)))
        return ((name, value) for name, value in self.named_parameters() if not name.startswith(kept))

    def forward(self, jobs: Sequence[tuple[Sequence[int], Texts]]) -> list[Tensor]:
        """Of each question with its sentences, the scores of the sentences, float32.

        Each distinct text is encoded once; pairs are read sorted by length, which pads far less.
        """
        own: dict[tuple[int, ...], int] = {}
        device = self.out.weight.device
        places = [[(_place(own, question), _place(own, text)) for text in texts] for question, texts in jobs]
        with torch.no_grad():
            states = self._apart(list(own))
        pairs = sorted({pair for job in places for pair in job}, key=lambda pair: len(states[pair[0]]) + len(states[pair[1]]))
        number = {pair: place for place, pair in enumerate(pairs)}
        scores = torch.cat([self._together([(states[a], states[b]) for a, b in batch]) for batch in _batches(pairs, states)])
        return [scores[torch.tensor([number[pair] for pair in job], dtype=torch.long, device=device)] for job in places]

    def _apart(self, texts: Texts) -> list[Tensor]:
        """The hidden states of each text, shape (its tokens, width)."""
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        states: dict[int, Tensor] = {}
        for first in range(0, len(order), 48):
            places = order[first : first + 48]
            ids, mask = _padded([torch.tensor(texts[place], device=self.out.weight.device)[:, None] for place in places])
            hidden = self.bert.embeddings(input_ids=ids[..., 0])
            for layer in self.bert.encoder.layer[:APART]:
                hidden = _first(layer(hidden, attention_mask=((1 - mask) * _BARRED)[:, None, None, :].to(hidden.dtype)))
            states |= {place: row[: len(texts[place])] for place, row in zip(places, hidden, strict=True)}
        return [states[place] for place in range(len(texts))]

    def _together(self, pairs: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """The scores of pairs of encoded texts."""
        left, shown = _padded([first for first, _ in pairs])
        right, seen = _padded([second for _, second in pairs])
        hidden, mask, width = torch.cat([left, right], 1), torch.cat([shown, seen], 1), shown.shape[1]
        side = torch.arange(mask.shape[1], device=mask.device) >= width
        crossing = (side[:, None] != side[None, :]).float() * self.bias * _SCALE
        barred = ((1 - mask) * _BARRED)[:, None, None, :] + crossing
        for layer in self.bert.encoder.layer[APART:]:
            hidden = _first(layer(hidden, attention_mask=barred.to(hidden.dtype)))
        one, other = _mean(hidden[:, :width].float(), shown), _mean(hidden[:, width:].float(), seen)
        both = torch.cat([one, other, (one - other).abs(), one * other], 1)
        said = self.out(functional.gelu(self.hidden(both.to(self.hidden.weight.dtype))))[:, 0].float()
        scores: Tensor = self.slope.float() * functional.cosine_similarity(one, other) + self.level.float() + said
        return scores


def _place(known: dict[tuple[int, ...], int], text: Sequence[int]) -> int:
    return known.setdefault(tuple(text), len(known))


def _batches(pairs: Sequence[tuple[int, int]], states: Sequence[Tensor]) -> Iterator[list[tuple[int, int]]]:
    """Of at most BATCH tokens each, the longest pair of each coming last."""
    batch: list[tuple[int, int]] = []
    for pair in pairs:
        longest = len(states[pair[0]]) + len(states[pair[1]])
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


def _mean(hidden: Tensor, mask: Tensor) -> Tensor:
    mean: Tensor = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    return mean


def _first(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    return output[0] if isinstance(output, tuple) else output
