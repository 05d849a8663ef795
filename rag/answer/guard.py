"""What is settled before anything is looked up: a readable question of sane length, in a language we speak, meant for a shop."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from rag.answer.parts import Case, Clock, Parts
from rag.language import detect, fold
from rag.types import History, Language, Outcome, Query, Refused

# Attempts to steer the model rather than to ask the shop. Conservative: what slips through meets the evidence threshold,
# the prompt's fences and the checks. Matched on folded text, spaced-out letters joined.
_INSTRUCTIONS = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b(?:instructions?|rules?|prompts?|guidelines|training|restrictions)\b|"
    r"\b(?:system|hidden|initial|developer|secret|original) ?(?:prompts?|instructions?|messages?)\b|"
    r"\b(?:your|these|those|the above) (?:instructions|prompt|guidelines|configuration|system message)\b|"
    r"\b(?:repeat|print|show|reveal|output|translate|recite|echo|dump) (?:me |back )?"
    r"(?:everything|all|the (?:text|words|lines?)) (?:above|before)\b|"
    r"\byou are now (?:a|an|in|my|the|no longer|dan)\b|\bpretend (?:to be|you are|that you)\b|"
    r"\b(?:act|respond|behave) as (?:if you|an?|my|the)\b|"
    r"\b(?:developer|maintenance|debug|god|admin|jailbreak|unrestricted) mode\b|\bjailbreak\b|\bno takesies\b|"
    r"\bprint (?:your |the )?(?:configuration|settings|config)\b|<\|[a-z_]+\|>|\[/?inst\]|</s>|<<sys>>|"
    r"(?:^|\n)\s*(?:assistant|system|ai)\s*[:：]|(?:用户|顾客)\s*[:：].{1,80}(?:客服|助手)\s*[:：]|"
    r"\banswer only (?:with )?(?:yes|no)\b|\bbase64\b|"
    r""
    r"\b(?:every|each) (?:answer|reply|response)\b.{0,20}\b(?:from now on|with|must)\b|"
    r"(?:只|仅|必须)(?:能|准|许)?回答[“\"'：:]?(?:是|否|好)|以后每次(?:回复|回答)|(?:上面|以上|之前)(?:看到|收到|给你)的|"
    r"[你您]现在(?:是|就是|叫)|"
    r"(?:忽略|无视|忘记|忘掉|不要管|跳过|绕过).{0,12}(?:指令|指示|规则|提示|设定|要求|限制)|"
    r"系统(?:提示|指令|消息|设定)|(?:你的|你们的|隐藏的|初始|内部)(?:指令|提示词|设定|配置|系统)|提示词|开发者模式|维护模式|调试模式|越狱|"
    r"(?:从现在开始|现在起|假装|扮演).{0,12}(?:你是|你就是|你叫|成|自己是|一个)|(?:重复|复述|打印|输出).{0,6}(?:上面|以上|之前)的?(?:内容|文字|所有)"
)
_SPACED = re.compile(r"\b(?:[a-z] ){3,}[a-z]\b")


def readable(text: str) -> str:
    """`text` without control, format, private and half characters, which no shopper types; line breaks and tabs stay."""
    return printable(text).strip()


def printable(text: str) -> str:
    """`text` without such characters, space around it left as it is."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn"))


def language_of(question: str, history: History) -> Language | None:
    """The language to answer in; a question of symbols only gets that of the conversation. None: not one of ours."""
    for text in (question, *(turn.text for turn in reversed(history) if turn.role == "user")):
        if any(character.isalpha() for character in text):
            return detect(text)
    return "en"


def gives_instructions(question: str) -> bool:
    """Whether the message tries to instruct the model."""
    text = fold(question)
    joined = _SPACED.sub(lambda match: match[0].replace(" ", ""), re.sub(r" {2,}", "\n", text)).replace("\n", " ")
    return bool(_INSTRUCTIONS.search(text) or _INSTRUCTIONS.search(joined))


def open_case(question: str, history: History, parts: Parts, stopped: Callable[[], bool]) -> Case:
    """The case of a question: made readable, cut to its limit (with a note that says so), its language found."""
    most = parts.policy.question_characters
    text = readable(question[: 2 * most])
    language = language_of(text, history)
    query = Query(text[:most], text[:most], language or "en")
    case = Case(query, history, parts, Clock(parts.policy.deadline_seconds), stopped, spoken=language is not None)
    if len(text) > most or len(question) > 2 * most:
        case.note = case.say("shortened", characters=most) + "\n\n"
    return case


def guard(case: Case) -> Refused | None:
    """A fixed, polite refusal if there is nothing to look up; None if the question may go on."""
    question = case.query.question
    if not any(character.isalnum() for character in question):
        reason = "empty_question"
    elif not case.spoken:
        reason = "third_language"
    elif gives_instructions(question):
        reason = "instructions"
    else:
        return None
    return Refused(case.close(Outcome.REFUSED, case.say(reason), "refusal", reason))
