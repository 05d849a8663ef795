"""One writer for a home, and no generation removed while it is read. The kernel frees a lock when its holder ends, however."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rag.errors import HomeBusy, HomeError

_IN_THE_WAY = tuple(f"SQLITE_{name}" for name in ("IOERR", "FULL", "READONLY", "CANTOPEN", "PERM", "BUSY", "LOCKED", "AUTH"))


@contextmanager
def writing(home: Path) -> Iterator[None]:
    """Tell of a full disk, a folder that is read-only and the like as HomeError; what is live is as it was."""
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        name = getattr(error, "sqlite_errorname", "SQLITE_IOERR")  # what is no error of SQLite's is one of the disk's
        if not name.startswith(_IN_THE_WAY):
            raise
        raise HomeError(
            expected=f"room and permission to write under {home}",
            found=str(error),
            remedy="free some room there, or see that it can be written, and do this again; what is live stays as it is",
        ) from error


@contextmanager
def home_lock(home: Path, purpose: str) -> Iterator[None]:
    """Own `home` until the block ends; raises HomeBusy at once if another process does, HomeError if nothing can be written.

    The path is resolved first, so that a link, a relative path and a trailing slash all mean one lock.
    """
    home = home.resolve()
    with writing(home):
        home.mkdir(parents=True, exist_ok=True)
        # "a+" creates without emptying: until the lock is ours, the text is the owner's
        with (home / "lock").open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                owner = file.read().strip() or "another process"
                raise HomeBusy(
                    expected=f"{home} to be free for {purpose}",
                    found=f"it is in use by {owner}",
                    remedy="wait until that is done, or stop that process; the lock goes with it",
                ) from error
            file.truncate(0)
            file.write(f"process {os.getpid()} ({purpose})")
            file.flush()
            yield
            file.truncate(0)


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Keep `folder` from being removed until the block ends; if it is gone already, the block finds out by itself."""
    descriptor = None
    with suppress(FileNotFoundError):
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def removing(folder: Path) -> Iterator[bool]:
    """Whether `folder` may be removed in the block; False while a process is inside reading(folder)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)
