"""How much of a promise a test run keeps: a little in every run, all of it in `make soak`."""

from __future__ import annotations

import os

SOAK = "SOAK" in os.environ


def scaled(short: int, full: int) -> int:
    """`full` in a soak."""
    return full if SOAK else short
