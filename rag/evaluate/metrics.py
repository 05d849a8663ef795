"""The metrics: pure functions, each with its formula and its source. None of them catches anything: a bug must stop the run."""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from rag.evaluate.numerals import CHINESE, numbers
from rag.evaluate.quantities import NAMES, mentions
from rag.language import HAN, fold, sentences, words
from rag.types import Language

FOLDS = 1000
SEED = 20240101


def recall_at(relevances: Sequence[bool], total: int, k: int) -> float:
    """Relevant found among the first k / all relevant (Manning, Raghavan, Schütze 2008, 8.3); 0..1.

    `relevances` is the result list, best first; `total` >= 1 counts the relevant ones that exist.
    """
    return sum(relevances[:k]) / total


def reciprocal_rank(relevances: Sequence[bool], k: int = 10) -> float:
    """1 / rank of the first relevant result, 0 if none is among the first k (TREC-8 QA track, Voorhees 1999)."""
    return next((1 / rank for rank, relevant in enumerate(relevances[:k], start=1) if relevant), 0.0)


def ndcg(relevances: Sequence[bool], total: int, k: int = 10) -> float:
    """DCG / ideal DCG with binary gains, DCG = sum of 1 / log2(rank + 1) (Järvelin, Kekäläinen 2002); 0..1."""
    gain = sum(1 / math.log2(rank + 1) for rank, relevant in enumerate(relevances[:k], start=1) if relevant)
    return gain / sum(1 / math.log2(rank + 1) for rank in range(1, min(total, k) + 1))


def squad_words(text: str) -> list[str]:
    """SQuAD's normalisation (Rajpurkar et al. 2016): lower case, no punctuation, no articles, cut at white space."""
    text = re.sub(r"[^\w\s]|_", "", fold(text))
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def characters(text: str) -> list[str]:
    """Chinese character by character, Latin words and numbers whole, no punctuation (as CMRC 2018 scores; Cui et al. 2019)."""
    return re.findall(f"[{HAN}]|[^\\W_{HAN}]+", fold(text))


def overlap_f1(given: Sequence[str], gold: Sequence[str]) -> float:
    """Harmonic mean of the shared share of either bag of tokens (SQuAD's F1); 0..1, 1 if both are empty."""
    if not given or not gold:
        return float(not given and not gold)
    shared = sum((Counter(given) & Counter(gold)).values())
    return 2 * shared / (len(given) + len(gold))


def answer_f1(given: str, gold: str, language: Language) -> float:
    """Token F1 for English, character F1 for Chinese."""
    cut = characters if language == "zh" else squad_words
    return overlap_f1(cut(given), cut(gold))


@functools.lru_cache
def _rouge(cut: Any) -> Any:  # noqa: ANN401 - rouge-score ships no types
    from rouge_score.rouge_scorer import RougeScorer

    class Cut:
        def tokenize(self, text: str) -> list[str]:
            return list(cut(text))

    return RougeScorer(["rougeL"], tokenizer=Cut())


def rouge_l(given: str, gold: str, language: Language) -> float:
    """F-measure of the longest common subsequence of words, of characters for Chinese (Lin 2004; the rouge-score package)."""
    cut = characters if language == "zh" else words
    return float(_rouge(cut).score(gold, given)["rougeL"].fmeasure)


def numbers_exact(given: str, gold: str, known: Sequence[str] = ()) -> bool:
    """Whether every number is right: those of `gold` are all in `given`, and those of `given` are all in `gold` or `known`.

    `known` are the texts a number may rightly come from: the gold quotes and what the shopper wrote.
    """
    stated, wanted = numbers(given), numbers(gold)
    return wanted <= stated <= wanted.union(*map(numbers, known))


def units_agree(given: str, gold: str) -> bool:
    """No number of `gold` stands in `given` with another unit only: "12 days" is not "12 hours", but "12" may be."""
    stated = mentions(given)
    same = {mention.quantity for mention in stated}
    with_units = {number for mention in stated for number in numbers(mention.text)}
    return not any(m.quantity not in same and numbers(m.text) & with_units for m in mentions(gold))


_STOP = frozenset(
    "a an and any are as at be been but by can could did do does for from had has have he her his how i if in into is it its "
    "just may me my of on or our she so such than that the their them then there these they this to too up was we were what "
    "when where which while who why will with would you your yes no not don't please also only "
    "的 了 是 在 有 和 与 或 吗 呢 吧 啊 您 你 我 我们 您的 可以 就 都 也 还 这 那 这个 那个 请 会 要 能 把 被 对 到 为 以 及 "
    "等 之 其 一个 不 没有".split()
)


@functools.lru_cache(maxsize=1)
def _stemmer() -> Any:  # noqa: ANN401 - PyStemmer ships no types
    import Stemmer

    return Stemmer.Stemmer("english")


_GLUED = re.compile(rf"\d+(?:[.,]\d+)*|{CHINESE}(?=[天日年月个元]|小时|分钟|工作日)")  # 20000mAh, 三十天: number and unit in one
_SIGNS = {"€": " eur ", "¥": " cny ", "￥": " cny ", "%": " percent ", "％": " percent ", "℃": " celsius ", "°C": " celsius "}


