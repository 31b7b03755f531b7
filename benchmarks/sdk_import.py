"""What the seconds are that an operator waits for azure-ai-ml, and what of them can be saved.

python benchmarks/sdk_import.py [--rounds 5]

Each figure is the median of several fresh interpreters, which have loaded what a task's process has; taken in turns.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys

import report

_BEFORE = "import airflow.sdk.execution_time.task_runner, azure.identity, aiohttp, sys, time, json\n"
_TIMED = _BEFORE + "began = time.process_time()\n{code}\nprint(json.dumps(time.process_time() - began))"
WAYS = {
    "azure-ai-ml, as a script imports it": "import azure.ai.ml",
    "this provider: garbage collector at rest": "from airflow_provider_azureml.provider import sdk; sdk.load_sdk()",
}
# Modules by what they are for; the last that fits counts.
PARTS = {
    "schemas, entities and operations": "azure.ai.ml",
    "REST models and clients of ARM": "azure.ai.ml._restclient.arm_ml_service",
    "REST models and clients of other services": "azure.ai.ml._restclient",
    "azure-storage-*": "azure.storage",
    "other packages": "",
}
# What a command job has nothing to do with, by the names of modules.
_OTHER_NOUNS = re.compile(
    "workspace|feature|registry|registries|automl|local_endpoint|finetuning|distillation|monitor|index|datastore|marketplace|"
    "serverless|deployment|endpoint|schedule|import|capability|virtual_cluster|evaluator|package|spark|sweep|parallel|"
    "data_transfer|compute|hub|connection|vscode|dsl|internal|azure_ai_assets|dataplane|runhistory|image|nlp"
)
# Time of each module's own code, without that of the modules that it imports.
_OWN = (
    _BEFORE
    + """
import gc, importlib.machinery
gc.disable()
own, stack = {}, []
load = importlib.machinery.SourceFileLoader.exec_module
def timed(self, module):
    stack.append(0.0)
    began = time.process_time()
    load(self, module)
    took = time.process_time() - began
    own[module.__name__] = took - stack.pop()
    if stack:
        stack[-1] += took
importlib.machinery.SourceFileLoader.exec_module = timed
import azure.ai.ml
print(json.dumps(own))
"""
)


def run(code: str) -> object:
    """Return what a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def part(module: str) -> str:
    """Return which part a module belongs to: the one with the longest name that fits."""
    fits = [(len(start), name) for name, start in PARTS.items() if module.startswith(start)]
    return max(fits)[1]


def main() -> None:
    """Measure in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    taken: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(rounds):
        for name, code in WAYS.items():
            taken[name].append(float(str(run(_TIMED.format(code=code)))))
    own = run(_OWN)
    assert isinstance(own, dict)
    rows = [
        {"who": name, "modules": None, "processor seconds": statistics.median(seconds)}
        for name, seconds in taken.items()
    ]
    for name in PARTS:
        mine = [seconds for module, seconds in own.items() if part(module) == name]
        rows.append({"who": f"- {name}", "modules": len(mine), "processor seconds": sum(mine)})
    others = [
        seconds
        for module, seconds in own.items()
        if module.startswith("azure.ai.ml.")
        and "arm_ml_service" not in module
        and _OTHER_NOUNS.search(module.removeprefix("azure.ai.ml."))
    ]
    rows.append(
        {"who": "of it: of nouns other than jobs", "modules": len(others), "processor seconds": sum(others)},
    )
    theirs, ours = (statistics.median(taken[name]) for name in WAYS)
    report.write(
        "sdk_import",
        "Loading azure-ai-ml",
        rows,
        goals={f"less than a script's import ({ours / theirs:.0%})": ours < theirs},
        bars="processor seconds",
        conditions=f"Median of {rounds} fresh interpreters that have loaded what a task's process has; the parts are "
        "one run's, without the search for modules. The time is spread over every module that `import azure.ai.ml` "
        "loads, all of them from its first line: its schemas and entities import the REST models, and these the "
        "storage clients. The last row is what a command job has nothing to do with: leaving it out would take "
        "stand-ins for the SDK's own modules, put there by an import hook. That is not done: a stand-in that a "
        "later azure-ai-ml looks into changes what is sent without a word, and that the same body is sent comes "
        "first. To build the bodies without the SDK would be a second implementation of its specs.",
    )


if __name__ == "__main__":
    main()
