"""What a reader knows of the work before it: pages and pictures take time that the size of a file does not tell."""

from __future__ import annotations

from collections.abc import Callable

Before = Callable[[float, bool], None]  # seconds; whether models that recognize text come in
_before: Before | None = None


def announce(before: Before) -> None:
    """Have `before` called ahead of every such piece of work in this process."""
    global _before
    _before = before


def expect(seconds: float, models: bool = False) -> None:
    """Something comes that may take so long."""
    if _before:
        _before(seconds, models)
