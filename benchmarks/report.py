"""What each benchmark writes: a table, a plot and a dated file of results; and docs/performance.md, made of the latest.

    python benchmarks/report.py     # docs/performance.md anew

A benchmark calls `write` once; see upload_small_files.py.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
_DOCS = Path(__file__).parents[1] / "docs"
_PLOTS = _DOCS / "images" / "benchmarks"
_HEAD = """# Performance

Measured, with what one would use instead as baseline in the same run. Each claim has a script in `benchmarks/`:

    make bench                              # all of them, each in turn
    make bench BENCH=upload_small_files     # one

A script writes its table and a dated file into `benchmarks/results/`, its plot into `docs/images/benchmarks/`, and
this page anew. Storage and AzureML are the emulator and Azurite on the same machine, with latency put in: the seconds
are not those of Azure, the ratios are what counts. Where a goal is missed, the page says so.
"""


def write(
    name: str,
    title: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    goals: Mapping[str, bool],
    bars: str,
    conditions: str,
    label: str = "who",
) -> None:
    """Write what was measured, and print it.

    name        of the script, without .py
    title       what was asked, in one line
    rows        the table: a dict for each line, all with the same keys; numbers are shown to three digits
    goals       what was to be shown -> whether it was
    bars        the column that the plot shows
    conditions  sizes, latency, how often: what one must know to repeat it
    label       the column that names a line
    """
    RESULTS.mkdir(exist_ok=True)
    _PLOTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    found = {
        "name": name,
        "title": title,
        "date": f"{now:%Y-%m-%d}",
        "machine": machine,
        "conditions": conditions,
        "goals": dict(goals),
        "rows": [dict(row) for row in rows],
    }
    (RESULTS / f"{name}-{now:%Y-%m-%d}.json").write_text(json.dumps(found, indent=1) + "\n")
    (_PLOTS / f"{name}.svg").write_text(_plot(title, rows, label, bars))
    (RESULTS / f"{name}.md").write_text(_section(found))
    print(_section(found))
    write_page()


def write_page() -> None:
    """Write docs/performance.md from the latest results of each benchmark."""
    sections = [path.read_text() for path in sorted(RESULTS.glob("*.md"))]
    (_DOCS / "performance.md").write_text("\n".join([_HEAD, *sections]).rstrip() + "\n")


def _section(found: Mapping[str, Any]) -> str:
    rows = found["rows"]
    columns = list(rows[0])
    lines = [
        f"## {found['title']}",
        "",
        f"![{found['title']}](images/benchmarks/{found['name']}.svg)",
        "",
        f"| {' | '.join(columns)} |",
        f"|{'---|' * len(columns)}",
        *(f"| {' | '.join(_text(row[column]) for column in columns)} |" for row in rows),
        "",
        *(f"* {'Reached' if reached else '**Missed**'}: {goal}." for goal, reached in found["goals"].items()),
        "",
        f"{found['conditions']} {found['date']}, {found['machine']}; `benchmarks/{found['name']}.py`.",
        "",
    ]
    return "\n".join(lines)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return "" if value is None else str(value)


def _plot(title: str, rows: Sequence[Mapping[str, Any]], label: str, bars: str) -> str:
    """Return horizontal bars, one for each row that has a number."""
    shown = [row for row in rows if isinstance(row[bars], (int, float))]
    most = max((row[bars] for row in shown), default=1) or 1
    left, width, high = 300, 360, 26
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 90}" height="{50 + high * len(shown)}" '
        'font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="10" y="20" font-weight="bold">{escape(title)}</text>',
        f'<text x="10" y="38" fill="#555">{escape(bars)}</text>',
    ]
    for number, row in enumerate(shown):
        y, long = 48 + high * number, max(1, width * row[bars] / most)
        ours = str(row[label]).startswith("this provider")
        parts += [
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{escape(str(row[label]))}</text>',
            f'<rect x="{left}" y="{y}" width="{long:.0f}" height="18" fill="{"#2f7ed8" if ours else "#b8c4d0"}"/>',
            f'<text x="{left + long + 6:.0f}" y="{y + 14}">{_text(float(row[bars]))}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    write_page()
