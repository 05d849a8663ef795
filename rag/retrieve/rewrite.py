"""A question that leans on earlier turns to one that stands alone, by rules: no model, below a millisecond.

Searching needs the words that a follow-up leaves out, not a well-formed sentence. So the topic is put in front:
"how long does it last?" after "How bright is the Ember 400?" becomes "Ember 400: how long does it last?". The last exchange
goes along as the query's context, because rules miss some follow-ups, and because answers use the documents' words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import get_args

from rag.language import HAN, detect, fold, words
from rag.retrieve.entities import NOTHING, Entities
from rag.types import History, Language, Query
from rag.wording import holes, say

# Words that point at something said before, or continue it.
POINTING = frozenset(
    "it its it's he him his she her they them their theirs that that's this these those one ones both either same there others"
    " else".split()
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
_LANGUAGES: tuple[Language, ...] = get_args(Language)
_PARTS = re.compile(rf"[{HAN}]|\d+|[^\W\d_{HAN}]+")
LONG = 6  # content words; in a question with more, "it" mostly points at something in the question itself
CARRIED = 3  # names at most, when the last mention named several
TURNS = 20  # of the history, the latest, in which names are looked for
TURN_CHARACTERS = 2_000  # of each
CONTEXT_CHARACTERS = 500  # of the last exchange


def rewrite(question: str, history: History, entities: Entities = NOTHING, repair: Callable[[str], str] = str) -> Query:
    """The standalone query, the last exchange as its context, and what the conversation spoke of by name.

    `repair` corrects spelling. What it makes of the question says which language it is in and what it leaves out.
    """
    meant = repair(question)
    language = _language(meant, history)
    if not history or not question.strip():
        return Query(question, question, language, repaired=meant if meant != question else "")
    context = last_exchange(history, language)
    if settled := _settled(meant, history):
        return Query(settled, question, language, context)
    named = [entities.mentioned(turn.text[:TURN_CHARACTERS]) for turn in reversed(history[-TURNS:])]
    topic = _topic(meant, history, entities, next((list(names) for names in named if names), []))
    before = f"{topic}{'：' if language == 'zh' else ': '}" if topic else ""
    repaired = before + meant if meant != question else ""
    carried = tuple(tuple(dict.fromkeys(chain(*names.values()))) for names in named if names)
    return Query(before + question, question, language, context, repaired, carried=carried)


def _settled(question: str, history: History) -> str:
    """The question that the shopper was asked back about, behind what they chose; empty if nothing was, or this is no choice.

    An answer to a clarifying question completes the question before it (Aliannejadi et al. 2019).
    """
    if history[-1].role != "assistant":
        return ""
    filled = (holes(key, language, history[-1].text) for key in ("which_one", "which_place") for language in _LANGUAGES)
    named = next((found["options"] for found in filled if found), "")
    between = "|".join(re.escape(say(key, language)) for key in ("list_comma", "list_or") for language in _LANGUAGES)
    options = [option for option in re.split(between, named) if option]
    said = set(_PARTS.findall(fold(question)))
    parts = {option: set(_PARTS.findall(fold(option))) for option in options}
    fitting = [o for o in options if said & parts[o] - set().union(*(parts[other] for other in options if other != o))]
    before = next((turn.text for turn in reversed(history[:-1]) if turn.role == "user"), "")
    if len(fitting) != 1 or not before or set(_content(question)) - _words_of(fitting[0]):
        return ""
    return f"{fitting[0]}: {before}"


def _words_of(option: str) -> set[str]:
    """Its words and their parts; of Chinese also the characters."""
    return {*words(option), *_PARTS.findall(fold(option))}


def _topic(question: str, history: History, entities: Entities, latest: Sequence[str]) -> str:
    """What the question leaves out; empty if it stands alone. `latest` are the names that were named last."""
    named = entities.mentioned(question)
    own = _content(question, named)
    if named:
        return "" if own else _subject(history, entities)  # "and the Lynx 800?" asks the last question again
    if own and (len(own) > LONG or not _points(question)):
        return ""
    topic = " ".join(latest[:CARRIED])
    return topic if topic and own else f"{topic} {_subject(history, entities)}".strip()


def last_exchange(history: History, language: Language | None = None) -> str:
    """What the shopper said last before the question, and the answer to it; empty for a first question.

    Nor is there one where they spoke another language than `language`, if given: who changes it starts anew.
    """
    turns = [next((turn.text for turn in reversed(history) if turn.role == role), "") for role in ("user", "assistant")]
    if language and detect(turns[0]) not in (None, language):
        return ""
    return " ".join(turns)[:CONTEXT_CHARACTERS].strip()


def _language(question: str, history: History) -> Language:
    """Of the question; if it has no letters, or too few of ours, of the shopper's last turn that has."""
    turns = [question, *(turn.text for turn in reversed(history) if turn.role == "user")]
    return next((found for text in turns if any(map(str.isalpha, text)) and (found := detect(text))), "en")


def _points(question: str) -> bool:
    folded = fold(question).strip()
    return bool(OPENING.match(folded) or POINTING_ZH.search(folded) or POINTING & set(words(folded)))


def _content(text: str, named: Iterable[str] = ()) -> list[str]:
    """The words of the text that say what it is about, without those of the names `named`."""
    names = {part for name in named for word in words(name) for part in (word, *re.split("[-./]", word))}
    return [word for word in words(text) if word not in EMPTY | POINTING | names and not POINTING_ZH.fullmatch(word)]


def _subject(history: History, entities: Entities) -> str:
    """What the conversation is about besides what it names: the content words of the last question that stood alone."""
    subject = ""
    for turn in reversed(history):
        content = _content(turn.text, entities.mentioned(turn.text)) if turn.role == "user" else []
        subject = subject or " ".join(content)
        if content and not _points(turn.text):
            return " ".join(content)
    return subject
