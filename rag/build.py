"""The composition root: settings -> ready parts. With rag.loading, which loads models, and
rag.keeping, which opens what lies under the home, the only file that chooses classes.

settings -> embedder ----> ingest ----> generation N (live)
               |                             |
               +--> dense --+                |
                            fused -> answer()|-> events -> recorder
settings -> selector, generator --^
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rag.keeping import CATALOG, build_generations
from rag.loading import build_embedder, build_reranker
from rag.ports import Embedder, Generator, Progress, Reranker, Selector
from rag.settings import Settings
from rag.types import Filter, Manifest

if TYPE_CHECKING:
    from rag.answer.parts import Parts
    from rag.index.opened import Generation
    from rag.ingest.flow import Steps
    from rag.ingest.report import IngestReport
    from rag.retrieve.search import Search

ANYTHING = Filter()


def run_ingest(
    settings: Settings,
    progress: Progress = lambda stage, done, total: None,
    embedder: Embedder | None = None,
    check: Callable[[Manifest | None, Manifest], None] = lambda live, new: None,
    cluster: str = "",
) -> IngestReport:
    """Bring the live index up to date with settings.corpus, by `embedder` if one is at hand; on a Ray cluster if named.

    `check` is told what is live and what is to be, and raises to prevent it. Raises CorpusEmpty, HomeBusy, ModelMissing,
    ClusterFailed.
    """
    from rag.index.catalog import Catalog
    from rag.ingest.flow import Chunking, ingest
    from rag.ingest.readers import recognize

    recognize.limit(settings.models.threads)
    chunking = Chunking(settings.chunk.tokens, settings.chunk.overlap)
    with cluster_steps(settings, cluster) as steps, Catalog(settings.home / CATALOG) as catalog:
        embedder = embedder or build_embedder(settings)
        return ingest(settings.corpus, build_generations(settings), catalog, embedder, chunking, progress, check, steps)


def cluster_steps(settings: Settings, address: str) -> AbstractContextManager[Steps | None]:
    """A block with what reads, chunks and embeds on the cluster; without an address the one that ingests does it itself.

    Nodes are sent the models' settings, no secrets. Each of their processes has `models.threads` cores, or one, and with
    `models.device` "cuda" a GPU to embed on.
    """
    if not address:
        return nullcontext()
    from rag.ingest.cluster import connected

    cores = settings.models.threads or 1
    device = settings.models.device.partition(":")[0]  # without a number: a process sees its own GPU alone
    models = settings.models.model_copy(update={"threads": cores, "device": device, "api_key": ""})
    shipped = settings.model_copy(update={"models": models, "database_url": ""})
    return connected(address, partial(build_embedder, shipped), cores, int(device == "cuda"))


def build_search(settings: Settings, generation: Generation, embedder: Embedder, reranker: Reranker | None = None) -> Search:
    """Search by meaning, words, questions and names, fused, then reranked if at all. Raises SettingsError for wrong weights."""
    from rag.answer.catalogue import product_names
    from rag.answer.fitted import found_weights
    from rag.retrieve.entities import Entities
    from rag.retrieve.features import FILE, fitted
    from rag.retrieve.fuse import FusedSource
    from rag.retrieve.repair import Repair
    from rag.retrieve.rerank import RerankedSource
    from rag.retrieve.rewrite import rewrite
    from rag.retrieve.search import Search

    retrieve = settings.retrieve
    chunks = list(generation.store.chunks())
    entities = Entities.of(chunks, generation.lexical.words)
    repair = Repair(generation.lexical.words, product_names(chunks)).repair if retrieve.repair else str
    source = FusedSource(
        generation.store,
        embedder,
        generation.lexical,
        generation.questions,
        generation.sentences,
        entities,
        fitted(Path(retrieve.weights) if retrieve.weights else FILE),
        retrieve.candidates,
        lambda: settings.answer.today or date.today(),
    )
    return Search(
        RerankedSource(source, reranker, retrieve.rerank_candidates, retrieve.rerank_weight) if reranker else source,
        lambda question, history: rewrite(question, history, entities, repair),
        settings.answer.question_characters,
        Filter(region=retrieve.region, audience=retrieve.audience),
        found_weights(settings.home, embedder.fingerprint),
    )


@contextmanager
def searching(settings: Settings) -> Iterator[tuple[Search, Generation]]:
    """Search the live generation the way an answer does, without a generator. Raises NoIndex, ModelMissing."""
    embedder = build_embedder(settings)
    generation = build_generations(settings).open(embedder.fingerprint)
    try:
        yield build_search(settings, generation, embedder, build_reranker(settings, embedder)), generation
    finally:
        generation.store.close()


def build_parts(
    settings: Settings,
    generation: Generation,
    search: Search,
    embedder: Embedder,
    generator: Generator,
    selector: Selector | None = None,
) -> Parts:
    """What answer() is handed for one generation."""
    from rag.answer.catalogue import Catalogue, product_names, row_names
    from rag.answer.examples import FaqExamples
    from rag.answer.family import prompt_folder
    from rag.answer.fitted import fitted
    from rag.answer.parts import Parts
    from rag.answer.rarity import Rarity
    from rag.models.resolve import is_tuned
    from rag.retrieve.products import Products

    chunks, shop = list(generation.store.chunks()), settings.shop
    chosen_by = selector.fingerprint if selector else ""
    return Parts(
        source=search.source,
        rewrite=search.rewrite,
        embedder=embedder,
        generator=generator,
        rarity=Rarity(generation.content.count, len(chunks)),
        generation=generation.number,
        policy=settings.answer,
        passages=settings.retrieve.passages,
        contacts={"en": shop.contact_en, "zh": shop.contact_zh},
        shops={"en": shop.name_en, "zh": shop.name_zh},
        names=product_names(chunks),
        fitted=fitted(settings.home, embedder.fingerprint, chosen_by).for_generator(generator.fingerprint),
        selector=selector,
        prompt=prompt_folder(settings.answer.prompt, is_tuned(settings.models, settings.home)),
        examples=FaqExamples.of(chunks, generation.store, embedder, settings.answer.examples),
        catalogue=Catalogue.of(chunks, search.source.entities.mentioned, Products(row_names(chunks)).mentioned),
    )
