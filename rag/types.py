"""The nouns of Shoptalk and the events an answer is made of. Imports nothing of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Literal, NamedTuple

Language = Literal["en", "zh"]
Role = Literal["system", "user", "assistant"]


# A mark at the end or a question word at the start; "can", "will" and the like only before whom they ask about.
_ASKS = re.compile(
    r"[?？][\s\"”’')）」』]*$|[吗嗎][。\s]*$"
    r"|^\s*(?:(?:what|which|who|whom|whose|how|when|where|why)\b"
    r"|(?:is|are|was|were|am|do|does|did|can|could|will|would|shall|should|may|might|must|has|have|had)(?:n['’]t)?"
    r"\s+(?:i|you|he|she|we|it|they|there|this|that|these|those|the|my|your|our|its|a|an|any)\b)"
    r"|^\s*(?:请问|請問|什么|什麼|怎么|怎麼|怎样|怎樣|如何|为什么|為什麼|为何|為何|哪|谁|誰|多少|多久|多长|多大|几[天个时次种点年月]"
    r"|能否|能不能|是否|是不是|可否|可不可以|有没有|有沒有|何时|何時)",
    re.IGNORECASE,
)


class Kind(StrEnum):
    """What a piece of a document is; pages and passages may be split, the others never are."""

    PAGE = "page"
    PASSAGE = "passage"  # one row of a corpus.jsonl in the BEIR layout
    FAQ = "faq"
    PRODUCT = "product"
    ROW = "row"


@dataclass(frozen=True, slots=True)
class Facets:
    """What filters look at. An empty string or None means: holds for all."""

    language: str = ""
    region: str = ""
    audience: str = ""
    trust: str = "official"
    product: str = ""
    valid_from: date | None = None
    valid_to: date | None = None  # inclusive

    def in_force(self, day: date) -> bool:
        """Whether what is said holds on `day`; both ends are inclusive."""
        return (self.valid_from or day) <= day <= (self.valid_to or day)


@dataclass(frozen=True, slots=True)
class Entry:
    """One self-contained unit of a table: a FAQ pair, a product, a row, a passage.

    `text` is what a shopper sees and what citations quote. `aliases` (similar questions, other names) are
    searched but never shown. `negatives` are questions this entry must not answer. `answer` is the vetted
    FAQ answer, a verbatim part of `text`; empty for other kinds.
    """

    key: str  # unique within its document
    kind: Kind
    title: str
    text: str
    answer: str = ""
    aliases: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    facets: Facets = Facets()


@dataclass(frozen=True, slots=True)
class Document:
    """A source as read: a page as Markdown in `text`, or a table as `entries` (then `text` is empty)."""

    id: str  # path below the corpus folder, "/" between the parts
    title: str
    text: str
    facets: Facets
    digest: str  # sha256 of the file's bytes, hex
    entries: tuple[Entry, ...] = ()
    rejected: tuple[str, ...] = ()  # what was left out: "<row number>: <reason>", or "hidden text: <reason>"
    url: str = ""  # where it is on the web, if it says so


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document, small enough for the embedder. `text` is a verbatim part of what was read."""

    id: str  # "<document>#<12 hex digits of the content's hash>"
    document: str
    entry: str  # Entry.key, or "" for a page
    ordinal: int  # position within the document, from 0
    kind: Kind
    title: str
    headings: tuple[str, ...]
    text: str
    answer: str = ""
    aliases: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    facets: Facets = Facets()
    url: str = ""  # of the document

    @property
    def search_text(self) -> str:
        """What is embedded and indexed: the headings give a lone paragraph its subject."""
        head = " > ".join(dict.fromkeys((self.title, *self.headings)))
        if self.text.startswith(head):  # a FAQ's text begins with its question, a product's with its name
            head = ""
        return "\n".join(part for part in (head, self.text, *self.aliases) if part)

    @property
    def label(self) -> str:
        """The title, where it speaks of this chunk alone and the text does not say it: a passage's, a row's."""
        own = self.kind in (Kind.PASSAGE, Kind.ROW) and not self.text.startswith(self.title)
        return self.title if own else ""

    @property
    def questions(self) -> tuple[str, ...]:
        """What this chunk answers: a FAQ's question and its similar ones; of others the title and last heading, if they ask."""
        if self.kind is Kind.FAQ:
            return tuple(dict.fromkeys(text for text in (self.title, *self.aliases) if text))
        return tuple(dict.fromkeys(text for text in (self.title, *self.headings[-1:]) if _ASKS.search(text)))


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation."""

    role: Role
    text: str


class Piece(NamedTuple):
    """The next piece of what a model writes: whole characters."""

    text: str
    logprob: float  # natural log of the probability of the tokens behind `text`, their sum; nan where a server does not tell


History = tuple[Turn, ...]  # oldest first, without the question being asked


@dataclass(frozen=True, slots=True)
class Filter:
    """What to search in: a chunk passes where its facet is empty or equal; an empty string here lets all pass."""

    language: str = ""
    region: str = ""
    product: str = ""
    audience: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """The standalone question: `text` is searched, `question` is what the shopper typed.

    `context` is the last exchange, for searching only: it speaks of what the question may leave out. `repaired` is `text` with
    its spelling repaired, searched beside it; empty where there was nothing to repair. `carried` are the subjects (ids of
    rag.retrieve.entities) that earlier turns name, one tuple a turn that names any, newest first.
    """

    text: str
    question: str
    language: Language
    context: str = ""
    repaired: str = ""
    carried: tuple[tuple[str, ...], ...] = ()
    filter: Filter = Filter()


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk found. `score` is comparable within one result list only: higher is better.

    `scores` holds each source's own score ("dense": cosine, -1..1; "lexical": BM25, 0..) where it found the chunk.
    """

    chunk: Chunk
    score: float
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Citation:
    """Marker [n] of an answer: `quote` is chunk.text[start:end] of passage n's chunk, verbatim."""

    n: int
    document: str
    chunk: str
    quote: str
    start: int
    end: int


