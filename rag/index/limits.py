"""What a process that runs Chroma may take: a file or memory that grows without end finishes that process, not the machine."""

from __future__ import annotations

import contextlib

_FILE, _FILE_A_CHUNK = 256 << 20, 64 << 10  # bytes of one file, and of it for each chunk
_MEMORY, _MEMORY_A_CHUNK = 8 << 30, 64 << 10  # bytes of address space: threads reserve far more than they use


def confine(count: int) -> None:
    """Limit this process to what `count` chunks need several times over; without effect where the system knows no limits."""
    with contextlib.suppress(ImportError):
        import resource

        wanted = {
            resource.RLIMIT_FSIZE: _FILE + count * _FILE_A_CHUNK,
            resource.RLIMIT_AS: _MEMORY + count * _MEMORY_A_CHUNK,
            resource.RLIMIT_CORE: 0,
        }
        for kind, most in wanted.items():
            hard = resource.getrlimit(kind)[1]
            resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
