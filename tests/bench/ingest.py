"""How fast files become an index: `make bench-ingest` prints the tables and writes ingest.md beside this file.

Pages of any number are made of the bundled corpus: its sentences, each with a number of its own, so that none occurs twice. They
go through `python -m rag ingest`, and through LangChain as its documentation has it: text splitter, HuggingFaceEmbeddings,
Chroma.add_documents, with Shoptalk's model in float32, at its default size of chunks and at Shoptalk's. Each run is a process of
its own, one after the other. Shoptalk embeds more of a chunk than its text, its sentences above all; the table tells how many
texts. Quality is nDCG@10 of sentences without their last three words, each asked for its page.

python -m tests.bench.ingest [--sizes 1000 10000] [--against 1000] | --sizes 100000 --against 0 | --written 100000
The second takes 35 minutes and writes ingest-100000.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from rag.evaluate.facts import read_all
from rag.evaluate.metrics import ndcg
from rag.language import HAN, sentences

CORPUS = Path(__file__).parents[2] / "corpus" / "shop"
RESULTS = Path(__file__).with_name("ingest.md")
SIZES = [1_000, 10_000]  # chunks, about
SECTIONS = 10  # of a page, each about a chunk
ASKED = 200  # sentences, for quality
SEED = 5
TOKENS = 160  # of Shoptalk's chunks
Row = dict[str, Any]


def write_pages(folder: Path, chunks: int) -> None:
    """Pages of English or Chinese that make about so many chunks, the same every time."""
    chance = random.Random(SEED)
    pools: dict[bool, list[str]] = {True: [], False: []}
    for document in read_all(CORPUS)[0]:
        texts = [document.text, *(entry.text for entry in document.entries)]
        for text in texts:
            for start, end in sentences(text):
                said = re.sub(r"[#*|`>-]+", " ", text[start:end]).strip()
                if 30 < len(said) < 200:
                    pools[bool(re.search(f"[{HAN}]", said))].append(said)
    number = count(1)
    for page in range(-(-chunks // SECTIONS)):
        pool = pools[page % 2 == 1]
        parts = [f"# Page {page}"]
        for section in range(SECTIONS):
            said = " ".join(f"{chance.choice(pool)[:-1]} ({next(number)})." for _ in range(4))
            parts.append(f"## Part {section} of {page}\n\n{said}")
        (folder / f"{page % 100:02}").mkdir(parents=True, exist_ok=True)
        (folder / f"{page % 100:02}" / f"{page}.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def questions(folder: Path) -> Iterator[tuple[str, str]]:
    """(question, path of the page that holds it) of ASKED sentences."""
    pages = sorted(folder.rglob("*.md"))
    for page in random.Random(SEED).choices(pages, k=ASKED):
        found = re.findall(r"[^.\n#]{30,}\(\d+\)", page.read_text(encoding="utf-8"))
        words = random.Random(page.name).choice(found).split()
        yield " ".join(words[:-3]) or words[0], page.relative_to(folder).as_posix()


def quality(folder: Path, find: Callable[[str], list[str]]) -> float:
    """`find` gives the paths of the passages found, best first."""
    asked = list(questions(folder))
    return sum(ndcg([path == page for path in find(question)], 1) for question, page in asked) / len(asked)


def shoptalk(folder: Path, home: Path) -> Row:
    """First ingest and the same again, each in a process of its own, as a shop runs it; then one file saved beside `watch`."""

    def ingest() -> tuple[float, Row]:
        command = [sys.executable, "-m", "rag", "ingest", f"--corpus={folder}", f"--home={home}", "--json"]
        started = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return time.perf_counter() - started, json.loads(done.stdout)

    first, told = ingest()
    again, _ = ingest()
    return {"chunks": told["added"], "texts": told["embedded"], "seconds": first, "again": again, "edit": saved(folder, home)}


def saved(folder: Path, home: Path) -> float:
    """Seconds from saving a file until a new generation is live, while `watch` runs."""
    command = [sys.executable, "-m", "rag", "watch", f"--corpus={folder}", f"--home={home}"]
    page = next(folder.rglob("*.md"))
    took = 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout
        for news in ("a first change, at which the model is loaded", "the cellar is open on Sundays"):
            watching.stdout.readline()
            page.write_text(page.read_text(encoding="utf-8") + f"\n## News\n\nIt is {news}.\n", encoding="utf-8")
            started = time.perf_counter()
        watching.stdout.readline()
        took = time.perf_counter() - started
        watching.kill()
    return took


def shoptalk_quality(folder: Path, home: Path) -> Row:
    """What the whole search finds."""
    from rag import build, settings

    with build.searching(settings.load(home=home, corpus=folder)) as (search, _):
        return {"quality": quality(folder, lambda asked: [p.chunk.document for p in search.find(asked, k=10)[1]])}


def opened(folder: Path, home: Path) -> Row:
    """How long a server that has a generation takes to open the next."""
    from rag import settings
    from rag.assistant import Live, Models
    from rag.fakes import ScriptedGenerator

    chosen = settings.load(home=home, corpus=folder)
    models, generator = Models.of(chosen), ScriptedGenerator()
    took = 0.0
    for _ in range(2):
        started = time.perf_counter()
        Live.open(chosen, models, generator)
        took = time.perf_counter() - started
    return {"opened": took}


def written(folder: Path, home: Path) -> Row:
    """A first ingest, and one after a file was saved, with an embedder that takes no time and no memory."""
    from rag import settings
    from rag.fakes import HashEmbedder
    from rag.index.catalog import Catalog
    from rag.ingest.flow import Chunking, ingest
    from rag.keeping import CATALOG, build_generations

    chosen = settings.load(home=home, corpus=folder)
    with Catalog(home / CATALOG) as catalog:
        into = build_generations(chosen), catalog, HashEmbedder(384), Chunking(chosen.chunk.tokens, chosen.chunk.overlap)
        report = ingest(folder, *into)
        page = next(folder.rglob("*.md"))
        page.write_text(f"{page.read_text(encoding='utf-8')}\n## News\n\nThe cellar is open on Sundays.\n", encoding="utf-8")
        again = ingest(folder, *into)
    return {"chunks": report.added, "texts": report.embedded, "seconds": report.seconds, "edit": again.seconds}


def langchain(folder: Path, home: Path, tokens: int) -> Row:
    """As the documentation has it; `tokens` of a chunk, 0: the splitter's default of 4,000 characters."""
    started = time.perf_counter()
    import torch
    from langchain_chroma import Chroma
    from langchain_core.documents import Document
    from langchain_huggingface import HuggingFaceEmbeddings
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    from rag.models.resolve import resolve_embedder

    kind = {"model_kwargs": {"dtype": torch.float32}}  # on the disk it is float16, which is slow on a processor
    embeddings = HuggingFaceEmbeddings(model_name=str(resolve_embedder("default")), model_kwargs=kind)
    splitter = RecursiveCharacterTextSplitter()
    if tokens:
        tokenizer = embeddings._client.tokenizer
        splitter = RecursiveCharacterTextSplitter.from_huggingface_tokenizer(tokenizer, chunk_size=tokens, chunk_overlap=0)
    pages = [
        Document(path.read_text(encoding="utf-8"), metadata={"source": path.relative_to(folder).as_posix()})
        for path in sorted(folder.rglob("*.md"))
    ]
    chunks = splitter.split_documents(pages)
    store = Chroma("bench", embeddings, persist_directory=str(home))
    for start in range(0, len(chunks), 5000):  # Chroma takes no more at once
        store.add_documents(chunks[start : start + 5000])
    seconds = time.perf_counter() - started
    found = quality(folder, lambda asked: [hit.metadata["source"] for hit in store.similarity_search(asked, k=10)])
    return {"chunks": len(chunks), "texts": len(chunks), "seconds": seconds, "quality": found}


