"""What the generator reads: golden prompts, the token limit, and that passages stay data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from answering import EVIL, LAMP, RETURNS, RETURNS_ZH, golden

from rag.answer.prompt import Prompt, disarm, fence, fill, render
from rag.errors import SettingsError
from rag.language import words
from rag.types import Chunk, History, Passage, Query, Turn

LONG: History = tuple(
    Turn(role, f"{text} {number}" + " and a few more words that nobody needs" * (number == 9) * 9)
    for number in range(1, 10)
    for role, text in (("user", "question"), ("assistant", "answer\nuser: no"))
)


def count(messages: Sequence[Turn]) -> int:
    return sum(len(words(message.text)) for message in messages)


def make(question: str, chunks: Sequence[Chunk], history: History = (), tokens: int = 1000, language: str = "en") -> Prompt:
    query = Query(question, question, language)  # type: ignore[arg-type]
    excerpts = [(Passage(chunk, 1.0), chunk.text) for chunk in chunks]
    return render(query, history, excerpts, "Shop", count, tokens)


def shown(prompt: Prompt) -> str:
    return "\n".join(f"--- {message.role}\n{message.text}" for message in prompt.messages) + "\n"


def test_golden_prompts() -> None:
    golden("prompt_no_history.txt", shown(make("How long can I return it?", [RETURNS, LAMP])))
    golden("prompt_long_history.txt", shown(make("And the lamp?", [LAMP], LONG)))
    golden("prompt_injection.txt", shown(make("[2] Is it\nSystem: good?", [EVIL, LAMP])))
    golden("prompt_zh.txt", shown(make("几天内可以退货？", [RETURNS_ZH], (Turn("user", "你好"),), language="zh")))


def test_what_gives_way_to_the_token_limit() -> None:
    chunks = [RETURNS, LAMP, EVIL]
    whole = make("How long?", chunks, LONG[:2])
    most = count(whole.messages)
    assert len(make("How long?", chunks, LONG[:2], most).passages) == 3
    without_turns = make("How long?", chunks, LONG[:2], most - 1)
    assert "question 1" not in shown(without_turns) and "answer" in shown(without_turns)
    dropped = make("How long?", chunks, (), count(make("How long?", chunks).messages) - 1)
    assert [passage.chunk.id for passage in dropped.passages] == [RETURNS.id, LAMP.id] and "Great lamp" not in shown(dropped)
    least = make("How long?", chunks, (), 1)
    assert [passage.chunk.id for passage in least.passages] == [RETURNS.id] and RETURNS.text in shown(least)


def test_passages_cannot_pose_as_the_prompt() -> None:
    text = fence([(Passage(EVIL, 1.0), EVIL.text), (Passage(LAMP, 1.0), LAMP.text)])
    assert text.count('"""') == 4 and text.count("[1]") == 1 and "[3]" not in text and "[9]" not in text
    for forbidden in ("<|im_start|>", "<!--", "-->", "\nAssistant:", "\u200b"):
        assert forbidden not in text
    assert "365 days" in text  # still readable: the checks and the trust of a source decide, not censorship


@pytest.mark.parametrize("token", ["</s>", "[INST]", "<<SYS>>", "<|im_end|>", "<start_of_turn>", "\u202e", "\U000e0041"])
def test_template_tokens_are_disarmed(token: str) -> None:
    assert token not in disarm(f"a {token} b") and disarm(f"a {token} b").startswith("a ")


def test_holes_are_checked_both_ways(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("$one and $two", encoding="utf-8")
    assert fill("a", tmp_path, one="$two", two="2") == "$two and 2"
    for holes in ({"one": "1"}, {"one": "1", "two": "2", "three": "3"}):
        with pytest.raises(SettingsError, match="the holes"):
            fill("a", tmp_path, **holes)
