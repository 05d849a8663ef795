"""Which files the prompt is made of: a folder for each family of models, in it three files a language.

system_LANGUAGE.md has the hole $shop, user_LANGUAGE.md has $passages, $history and $question, history_LANGUAGE.md has $turns.
"tuned" is what the adapter that comes with Shoptalk was trained on; "general" tells a larger model that was not trained for
this what to do. A shop can have a folder of its own. Whatever they say, rag/answer/reply.py must be able to read the reply.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from rag.answer.prompt import TUNED, fill
from rag.errors import SettingsError
from rag.types import Language

AUTO = "auto"
FAMILIES = {path.name: path for path in sorted(TUNED.parent.iterdir()) if path.is_dir()}
TOKENS = {True: 600, False: 2000}  # of a whole prompt, the tuned one or another, whose instructions and examples take their part
HOLES = {"system": ("shop",), "user": ("passages", "history", "question"), "history": ("turns",)}


def prompt_tokens(given: int | None, folder: Path) -> int:
    """What answer.prompt_tokens comes to for the prompt in that folder."""
    return TOKENS[folder == TUNED] if given is None else given


def prompt_folder(name: str, tuned: bool) -> Path:
    """The folder that answer.prompt names: a family, a folder, or "auto", the family for a generator that is `tuned` or not.

    Its files are checked now, not at the first question. Raises SettingsError naming the file or hole that is missing.
    """
    if name == AUTO:
        name = "tuned" if tuned else "general"
    folder = FAMILIES.get(name) or Path(name).expanduser()
    if not name or not folder.is_dir():
        raise SettingsError(
            expected=f"answer.prompt to be {', '.join((AUTO, *FAMILIES))} or a folder of prompt files",
            found=repr(name),
            remedy="correct answer.prompt or make the folder",
        )
    for language in get_args(Language):
        for file, holes in HOLES.items():
            fill(f"{file}_{language}", folder, **dict.fromkeys(holes, ""))
    return folder