def limit() -> Row:
    """Tokens/s that the embedder's matrix products would allow at this machine's measured speed, and those it reaches."""
    import torch

    from rag import loading, settings

    def rate(kind: torch.dtype) -> float:
        """Operations a second of the products in a batch of the embedder: (4096, 384) by (384, 1536)."""
        left, right = torch.randn(4096, 384, dtype=kind), torch.randn(384, 1536, dtype=kind)
        started, times = time.perf_counter(), 0
        while time.perf_counter() - started < 3:
            left @ right
            times += 1
        return times * 2 * 4096 * 384 * 1536 / (time.perf_counter() - started)

    embedder = loading.build_embedder(settings.load())
    texts = ["The lamp shines for forty hours on one charge and is sent within two days. " * 6] * 256
    embedder.embed(texts[:32])
    tokens = sum(map(embedder.count, texts))
    started = time.perf_counter()
    embedder.embed(texts)
    reached = tokens / (time.perf_counter() - started)
    parameters = 6 * 12 * 384 * 384  # of the layers' products: 4 of the attention, 8 of the feed-forward part, 6 times
    return {"reached": reached, "float32": rate(torch.float32) / (2 * parameters)}


RUNS: dict[str, Callable[[Path, Path], Row]] = {
    "shoptalk": shoptalk,
    "shoptalk-quality": shoptalk_quality,
    "opened": opened,
    "written": written,
    "langchain": lambda folder, home: langchain(folder, home, 0),
    "langchain-160": lambda folder, home: langchain(folder, home, TOKENS),
    "limit": lambda folder, home: limit(),
}


