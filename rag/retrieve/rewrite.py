"""A question that leans on earlier turns to one that stands alone, by rules: no model, below a millisecond.

Searching needs the words that a follow-up leaves out, not a well-formed sentence. So the topic is put in front:
"how long does it last?" after "How bright is the Ember 400?" becomes "Ember 400: how long does it last?".
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterator

from rag.language import HAN, detect, fold, words
from rag.types import History, Language, Query, Turn

# Words that point at something said before, or continue it.
POINTING = frozenset(
    "it its it's they them their theirs that that's this these those one ones both either same there others else".split()
)
POINTING_ZH = re.compile(
    r"[它这那]|[该两][款个种者]|同款|[前后]者|上[述面]|其(?![他它中实余])|另[外一]|还有|还要|换[个成]|呢[？?。！!\s]*$"
)
OPENING = re.compile(r"(?:ok|okay|hm+|and|but|or|also|so|then|what about|how about|what if|why|really|even|same)\b")
# Words that carry no topic of their own: what is left of a question without them is what it is about.
EMPTY = frozenset(
    (
        "a an the is are was were be been am do does did done have has had i you he she we me my your our us to in on at for"
        " from with by of as if not no yes can could will would shall should may might must what which who whom whose how when"
        " where why much many long far often soon fast big about really please thanks thank ok okay hi hello hey and but or"
        " also so then too any some just only get got need want tell know think mean exactly again more still ever even instead"
        " than take takes cost costs work works come comes go goes like mine something anything sure sorry hm hmm well i'm i'd"
        " i've what's how's 的 了 吗 呢 吧 啊 呀 嘛 么 是 我 你 您 他 她 我们 你们 他们 在 有 没有 没 和 与 及 也 都 就 请 请问"
        " 一下 什么 怎么 怎样 怎么样 如何 哪 哪个 哪些 哪里 能 可以 会 要 想 多少 多久 多长 多大 多重 多远 多 几 多少钱 钱 时间"
        " 为什么 为何 是不是 有没有 行 好 好的 谢谢 不 还 再 那么 如果 的话 大概 一般 需要 得 给 把 说 知道 问 告诉 一个 个 上"
        " 里 到 从 用 又 才 最 很 太 更 比较 嗯 哦 哎 真的 确定 不能 不会 不行 可不可以 能不能 会不会 久 长 贵 重"
    ).split()
)
CARRIED = 3  # products at most, when the last mention named several
_TOKEN = re.compile(f"[a-z]+|[0-9]+|[{HAN}]")

Phrase = tuple[str, ...]


def rewrite(question: str, history: History, names: frozenset[str] = frozenset()) -> Query:
    """The standalone query. `names` are the shop's products as its catalogue calls them, in any language."""
    language = _language(question, history)
    standing = Query(question, question, language)
    if not history or not question.strip():
        return standing
    here = mentioned(question, names)
    own = _content(question, here)
    if here:
        leans, topic = not own, _subject(history, names)
    else:
        leans = not own or _points(question)
        products = next((found for turn in reversed(history) if (found := mentioned(turn.text, names))), ())
        topic = " ".join(products[:CARRIED])
        if not topic or not own:
            topic = f"{topic} {_subject(history, names)}".strip()
    if not leans or not topic:
        return standing
    return Query(f"{topic}{'：' if language == 'zh' else ': '}{question}", question, language)


def mentioned(text: str, names: frozenset[str]) -> tuple[str, ...]:
    """The products that `text` names, each once, in order; the longest name wins where several fit."""
    tokens, index, found = _tokens(text), _index(names), dict[str, None]()
    at = 0
    while at < len(tokens):
        for phrase, name in index.get(tokens[at], ()):
            if tokens[at : at + len(phrase)] == phrase:
                found[name] = None
                at += len(phrase) - 1
                break
        at += 1
    return tuple(found)


def _language(question: str, history: History) -> Language:
    """Of the question; if it has no letters, or too few of ours, of the shopper's last turn that has."""
    turns = [question, *(turn.text for turn in reversed(history) if turn.role == "user")]
    return next((found for text in turns if any(map(str.isalpha, text)) and (found := detect(text))), "en")


def _points(question: str) -> bool:
    folded = fold(question).strip()
    return bool(OPENING.match(folded) or POINTING_ZH.search(folded) or POINTING & set(words(folded)))


def _content(text: str, products: tuple[str, ...] = ()) -> list[str]:
    """The words of the text that say what it is about, without those of the products."""
    named = {token for product in products for word in words(product) for token in (word, *_tokens(word))}
    return [word for word in words(text) if word not in EMPTY | POINTING | named and not POINTING_ZH.fullmatch(word)]


def _subject(history: History, names: frozenset[str]) -> str:
    """What the conversation is about besides products: the content words of the last question that stood alone."""
    subject = ""
    for turn in reversed(_questions(history)):
        content = _content(turn.text, mentioned(turn.text, names))
        subject = subject or " ".join(content)
        if content and not _points(turn.text):
            return " ".join(content)
    return subject


def _questions(history: History) -> list[Turn]:
    return [turn for turn in history if turn.role == "user"]


@functools.lru_cache(maxsize=1000)
def _tokens(text: str) -> Phrase:
    """What names are compared by: letters, digits and Chinese characters, so that spaces and hyphens are free."""
    return tuple(_TOKEN.findall(fold(text)))


@functools.lru_cache(maxsize=2)
def _index(names: frozenset[str]) -> dict[str, list[tuple[Phrase, str]]]:
    """First token -> the names and their short forms that start with it, longest first."""
    brand = _brand(names)
    phrases: dict[Phrase, str] = {}
    for name in sorted(names):
        for form in _forms(name, brand):
            phrases.setdefault(_tokens(form), form)
    index: dict[str, list[tuple[Phrase, str]]] = {}
    for phrase in sorted(phrases, key=len, reverse=True):
        if phrase:
            index.setdefault(phrase[0], []).append((phrase, phrases[phrase]))
    return index


def _brand(names: frozenset[str]) -> str:
    """The word that most names of several words begin with; empty if there is none."""
    firsts = [name.split()[0] for name in names if " " in name and name.isascii()]
    [(word, times)] = Counter(firsts).most_common(1) or [("", 0)]
    return word if 2 * times > len(firsts) > 1 else ""


def _forms(name: str, brand: str) -> Iterator[str]:
    """The name, without the brand, and only as far as its number: Pinebeck Ember 400 Headlamp, Ember 400 Headlamp, Ember 400."""
    yield name
    plain = name.removeprefix(f"{brand} ")
    yield plain
    if short := re.match(r"\D*[^\W\d]\D*\d+(?![\w-])", plain):
        yield short[0]
