"""Training of the selector: of each question's units the right one, or none, by one softmax; a killed run goes on."""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rag.models.joint import JointEncoder
from rag.models.selector import Tokens
from rag.tune.generator.lessons import OWN, WRITTEN
from rag.tune.schedule import resume, save, share
from rag.tune.selector.topics import GOLD, PAGES, Choice, Topic, drawn

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """The numbers of a run; they go into the model card."""

    steps: int = 1200
    seed: int = 0
    topics: int = 4  # a step
    pages: float = 0.58  # how often a topic is a page, against the others of these
    written: float = 0.3  # ... a lesson that ships
    public: float = 0.12  # ... of a public set
    own: float = 1.0  # ... a shop's own, where there are any
    gold: float = 1.0  # ... some gold questions, where there are any
    together: int = 3  # gold questions that are a topic's worth
    rate: float = 2e-4  # at its peak, of the layers
    head: float = 1e-3  # ... of what is new
    warm_up: int = 40
    every: int = 50  # steps between checkpoints


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
    """How the model fares with all units of each topic.

    "right": share of the answered questions whose likeliest unit is right. "told": the probability that the likeliest
    unit of an answered question has a higher score than that of one that is left open. "loss": as in training.
    """
    right: list[float] = []
    tops: dict[bool, list[float]] = {True: [], False: []}
    losses: list[float] = []
    with torch.inference_mode():
        for topic in topics:
            shown = tokens.passages(topic.passages)
            found = model([(tokens.question(one.question, one.before), shown) for one in topic.asked])
            for one, scores in zip(topic.asked, found, strict=True):
                tops[bool(one.right)].append(scores.max().item())
                losses.append(_surprise(scores, sorted(one.right)).item())
                if one.right:
                    right.append(scores.argmax().item() in one.right)
    above = [(high > low) + (high == low) / 2 for high in tops[True] for low in tops[False]]
    figures = {"right": right, "told": above, "loss": losses}
    return {name: round(sum(values) / len(values), 4) if values else math.nan for name, values in figures.items()}


def _batches(topics: Sequence[Topic], plan: Plan) -> Iterator[list[Choice]]:
    """Endless, of plan.topics each, in the same order for the same seed; each kind of topic is gone through in turn."""
    dice = random.Random(plan.seed)
    shares = {PAGES.stem: plan.pages, WRITTEN: plan.written, "public": plan.public, OWN: plan.own, GOLD: plan.gold}
    pools = {kind: [topic for topic in topics if _kind(topic) == kind] for kind in shares}
    turns = {kind: _endless(pool, dice) for kind, pool in pools.items() if pool}
    while True:
        chosen = dice.choices(list(turns), [shares[kind] for kind in turns], k=plan.topics)
        kinds = [kind for one in chosen for kind in (one,) * (plan.together if one == GOLD else 1)]
        yield [choice for kind in kinds for choice in drawn(next(turns[kind]), dice)]


def _kind(topic: Topic) -> str:
    return topic.source if topic.source in (PAGES.stem, WRITTEN, OWN, GOLD) else "public"


def _endless(topics: Sequence[Topic], dice: random.Random) -> Iterator[Topic]:
    while True:
        yield from dice.sample(topics, len(topics))


def _loss(model: JointEncoder, tokens: Tokens, batch: Sequence[Choice]) -> Tensor:
    """The mean surprise at what is right, computed in bfloat16."""
    marked = {choice.passages: tokens.passages(choice.passages) for choice in batch}
    with torch.autocast("cpu", torch.bfloat16):
        scores = model([(tokens.question(choice.question, choice.before), marked[choice.passages]) for choice in batch])
    return torch.stack([_surprise(one, choice.right) for one, choice in zip(scores, batch, strict=True)]).mean()


def _surprise(scores: Tensor, right: Sequence[int]) -> Tensor:
    """Negative log likelihood that one of the right sentences is chosen, or none if none is right."""
    among = torch.cat([scores, scores.new_zeros(1)])
    wanted = torch.tensor(list(right) or [len(scores)])
    return torch.logsumexp(among, 0) - torch.logsumexp(among[wanted], 0)
