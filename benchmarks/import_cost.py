"""What it costs a DAG file to import all of this provider, beside `airflow.sdk`, which every DAG file imports.

python benchmarks/import_cost.py [--rounds 7]

Each figure is the median of several fresh interpreters, taken in turns, so that a busy machine disturbs all alike.
"""

from __future__ import annotations

import argparse
import pkgutil
import statistics
import subprocess
import sys

import report

import airflow_provider_azureml

PACKAGE = airflow_provider_azureml.__name__
ROOMS = ("datasets", "sensors", "provider.operators", "provider.triggers")
SDK = "import airflow.sdk; from airflow.sdk import DAG, BaseOperator, BaseSensorOperator, BaseHook, Asset, task"
PROBE = """
import time
begun = time.process_time()
{sdk}
start = time.process_time()
{code}
print(time.process_time() - start, start - begun)
"""


def public() -> list[str]:
    """Return every module that a DAG file or the triggerer may import."""
    found = [f"{PACKAGE}.provider.hook", f"{PACKAGE}.provider.links", f"{PACKAGE}.provider.errors"]
    for room in ROOMS:
        path = [f"{airflow_provider_azureml.__path__[0]}/{room.replace('.', '/')}"]
        found += [f"{PACKAGE}.{room}", *(module.name for module in pkgutil.iter_modules(path, f"{PACKAGE}.{room}."))]
    return found


def measure(code: str) -> tuple[float, float]:
    """Return processor seconds of the code after airflow.sdk, and of airflow.sdk."""
    probe = PROBE.format(sdk=SDK, code=code)
    out = subprocess.run([sys.executable, "-W", "ignore", "-c", probe], capture_output=True, text=True, check=True)
    own, sdk = out.stdout.split()[-2:]
    return float(own), float(sdk)


def main() -> None:
    """Measure in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    modules = public()
    cases = {
        "this provider, all public modules": "; ".join(f"import {module}" for module in modules),
        "azure-ai-ml": "import azure.ai.ml",
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, code in cases.items():
            taken[name].append(measure(code))
    base = statistics.median(sdk for measured in taken.values() for _, sdk in measured)
    own = {name: statistics.median(own for own, _ in measured) for name, measured in taken.items()}
    rows = [
        {"who": name, "ms after airflow.sdk": seconds * 1000, "of airflow.sdk, %": 100 * seconds / base}
        for name, seconds in own.items()
    ]
    rows.append({"who": "airflow.sdk itself", "ms after airflow.sdk": base * 1000, "of airflow.sdk, %": 100.0})
    ours = own["this provider, all public modules"] * 1000
    report.write(
        "import_cost",
        "Importing the provider in a DAG file",
        rows,
        goals={f"at most 30 ms ({ours:.0f})": ours <= 30},
        bars="ms after airflow.sdk",
        conditions=f"{len(modules)} modules, all of them together; processor time, median of {rounds} fresh "
        "interpreters. That none of them imports an azure.* module is held by tests/unit/test_house.py.",
    )


if __name__ == "__main__":
    main()
