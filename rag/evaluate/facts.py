"""The corpus checker: every number a document states must be one that the product table or facts.csv states."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rag.errors import Unreadable
from rag.evaluate.balance import check_gold
from rag.evaluate.catalogue import Product, Truth, load_truth
from rag.evaluate.numerals import half_width
from rag.evaluate.quantities import Mention, Quantity, mentions
from rag.ingest.read import read
from rag.types import Document, Facets, Kind

LINKS = ("compatible_with", "accessories")


@dataclass(frozen=True, slots=True)
class Statement:
    """A stretch of text that may state quantities, what it is about, and where it stands."""

    text: str
    where: str
    facets: Facets
    products: frozenset[str]


def check_corpus(corpus: Path) -> list[str]:
    """Everything wrong with the corpus in folder `corpus` (shop/, and if there: facts.csv, gold/), one line a problem.

    Each document is readable, each product link exists, each quantity is true, each gold quote is verbatim, the gold sets are
    as large and varied as gold/gold.toml asks, and dev and test share nothing. Raises DataError if a table or a gold file
    is not in its form.
    """
    shop = corpus / "shop"
    documents, problems = read_all(shop)
    truth = load_truth(shop, corpus / "facts.csv")
    problems += check_links(truth)
    problems += [problem for document in documents for problem in check_document(document, shop, truth)]
    return problems + (check_gold(corpus / "gold", documents, truth) if (corpus / "gold").is_dir() else [])


def read_all(shop: Path) -> tuple[list[Document], list[str]]:
    """Every file below `shop` as the ingest reads it, and what cannot be read."""
    documents, problems = [], []
    for path in sorted(path for path in shop.rglob("*") if path.is_file() and not path.name.startswith(".")):
        try:
            documents.append(read(path, path.relative_to(shop).as_posix()))
        except Unreadable as error:
            problems.append(f"{path}: {error}")
    return documents, problems


def check_links(truth: Truth) -> list[str]:
    """Every product id that a product names exists, and none names itself."""
    problems = []
    for product in truth.products.values():
        named = [str(other) for key in LINKS for other in product.row.get(key) or ()]
        named += [str(product.row["replaces"])] if product.row.get("replaces") else []
        for other in named:
            if other not in truth.products or other == product.id:
                problems.append(f"{product.where}: {product.id} names {other}, which is not another product of the catalogue")
    return problems


def check_document(document: Document, shop: Path, truth: Truth) -> list[str]:
    """Every quantity of `document` that is neither in facts.csv nor a value of a product it is about or names."""
    problems: list[str] = []
    if document.facets.product and document.facets.product not in truth.products:
        problems.append(f"{document.id}: the front matter names {document.facets.product}, which is not in the catalogue")
    found: list[tuple[Statement, Mention, str]] = []
    for statement in _statements(document, truth):
        allowed = truth.allowed(statement.products, statement.facets)
        blank = truth.name_pattern.sub(lambda match: " " * len(match[0]), half_width(statement.text))
        for line in blank.split("\n"):
            for mention in mentions(line, truth.units):
                if mention.quantity not in allowed:
                    found.append((statement, mention, _explain(mention, statement, allowed)))
    raw = _lines(shop / document.id) if found else []
    return problems + [f"{_where(statement, mention, raw)}: {told}" for statement, mention, told in found]


def _statements(document: Document, truth: Truth) -> Iterator[Statement]:
    if document.text:  # which holds the rows of its tables
        about = truth.named_in(document.text, document.title) | {document.facets.product}
        yield Statement(f"{document.title}\n{document.text}", document.id, document.facets, frozenset(about))
        return
    for entry in document.entries:
        about = truth.named_in(entry.title, entry.text, *entry.aliases) | {entry.facets.product, entry.key.split("#")[0]}
        text = _summaries(truth.products.get(entry.key.split("#")[0])) if entry.kind == Kind.PRODUCT else entry.text
        yield Statement(text, f"{document.id}#{entry.key}", entry.facets, frozenset(about))


def _summaries(product: Product | None) -> str:
    """The free text of a product row; its values are the truth themselves."""
    return "\n".join(str(value) for key, value in product.row.items() if key.startswith("summary")) if product else ""


def _lines(path: Path) -> list[str]:
    """The lines of a text file, half width and without spaces, for finding where a sentence stands; none for a binary file."""
    try:
        return [_squeeze(line) for line in path.read_text(encoding="utf-8").split("\n")]
    except UnicodeDecodeError:
        return []


def _where(statement: Statement, mention: Mention, raw: list[str]) -> str:
    wanted = _squeeze(mention.text)
    key = _squeeze(statement.where.partition("#")[2])
    lines = [number for number, line in enumerate(raw, start=1) if wanted in line]
    own = [number for number in lines if key and key in raw[number - 1]] or lines
    return f"{statement.where}:{own[0]}" if own else statement.where


def _squeeze(text: str) -> str:
    return re.sub(r"\s", "", half_width(text))


def _explain(mention: Mention, statement: Statement, allowed: dict[Quantity, str]) -> str:
    near = sorted(
        (quantity for quantity in allowed if quantity.unit == mention.quantity.unit),
        key=lambda quantity: abs(quantity.value - mention.quantity.value),
    )
    shown = "; ".join(f"{quantity} ({allowed[quantity]})" for quantity in near[:3]) or f"no value in {mention.quantity.unit}"
    about = (
        ", ".join(sorted(filter(None, statement.products & {name.split(" ")[0] for name in allowed.values()}))) or "no product"
    )
    return f"{mention.text.strip()!r} ({mention.quantity}) is not true of {about} nor in facts.csv; nearest: {shown}"
