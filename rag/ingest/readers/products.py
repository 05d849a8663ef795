"""A product table -> one readable entry per product and language; every fact is a sentence that can be quoted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rag.errors import Unreadable
from rag.ingest.readers.cells import ids, items, pairs, text
from rag.ingest.readers.content import Record, Sheet
from rag.language import detect
from rag.types import Entry, Facets, Kind, Language
from rag.wording import say

_LANGUAGES: tuple[Language, ...] = ("en", "zh")
_CURRENCIES = ("EUR", "CNY", "USD", "GBP", "JPY", "HKD")  # those the wording has words for; others show their code
_REGIONS = ("EU", "CN", "UK", "US")
_TRANSLATED = ("name", "category", "summary", "attributes")
_RELATIONS = ("compatible_with", "accessories", "replaces")
_UNSHOWN = {"id", "currency", "aliases", "tags", *_TRANSLATED, *_RELATIONS}


def is_catalogue(columns: set[str]) -> bool:
    """Whether a table with these columns lists products: an id, a name, and a price, stock or attributes."""
    facts = any(_is_price(name) or _is_stock(name) or _base(name) == "attributes" for name in columns)
    return "id" in columns and any(_base(name) == "name" for name in columns) and facts


class Catalogue:
    """One product table; relations between its products are shown by name."""

    def __init__(self, sheet: Sheet) -> None:
        self._labels = sheet.labels
        self._names: dict[str, dict[Language, str]] = {}
        self._successors: dict[str, list[str]] = {}
        for record in sheet.records:
            key = text(record.fields.get("id"))
            self._names.setdefault(key, _names(record))
            for older in ids(record.fields.get("replaces")):
                self._successors.setdefault(older, []).append(key)

    def read(self, record: Record) -> list[Entry]:
        """An entry per language the product is named in. Raises Unreadable without id or name."""
        key, names = text(record.fields.get("id")), _names(record)
        if not key or not names:
            raise Unreadable(expected="an id and a name", found="an empty cell", remedy="fill it in or delete the row")
        other_names = items(record.fields.get("aliases"))
        return [
            Entry(
                key=f"{key}#{language}" if len(names) > 1 else key,
                kind=Kind.PRODUCT,
                title=name,
                text="\n".join(self._lines(record, key, name, language)),
                aliases=tuple(dict.fromkeys(other for other in (*names.values(), *other_names) if other != name)),
                tags=items(record.fields.get("tags")),
                facets=Facets(language=language, product=key),
            )
            for language, name in names.items()
        ]

    def _lines(self, record: Record, key: str, name: str, language: Language) -> Iterator[str]:
        fields = record.fields
        yield say("product_name", language, name=name, id=key)
        if summary := _translated(fields, "summary", language):
            yield summary
        if category := _translated(fields, "category", language):
            yield _sentence("product_category", language, category)
        prices = [column for column in fields if _is_price(column) and text(fields[column])]
        for column in sorted(prices, key=lambda column: language == "zh" and not column.endswith("_cny")):
            code = (column.partition("_")[2] or text(fields.get("currency"))).upper()
            yield _sentence("product_price", language, _price(fields[column], code, language))
        for column in fields:
            if _is_stock(column) and text(fields[column]):
                yield _stock(fields[column], column.partition("_")[2], language)
        for label, value in self._attributes(record, language):
            yield _fact(label, value, language)
        related = {relation: ids(fields.get(relation)) for relation in _RELATIONS}
        related["replaced_by"] = tuple(self._successors.get(key, ()))
        for relation, keys in related.items():
            if keys:
                shown = (self._shown(other, language) for other in keys)
                yield _sentence(f"product_{relation}", language, say("list_comma", language).join(shown))

    def _attributes(self, record: Record, language: Language) -> Iterator[tuple[str, str]]:
        """The attributes, then every column this file knows nothing of."""
        fields = record.fields
        attributes = pairs(fields.get(f"attributes_{language}")) or pairs(fields.get("attributes"))
        for name, value in attributes.items():
            yield _readable(name), value
        for column in fields:
            if _base(column) in _UNSHOWN or _is_price(column) or _is_stock(column) or not text(fields[column]):
                continue
            if column == _base(column) or column.endswith(f"_{language}"):
                label = self._labels.get(column) or column
                yield _readable(label.removesuffix(f"_{language}")), text(fields[column])

    def _shown(self, key: str, language: Language) -> str:
        names = self._names.get(key)
        if not names:
            return key
        return say("product_name", language, name=names.get(language) or next(iter(names.values())), id=key)


def _names(record: Record) -> dict[Language, str]:
    """The product's name by language, English first; a plain "name" goes where its script belongs."""
    found: dict[Language, str] = {}
    for language in _LANGUAGES:
        if name := text(record.fields.get(f"name_{language}")):
            found[language] = name
    if plain := text(record.fields.get("name")):
        found.setdefault(detect(plain) or "en", plain)
    return {language: found[language] for language in _LANGUAGES if language in found}


def _translated(fields: Mapping[str, object], name: str, language: Language) -> str:
    """The field in this language; the one without a language only if it is written in it."""
    plain = text(fields.get(name))
    return text(fields.get(f"{name}_{language}")) or (plain if (detect(plain) or language) == language else "")


def _base(column: str) -> str:
    for language in _LANGUAGES:
        column = column.removesuffix(f"_{language}")
    return column


def _is_price(column: str) -> bool:
    name, _, currency = column.partition("_")
    return name == "price" and (not currency or (len(currency) == 3 and currency.isalpha()))


def _is_stock(column: str) -> bool:
    return column.partition("_")[0] == "stock"


def _readable(name: str) -> str:
    """Turn battery_life into Battery life."""
    name = name.replace("_", " ").strip()
    return name[:1].upper() + name[1:]


def _sentence(key: str, language: Language, value: str) -> str:
    return say(key, language, value=value.rstrip(".。"))


def _fact(name: str, value: str, language: Language) -> str:
    return say("product_attribute", language, name=name, value=value.rstrip(".。"))


def _number(value: object) -> float | None:
    try:
        return float(text(value))
    except ValueError:
        return None


def _price(value: object, code: str, language: Language) -> str:
    number = _number(value)
    if number is None:
        return text(value)
    amount = f"{number:.0f}" if number == int(number) else f"{number:.2f}"
    if code in _CURRENCIES:
        return say(f"currency_{code.lower()}", language, amount=amount)
    return f"{amount} {code}".strip()


def _stock(value: object, suffix: str, language: Language) -> str:
    code = suffix.replace("_", " ").upper()
    region = say(f"region_{code.lower()}", language) if code in _REGIONS else code
    place = say("product_stock_in", language, region=region) if region else say("product_stock", language)
    number = _number(value)
    if number is None:
        return _fact(place, text(value), language)
    state = say("product_available" if number > 0 else "product_sold_out", language, count=text(max(number, 0.0)))
    return _fact(place, state, language)
