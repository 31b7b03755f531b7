"""Many small files: this provider, azure-ai-ml, and azure-storage-blob with as many threads or tasks as pay.

python benchmarks/upload_small_files.py [--files 1000] [--size 4096] [--latency 0.05] [--rounds 2]
"""

from __future__ import annotations

import argparse
import sys

import report
import transfers

WORKERS = [8, 16, 32, 64]


def contender(folder: str, who: str, workers: str = "0") -> None:
    """Run one of them, in a process of its own."""
    make = {
        "ours": lambda: transfers.ours_up(folder),
        "sdk": lambda: transfers.azure_ai_ml_up(folder),
        "threads": lambda: transfers.threads_up(folder, int(workers)),
        "tasks": lambda: transfers.tasks_up(folder, int(workers)),
    }
    transfers.measured(make[who])


def main() -> None:
    """Let them race."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    who = [
        ("this provider", ["ours"]),
        ("azure-ai-ml", ["sdk"]),
        *((f"azure-storage-blob, {n} threads", ["threads", str(n)]) for n in WORKERS),
        *((f"azure-storage-blob, {n} async tasks", ["tasks", str(n)]) for n in WORKERS),
    ]
    with transfers.slow_storage(options.latency, "PUT"), transfers.folder_of(options.files, options.size) as folder:
        contenders = [["--contender", str(folder), *arguments] for _, arguments in who]
        best = transfers.race(__file__, contenders, rounds=options.rounds)
    rows = [
        {
            "who": name,
            "seconds": found["seconds"],
            "files a second": options.files / found["seconds"],
            "processor seconds": found["processor"],
            "memory, MB": found["memory"],
        }
        for (name, _), found in zip(who, best, strict=True)
    ]
    ours, sdk = rows[0]["seconds"], rows[1]["seconds"]
    fastest = min(rows[2:], key=lambda row: row["seconds"])
    report.write(
        "upload_small_files",
        f"Uploading {options.files:,} files of {options.size:,} bytes",
        rows,
        goals={
            f"three times as fast as azure-ai-ml ({sdk / ours:.1f} times)": sdk / ours >= 3,
            f"0.9 of {fastest['who']} ({fastest['seconds'] / ours:.2f})": ours <= fastest["seconds"] / 0.9,
        },
        bars="seconds",
        conditions=f"Each PUT {options.latency * 1000:.0f} ms late; the best of {options.rounds} rounds, in turn. "
        "Ours also checks each file's MD5, and once more at the end.",
    )


if __name__ == "__main__":
    contender(*sys.argv[2:]) if sys.argv[1:2] == ["--contender"] else main()
