"""The same gold questions under several prompts, side by side: which one suits a generator. `python -m rag eval prompts`."""

from __future__ import annotations

import re
import statistics
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from rich import box
from rich.table import Table

from rag import loading
from rag.answer.family import FAMILIES, prompt_folder
from rag.answer.prompt import TUNED
from rag.answer.reply import FOUND, NONE
from rag.assistant import Assistant
from rag.evaluate.answers import Asker, fingerprint, on_the_day, silent
from rag.evaluate.gold import Question, digest, load_gold
from rag.evaluate.relay import Relay
from rag.evaluate.result import conclude
from rag.evaluate.rows import Row, RowFile
from rag.evaluate.score import Figures
from rag.evaluate.tables import heading, render
from rag.models.resolve import is_tuned
from rag.ports import Generator as Model
from rag.ports import Progress
from rag.settings import Settings
from rag.types import Piece, Turn

SCORES = {
    "score": "score",
    "answers.right": "right",
    "answers.wrong": "wrong",
    "refusals.recall": "refused rightly",
    "refusals.false": "refused wrongly",
    "answers.token_f1": "F1 en",
    "answers.character_f1": "F1 zh",
}
CAPTION = """\
+N: with at most N worked examples; F1: of words in English, of characters in Chinese, a refusal counts 0
read: questions that the generator was asked, which the columns behind it are about (the others are over all questions)
in form: replies that begin with Found: or are None; seconds, prompt tokens: medians; examples: mean, those that fitted"""


class Note(BaseModel):
    """What the generator read and said for one question. `id` and `fingerprint` are those of its row."""

    model_config = ConfigDict(frozen=True)

    id: str
    fingerprint: str
    prompt_tokens: int
    examples: int
    in_form: bool


class Listening(Relay):
    """The Generator port over another one; what it was asked last and what it said is kept in `heard`."""

    def __init__(self, generator: Model) -> None:
        super().__init__(generator)
        self.heard: tuple[Sequence[Turn], str] | None = None

    def stream(self, messages: Sequence[Turn], max_tokens: int, stopped: Callable[[], bool]) -> Iterator[Piece]:
        """The other's pieces; a reply that is closed early is heard as far as it went."""
        text, pieces = "", self._generator.stream(messages, max_tokens, stopped)
        try:
            for piece in pieces:
                text += piece.text
                yield piece
        finally:
            if isinstance(pieces, Generator):
                pieces.close()
            self.heard = (messages, text)


@dataclass(frozen=True, slots=True)
class NotingAsker(Asker):
    """Asks, and appends to `file` what `listening` heard: before the row is kept, so that no row goes without its note."""

    listening: Listening = field(kw_only=True)
    file: Path = field(kw_only=True)

    def ask(self, item: Question) -> Row:
        """The row of one question; a turn that failed, which is asked again, leaves no note."""
        self.listening.heard = None
        row = Asker.ask(self, item)
        if self.listening.heard and not row.failed:
            messages, reply = self.listening.heard
            note = Note(
                id=row.id,
                fingerprint=row.fingerprint,
                prompt_tokens=self.listening.count(messages),
                examples=sum(turn.role == "assistant" for turn in messages),
                in_form=in_form(reply),
            )
            with self.file.open("a", encoding="utf-8") as stream:
                stream.write(f"\n{note.model_dump_json()}")  # the line break first: a crash spoils no line but its own
        return row

    def notes(self, rows: Sequence[Row]) -> dict[str, Note]:
        """Question id -> note, of those of `rows` that the generator was asked for."""
        wanted = {(row.id, row.fingerprint) for row in rows}
        lines = self.file.read_text(encoding="utf-8").split("\n") if self.file.is_file() else []
        notes = [note for line in lines if (note := _parse(line))]
        return {note.id: note for note in notes if (note.id, note.fingerprint) in wanted}


def in_form(reply: str) -> bool:
    """Whether a reply has the form that every prompt asks for."""
    return reply.lstrip().startswith(FOUND) or reply.strip().rstrip(".。") == NONE


@dataclass(frozen=True, slots=True)
class Variant:
    """One prompt's figures: `overall` as in eval answers; the rest over the `read` questions, None where there is none."""

    overall: Figures
    read: int
    in_form: float | None  # 0..1
    seconds: float | None
    prompt_tokens: float | None
    examples: float | None

    @classmethod
    def of(cls, overall: Figures, rows: Sequence[Row], notes: Mapping[str, Note]) -> Variant:
        """The notes are by question id."""
        given = list(notes.values())
        if not given:
            return cls(overall, 0, None, None, None, None)
        return cls(
            overall,
            len(given),
            statistics.fmean(note.in_form for note in given),
            statistics.median((row.total_ms or 0.0) / 1000 for row in rows if row.id in notes),
            statistics.median(note.prompt_tokens for note in given),
            statistics.fmean(note.examples for note in given),
        )


