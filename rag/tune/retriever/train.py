"""Training of the embedder: three kinds of lessons mixed, batches of like length, checkpoints that a killed run goes on from."""

from __future__ import annotations

import hashlib
import json
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from torch.nn import functional

from rag.tune.retriever.sources import Sources
from rag.tune.retriever.vocabulary import start_vectors
from rag.tune.schedule import resume, save, share

if TYPE_CHECKING:
    from rag.ports import Vectors

log = logging.getLogger(__name__)
TEMPERATURE = 0.05
STEP = 8  # lengths of batches are multiples of it
WINDOW = 16_000  # lessons from which batches of like length, or of one group, are made at a time
# attention written out: for short texts its backward pass takes half as long here as that of the fused one
KIND = {"dtype": torch.float32, "attn_implementation": "eager"}


@dataclass(frozen=True, slots=True)
class Plan:
    """The numbers of a run; they go into the model card."""

    steps: int = 1200
    seed: int = 0
    encoder_rate: float = 2e-4
    word_rate: float = 2e-3  # of the rows that were added; the English ones stay as they are
    warm_up: int = 80
    tokens: int = 4096  # of the longer side of a batch
    most: int = 256  # texts of a batch
    length: int = 96  # tokens of a text that are read
    # chances of a step to teach: parallel sentences, dictionary words, English as it was, questions with their passages
    mix: tuple[float, float, float, float] = (0.57, 0.06, 0.11, 0.26)
    every: int = 150  # steps between checkpoints
    blend: float = 0.25  # of the encoder that is the English model's at the end


# of a model that reads Chinese already: slower, and more of the questions
FURTHER = Plan(encoder_rate=1.5e-4, word_rate=1e-3, mix=(0.25, 0.03, 0.22, 0.5))


@dataclass(frozen=True, slots=True)
class Lesson:
    """One thing to learn: two texts that belong together; `target` is the row of the teacher's vector for the second, or -1."""

    left: str
    right: str
    group: str
    target: int


def load(folder: Path) -> SentenceTransformer:
    """A model to train."""
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True, model_kwargs=KIND)
    model.max_seq_length = 256
    return model


def extend(base: Path, tokens: Sequence[str], glosses: dict[str, list[str]]) -> SentenceTransformer:
    """The English model with the tokens added, each where the dictionary puts it."""
    from tokenizers import AddedToken

    model = load(base)
    encoder, tokenizer = model[0].auto_model, model.tokenizer
    rows = encoder.get_input_embeddings().weight.detach().numpy()
    backend = tokenizer.backend_tokenizer
    starts = start_vectors(tokens, glosses, backend, rows)
    known = {character: id for character, id in backend.get_vocab().items() if len(character) == 1 and character in glosses}
    renewed = start_vectors(list(known), glosses, backend, rows)
    added = tokenizer.add_tokens([AddedToken(token, normalized=False) for token in tokens])
    if added != len(tokens):
        raise ValueError(f"expected {len(tokens)} new tokens, {added} were")
    encoder.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    with torch.no_grad():
        weight = encoder.get_input_embeddings().weight
        weight[-added:] = torch.from_numpy(starts)
        weight[list(known.values())] = torch.from_numpy(renewed)
    return model


def blend(model: SentenceTransformer, teacher: SentenceTransformer, share: float) -> None:
    """Move every weight but the words' by `share` of its way back to the teacher's.

    The mean of a model before and after a training keeps most of what either knows: Wortsman et al. 2022, Robust fine-tuning
    of zero-shot models.
    """
    own = dict(model[0].auto_model.named_parameters())
    with torch.no_grad():
        for name, weight in teacher[0].auto_model.named_parameters():
            if "word_embeddings" not in name:
                own[name].lerp_(weight, share)