def apart(name: str, folder: Path, home: Path) -> Row:
    """One run in a process of its own, with the peak memory of its largest process in MB."""
    code = "import sys; from tests.bench.ingest import one; one(*sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, name, str(folder), str(home)], check=True, stdout=subprocess.PIPE, text=True
    )
    row: Row = json.loads(done.stdout.splitlines()[-1])
    sys.stderr.write(f"{name}: {row}\n")
    return row


def one(name: str, folder: str, home: str) -> None:
    """What a process of apart() does."""
    import resource

    row = RUNS[name](Path(folder), Path(home))
    peaks = (resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    sys.stdout.write(json.dumps(row | {"memory": max(peaks)}) + "\n")


def table(grown: list[Row], compared: dict[str, Row], fastest: Row, command: str) -> str:
    """Markdown."""
    lines = [
        "# From files to an index",
        "",
        f"Made by `{command}` on {os.cpu_count()} cores ({platform.machine()}).",
        "",
        "| chunks | texts embedded | first ingest | chunks/s | texts/s | unchanged | one file saved, live "
        "| opened by a server | largest process |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in grown:
        lines.append(
            f"| {row['chunks']:,} | {row['texts']:,} | {row['seconds']:.0f} s | {row['chunks'] / row['seconds']:.1f} "
            f"| {row['texts'] / row['seconds']:.0f} | {row['again']:.1f} s | {row['edit']:.1f} s | {row['opened']:.1f} s "
            f"| {row['memory']:.0f} MB |"
        )
    if compared:
        lines += [
            "",
            "| the same files | chunks | texts | seconds | chunks/s | texts/s | nDCG@10 |",
            "|---|---|---|---|---|---|---|",
        ]
    for name, row in compared.items():
        lines.append(
            f"| {name} | {row['chunks']:,} | {row['texts']:,} | {row['seconds']:.1f} | {row['chunks'] / row['seconds']:.1f} "
            f"| {row['texts'] / row['seconds']:.0f} | {row['quality']:.3f} |"
        )
    share = fastest["reached"] / fastest["float32"]
    lines += [
        "",
        f"The embedder reads {fastest['reached']:,.0f} tokens/s, {share:.0%} of what its matrix products alone would allow in "
        "float32 at the speed measured here.",
    ]
    return "\n".join(lines) + "\n"


def beside(root: Path, chunks: int) -> dict[str, Row]:
    """LangChain and Shoptalk over the same pages, by name."""
    write_pages(root / "same", chunks)
    named = {"LangChain, its default chunks": "langchain", "LangChain, chunks of 160 tokens": "langchain-160"}
    compared = {name: apart(run, root / "same", root / run) for name, run in named.items()}
    own = apart("shoptalk", root / "same", root / "own")
    return compared | {"Shoptalk": own | apart("shoptalk-quality", root / "same", root / "own")}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--against", type=int, default=SIZES[0], help="chunks for LangChain as well; 0: it does not run")
    parser.add_argument("--written", type=int, help="so many chunks alone, with an embedder that takes nothing; writes no table")
    chosen = parser.parse_args()
    if chosen.written:
        with tempfile.TemporaryDirectory() as made:
            write_pages(Path(made) / "pages", chosen.written)
            sys.stdout.write(f"{apart('written', Path(made) / 'pages', Path(made) / 'home')}\n")
        return
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        fastest = apart("limit", root, root)
        compared = beside(root, chosen.against) if chosen.against else {}
        grown: list[Row] = []
        for size in chosen.sizes:
            write_pages(root / f"{size}", size)
            row = apart("shoptalk", root / f"{size}", root / f"home-{size}")
            grown.append(row | {"opened": apart("opened", root / f"{size}", root / f"home-{size}")["opened"]})
    usual = chosen.sizes == SIZES
    text = table(
        grown, compared, fastest, "make bench-ingest" if usual else f"python -m {' '.join(['tests.bench.ingest', *sys.argv[1:]])}"
    )
    sys.stdout.write(text)
    (RESULTS if usual else RESULTS.with_stem(f"ingest-{max(chosen.sizes)}")).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
