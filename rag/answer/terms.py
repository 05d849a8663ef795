"""Content terms of a text and how rare they are in the shop's documents: the common measure of all rungs."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Collection, Iterable

from Stemmer import Stemmer

from rag.answer.concepts import concepts
from rag.language import bigrams, fold, words

STOP_WORDS = frozenset(
    """
    a about after again all also am an and any are as at be because been before being but by can could did do does doing for
    from get give go got had has have having he hello help her here hey hi him his how i if in into is it its just know let
    like many me more most much my need no not now of on one or our out over please s say she should so some such t tell than
    thank thanks that the their them then there these they this those to too up us very want was we well were what when where
    whether which while who why will with would yes you your d ll m re ve don't doesn't didn't isn't aren't won't can't cannot
    i'm i've i'd it's that's what's there's you're we're long far often kind anything something
    的 了 是 在 有 和 与 或 吗 呢 吧 啊 呀 嘛 么 您 你 我 我们 你们 他 她 它 可以 能 能不能 可不可以
    就 都 也 还 还是 这 那 这个 那个 这款 那款 请 请问 想 会 会不会 要 把 被 对 到 为 以 及 等 之 其
    一个 一下 不 没 没有 什么 怎么 怎样 怎么样 如何 多少 几 哪 哪个 哪些 哪里 为什么 是否 是不是 有没有 给
    跟 让 从 用 上 里 个 多 大概 一般 需要 应该 如果 的话 但 但是 而 而且 因为 所以 又 再 很 最 比较
    知道 告诉 问 咨询 你好 您好 谢谢
    """.split()
)


def terms(text: str) -> list[str]:
    """Content terms: stems of English words, dictionary words and character pairs of Chinese, and concepts; no stop words."""
    stem = Stemmer("english").stemWords  # one a call: a Stemmer is not safe to share between threads
    kept = [word.replace("’", "'") for word in words(text)]
    kept = [word.removesuffix("'s") for word in kept if word not in STOP_WORDS]
    pairs = [pair for pair in bigrams(text) if pair not in STOP_WORDS and not (set(pair) & STOP_WORDS)]
    # A dictionary word of two characters is also a pair; counting it twice would only blur the weights.
    return [*stem(kept), *(pair for pair in pairs if pair not in kept), *concepts(fold(text))]


@functools.lru_cache(maxsize=4096)
def term_set(text: str) -> frozenset[str]:
    """The distinct content terms of `text`; passages come back question after question, so they are remembered."""
    return frozenset(terms(text))


class Rarity:
    """How much a term tells: 1 for a term in no document, towards 0 for one that is everywhere."""

    def __init__(self, counts: Counter[str], texts: int) -> None:
        self._counts, self._texts = counts, max(texts, 1)

    @classmethod
    def of(cls, texts: Iterable[str]) -> Rarity:
        """Count in how many of `texts` each term occurs."""
        counts: Counter[str] = Counter()
        number = 0
        for number, text in enumerate(texts, start=1):  # noqa: B007 - the last value is the count
            counts.update(set(terms(text)))
        return cls(counts, number)

    def weight(self, term: str) -> float:
        """Inverse document frequency (Spärck Jones 1972) scaled to 0..1 by that of an unseen term."""
        return math.log(1 + self._texts / (1 + self._counts[term])) / math.log(1 + self._texts)

    def unseen(self, wanted: Collection[str]) -> float:
        """Share, by weight, of the `wanted` terms that are in no text; 0 if nothing is wanted."""
        total = self.total(wanted)
        return self.total([term for term in wanted if not self._counts[term]]) / total if total else 0.0

    def total(self, wanted: Collection[str]) -> float:
        """Sum of weights."""
        return sum(map(self.weight, wanted))

    def coverage(self, wanted: Collection[str], held: Collection[str]) -> float:
        """Share, by weight, of the `wanted` terms that are among `held`; 0..1, 0 if nothing is wanted."""
        total = self.total(wanted)
        return self.total([term for term in wanted if term in held]) / total if total else 0.0
