"""Greetings, thanks, goodbyes and the wish for a person: recognised only when nothing else is said."""

from __future__ import annotations

import re
import unicodedata

from rag.answer.parts import Case
from rag.language import fold
from rag.types import Done, HandOver, Outcome

# A message is small talk if it is made of these phrases and nothing else; "hi, is it waterproof?" is a question.
_GREETING = (
    "hi|hello|hey|heyy|hii|hiya|howdy|greetings|yo|hallo|good (?:morning|afternoon|evening|day)|how are you(?: doing)?|today|"
    "who are you|what are you|are you (?:a )?(?:ro)?bot|are you (?:human|real)|what can you (?:do|help(?: me)? with)|"
    "(?:is )?(?:anyone|anybody|someone) (?:there|here)|"
    "[你您]好吗?|哈[喽啰罗]|嗨|嘿|早上好|早安|上午好|中午好|下午好|晚上好|在吗|在么|在不在|有人吗|有人在吗|[你您]是谁|[你您]是机器人吗|[你您]能做什么|[你您]会什么"
)
_THANKS = (
    "thanks?|thankss|thank you|thankyou|thx|ty|cheers|(?:much )?appreciated|(?:i )?appreciate it|got it|understood|ok|okay|"
    "alright|that(?:'s| is) (?:all|great|perfect|(?:very )?helpful)|that helps(?: a lot)?|"
    "谢谢?|多谢|感谢|辛苦|明白|知道了|收到|懂了|好的|好吧|没问题了?|没有问题了?"
)
_GOODBYE = (
    "(?:good)?bye|good bye|byee|bye[- ]bye|see (?:you|ya)(?: later| soon)?|farewell|cya|good night|take care|"
    "再见|拜拜|回见|回头见|晚安|下次见|88"
)
_PERSON = (
    "(?:(?:can|could|may) (?:i|you) |i(?:'d| would)? (?:like|want|need|wish) (?:to )?|let me |get me |give me )?"
    "(?:be )?(?:(?:speak|talk|chat|connect(?:ed)?|transfer(?:red)?|put)(?: me)?(?: through)? (?:to|with) )?"
    "(?:(?:an?|the|some|your) )?(?:(?:real|live|actual|human) )?(?:person|human|human being|agent|representative|operator|"
    "colleague|staff member|customer service (?:agent|representative)|employee|manager|supervisor)(?: instead| not a bot)?|"
    "我?(?:要|想要?|需要)?(?:请|麻烦)?(?:帮我|给我)?(?:转接?|找|接|换|叫|联系|要)?(?:个|一个|一下)?"
    "(?:人工(?:客服|服务|坐席)?|真人(?:客服)?|活人|客服人员|工作人员|你们经理|经理)"
)
_FILLER = (
    "there|again|please|pls|all|everyone|team|bot|dear|sir|madam|so much|very much|a lot|then|now|oh|ah|well|great|cool|nice|"
    "perfect|good|and|you|um|for (?:the|your|all your) (?:help|info|information|answer|time)|for (?:that|this|helping)|"
    "have a (?:nice|good|great|lovely) (?:day|one|evening|weekend)|"
    "[啊呀哦噢嗯哈啦了呢吧哟太亲您你那]|客服|小助手|机器人|朋友|大家|一下|太好了|的帮助|的解答|帮忙|麻烦[你您]?|请"
)
_KINDS = {"person": _PERSON, "goodbye": _GOODBYE, "thanks": _THANKS, "greeting": _GREETING, "filler": _FILLER}  # first wins
_PHRASES = {kind: re.compile(rf"(?:{phrases})(?![a-z0-9'])") for kind, phrases in _KINDS.items()}
_LONGEST = 60  # characters; nobody greets in more


def small_talk(question: str) -> str | None:
    """greeting, thanks, goodbye or person if the whole message is that; None for anything with a question in it."""
    text = re.sub(r"([a-z])\1{2,}", r"\1\1", fold(question).replace("’", "'"))
    text = "".join(" " if unicodedata.category(character)[0] in "SP" and character != "'" else character for character in text)
    text = " ".join(text.split())
    if not text or len(text) > _LONGEST:
        return None
    found: set[str] = set()
    position = 0
    while position < len(text):
        matches = [(match.end(), kind) for kind, phrase in _PHRASES.items() if (match := phrase.match(text, position))]
        if not matches:
            return None
        end = max(end for end, _ in matches)  # the longest phrase is what was meant; linear, whatever is typed
        found.add(next(kind for length, kind in matches if length == end))
        position = end + (text[end : end + 1] == " ")
    return next((kind for kind in _KINDS if kind in found and kind != "filler"), None)


def talk(case: Case) -> Done | HandOver | None:
    """The fixed reply to small talk, or the hand-over to a person; None for a question."""
    kind = small_talk(case.query.question) if "smalltalk" in case.parts.policy.rungs else None
    if kind == "person":
        return HandOver(case.close(Outcome.HANDED_OVER, case.say(kind), "person", "asked"))
    return Done(case.close(Outcome.ANSWERED, case.say(kind), "smalltalk")) if kind else None
