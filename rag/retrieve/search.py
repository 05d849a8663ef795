"""Question and history to passages: the query made ready, narrowed to where the shop looks, searched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from rag.retrieve.confidence import confidence
from rag.retrieve.fuse import FusedSource
from rag.retrieve.rerank import RerankedSource
from rag.retrieve.trace import Trace
from rag.types import Filter, History, Language, Passage, Query

ANYTHING = Filter()


@dataclass(frozen=True, slots=True)
class Search:
    """Retrieval over one generation, as every answer uses it."""

    source: FusedSource | RerankedSource
    rewrite: Callable[[str, History], Query]
    characters: int  # of a question that are read
    shop: Filter = ANYTHING  # where the shop looks unless it is told otherwise
    confidence: Mapping[Language, Mapping[str, float]] = field(default_factory=dict)  # weights of rag.retrieve.confidence.SIGNALS

    def find(self, question: str, history: History = (), k: int = 10, chosen: Filter = ANYTHING) -> tuple[Query, list[Passage]]:
        """The standalone query and at most k passages by falling score. Raises WrongFilter, ModelFailed."""
        query = self._query(question, history, chosen)
        return query, self.source.find(query, k)

    def explain(self, question: str, history: History = (), k: int = 10, chosen: Filter = ANYTHING) -> Trace:
        """What find() looks at, keeps and drops, and why. Raises WrongFilter, ModelFailed."""
        trace = self.source.explain(self._query(question, history, chosen), k)
        weights = self.confidence.get(trace.query.language)
        return replace(trace, confidence=confidence(trace.kept, weights)) if weights else trace

    def narrowed(self, chosen: Filter) -> Filter:
        """The filter with the shop's own values where it names none; a product may be called by its name.

        Raises WrongFilter for a value that no chunk has.
        """
        whole = replace(chosen, region=chosen.region or self.shop.region, audience=chosen.audience or self.shop.audience)
        if whole.product not in self.source.filters.known("product"):
            named = self.source.entities.ids(whole.product)
            whole = replace(whole, product=named[0] if len(named) == 1 else whole.product)
        self.source.filters.check(whole)
        return whole

    def _query(self, question: str, history: History, chosen: Filter) -> Query:
        return replace(self.rewrite(question[: self.characters], history), filter=self.narrowed(chosen))