def content_words(text: str, language: Language) -> set[str]:
    """What carries the meaning besides the numbers: stems of English words, dictionary words of Chinese, units by name.

    Stop words are left out, and so are numbers: numbers_exact has looked at those.
    """
    for sign, name in _SIGNS.items():
        text = text.replace(sign, name)
    kept = [word for word in words(_GLUED.sub(" ", text)) if word not in _STOP and not word.isdigit()]
    names = [NAMES.get(word, word) for word in kept]
    return set(_stemmer().stemWords(names)) if language == "en" else set(names)


_YES = re.compile(r"^\W*(yes|yep|sure|of course|certainly|是的|可以|能|会的|支持|有的|当然)(?![不没])", re.IGNORECASE)
_NO = re.compile(r"^\W*(no\b|not\b|unfortunately|sorry, no|不|没有|无法|抱歉，不|不能|不可以|不支持|暂不)", re.IGNORECASE)
_NEGATION = re.compile(
    r"\b(no|not|never|cannot|without|neither|nor|isn['’]t|aren['’]t|don['’]t|doesn['’]t|won['’]t|can['’]t)\b|[不没无未勿非]",
    re.IGNORECASE,
)
MINIMUM_F1 = 0.5
MINIMUM_COVERAGE = 0.7
MAXIMUM_LENGTH = 120  # words, or Chinese characters / 2: nobody finds the answer in more
SAME_BUT_NEGATED = 0.75


def right(given: str, gold: str, language: Language, known: Sequence[str] = ()) -> bool:
    """Whether a clerk would accept `given` for `gold`, by rules only, so that anybody gets the same verdict.

    1. Every number is exact (numbers_exact with `known`) and has gold's unit where it has one: a wrong price or period is a
       wrong answer, however fluent.
    2. Yes and no agree, where both say it outright; and no sentence of `given` is `gold` with the negation turned.
    3. Of gold's content words at least 0.7 are in `given`, or at least half and token F1 (character F1 for Chinese) is at
       least 0.5. The first lets a whole sentence stand for a gold phrase, the second lets words differ when the rest agrees.
    4. `given` has at most 120 words: a page that holds the answer somewhere is not an answer.
    """
    if not numbers_exact(given, gold, known) or not units_agree(given, gold) or _contradicts(given, gold, language):
        return False
    if not is_short(given, language):
        return False
    wanted = content_words(gold, language)
    covered = len(wanted & content_words(given, language)) / len(wanted) if wanted else float(bool(numbers(gold)))
    return covered >= MINIMUM_COVERAGE or (covered >= 0.5 and answer_f1(given, gold, language) >= MINIMUM_F1)


def is_short(given: str, language: Language) -> bool:
    """Whether it has at most as many words as an answer may have."""
    return len(characters(given)) / (2 if language == "zh" else 1) <= MAXIMUM_LENGTH


def _contradicts(given: str, gold: str, language: Language) -> bool:
    if (_YES.match(given) and _NO.match(gold)) or (_NO.match(given) and _YES.match(gold)):
        return True
    return any(
        answer_f1(given[start:end], gold, language) >= SAME_BUT_NEGATED
        and bool(_NEGATION.search(given[start:end])) != bool(_NEGATION.search(gold))
        for start, end in sentences(given)
    )


def squeeze(text: str) -> str:
    """Without any white space: line breaks and indents say nothing about the words."""
    return "".join(text.split())


def holds(text: str, quotes: Collection[str]) -> bool:
    """Whether `text` holds one of the quotes, white space aside: then a passage with this text is relevant."""
    squeezed = squeeze(text)
    return any(squeeze(quote) in squeezed for quote in quotes)


def overlaps(quote: str, gold: Collection[str]) -> bool:
    """Whether a cited quote shares at least half of a gold quote in one run of characters, or is a quarter of one itself."""
    cited = squeeze(quote)
    for wanted in map(squeeze, gold):
        run = SequenceMatcher(None, cited, wanted, autojunk=False).find_longest_match().size
        if 2 * run >= len(wanted) or (run == len(cited) and 4 * run >= len(wanted)):
            return True
    return False


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over `n` cases, with the 95 % bootstrap interval where it was asked for."""

    value: float
    n: int
    low: float | None = None
    high: float | None = None


def mean(values: Sequence[float], interval: bool = False) -> Figure:
    """The mean; with `interval` the 2.5 and 97.5 percentiles of the means of 1000 seeded resamples (Efron 1979).

    Raises ZeroDivisionError for no values: a metric without cases has no figure.
    """
    figure = Figure(sum(values) / len(values), len(values))
    if not interval:
        return figure
    sample = np.asarray(values, dtype=np.float64)
    draws = np.random.default_rng(SEED).integers(0, len(sample), size=(FOLDS, len(sample)))
    low, high = np.percentile(sample[draws].mean(axis=1), [2.5, 97.5])
    return Figure(figure.value, figure.n, float(low), float(high))


def percentile(values: Sequence[float], share: float) -> Figure:
    """The value that `share` percent of the values do not exceed (nearest rank)."""
    ranked = sorted(values)
    return Figure(ranked[max(0, math.ceil(share / 100 * len(ranked)) - 1)], len(ranked))