class Outcome(StrEnum):
    """How a turn ended."""

    ANSWERED = "answered"
    REFUSED = "refused"
    HANDED_OVER = "handed_over"
    CLARIFICATION = "clarification"  # the shopper was asked back


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished turn. `rung` names what produced it (smalltalk, clarify, faq, fact, generated, quote, refusal, person)."""

    id: str
    outcome: Outcome
    text: str
    rung: str
    language: Language
    query: Query
    generation: int  # the index generation that served it
    citations: tuple[Citation, ...] = ()
    passages: tuple[Passage, ...] = ()
    reason: str = ""  # why it was refused or handed over; a key of the wording catalogue
    timings: Mapping[str, float] = field(default_factory=dict)  # milliseconds by stage; "first_token", "total"
    failed: str = ""  # the rung that a failing part cost this turn, which was answered without it


@dataclass(frozen=True, slots=True)
class Sources:
    """Event: what was found, before the first token."""

    query: Query
    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Token:
    """Event: the next piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """Event: the answer stands. Its text replaces the streamed tokens (it adds the markers)."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Refused:
    """Event: the documents do not hold the answer; `answer.text` says so."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class HandOver:
    """Event: a person takes over; `answer.text` tells the shopper how."""

    answer: Answer


Event = Sources | Token | Done | Refused | HandOver


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides which index a corpus becomes. The same recipe and the same files make the same index."""

    embedder: str  # Embedder.fingerprint
    dimension: int
    tokens: int  # chunk size
    overlap: int
    version: int  # of the code that reads and chunks
    place: str  # "" for files under the home, else the URL of the Chroma server
    chroma: str  # version of chromadb


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a sealed generation holds."""

    number: int
    previous: int  # the generation that was live before; 0 for none
    created: str  # ISO 8601, UTC
    recipe: Recipe
    sources: Mapping[str, str]  # every file found: sha256 of its bytes, or why it was not opened
    documents: Mapping[str, int]  # chunks of every document that could be read
    rejected: tuple[tuple[str, str], ...]  # (file or file:row, reason)
    count: int  # chunks
    digest: str  # sha256 over the sorted ids with the hashes of text, metadata and vector
    files: Mapping[str, str]  # size and sha256 of every file that reading leaves alone, by path below the generation
    schema: int = 1  # of the manifest itself