def train(
    model: SentenceTransformer,
    teacher: SentenceTransformer,
    sources: Sources,
    plan: Plan,
    folder: Path,
    judge: Callable[[SentenceTransformer], dict[str, float]],
) -> None:
    """Run the plan, from the checkpoint in `folder` if there is one: it ends where an undisturbed run does.

    `judge` is asked at each checkpoint; its figures go to curve.jsonl there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lessons, targets = _lessons(sources, teacher, folder)
    free = _free_rows(model)
    optimizer = _optimizer(model, plan)
    first = resume(folder, model, optimizer)
    decks = [_batches(deck, model.tokenizer, plan, number) for number, deck in enumerate(lessons)]
    chooser = random.Random(plan.seed)
    model.train()
    started, losses = time.monotonic(), [[0.0] for _ in decks]
    for step in range(plan.steps):
        [kind] = chooser.choices(range(len(decks)), plan.mix)
        batch = next(decks[kind])
        if step < first:
            continue
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * share(step, plan.steps, plan.warm_up)
        torch.manual_seed(plan.seed * 1_000_003 + step)  # of dropout
        loss = _loss(model, batch, targets, plan)
        loss.backward()  # type: ignore[no-untyped-call]
        weight = model[0].auto_model.get_input_embeddings().weight
        weight.grad.mul_(free)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses[kind].append(float(loss.detach()))
        if (step + 1) % plan.every == 0 or step + 1 == plan.steps:
            save(folder, model, optimizer, step + 1)
            model.eval()
            figures = {f"loss_{number}": round(float(np.mean(seen[-200:])), 4) for number, seen in enumerate(losses)}
            figures |= {"step": step + 1, "seconds": round(time.monotonic() - started)} | judge(model)
            model.train()
            with (folder / "curve.jsonl").open("a", encoding="utf-8") as curve:
                curve.write(json.dumps(figures) + "\n")
            log.warning("%s", figures)
    model.eval()


def _lessons(sources: Sources, teacher: SentenceTransformer, folder: Path) -> tuple[list[list[Lesson]], torch.Tensor]:
    """The four decks in the order of Plan.mix, and the teacher's vectors of all texts that have one to reach."""
    texts = list(dict.fromkeys([e for _, e in sources.parallel] + [e for _, e in sources.glosses] + sources.english))
    row = {text: number for number, text in enumerate(texts)}
    targets = torch.from_numpy(_taught(texts, teacher, folder / "teacher.npz"))
    decks = [
        [Lesson(chinese, english, "", row[english]) for chinese, english in sources.parallel],
        [Lesson(chinese, english, "", row[english]) for chinese, english in sources.glosses],
        [Lesson(text, text, "", row[text]) for text in sources.english],
        [Lesson(left, right, group, -1) for left, right, group in sources.pairs],
    ]
    return decks, targets


