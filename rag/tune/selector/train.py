"""Training of the selector: of each question's sentences the right one, or none, by one softmax; a killed run goes on."""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rag.models.joint import JointEncoder
from rag.models.selector import ASKED, STATED
from rag.tune.schedule import resume, save, share
from rag.tune.selector.topics import Choice, Topic, drawn

log = logging.getLogger(__name__)
Tokens = Callable[[Sequence[str], int], list[list[int]]]  # of rag.models.selector.SentenceSelector


@dataclass(frozen=True, slots=True)
class Plan:
    """The numbers of a run; they go into the model card."""

    steps: int = 1300
    seed: int = 0
    pairs: int = 220  # of a question and a sentence, a step
    pages: float = 0.5  # share of the topics that are pages
    public: float = 0.1  # ... that come from public sets; the rest are written lessons
    rate: float = 2e-4  # at its peak, of the layers
    head: float = 1e-3  # ... of what is new
    warm_up: int = 80
    every: int = 200  # steps between checkpoints


class Learnt:
    """The part of a model that is trained, for checkpoints."""

    def __init__(self, model: JointEncoder) -> None:
        self._model = model

    def state_dict(self) -> dict[str, Tensor]:
        """Name -> weight."""
        return {name: value.detach() for name, value in self._model.learnt()}

    def load_state_dict(self, state_dict: dict[str, Tensor], /) -> object:
        """Put them back."""
        return self._model.load_state_dict(state_dict, strict=False)


def train(model: JointEncoder, tokens: Tokens, topics: Sequence[Topic], plan: Plan, folder: Path) -> None:
    """Run the plan, from the checkpoint in `folder` if there is one: it ends where an undisturbed run does.

    Without dropout: few lessons are seen twice, and it costs a fifth of the time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    named = dict(model.learnt())
    layers = [value for name, value in named.items() if name.startswith("bert.")]
    new = [value for name, value in named.items() if not name.startswith("bert.")]
    groups = [{"params": layers, "peak": plan.rate}, {"params": new, "peak": plan.head, "weight_decay": 0.0}]
    for name, value in model.named_parameters():
        value.requires_grad_(name in named)
    optimizer = torch.optim.AdamW(groups, lr=plan.rate, weight_decay=0.01, fused=True)
    first = resume(folder, Learnt(model), optimizer)
    batches = _batches(topics, plan)
    model.eval()
    started, losses = time.monotonic(), [0.0]
    for step in range(plan.steps):
        batch = next(batches)
        if step < first:
            continue
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * share(step, plan.steps, plan.warm_up)
        loss = _loss(model, tokens, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_([*layers, *new], 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if (step + 1) % plan.every == 0 or step + 1 == plan.steps:
            save(folder, Learnt(model), optimizer, step + 1)
            log.warning("step %d loss %.3f after %d s", step + 1, np.mean(losses[-100:]), time.monotonic() - started)


def judged(model: JointEncoder, tokens: Tokens, topics: Sequence[Topic]) -> dict[str, float]:
    """How the model fares with all sentences of each topic.

    "right": share of the answered questions whose likeliest sentence is right. "told": the probability that the likeliest
    sentence of an answered question has a higher score than that of one that is left open. "loss": as in training.
    """
    right: list[float] = []
    tops: dict[bool, list[float]] = {True: [], False: []}
    losses: list[float] = []
    with torch.inference_mode():
        for topic in topics:
            ids = tokens(topic.sentences, STATED)
            questions = tokens([one.question for one in topic.asked], ASKED)
            for one, scores in zip(topic.asked, model([(question, ids) for question in questions]), strict=True):
                tops[bool(one.right)].append(scores.max().item())
                losses.append(_surprise(scores, sorted(one.right)).item())
                if one.right:
                    right.append(scores.argmax().item() in one.right)
    above = [(high > low) + (high == low) / 2 for high in tops[True] for low in tops[False]]
    figures = {"right": right, "told": above, "loss": losses}
    return {name: round(sum(values) / len(values), 4) if values else math.nan for name, values in figures.items()}


def _batches(topics: Sequence[Topic], plan: Plan) -> Iterator[list[Choice]]:
    """Endless, of about plan.pairs sentences, in the same order for the same seed; each kind of topic is gone through in turn."""
    dice = random.Random(plan.seed)
    kinds = ("pages", "written", "public")
    pools = {kind: [topic for topic in topics if _kind(topic) == kind] for kind in kinds}
    shares = dict(zip(kinds, (plan.pages, 1 - plan.pages - plan.public, plan.public), strict=True))
    present = [kind for kind in kinds if pools[kind]]
    turns = {kind: _endless(pools[kind], dice) for kind in present}
    while True:
        batch: list[Choice] = []
        while sum(len(choice.sentences) for choice in batch) < plan.pairs:
            kind = dice.choices(present, [shares[one] for one in present])[0]
            batch += drawn(next(turns[kind]), dice)
        yield batch


def _kind(topic: Topic) -> str:
    return topic.source if topic.source in ("pages", "written") else "public"


def _endless(topics: Sequence[Topic], dice: random.Random) -> Iterator[Topic]:
    while True:
        yield from dice.sample(topics, len(topics))


def _loss(model: JointEncoder, tokens: Tokens, batch: Sequence[Choice]) -> Tensor:
    """The mean surprise at what is right, computed in bfloat16."""
    questions = tokens([choice.question for choice in batch], ASKED)
    sentences = iter(tokens([sentence for choice in batch for sentence in choice.sentences], STATED))
    jobs = [(question, [next(sentences) for _ in choice.sentences]) for question, choice in zip(questions, batch, strict=True)]
    with torch.autocast("cpu", torch.bfloat16):
        scores = model(jobs)
    return torch.stack([_surprise(one, choice.right) for one, choice in zip(scores, batch, strict=True)]).mean()


def _surprise(scores: Tensor, right: Sequence[int]) -> Tensor:
    """Negative log likelihood that one of the right sentences is chosen, or none if none is right."""
    among = torch.cat([scores, scores.new_zeros(1)])
    wanted = torch.tensor(list(right) or [len(scores)])
    return torch.logsumexp(among, 0) - torch.logsumexp(among[wanted], 0)
