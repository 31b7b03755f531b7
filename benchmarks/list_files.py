"""How long it takes to list a folder of 100,000 files before an upload, with and without .amlignore.

python benchmarks/list_files.py [--files 100000]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import report

from airflow_provider_azureml.provider.storage.sources import find_source

IGNORE = ".git/\n__pycache__/\n*.pyc\n*.log\n/build\nskipped/\n"


def walked(root: Path) -> list[Path]:
    """Return what a script would list with pathlib."""
    return [path for path in sorted(root.rglob("*")) if path.is_file() and path.stat().st_size >= 0]


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=100_000)
    options = parser.parse_args()
    rows = []

    def measure(who: str, count: object) -> None:
        began, processor = time.perf_counter(), time.process_time()
        found = count()
        rows.append(
            {
                "who": who,
                "files": len(found),
                "seconds": time.perf_counter() - began,
                "processor seconds": time.process_time() - processor,
            }
        )

    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        for folder in range(options.files // 1000):
            (root / f"{folder}").mkdir()
            for number in range(1000):
                os.close(os.open(f"{root}/{folder}/{number}.csv", os.O_CREAT))
        measure("this provider", lambda: find_source(root, folder=Path()).files)
        (root / ".amlignore").write_text(IGNORE)
        measure("this provider, six ignored patterns", lambda: find_source(root, folder=Path()).files)
        measure("pathlib's rglob, is_file and stat", lambda: walked(root))
    seconds = [row["processor seconds"] for row in rows]
    report.write(
        "list_files",
        f"Listing {options.files:,} files",
        rows,
        goals={f"under 2 s of processor time ({max(seconds[:2]):.2f} s)": max(seconds[:2]) < 2},
        bars="processor seconds",
        conditions="Processor time, as other work on the machine would otherwise count.",
    )


if __name__ == "__main__":
    main()
