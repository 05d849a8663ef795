"""Training of the reranker: the right passage of each list is told from the wrong ones; a killed run goes on where it was."""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import CrossEncoder
from torch.nn import Identity, functional

from rag.ports import Scores
from rag.tune.reranker.lists import Ranking
from rag.tune.schedule import resume, save, share

log = logging.getLogger(__name__)
STEP = 16  # lengths of batches are multiples of it: the processor's kernels are made anew for every shape


@dataclass(frozen=True, slots=True)
class Plan:
    """The numbers of a run; they go into the model card."""

    steps: int = 900
    seed: int = 0
    layers: int = 3  # of the embedder's encoder that are kept, from the first; 0: all
    pairs: int = 6000  # of question and passage, at most
    wrong: int = 4  # passages beside the right one, a list
    lists: int = 8  # a step
    length: int = 128  # tokens of question and passage together
    rate: float = 2e-4  # at its peak
    warm_up: int = 60
    every: int = 100  # steps between checkpoints


def start(base: Path, plan: Plan) -> CrossEncoder:
    """The embedder's encoder, cut to the first layers, with a new head that makes one score."""
    own = int(json.loads((base / "config.json").read_text(encoding="utf-8"))["num_hidden_layers"])
    torch.manual_seed(plan.seed)
    return CrossEncoder(
        str(base),
        num_labels=1,
        max_length=plan.length,
        activation_fn=Identity(),
        device="cpu",
        local_files_only=True,
        config_kwargs={"num_hidden_layers": min(plan.layers or own, own)},
        # attention written out: for short texts its backward pass takes half as long here as that of the fused one
        model_kwargs={"use_safetensors": True, "dtype": torch.float32, "attn_implementation": "eager"},
    )


def train(model: CrossEncoder, lists: Sequence[Ranking], plan: Plan, folder: Path) -> None:
    """Run the plan, from the checkpoint in `folder` if there is one: it ends where an undisturbed run does."""
    folder.mkdir(parents=True, exist_ok=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=plan.rate, weight_decay=0.01, fused=True)
    first = resume(folder, model, optimizer)
    batches = _batches(lists, model, plan)
    model.train()
    started, losses = time.monotonic(), [0.0]
    for step in range(plan.steps):
        batch = next(batches)
        if step < first:
            continue
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * share(step, plan.steps, plan.warm_up)
        torch.manual_seed(plan.seed * 1_000_003 + step)  # of dropout
        loss = _loss(model, batch, plan)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
        if (step + 1) % plan.every == 0 or step + 1 == plan.steps:
            save(folder, model, optimizer, step + 1)
            log.warning("step %d loss %.3f after %d s", step + 1, np.mean(losses[-100:]), time.monotonic() - started)
    model.eval()


def judged(model: CrossEncoder, lists: Sequence[Ranking]) -> dict[str, float]:
    """Mean reciprocal rank of the right passage: by cosine alone, by the model alone, and by both in deviations, added."""
    ranks: dict[str, list[float]] = {"embedder": [], "reranker": [], "both": []}
    pairs = [(one.question, text) for one in lists for text in one.texts]
    scores = np.asarray(model.predict(pairs, batch_size=64, show_progress_bar=False), dtype=np.float64)
    for one, own in zip(lists, np.split(scores, np.cumsum([len(one.texts) for one in lists])[:-1]), strict=True):
        cosines = np.array(one.cosines)
        for name, order in (("embedder", cosines), ("reranker", own), ("both", _standard(cosines) + _standard(own))):
            ranks[name].append(1 / (1 + int((order[1:] >= order[0]).sum())))
    return {name: round(float(np.mean(values)), 4) for name, values in ranks.items()}


def _standard(scores: Scores) -> Scores:
    standard: Scores = (scores - scores.mean()) / (scores.std() or 1.0)
    return standard


def _batches(lists: Sequence[Ranking], model: CrossEncoder, plan: Plan) -> Iterator[list[Ranking]]:
    """Endless batches of like length, the same for the same seed."""
    order = random.Random(plan.seed)
    count = model.tokenizer.backend_tokenizer.encode_batch
    lengths = [max(len(encoding.ids) for encoding in count(list(one.texts))) for one in lists]
    while True:
        rows = list(range(len(lists)))
        order.shuffle(rows)
        for begin in range(0, len(rows), plan.lists * 40):
            window = sorted(rows[begin : begin + plan.lists * 40], key=lambda row: lengths[row])
            batches = [window[at : at + plan.lists] for at in range(0, len(window), plan.lists)]
            order.shuffle(batches)
            yield from ([lists[row] for row in batch] for batch in batches)


def _loss(model: CrossEncoder, batch: Sequence[Ranking], plan: Plan) -> torch.Tensor:
    """Cross entropy of the right passage among those of its list, computed in bfloat16."""
    questions = [one.question for one in batch for _ in one.texts]
    texts = [text for one in batch for text in one.texts]
    features = model.tokenizer(
        questions, texts, padding=True, truncation=True, max_length=plan.length, pad_to_multiple_of=STEP, return_tensors="pt"
    )
    with torch.autocast("cpu", torch.bfloat16):
        logits = model[0].auto_model(**features).logits
    return functional.cross_entropy(logits.float().view(len(batch), -1), torch.zeros(len(batch), dtype=torch.long))
