from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rag.errors import HomeBusy
from rag.index.lock import home_lock

HOLD = """
import sys, time
from pathlib import Path
from rag.index.lock import home_lock
with home_lock(Path(sys.argv[1]), "ingest"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_home_has_one_owner_by_whatever_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    link = tmp_path / "link"
    link.symlink_to(home)
    monkeypatch.chdir(tmp_path)
    with home_lock(home, "ingest"):
        for alias in (home, Path("home"), tmp_path / "home" / ".." / "home", link, Path(f"{home}/")):
            with pytest.raises(HomeBusy, match=rf"in use by process {os.getpid()} \(ingest\)"), home_lock(alias, "rollback"):
                pass
    with home_lock(link, "rollback"):
        pass


def test_the_lock_goes_with_its_owner(tmp_path: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    assert owner.stdout.readline() == "held\n"
    started = time.monotonic()
    with pytest.raises(HomeBusy, match=rf"expected .* to be free for ingest; found it is in use by process {owner.pid}"):
        with home_lock(tmp_path, "ingest"):
            pass
    assert time.monotonic() - started < 2
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    with home_lock(tmp_path, "ingest"):
        pass


def test_an_error_frees_the_lock(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), home_lock(tmp_path, "ingest"):
        raise ZeroDivisionError
    with home_lock(tmp_path, "ingest"):
        pass
