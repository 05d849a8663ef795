"""What a child process costs: small good files read in this process and apart, in turn.

python -m tests.bench.apart [FILES]     prints milliseconds a file
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from rag.ingest.apart import reading_apart
from rag.ingest.read import read

PAGE = """# Lamp {number}

Lamp {number} shines for {hours} hours and survives rain.

## Returns

It can be returned within 30 days. Returning costs nothing within the EU.
"""


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as folder, reading_apart() as apart:
        paths = [Path(folder) / f"{number}.md" for number in range(count)]
        for number, path in enumerate(paths):
            path.write_text(PAGE.format(number=number, hours=number % 40), encoding="utf-8")
        started = time.perf_counter()
        apart(paths[0], "0.md")
        sys.stdout.write(f"start and first file: {1000 * (time.perf_counter() - started):.0f} ms\n")
        for name, reader in (("in this process", read), ("apart", apart)) * 3:
            started = time.perf_counter()
            for path in paths:
                reader(path, path.name)
            sys.stdout.write(f"{count} files {name}: {1000 * (time.perf_counter() - started) / count:.3f} ms a file\n")


if __name__ == "__main__":
    main()
