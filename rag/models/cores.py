"""How the models share the machine's cores with everything else."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path


def share() -> None:
    """Let waiting threads sleep instead of spin. Call it before torch is imported: OpenMP reads the policy once.

    A spinning thread that waits for one that lost its core keeps that core busy. Beside one other busy process, two threads on
    two cores wrote 0.8 tokens a second; asleep while they wait, 20.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@functools.lru_cache(maxsize=1)
def has_bfloat16() -> bool:
    """Whether the processor computes with bfloat16 in hardware (Linux tells); without, it is slower than float32."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return bool(re.search(r"\b(?:avx512_bf16|amx_bf16)\b", told))


def precision(dtype: str, device: str) -> str:
    """`dtype`; for "auto" bfloat16 where the hardware computes in it, else float32."""
    if dtype != "auto":
        return dtype
    return "bfloat16" if device != "cpu" or has_bfloat16() else "float32"
