"""The assistant that every door talks to: it answers from the live generation, follows the pointer, and records every turn."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.build import build_parts, build_search
from rag.errors import ShoptalkError
from rag.keeping import build_generations, build_recorder
from rag.loading import build_embedder, build_generator, build_reranker, build_selector
from rag.ports import Embedder, Generator, Reranker, Selector
from rag.settings import Settings
from rag.types import Answer, Done, Event, Filter, HandOver, History, Language, Passage, Query, Refused

if TYPE_CHECKING:
    from rag.answer.parts import Parts
    from rag.index.opened import Generation
    from rag.retrieve.search import Search

log = logging.getLogger(__name__)
ANYTHING = Filter()
GLANCE = 0.5  # seconds between two looks at the pointer
AGAIN = 10.0  # seconds until a generation that could not be opened is tried again: settings may have been corrected


@dataclass(frozen=True, slots=True)
class Models:
    """What an index is searched and answered with, the generator aside."""

    embedder: Embedder
    reranker: Reranker | None
    selector: Selector | None

    @classmethod
    def of(cls, settings: Settings) -> Models:
        """Cheap until they are used: weights load lazily."""
        embedder = build_embedder(settings)
        return cls(embedder, build_reranker(settings, embedder), build_selector(settings))

    def load(self) -> None:
        """Bring the weights into memory now."""
        self.embedder.embed(["warm up"])
        if self.selector:
            self.selector.load()


@dataclass(frozen=True, slots=True)
class Live:
    """One opened generation and what answers from it; an answer holds on to one Live from start to end."""

    settings: Settings
    models: Models
    generation: Generation
    search: Search
    parts: Parts

    @classmethod
    def open(cls, settings: Settings, models: Models, generator: Generator) -> Live:
        """What is live now. Raises NoIndex, IndexMismatch, IndexDamaged."""
        generation = build_generations(settings).open(models.embedder.fingerprint)
        search = build_search(settings, generation, models.embedder, models.reranker)
        parts = build_parts(settings, generation, search, models.embedder, generator, models.selector)
        return cls(settings, models, generation, search, parts)


class Assistant:
    """Answers from the live generation. A question finds the newest one, unless follow() brings it in."""

    def __init__(self, settings: Settings, generator: Generator | None = None) -> None:
        """Raises NoIndex, IndexMismatch, IndexDamaged, ModelMissing."""
        self._settings = settings
        self._generator = generator or build_generator(settings)
        self._generations = build_generations(settings)
        self._recorder = build_recorder(settings)
        self._opening = threading.Lock()
        self._closed = threading.Event()
        self._following: threading.Thread | None = None
        self._waiting = ""  # why the newest generation is not served
        self._live = Live.open(settings, Models.of(settings), self._generator)

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
        self._live.models.load()
        self._generator.load()

    def follow(self, reload: Callable[[], Settings]) -> None:
        """From now on new generations are opened aside, and no question waits for that.

        A generation that other models were used for is opened with the settings that `reload` gives; one that cannot be opened
        is told in the log and by describe(), and what was live goes on.
        """
        self._following = threading.Thread(target=self._follow, args=(reload,), name="follow", daemon=True)
        self._following.start()

    def contact(self, language: Language) -> str:
        """Whom a shopper reaches when Shoptalk cannot answer."""
        shop = self._settings.shop
        return shop.contact_zh if language == "zh" else shop.contact_en

    def shop(self, language: Language) -> str:
        """The shop's name."""
        shop = self._settings.shop
        return shop.name_zh if language == "zh" else shop.name_en

    def describe(self) -> dict[str, str]:
        """What is loaded, for the terminal and /readyz; `waiting` says why a newer generation is not."""
        live = self._live
        manifest, selector = live.generation.manifest, live.models.selector
        return {
            "generation": str(manifest.number),
            "documents": str(len(manifest.documents)),
            "chunks": str(manifest.count),
            "embedder": live.models.embedder.fingerprint,
            "selector": selector.fingerprint if selector else "",
            "generator": self._generator.fingerprint,
            **({"waiting": self._waiting} if self._waiting else {}),
        }

    @property
    def generation(self) -> Generation:
        """The generation that the next question is answered from."""
        return self._current().generation

    def close(self) -> None:
        """Release files and connections."""
        self._closed.set()
        if self._following:
            self._following.join()
        self._live.generation.store.close()
        self._recorder.close()

    def _current(self) -> Live:
        if self._following is None:
            with self._opening:
                if self._is_behind():
                    self._live = Live.open(self._settings, self._live.models, self._generator)
        return self._live

    def _is_behind(self) -> bool:
        manifest = self._generations.live()
        return manifest is not None and manifest.number != self._live.generation.number

    def _follow(self, reload: Callable[[], Settings]) -> None:
        again = 0.0  # when what could not be opened is tried once more
        tried = 0
        while not self._closed.wait(GLANCE):
            manifest = self._generations.live()
            if manifest is None or manifest.number == self._live.generation.number:
                continue
            if manifest.number == tried and time.monotonic() < again:
                continue
            tried, again = manifest.number, time.monotonic() + AGAIN
            try:
                newest = self._newest(manifest.recipe.embedder, reload)
            except ShoptalkError as error:
                waiting = f"generation {tried}: {error}"
                if waiting != self._waiting:
                    log.error("generation %d goes on, for %s", self._live.generation.number, waiting)
                self._waiting = waiting
            else:
                self._waiting, self._live = "", newest
                log.info("generation %d is live", tried)

    def _newest(self, embedder: str, reload: Callable[[], Settings]) -> Live:
        if embedder == self._live.models.embedder.fingerprint:
            return Live.open(self._live.settings, self._live.models, self._generator)
        settings = reload()
        models = Models.of(settings)
        live = Live.open(settings, models, self._generator)
        models.load()
        return live

    def _record(self, conversation: str, question: str, history: History, answer: Answer) -> None:
        try:
            self._recorder.observe(conversation, question, history, answer)
        except Exception:  # a full disk must not cost the shopper the answer
            log.exception("turn %s was answered but not recorded", answer.id)
