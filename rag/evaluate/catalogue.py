"""The ground truth a corpus is checked against: the product table and facts.csv."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cached_property
from pathlib import Path
from typing import Any

from rag.errors import DataError
from rag.evaluate.quantities import NAMES, UNITS, Quantity, mentions, quantity
from rag.language import fold
from rag.types import Facets

# "余烬 400 头灯" is called "余烬 400", but "手电 3 号腰套" is not called "手电 3": there the number goes with the next word.
_SHORT = re.compile(r"^\D*[^\W\d]\D*\d+\b(?!\s*[号毫厘米千克片点升]|\s*对(?!讲))")
_COUNT = re.compile(r"^\d+ ?([^\d\s].*)$")


@dataclass(frozen=True)
class Product:
    """One row of the product table and the line it stands in."""

    row: Mapping[str, Any]
    where: str

    @property
    def id(self) -> str:
        """The product's id."""
        return str(self.row["id"])

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What a text may call it: its id, and its names in full and as far as the model number."""
        full = [str(self.row[key]) for key in ("name", "name_en", "name_zh") if self.row.get(key)]
        plain = [name.split(" ", 1)[1] if name.isascii() and " " in name else name for name in full]  # without the brand
        short = [match[0] for name in plain if (match := _SHORT.match(name))]
        return tuple(dict.fromkeys((self.id, *full, *plain, *short)))

    def quantities(self, counted: frozenset[str]) -> dict[Quantity, str]:
        """Every price and attribute, with the name of where it stands."""
        found: dict[Quantity, str] = {}
        for key, value in self.row.items():
            if key.startswith("price_") and value is not None:
                found[quantity(Decimal(str(value)), key.removeprefix("price_"))] = f"{self.id} {key}"
            elif isinstance(value, dict):
                for name, text in value.items():
                    found |= {mention.quantity: f"{self.id} {name}" for mention in mentions(str(text), counted)}
        return found


@dataclass(frozen=True, slots=True)
class Fact:
    """One row of facts.csv: a number that holds for the whole shop, in one region and for a time."""

    name: str
    quantity: Quantity
    region: str
    valid_from: date | None
    valid_to: date | None

    def holds_for(self, facets: Facets) -> bool:
        """Whether a document with these facets may state it: same region, and their times overlap."""
        if self.region and facets.region and self.region != facets.region:
            return False
        ended = self.valid_to and facets.valid_from and self.valid_to < facets.valid_from
        early = self.valid_from and facets.valid_to and facets.valid_to < self.valid_from
        return not (ended or early)


@dataclass(frozen=True)
class Truth:
    """All that a corpus may state in numbers."""

    products: Mapping[str, Product]
    facts: tuple[Fact, ...]
    units: frozenset[str]  # what is counted in this shop besides measures: slots, panels, 个网口

    @cached_property
    def called(self) -> dict[str, set[str]]:
        """Folded name without spaces -> ids of the products called so."""
        found: dict[str, set[str]] = {}
        for product in self.products.values():
            for name in product.names:
                found.setdefault(_squeeze(name), set()).add(product.id)
        return found

    @cached_property
    def name_pattern(self) -> re.Pattern[str]:
        """Matches any product's name, spaces free, in any case."""
        names = sorted({name for product in self.products.values() for name in product.names}, key=len, reverse=True)
        by_first: dict[str, list[str]] = {}  # one branch a first letter: trying every name at every place takes seconds
        for name in names:
            loose = r"\s?".join(map(re.escape, re.findall(r"[A-Za-z]+|\d+|[^\sA-Za-z\d]+", name)))
            by_first.setdefault(name[0], []).append(loose[len(re.escape(name[0])) :])
        branches = (f"{re.escape(first)}(?:{'|'.join(rest)})" for first, rest in by_first.items())
        return re.compile(f"(?:{'|'.join(branches) or '(?!)'})(?![0-9])", re.IGNORECASE)

    @cached_property
    def _values(self) -> dict[str, dict[Quantity, str]]:
        return {product.id: product.quantities(self.units) for product in self.products.values()}

    def named_in(self, *texts: str) -> set[str]:
        """Ids of the products that the texts name."""
        found: set[str] = set()
        for text in texts:
            for match in self.name_pattern.findall(text):
                found |= self.called.get(_squeeze(match), set())
        return found

    def allowed(self, ids: Iterable[str], facets: Facets) -> dict[Quantity, str]:
        """What a text about these products may state -> where that stands."""
        found = {fact.quantity: f"facts.csv {fact.name}" for fact in self.facts if fact.holds_for(facets)}
        for product in sorted(set(ids) & self.products.keys()):
            found |= self._values[product]
        return found


def _squeeze(name: str) -> str:
    return "".join(fold(name).split())


def load_truth(shop: Path, facts: Path) -> Truth:
    """Read catalogue/*.jsonl below `shop` and, if it exists, `facts`. Raises DataError naming file:line."""
    rows = [row for file in sorted(shop.glob("catalogue/*.jsonl")) for row in _products(file)]
    stated = list(_facts(facts)) if facts.is_file() else []
    counted = {unit for _, _, unit in stated}
    for product in rows:
        for attributes in (value for value in product.row.values() if isinstance(value, dict)):
            counted |= {match[1] for value in attributes.values() if (match := _COUNT.match(str(value)))}
    units = frozenset(spelling for unit in counted for spelling in _spellings(unit))
    return Truth({product.id: product for product in rows}, tuple(fact for fact, _, _ in stated), units)


def _spellings(unit: str) -> set[str]:
    """A counted thing in singular and plural; measures that UNITS knows are left out."""
    unit = unit.casefold().strip()
    known = {spelling for _, _, spellings in UNITS.values() for spelling in spellings.split("|")}
    if not unit or unit == "点" or unit in known or unit in NAMES or any(character.isdigit() for character in unit):
        return set()
    return {unit, unit.removesuffix("s"), unit.removesuffix("s") + "s"} if unit.isascii() else {unit}


def _products(file: Path) -> list[Product]:
    products = []
    for number, line in enumerate(file.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{file}:{number}"
        try:
            row = json.loads(line)
            products.append(Product({**row, "id": str(row["id"])}, where))
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                expected="a product object with an id", found=f"{where}: {error}", remedy="correct the line"
            ) from error
    return products


def _facts(file: Path) -> Iterable[tuple[Fact, str, str]]:
    """(fact, file:line, unit); rows whose value is no number (an address, opening hours) state no quantity."""
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        for row in reader:
            where = f"{file}:{reader.line_num}"
            try:
                value = Decimal(row["value"])
            except InvalidOperation:
                continue
            except (KeyError, TypeError) as error:
                raise DataError(expected="a column value", found=f"{where}: {row}", remedy="correct the row") from error
            try:
                begin, end = (date.fromisoformat(row[key]) if row[key] else None for key in ("valid_from", "valid_to"))
            except ValueError as error:
                raise DataError(expected="dates as YYYY-MM-DD", found=f"{where}: {error}", remedy="correct the row") from error
            yield Fact(row["name"], quantity(value, row["unit"]), row["region"] or "", begin, end), where, row["unit"]
