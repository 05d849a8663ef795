"""Question, history and passages -> messages for the generator. Passages enter through fence() and no other way.

The words are in files, a folder for each family of models: see rag/answer/family.py.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from rag.errors import SettingsError
from rag.types import History, Language, Passage, Query, Turn

TUNED = Path(__file__).parent / "prompts" / "tuned"  # the files that the adapter which comes with Shoptalk was trained on
_TURN = 160  # characters of an earlier message that are shown

Excerpt = tuple[Passage, str]  # a passage and what of it is shown

# Of the chat templates of Llama, Mistral, Qwen, Gemma, Phi, DeepSeek, GLM, InternLM, EXAONE and their kin, and comments of HTML.
_TEMPLATE_TOKENS = re.compile(
    r"<[|｜][^|｜>\n]{0,40}[|｜]>|\[\|/?\w{1,40}\|\]|<!--|-->|<</?SYS>>|\[g?MASK\]|\[IMG\]|"
    r"\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]|"
    r"</?(?:s|bos|eos|pad|unk|mask|sop|eop|eoh|eoa|think|tools?|tool_(?:call|response)|(?:start|end)_of_(?:turn|image)|"
    r"human|user|bot|assistant|system|reserved_?\d+|unused\d+)>",
    re.IGNORECASE,
)
_SPEAKER = re.compile(
    r"(?im)^((?:[^\S\n]|[>*#-])*)(system|user|assistant|human|ai|bot|model|question|instruction|response|passages|customer|shop|"
    r"系统|用户|助手|问题|指令|回答|资料|顾客|客服)\s*[:：]"
)
_MARKER = re.compile(r"[\[【]\s*(\d+)\s*[\]】]")
_FENCE = re.compile(r'"{3,}|`{3,}|-{4,}|={4,}')
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff\U000e0000-\U000e007f\U000e0100-\U000e01ef]"
)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # half characters, too


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the generator reads. `passages[n - 1]` is what marker [n] stands for."""

    messages: tuple[Turn, ...]
    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """A question that was answered, shown as an earlier exchange; its markers count its own excerpts."""

    question: str
    excerpts: tuple[Excerpt, ...]
    reply: str


def render(
    query: Query,
    history: History,
    excerpts: Sequence[Excerpt],
    shop: str,
    count: Callable[[Sequence[Turn]], int],
    tokens: int,
    folder: Path = TUNED,
    examples: Sequence[Example] = (),
) -> Prompt:
    """The prompt, at most `tokens` by `count` if that can be had without cutting the question or the best excerpt.

    What gives way: first the first examples, then the oldest turns, then the last excerpts. `folder` holds the files, see
    fill(). Serving and training both come through here. Raises SettingsError for files that are not in the form.
    """
    lessons, turns, shown = list(examples), list(history), list(excerpts)

    def messages() -> tuple[Turn, ...]:
        system = Turn("system", fill(f"system_{query.language}", folder, shop=shop))
        exchanges = (turn for lesson in lessons for turn in _exchange(lesson, query.language, folder))
        return system, *exchanges, _asked(query.text, query.language, turns, shown, folder)

    while lessons and count(messages()) > tokens:
        lessons.pop(0)
    while turns and count(messages()) > tokens:
        turns.pop(0)
    while len(shown) > 1 and count(messages()) > tokens:
        shown.pop()
    return Prompt(messages(), tuple(passage for passage, _ in shown))


def fence(excerpts: Sequence[Excerpt]) -> str:
    """Excerpts as numbered, quoted blocks; nothing inside closes its block or poses as a marker, a speaker or a token."""
    blocks = []
    for number, (passage, text) in enumerate(excerpts, start=1):
        chunk = passage.chunk
        head = " > ".join(dict.fromkeys((chunk.title, *chunk.headings)))
        blocks.append(f'[{number}] {" ".join(disarm(head).split())}\n"""\n{disarm(text)}\n"""')
    return "\n".join(blocks)


def disarm(text: str) -> str:
    """`text` with everything that could be taken for the prompt's own structure made harmless, and still readable."""
    text = "\n".join(_INVISIBLE.sub("", text).splitlines())  # whatever breaks a line, so that no speaker hides behind it
    text = _TEMPLATE_TOKENS.sub(" ", _CONTROL.sub(" ", text))
    text = _FENCE.sub(" ", _MARKER.sub(r"(\1)", text))
    return _SPEAKER.sub(r"\1\2 -", text).strip()


def fill(name: str, folder: Path = TUNED, **holes: str) -> str:
    """The prompt file `name`.md with its $holes filled. Raises SettingsError unless file and arguments name the same holes."""
    template = _template(folder / f"{name}.md")
    wanted, given = set(template.get_identifiers()), set(holes)
    if wanted != given:
        raise SettingsError(
            expected=f"the holes {sorted(given)} in {folder / name}.md",
            found=str(sorted(wanted)),
            remedy="correct the prompt file",
        )
    return template.substitute(holes).strip()


@functools.lru_cache
def _template(path: Path) -> Template:
    try:
        template = Template(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        found = "none" if isinstance(error, FileNotFoundError) else str(error)
        raise SettingsError(expected=f"a prompt file in UTF-8 at {path}", found=found, remedy="write it") from error
    if not template.is_valid():
        raise SettingsError(expected=f"a name behind every $ in {path}", found="a $ without one", remedy="write it as $$")
    return template


def _exchange(example: Example, language: Language, folder: Path) -> tuple[Turn, Turn]:
    return _asked(example.question, language, (), example.excerpts, folder), Turn("assistant", example.reply)


def _asked(question: str, language: Language, turns: Sequence[Turn], excerpts: Sequence[Excerpt], folder: Path) -> Turn:
    user = fill(
        f"user_{language}",
        folder,
        passages=fence(excerpts),
        history=_history(turns, language, folder),
        question=" ".join(disarm(question).split()),
    )
    return Turn("user", re.sub(r"\n{3,}", "\n\n", user))


def _history(turns: Sequence[Turn], language: Language, folder: Path) -> str:
    if not turns:
        return ""
    speakers = {"user": "顾客", "assistant": "客服"} if language == "zh" else {"user": "Customer", "assistant": "Shop"}
    lines = [f"- {speakers[turn.role]}: {_short(turn.text)}" for turn in turns if turn.role in speakers]
    return fill(f"history_{language}", folder, turns="\n".join(lines))


def _short(text: str) -> str:
    line = " ".join(disarm(text[: 4 * _TURN]).split())  # the rest is never shown, however long it is
    return line if len(line) <= _TURN else line[: _TURN - 1] + "…"
