"""The promises about faults at their full figures: `make soak`. The table goes to tests/bench/promises.md.

python -m tests.soak [NAME ...]     only these, such as A1 C22; the other lines of the table stay
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

TABLE = Path(__file__).parent / "bench" / "promises.md"
HEAD = """# Promises under faults

Made by `make soak` on two cores.

| promise | what is done | kept | minutes | on |
|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Promise:
    """Tests that are to pass with this environment."""

    name: str
    done: str
    tests: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = (("SOAK", "1"),)


PROMISES = (
    Promise("A1", "300 kills of an ingest at random, at most five in a row, and one at each of 20 named instants",
            ("test_crash.py",), (("SOAK", "1"), ("KILLS", "300"))),
    Promise("A2", "an index damaged in 50 ways and more is refused, and named", ("test_index_generation.py",)),
    Promise("A3", "4 threads ask while 20 ingests run, 10 of them killed",
            ("test_crash.py::test_answers_go_on_while_ingests_run_and_die", "test_assistant.py")),
    Promise("A4", "28 kinds of damage: the server starts within 60 s and answers as before", ("test_damage.py",)),
    Promise("A5", "50 ingests with one and 50 with ten of a hundred documents changed: disk at most 1.2 times",
            ("test_ingest_flow.py::test_disk_use_follows_the_corpus",)),
    Promise("A6", "50 of 100 documents deleted: not found, and after `purge` not a byte of them", ("test_deleted.py",)),
    Promise("A7", "one owner by whatever path; told at once, free after a kill", ("test_lock.py",)),
    Promise("A8", "200 kills of a writer and a log cut at every frame and 200 offsets", ("test_record_kills.py",)),
    Promise("A9", "10 backups under load restored: same digest, same five passages for 200 questions", ("test_backup.py",)),
    Promise("A10", "8 indexes of other models, places and versions refused, no byte changed",
            ("test_index_generation.py::test_what_does_not_fit_is_refused_before_it_is_touched",
             "test_index_generation.py::test_what_another_version_wrote_is_refused")),
    Promise("C18", "files made to hang, crash or starve their reader, among 50 good ones", ("test_bad_files.py",)),
    Promise("C19", "characters and styles that hide text, 1,000 clean lines, 500 naughty strings",
            ("test_hidden_characters.py", "test_naughty_strings.py")),
    Promise("C22", "200 sequences of 30 changes, ingests, kills and restarts against a dict",
            ("test_ingest_states.py", "test_degenerate.py"), (("EXAMPLES", "200"), ("STEPS", "30"))),
)  # fmt: skip


def main() -> None:
    """Run what is asked for and rewrite those lines; exits with 1 if a promise is not kept."""
    chosen = [promise for promise in PROMISES if not sys.argv[1:] or promise.name in sys.argv[1:]]
    lines = _known()
    kept = True
    for promise in chosen:
        started = time.monotonic()
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "--timeout=7200",
            *(f"tests/{test}" for test in promise.tests),
        ]
        done = subprocess.run(command, check=False, env=os.environ | dict(promise.environment))
        kept = kept and done.returncode == 0
        minutes = (time.monotonic() - started) / 60
        said = "yes" if done.returncode == 0 else "**no**"
        lines[promise.name] = f"| {promise.name} | {promise.done} | {said} | {minutes:.1f} | {date.today()} |"
        ordered = [lines[one.name] for one in PROMISES if one.name in lines]
        TABLE.write_text(HEAD + "\n".join(ordered) + "\n", encoding="utf-8")
    sys.exit(0 if kept else 1)


def _known() -> dict[str, str]:
    """The lines of the table as it is, by promise."""
    found = TABLE.read_text(encoding="utf-8").splitlines() if TABLE.exists() else []
    return {line.split("|")[1].strip(): line for line in found[6:] if line.startswith("| ")}


if __name__ == "__main__":
    main()
