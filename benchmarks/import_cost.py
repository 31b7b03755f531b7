"""
What it costs a DAG file to import this provider, beside `airflow.sdk`, which every DAG file imports.

    .venv/bin/python benchmarks/import_cost.py

Each figure is the median of several fresh interpreters, taken in turns, so that a busy machine disturbs all alike.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

ROUNDS = 7
SDK = "import airflow.sdk; from airflow.sdk import DAG, BaseOperator, BaseSensorOperator, BaseHook, Asset, task"
PUBLIC = "; ".join(
    f"import airflow_provider_azureml.{module}"
    for module in (
        "datasets",
        "datasets.uri",
        "provider.hook",
        "provider.links",
        "provider.operators.data",
        "provider.operators.model",
        "provider.triggers.job",
        "provider.triggers.version",
        "sensors",
    )
)
CASES = {"airflow.sdk": "pass", "+ all public modules": PUBLIC, "+ azure.ai.ml, for comparison": "import azure.ai.ml"}
PROBE = """
import time
{sdk}
start = time.perf_counter()
{code}
print(time.perf_counter() - start, time.perf_counter() - begun)
"""


def measure(code: str) -> tuple[float, float]:
    """Return seconds of the code after airflow.sdk, and of both."""
    probe = "import time; begun = time.perf_counter()\n" + PROBE.format(sdk=SDK, code=code)
    out = subprocess.run([sys.executable, "-W", "ignore", "-c", probe], capture_output=True, text=True, check=True)
    alone, both = out.stdout.split()[-2:]
    return float(alone), float(both)


def main() -> None:
    """Print a line for each case."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in CASES}
    for _ in range(ROUNDS):
        for name, code in CASES.items():
            taken[name].append(measure(code))
    base = statistics.median(both for _, both in taken["airflow.sdk"])
    print(f"airflow.sdk alone: {base:.2f} s")
    for name in list(CASES)[1:]:
        alone = statistics.median(alone for alone, _ in taken[name])
        print(f"{name}: {alone * 1000:.1f} ms more, {alone / base:.2%} of airflow.sdk")


if __name__ == "__main__":
    main()