@dataclass(frozen=True, slots=True)
class PromptsResult:
    """The variants by name, in the order asked."""

    data: Mapping[str, str]  # name, path, digest, questions
    generator: str  # fingerprint
    variants: Mapping[str, Variant]

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "data": dict(self.data),
            "generator": self.generator,
            "variants": {name: asdict(variant) for name, variant in self.variants.items()},
        }

    def table(self) -> str:
        """One row a variant."""
        table = Table(box=box.SIMPLE, caption=CAPTION, caption_justify="left")
        for name in ("prompt", *SCORES.values(), "read", "in form", "seconds", "prompt tokens", "examples"):
            left = name == "prompt"
            table.add_column(name.replace(" ", "\n"), justify="left" if left else "right", overflow="fold")
        for name, variant in self.variants.items():
            scores = (variant.overall.get(metric) for metric in SCORES)
            cells = [f"{figure.value:.3f}" if figure else "-" for figure in scores]
            measured = ((variant.in_form, 3), (variant.seconds, 2), (variant.prompt_tokens, 0), (variant.examples, 1))
            table.add_row(name, *cells, str(variant.read), *("-" if v is None else f"{v:.{digits}f}" for v, digits in measured))
        return render([f"{heading(self.data)}; generator {self.generator}", table])


def evaluate_prompts(
    settings: Settings,
    gold: Path,
    prompts: Sequence[str] = (),
    examples: Sequence[int] = (),
    out: Path | None = None,
    limit: int = 0,
    progress: Progress = silent,
) -> PromptsResult:
    """Ask the gold questions, `limit` of them evenly spread if given, once for each prompt and number of examples.

    Without `prompts` all families are asked, without `examples` what the settings say. Rows are kept beside `out`, a file a
    variant (.VARIANT.rows.jsonl), where a run that was cut off goes on. Raises SettingsError for a wrong prompt before anything
    is asked, DataError for gold not in the form, NoIndex, ModelMissing.
    """
    settings = on_the_day(settings, gold)
    chosen = variants(settings, prompts or tuple(FAMILIES), examples or (settings.answer.examples,))
    items = spread(load_gold(gold), limit)
    generator = Listening(loading.build_generator(settings))
    data = {"name": gold.resolve().stem, "path": gold.as_posix(), "digest": digest(gold), "questions": str(len(items))}
    with tempfile.TemporaryDirectory() as aside:
        file = out or Path(aside) / "prompts.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        found = {name: _ask(name, variant, items, generator, file, data, progress) for name, variant in chosen.items()}
    return PromptsResult(data, generator.fingerprint, found)


def variants(settings: Settings, prompts: Sequence[str], examples: Sequence[int]) -> dict[str, Settings]:
    """Name -> settings, for every prompt with every number of examples; the tuned one has none. Raises SettingsError."""
    found: dict[str, Settings] = {}
    for prompt in prompts:
        folder = prompt_folder(prompt, is_tuned(settings.models, settings.home))
        name = next((name for name, known in FAMILIES.items() if known == folder), str(folder))
        for count in (0,) if folder == TUNED else examples:
            policy = settings.answer.model_copy(update={"prompt": name, "examples": count})
            found[name if folder == TUNED else f"{name}+{count}"] = settings.model_copy(update={"answer": policy})
    return found


def spread(items: Sequence[Question], limit: int) -> list[Question]:
    """At most `limit` questions, evenly spread, so that every kind and language keeps its share. 0: all."""
    count = len(items)
    return [items[place * count // limit] for place in range(limit)] if 0 < limit < count else list(items)


def _ask(
    name: str,
    settings: Settings,
    items: Sequence[Question],
    generator: Listening,
    out: Path,
    data: Mapping[str, str],
    progress: Progress,
) -> Variant:
    """One variant, asked like eval answers asks; nothing is recorded among the shoppers' conversations."""
    own = re.sub(r"\W+", "-", name).strip("-")
    with tempfile.TemporaryDirectory() as aside:
        private = settings.model_copy(update={"database_url": f"sqlite:///{aside}/record.sqlite"})
        assistant = Assistant(private, generator)
        try:
            key = fingerprint(settings, assistant.generation.manifest.digest, generator.fingerprint)
            asker = NotingAsker(
                assistant,
                key,
                assistant.warm_up,
                lambda stage, done, total: progress(f"{stage} {name}", done, total),
                listening=generator,
                file=out.with_suffix(f".{own}.notes.jsonl"),
            )
            rows = asker.ask_all(items, RowFile(out.with_suffix(f".{own}.rows.jsonl")))
            chunks = list(assistant.generation.store.chunks())
        finally:
            assistant.close()
    result = conclude(data, {}, items, rows, {}, chunks, judged=False)
    return Variant.of(result.ours, rows, asker.notes(rows))


def _parse(line: str) -> Note | None:
    try:
        return Note.model_validate_json(line) if line.strip() else None
    except ValidationError:  # the line a crash cut off; its question is asked again
        return None
