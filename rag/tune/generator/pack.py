"""A lesson as one row of tokens: its passages once, then every question with its reply, none of which sees another.

A prompt puts the passages before the question, so all prompts of a lesson begin alike; attention from each branch to that
beginning and to itself, with positions that go on from it, computes what separate rows would for a third of the tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os.path import commonprefix

import torch

from rag.answer.prompt import render
from rag.tune.generator.lessons import Branch, Lesson
from rag.types import Language, Turn

IGNORED = -100  # label of a token that is not learnt
DECISION = 3.0  # what the first token of a reply weighs in the loss, found or not, where another weighs 1
MULTIPLE = 32  # rows are padded to multiples of it: few shapes
UNLIMITED = 1_000_000  # tokens of a prompt: what does not fit is left out later, never cut

Tokenize = Callable[[Sequence[Turn]], list[int]]  # a prompt's tokens, as the generator makes them


@dataclass(frozen=True, slots=True)
class Row:
    """Tokens of one lesson, all of shape (length,). `branch`: 0 for what all share, -1 for padding."""

    ids: torch.Tensor
    positions: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor  # of the labels in the loss
    branch: torch.Tensor

    def mask(self) -> torch.Tensor:
        """Shape (1, 1, length, length), True where a token (third axis) may look."""
        before = torch.ones(len(self.ids), len(self.ids), dtype=torch.bool).tril()
        near = (self.branch[None] == self.branch[:, None]) | (self.branch[None] == 0)
        return (before & near)[None, None]


def pack(lesson: Lesson, shops: dict[Language, str], prompt: Tokenize, reply: Callable[[str], list[int]]) -> Row:
    """The lesson's row, rendered by the same function as serving; `reply` makes tokens of a reply, its end included."""
    prompts = [prompt(messages(lesson, branch, shops)) for branch in lesson.branches]
    shared = len(commonprefix(prompts)) if len(prompts) > 1 else len(prompts[0]) - 1
    ids, positions = prompts[0][:shared], list(range(shared))
    labels, weights, branches = [IGNORED] * shared, [0.0] * shared, [0] * shared
    for number, (asked, branch) in enumerate(zip(prompts, lesson.branches, strict=True), start=1):
        said = reply(branch.reply)
        ids += asked[shared:] + said
        positions += range(shared, len(asked) + len(said))
        labels += [IGNORED] * (len(asked) - shared) + said
        weights += [0.0] * (len(asked) - shared) + [DECISION] + [1.0] * (len(said) - 1)
        branches += [number] * (len(asked) - shared + len(said))
    padding = -len(ids) % MULTIPLE
    return Row(
        torch.tensor(ids + [0] * padding),
        torch.tensor(positions + [0] * padding),
        torch.tensor(labels + [IGNORED] * padding),
        torch.tensor(weights + [0.0] * padding),
        torch.tensor(branches + [-1] * padding),
    )


def messages(lesson: Lesson, branch: Branch, shops: dict[Language, str]) -> Sequence[Turn]:
    """The prompt of one question of a lesson, nothing of it cut."""
    shop = shops[branch.query.language]
    excerpts = [(passage, passage.chunk.text) for passage in lesson.passages]
    return render(branch.query, branch.history, excerpts, shop, lambda _: 0, UNLIMITED).messages
