"""Whether the generator's shortcuts change what it says, and what they save: `make bench-engine` prints and writes engine.md.

The questions are those of gold/dev that come to be read, with the prompts that serving makes. The reference is `generate()` of
transformers with the same weights, greedy; the engine adds the prefix cache, prompt lookup and the end of loops.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rag import build, keeping, loading
from rag.answer.generate import build_prompt, excerpts, worth_reading
from rag.answer.guard import guard, open_case
from rag.answer.smalltalk import talk
from rag.evaluate.answers import on_the_day
from rag.evaluate.gold import load_gold
from rag.models.generate import TransformersGenerator
from rag.settings import Settings
from rag.types import Filter, Turn

GOLD = Path(__file__).parents[2] / "corpus/gold/dev"
RESULTS = Path(__file__).with_name("engine.md")
EQUAL = 0.98  # of the replies, at least
MOST = 30  # prompts, some four minutes


@dataclass(frozen=True, slots=True)
class Said:
    """The reply to one prompt both ways, and the seconds that each took."""

    engine: str
    reference: str
    engine_seconds: float
    reference_seconds: float


def prompts(settings: Settings) -> Iterator[Sequence[Turn]]:
    """Of the questions that the ladder would have read, were nothing said before."""
    embedder = loading.build_embedder(settings)
    generation = keeping.build_generations(settings).open(embedder.fingerprint)
    search = build.build_search(settings, generation, embedder, None)
    selector, generator = loading.build_selector(settings), loading.build_generator(settings)
    parts = build.build_parts(settings, generation, search, embedder, generator, selector)
    for item in load_gold(GOLD):
        case = open_case(item.question, item.turns, parts, lambda: False)
        if guard(case) or talk(case):
            continue
        case.query = replace(parts.rewrite(case.query.question, item.turns), filter=search.narrowed(Filter()))
        case.passages = tuple(parts.source.find(case.query, parts.passages))
        case.weigh()
        if worth_reading(case, case.threshold):
            yield build_prompt(case, excerpts(case)).messages
    generation.store.close()


def say_both(generator: TransformersGenerator, messages: Sequence[Turn], most: int) -> Said:
    """The reply of the engine, then that of transformers alone."""
    import torch

    started = time.perf_counter()
    text = "".join(piece.text for piece in generator.stream(messages, most, lambda: False))
    between = time.perf_counter()
    loaded, prompt = generator.load(), generator.tokens(messages)
    with torch.inference_mode():
        ids = torch.tensor([prompt])
        whole = loaded.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=most, do_sample=False, eos_token_id=sorted(loaded.stops)
        )
    plain = loaded.tokenizer.decode(whole[0, len(prompt) :], skip_special_tokens=True)
    cut = "\ufffd \n"  # a character that the last token leaves incomplete
    return Said(text.strip(cut), plain.strip(cut), between - started, time.perf_counter() - between)


def table(said: Sequence[Said]) -> str:
    """What was measured, as Markdown."""
    equal = sum(one.engine == one.reference for one in said) / len(said)
    ratio = sum(one.reference_seconds for one in said) / sum(one.engine_seconds for one in said)
    ours = sorted(one.engine_seconds for one in said)[len(said) // 2]
    differing = [f"- {one.engine!r}, alone {one.reference!r}" for one in said if one.engine != one.reference]
    return (
        "\n".join(
            [
                "# The generator with and without its shortcuts",
                "",
                f"`make bench-engine` on {os.cpu_count()} cores ({platform.machine()}): {len(said)} prompts of gold/dev.",
                "",
                "| replies as by transformers' generate() | its time over the engine's | engine, median s |",
                "|---|---|---|",
                f"| {equal:.1%} | {ratio:.2f} | {ours:.2f} |",
                "",
                f"At least {EQUAL:.0%} equal: {'met' if equal >= EQUAL else 'missed'}."
                + (" They differ in:" if differing else ""),
                "",
                *differing,
            ]
        ).rstrip()
        + "\n"
    )


def main() -> None:
    """Measure, print the table, write it down."""
    settings = on_the_day(Settings(), GOLD)
    generator = loading.build_generator(settings)
    assert isinstance(generator, TransformersGenerator)
    said: list[Said] = []
    for number, messages in zip(range(MOST), prompts(settings), strict=False):
        said.append(say_both(generator, messages, settings.answer.new_tokens))
        sys.stderr.write(f"\r{number + 1}")
    text = table(said)
    RESULTS.write_text(text, encoding="utf-8")
    sys.stdout.write(f"\n{text}")


if __name__ == "__main__":
    main()
