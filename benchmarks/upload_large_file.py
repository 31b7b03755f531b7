"""One large file: this provider, azure-ai-ml, and azure-storage-blob at its best setting, found by search.

python benchmarks/upload_large_file.py [--megabytes 256] [--latency 0.1] [--rounds 2]
"""

from __future__ import annotations

import argparse
import sys

import report
import transfers

SETTINGS = [(4, 8), (8, 4), (8, 8), (8, 16), (16, 8)]  # megabytes a block, how many at once


def contender(folder: str, who: str, megabytes: str = "0", at_once: str = "0") -> None:
    """Run one of them, in a process of its own."""
    make = {
        "ours": lambda: transfers.ours_up(folder),
        "sdk": lambda: transfers.azure_ai_ml_up(folder),
        "threads": lambda: transfers.blocks_up(folder, int(megabytes), int(at_once), False),
        "tasks": lambda: transfers.blocks_up(folder, int(megabytes), int(at_once), True),
    }
    transfers.measured(make[who])


def main() -> None:
    """Let them race."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    who = [
        ("this provider", ["ours"]),
        ("azure-ai-ml", ["sdk"]),
        *(
            (f"azure-storage-blob, {n} {kind} of {mb} MB", [kind, str(mb), str(n)])
            for kind in ("threads", "tasks")
            for mb, n in SETTINGS
        ),
    ]
    with (
        transfers.slow_storage(options.latency, "PUT"),
        transfers.folder_of(1, options.megabytes * 2**20) as folder,
    ):
        contenders = [["--contender", str(folder), *arguments] for _, arguments in who]
        best = transfers.race(__file__, contenders, rounds=options.rounds)
    rows = [
        {
            "who": name,
            "seconds": found["seconds"],
            "MB/s": options.megabytes / found["seconds"],
            "processor seconds": found["processor"],
            "memory, MB": found["memory"],
        }
        for (name, _), found in zip(who, best, strict=True)
    ]
    fastest = min(rows[2:], key=lambda row: row["seconds"])
    ratio = fastest["seconds"] / rows[0]["seconds"]
    report.write(
        "upload_large_file",
        f"Uploading one file of {options.megabytes} MB",
        rows,
        goals={
            f"0.9 of the best of the others, {fastest['who']} ({ratio:.2f})": ratio >= 0.9,
            f"at most 200 MB of memory ({best[0]['memory']:.0f})": best[0]["memory"] <= 200,
        },
        bars="seconds",
        conditions=f"Each PUT {options.latency * 1000:.0f} ms late; the best of {options.rounds} rounds, in turn. "
        "Ours also checks each block's and the file's MD5.",
    )


if __name__ == "__main__":
    contender(*sys.argv[2:]) if sys.argv[1:2] == ["--contender"] else main()