def _taught(texts: list[str], teacher: SentenceTransformer, path: Path) -> Vectors:
    """The teacher's unit vectors, shape (len(texts), width); those that `path` keeps are not made again."""
    keys = [hashlib.sha256(text.encode()).hexdigest()[:16] for text in texts]
    known: dict[str, Vectors] = {}
    if path.is_file():
        with np.load(path) as kept:
            known = dict(zip(kept["keys"].tolist(), kept["vectors"].astype(np.float32), strict=True))
    missing, names = [], []
    for key, text in zip(keys, texts, strict=True):
        if key not in known:
            missing.append(text)
            names.append(key)
    lengths = np.minimum(_lengths(missing, teacher.tokenizer), 128)
    left = [int(row) for row in np.argsort(lengths, kind="stable")]
    with torch.no_grad():
        while left:
            size = max(1, 8192 // _padded(lengths[left[min(len(left), 512) - 1]]))
            batch, left = left[:size], left[size:]
            made = _encode(teacher, [missing[row] for row in batch], 128).numpy()
            known |= dict(zip([names[row] for row in batch], made, strict=True))
    vectors = np.stack([known[key] for key in keys]).astype(np.float16)  # as a run that goes on will read them
    np.savez(path, keys=np.array(keys), vectors=vectors)
    return vectors.astype(np.float32)


def _batches(deck: Sequence[Lesson], tokenizer: Any, plan: Plan, number: int) -> Iterator[list[Lesson]]:  # noqa: ANN401
    """Endless batches of like length; pairs of one group tend to meet, since near passages are what teaches.

    Few shapes: lengths are padded to multiples of STEP and a length always comes in the same number of texts, because the
    processor's kernels are made anew for every shape.
    """
    order = random.Random(plan.seed * 1000 + number)
    lengths = np.minimum(_lengths([lesson.left for lesson in deck], tokenizer), plan.length)
    lengths = np.maximum(lengths, np.minimum(_lengths([lesson.right for lesson in deck], tokenizer), plan.length))
    while True:
        rows = list(range(len(deck)))
        order.shuffle(rows)
        for start in range(0, len(rows), WINDOW):
            near = order.random() < 0.5
            window = sorted(
                rows[start : start + WINDOW], key=lambda row: (deck[row].group.split("=")[0] if near else "", lengths[row])
            )
            batches: list[list[int]] = []
            while window:
                size = min(plan.most, plan.tokens // _padded(lengths[window[0]]))
                while size > 4 and plan.tokens < _padded(max(lengths[row] for row in window[:size])) * size:
                    size -= 4
                batches.append(window[:size])
                window = window[size:]
            order.shuffle(batches)
            yield from ([deck[row] for row in batch] for batch in batches if len(batch) > 3)


def _lengths(texts: Sequence[str], tokenizer: Any) -> NDArray[np.intp]:  # noqa: ANN401
    """Tokens of each text; the tokenizer remembers the padding of its last call, which must not count."""
    tokenizer.backend_tokenizer.no_padding()
    return np.array([len(encoding.ids) for encoding in tokenizer.backend_tokenizer.encode_batch(list(texts))], dtype=np.intp)


def _padded(length: int) -> int:
    return -(-int(length) // STEP) * STEP


def _loss(model: SentenceTransformer, batch: Sequence[Lesson], targets: torch.Tensor, plan: Plan) -> torch.Tensor:
    """With a target: 1 - cosine, and telling it from the others' targets; without: telling pairs apart, both ways (InfoNCE)."""
    left = _encode(model, [lesson.left for lesson in batch], plan.length)
    if batch[0].target >= 0:
        goal = targets[[lesson.target for lesson in batch]]
        same = _same([str(lesson.target) for lesson in batch])
        close = 1 - (left * goal).sum(dim=1)
        return close.mean() + 0.2 * _tell_apart(left @ goal.T, same)
    right = _encode(model, [lesson.right for lesson in batch], plan.length)
    same = _same([lesson.right for lesson in batch]) | _same([lesson.left for lesson in batch])
    same |= _same([lesson.group if "=" in lesson.group else str(row) for row, lesson in enumerate(batch)])
    scores = left @ right.T
    return 0.5 * (_tell_apart(scores, same) + _tell_apart(scores.T, same))


def _tell_apart(cosines: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
    """Cross entropy of each row's own column; what is the same text or intent is no negative."""
    own = torch.eye(len(cosines), dtype=torch.bool)
    logits = (cosines / TEMPERATURE).masked_fill(same & ~own, -1e4)
    return functional.cross_entropy(logits, torch.arange(len(cosines)))


def _same(names: Sequence[str]) -> torch.Tensor:
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    row = torch.tensor([numbers[name] for name in names])
    return row[:, None] == row[None]


def _encode(model: SentenceTransformer, texts: list[str], length: int) -> torch.Tensor:
    """Unit vectors, shape (len(texts), width), computed in bfloat16."""
    features = model.tokenizer(
        texts, padding=True, truncation=True, max_length=length, pad_to_multiple_of=STEP, return_tensors="pt"
    )
    with torch.autocast("cpu", torch.bfloat16):
        vectors = model(dict(features))["sentence_embedding"]
    return functional.normalize(vectors.float(), dim=1)


def _free_rows(model: SentenceTransformer) -> torch.Tensor:
    """Shape (vocabulary, 1): 1 for Chinese tokens, 0 for the English ones, which keep their vectors."""
    vocabulary = model.tokenizer.get_vocab()
    free = torch.zeros(len(vocabulary), 1)
    free[[id for token, id in vocabulary.items() if is_chinese(token)]] = 1
    return free


def is_chinese(token: str) -> bool:
    """Whether a token of a vocabulary is a Chinese word or character."""
    return "\u3400" <= token[0] <= "\u9fff"


def _optimizer(model: SentenceTransformer, plan: Plan) -> torch.optim.Optimizer:
    word = model[0].auto_model.get_input_embeddings().weight
    rest = [parameter for parameter in model.parameters() if parameter is not word]
    groups = [{"params": [word], "peak": plan.word_rate}, {"params": rest, "peak": plan.encoder_rate}]
    return torch.optim.AdamW(groups, lr=plan.encoder_rate, weight_decay=0.0, fused=True)


def scaled(plan: Plan, steps: int) -> Plan:
    """The plan with another number of steps; a short one still checks in at least twice."""
    return replace(plan, steps=steps, every=min(plan.every, max(steps // 2, 1)), warm_up=min(plan.warm_up, max(steps // 10, 1)))
