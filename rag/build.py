"""The composition root: settings -> ready parts. With rag.loading, which loads models, and
rag.keeping, which opens what lies under the home, the only file that chooses classes.

settings -> embedder ----> ingest ----> generation N (live)
               |                             |
               +--> dense --+                |
                            fused -> answer()|-> events -> recorder
settings -> selector, generator --^
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from rag.keeping import CATALOG, build_generations, build_recorder
from rag.loading import build_embedder, build_generator, build_reranker, build_selector
from rag.ports import Embedder, Generator, Progress, Reranker, Selector
from rag.settings import Settings
from rag.types import Answer, Done, Event, Filter, HandOver, History, Language, Manifest, Passage, Query, Refused

if TYPE_CHECKING:
    from rag.answer.parts import Parts
    from rag.index.opened import Generation
    from rag.ingest.report import IngestReport
    from rag.retrieve.search import Search

log = logging.getLogger(__name__)
ANYTHING = Filter()


def run_ingest(
    settings: Settings,
    progress: Progress = lambda stage, done, total: None,
    embedder: Embedder | None = None,
    check: Callable[[Manifest | None, Manifest], None] = lambda live, new: None,
) -> IngestReport:
    """Bring the live index up to date with settings.corpus, by `embedder` if one is at hand.

    `check` is told what is live and what is to be, and raises to prevent it. Raises CorpusEmpty, HomeBusy, ModelMissing.
    """
    from rag.index.catalog import Catalog
    from rag.ingest.flow import Chunking, ingest
    from rag.ingest.readers import recognize

    recognize.limit(settings.models.threads)
    chunking = Chunking(settings.chunk.tokens, settings.chunk.overlap)
    with Catalog(settings.home / CATALOG) as catalog:
        embedder = embedder or build_embedder(settings)
        return ingest(settings.corpus, build_generations(settings), catalog, embedder, chunking, progress, check)


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
    from rag.answer.terms import Rarity
    from rag.models.resolve import is_tuned
    from rag.retrieve.products import Products

    chunks, shop = list(generation.store.chunks()), settings.shop
    chosen_by = selector.fingerprint if selector else ""
    return Parts(
        source=search.source,
        rewrite=search.rewrite,
        embedder=embedder,
        generator=generator,
        rarity=Rarity.of(chunk.search_text for chunk in chunks),
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


@dataclass(frozen=True, slots=True)
class Live:
    """One opened generation and what answers from it; an answer holds on to one Live from start to end."""

    generation: Generation
    search: Search
    parts: Parts


class Assistant:
    """Answers from the live generation, follows the pointer when a new one goes live, records every turn."""

    def __init__(self, settings: Settings, generator: Generator | None = None) -> None:
        self._settings = settings
        self._embedder = build_embedder(settings)
        self._generator = generator or build_generator(settings)
        self._reranker = build_reranker(settings, self._embedder)
        self._selector = build_selector(settings)
        self._generations = build_generations(settings)
        self._recorder = build_recorder(settings)
        self._opening = threading.Lock()
        self._live = self._open()

    def answer(
        self,
        question: str,
        history: History = (),
        conversation: str = "",
        stopped: Callable[[], bool] = lambda: False,
        chosen: Filter = ANYTHING,
    ) -> Iterator[Event]:
        """The events of one turn. Raises WrongFilter for values that no chunk has, ShoptalkError when a part fails.

        Closing the iterator stops the work, and so does `stopped()` turning true, even while nothing is yielded.
        """
        from rag.answer.flow import answer

        live = self._current()
        for event in answer(question, history, live.parts, stopped, live.search.narrowed(chosen)):
            if isinstance(event, Done | Refused | HandOver):
                self._record(conversation, question, history, event.answer)
            yield event

    def find(self, question: str, history: History = (), k: int = 10) -> tuple[Query, list[Passage]]:
        """Retrieval alone: the standalone query and at most k passages."""
        return self._current().search.find(question, history, k)

    def evidence(self, answer: Answer) -> float:
        """How likely the best piece of the answer's passages is what was asked for: refusing looks at this number."""
        from rag.answer.evidence import foreign, usable

        parts = self._current().parts
        found = usable(answer.passages, answer.language)
        ranked = parts.ranker.rank(answer.query, found, foreign=foreign(answer.passages, answer.language))
        return ranked[0].probability if ranked else 0.0

    def vote(self, answer_id: str, value: int, comment: str = "") -> None:
        """Keep a shopper's thumb (+1 or -1); the last one counts. Raises DataError for an unknown answer."""
        self._recorder.vote(answer_id, value, comment)

    def warm_up(self) -> None:
        """Load the weights now, so that the first shopper does not wait for them."""
        self._embedder.embed(["warm up"])
        if self._selector:
            self._selector.load()
        self._generator.load()

    def contact(self, language: Language) -> str:
        """Whom a shopper reaches when Shoptalk cannot answer."""
        shop = self._settings.shop
        return shop.contact_zh if language == "zh" else shop.contact_en

    def shop(self, language: Language) -> str:
        """The shop's name."""
        shop = self._settings.shop
        return shop.name_zh if language == "zh" else shop.name_en

    def describe(self) -> dict[str, str]:
        """What is loaded, for the terminal and /readyz."""
        manifest = self._live.generation.manifest
        return {
            "generation": str(manifest.number),
            "documents": str(len(manifest.documents)),
            "chunks": str(manifest.count),
            "embedder": self._embedder.fingerprint,
            "selector": self._selector.fingerprint if self._selector else "",
            "generator": self._generator.fingerprint,
        }

    @property
    def generation(self) -> Generation:
        """The live generation, reopened if the pointer moved."""
        return self._current().generation

    def close(self) -> None:
        """Release files and connections."""
        self._live.generation.store.close()
        self._recorder.close()

    def _current(self) -> Live:
        with self._opening:
            manifest = self._generations.live()
            if manifest and manifest.number != self._live.generation.number:
                self._live = self._open()
                log.info("generation %d is live", self._live.generation.number)
            return self._live

    def _open(self) -> Live:
        generation = self._generations.open(self._embedder.fingerprint)
        search = build_search(self._settings, generation, self._embedder, self._reranker)
        parts = build_parts(self._settings, generation, search, self._embedder, self._generator, self._selector)
        return Live(generation, search, parts)

    def _record(self, conversation: str, question: str, history: History, answer: Answer) -> None:
        try:
            self._recorder.observe(conversation, question, history, answer)
        except Exception:  # a full disk must not cost the shopper the answer
            log.exception("turn %s was answered but not recorded", answer.id)
