"""Content terms: what a text is about, whatever its grammar."""

from __future__ import annotations

import functools

from Stemmer import Stemmer

from rag.concepts import concepts
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


@functools.lru_cache(maxsize=4096)
def term_set(text: str) -> frozenset[str]:
    """Stems of English words, dictionary words and character pairs of Chinese, and concepts; no stop words.

    Passages come back question after question, so they are remembered.
    """
    stem = Stemmer("english").stemWords  # one a call: a Stemmer is not safe to share between threads
    kept = [word.replace("’", "'") for word in words(text)]
    kept = [word.removesuffix("'s") for word in kept if word not in STOP_WORDS]
    pairs = [pair for pair in bigrams(text) if pair not in STOP_WORDS and not (set(pair) & STOP_WORDS)]
    return frozenset([*stem(kept), *pairs, *concepts(fold(text))])
