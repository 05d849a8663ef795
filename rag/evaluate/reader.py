"""How well the generator answers from passages that are given with the question. `python -m rag eval reader`.

No retrieval, no checks: the reply of the generator alone to the prompt that serving renders, on a reading comprehension set.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rag import loading
from rag.answer.check import MARKER
from rag.answer.family import prompt_folder, prompt_tokens
from rag.answer.prompt import TUNED, Excerpt, Prompt, render
from rag.answer.reply import bare, declines
from rag.answer.similarity import Similarity
from rag.errors import SettingsError
from rag.evaluate.answers import fingerprint, silent
from rag.evaluate.comprehension import ComprehensionSet, Exercise, load_comprehension
from rag.evaluate.reading import ReaderResult, Replies, conclude
from rag.evaluate.rows import Row, RowFile
from rag.language import sentences
from rag.models.resolve import is_tuned
from rag.ports import Generator, Progress
from rag.settings import Settings
from rag.types import Language, Outcome, Query, Turn

UNLIMITED = 1_000_000  # tokens of a prompt
SHOPTALK = "Shoptalk"  # as the settings have it


@dataclass(frozen=True)
class Reader:
    """Generator and prompt as in serving; `prompt_tokens` and `new_tokens` are those of settings.answer."""

    generator: Generator
    similarity: Similarity
    shops: Mapping[Language, str]
    prompt_tokens: int
    new_tokens: int
    folder: Path = TUNED  # of the prompt's files

    def read(self, exercise: Exercise, key: str) -> Row:
        """The reply as a row: refused if the generator declines or says nothing. Raises ModelFailed."""
        started = time.perf_counter()
        reply = self._reply(self.prompt(exercise))
        total = (time.perf_counter() - started) * 1000
        silent_or_declined = declines(reply) or not any(map(str.isalnum, MARKER.sub("", bare(reply))))
        outcome = Outcome.REFUSED if silent_or_declined else Outcome.ANSWERED
        return Row(id=exercise.id, fingerprint=key, outcome=outcome.value, text=bare(reply), total_ms=total)

    def prompt(self, exercise: Exercise) -> Prompt:
        """What the generator reads; passages that do not fit are cut to their best sentences."""
        query = Query(exercise.question, exercise.question, exercise.language)

        def rendered(excerpts: Sequence[Excerpt], tokens: int) -> Prompt:
            return render(query, (), excerpts, self.shops[exercise.language], self.generator.count, tokens, self.folder)

        whole = [(passage, passage.chunk.text) for passage in exercise.passages]
        if self.generator.count(rendered(whole, UNLIMITED).messages) <= self.prompt_tokens:
            return rendered(whole, UNLIMITED)
        frame = rendered([(passage, "") for passage in exercise.passages], UNLIMITED)
        room = (self.prompt_tokens - self.generator.count(frame.messages)) // len(exercise.passages)
        return rendered([(passage, self.cut(exercise.question, text, room)) for passage, text in whole], self.prompt_tokens)

    def cut(self, question: str, text: str, room: int) -> str:
        """Whole sentences of `text`, at most `room` tokens but at least one: the likest and their neighbours, in their order."""
        pieces = [text[start:end] for start, end in sentences(text)]
        sizes = [self._tokens(f"{piece}\n") for piece in pieces]
        chosen: set[int] = set()
        for best in _by_likeness(self.similarity, question, pieces):
            for place in (best, best + 1, best - 1):
                fits = 0 <= place < len(pieces) and sum(sizes[i] for i in chosen | {place}) <= room
                if fits or not chosen:
                    chosen.add(place)
        return "\n".join(pieces[place] for place in sorted(chosen))

    def _reply(self, prompt: Prompt) -> str:
        return "".join(piece.text for piece in self.generator.stream(prompt.messages, self.new_tokens, lambda: False)).strip()

    def _tokens(self, text: str) -> int:
        return self.generator.count((Turn("user", text),)) - self.generator.count((Turn("user", ""),))


def evaluate_reader(
    settings: Settings,
    folder: Path,
    file: str = "",
    out: Path | None = None,
    limit: int = 0,
    base: bool = False,
    progress: Progress = silent,
) -> ReaderResult:
    """Ask the questions of a set, `limit` of them spread over it if given; with `base` a second time without the adapter.

    Rows are kept beside `out` (.rows.jsonl, .base.rows.jsonl), where a run that was cut off goes on. Raises DataError for a set
    in no known form, SettingsError for `base` where no adapter is set, ModelMissing, ModelFailed.
    """
    systems = {SHOPTALK: settings} | ({"without adapter": _without_adapter(settings)} if base else {})
    chosen = load_comprehension(folder, file).spread(limit)
    similarity = Similarity(loading.build_embedder(settings))
    replies = [_ask(name, system, chosen, similarity, out, progress) for name, system in systems.items()]
    sentence = Replies("best sentence", "", [_best_sentence(similarity, exercise) for exercise in chosen.exercises])
    return conclude(folder, chosen, [*replies, sentence])


def _without_adapter(settings: Settings) -> Settings:
    models = settings.models
    if not models.adapter or models.api_url:
        raise SettingsError(
            expected="an adapter in models.adapter, to be compared with the base",
            found="a server, which has its own models" if models.api_url else "none",
            remedy="set it or leave out --base",
        )
    return settings.model_copy(update={"models": models.model_copy(update={"adapter": ""})})


def _ask(
    name: str, settings: Settings, chosen: ComprehensionSet, similarity: Similarity, out: Path | None, progress: Progress
) -> Replies:
    """One row an exercise; those that a row is kept for under the same key are not asked again."""
    generator = loading.build_generator(settings)
    shops: dict[Language, str] = {"en": settings.shop.name_en, "zh": settings.shop.name_zh}
    policy = settings.answer
    folder = prompt_folder(policy.prompt, is_tuned(settings.models, settings.home))
    tokens = prompt_tokens(policy.prompt_tokens, folder)
    reader = Reader(generator, similarity, shops, tokens, policy.new_tokens, folder)
    own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()  # how passages are cut is part of what is measured
    key = fingerprint(settings, own, generator.fingerprint)
    keys = {e.id: hashlib.sha256(f"{key}\0{e!r}".encode()).hexdigest()[:16] for e in chosen.exercises}
    kind = ".rows.jsonl" if name == SHOPTALK else ".base.rows.jsonl"
    file = RowFile(out.with_suffix(kind)) if out else None
    kept = file.load(keys) if file else {}
    if len(kept) < len(keys):
        generator.load()
    rows: list[Row] = []
    for exercise in chosen.exercises:
        if exercise.id not in kept:
            kept[exercise.id] = reader.read(exercise, keys[exercise.id])
            if file:
                file.append(kept[exercise.id])
        rows.append(kept[exercise.id])
        progress(f"ask {name}", len(rows), len(keys))
    return Replies(name, generator.fingerprint, rows)


def _best_sentence(similarity: Similarity, exercise: Exercise) -> Row:
    """What stands beside every figure: the sentence likest to the question, said as the answer; it never declines."""
    texts = [passage.chunk.text for passage in exercise.passages]
    pieces = [text[start:end] for text in texts for start, end in sentences(text)]
    text = pieces[_by_likeness(similarity, exercise.question, pieces)[0]] if pieces else ""
    return Row(id=exercise.id, fingerprint="", outcome=Outcome.ANSWERED.value, text=text)


def _by_likeness(similarity: Similarity, question: str, pieces: Sequence[str]) -> list[int]:
    """Places in `pieces`, the likest to the question first."""
    return [int(place) for place in np.argsort(-similarity.cosines(question, pieces), kind="stable")] if pieces else []
