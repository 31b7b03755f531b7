"""
How long it takes from the registration of a model to the DAG run that a watcher starts, in a running Airflow.

    .venv/bin/python benchmarks/watch_latency.py [VERSIONS]

With an event queue and polls a quarter of an hour apart, beside plain polling every 5 seconds, in one run; what of
it is Airflow's own is told apart: from the announcement (the triggerer's log) to the stored event and the DAG run.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "demo"))

from report import write
from scenario import airflow_environment
from standalone import StandaloneAirflow

from airflow_provider_azureml.emulator import Emulator

INTERVAL = 5  # seconds, of the one that is polled
STAGES = ("the read that tells", "the announcement", "Airflow: the stored event", "Airflow: the DAG run")
DAGS = """
import os
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow_provider_azureml.datasets import Workspace
from airflow_provider_azureml.sensors import watch

ws = Workspace.from_id(os.environ["AZUREML_WORKSPACE_ID"])
nudged = watch(ws.model("nudged"), conn_id="azureml", poll_interval=900, event_queue=os.environ["EVENT_QUEUE"])
polled = watch(ws.model("polled"), conn_id="azureml", poll_interval=5)
for name, asset in {"nudged": nudged, "polled": polled}.items():
    with DAG(name, schedule=[asset], max_active_runs=100):
        EmptyOperator(task_id="nothing")
"""


def register(name: str, version: int) -> datetime:
    """Register a version as somebody outside Airflow, and return when it was there."""
    from airflow_provider_azureml.datasets import Kind
    from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
    from airflow_provider_azureml.provider.rest.client import WorkspaceClient

    async def put() -> None:
        async with WorkspaceClient(AzureMachineLearningHook("azureml").get_workspace_connection()) as client:
            words = {"modelType": "custom_model", "modelUri": "azureml://datastores/d/paths/x"}
            await client.put_version(Kind.MODEL, name, str(version), {"properties": words})

    asyncio.run(put())
    return datetime.now(UTC)


def main() -> None:
    """Measure, and write the report."""
    versions = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    chance = random.Random(11)
    with tempfile.TemporaryDirectory() as folder, Emulator() as emulator:
        Path(folder, "latency.py").write_text(DAGS)
        os.environ.update(emulator.environment)
        os.environ["AIRFLOW_CONN_AZUREML"] = emulator.connection_json
        from azure.storage.queue import QueueClient  # it loads aiohttp, which reads SSL_CERT_FILE once

        account = f"https://{emulator.storage_account}.queue.core.windows.net"
        with QueueClient(account, "events", credential=emulator.storage_key) as queue:
            queue.create_queue()
        emulator.send_events_to("events")
        environment = {**airflow_environment(emulator), "EVENT_QUEUE": f"{account}/events"}
        with StandaloneAirflow(
            Path(folder), environment=environment, connections={"azureml": emulator.connection}
        ) as airflow:
            airflow.rest.wait_for_dags("nudged", "polled")
            emulator.wait_for_call("GET", "/models$", count=3, timeout=120)
            time.sleep(5)
            made: dict[str, dict[str, datetime]] = {"nudged": {}, "polled": {}}
            for version in range(1, versions + 1):
                for name, times in made.items():
                    times[str(version)] = register(name, version)
                time.sleep(chance.uniform(4, 8))  # more than the time between two events of one asset
            time.sleep(15)
            found = {name: ways(airflow, emulator, name, times) for name, times in made.items()}
    tell(found, versions)


def ways(
    airflow: StandaloneAirflow, emulator: Emulator, name: str, made: dict[str, datetime]
) -> dict[str, list[datetime]]:
    """Return when each version was registered, read, announced, stored by Airflow, and had a DAG run."""
    line = re.compile(rf"^(\S+Z)\b.*New of models/{name}@.*?\(watched\): ([0-9, ]+)\.")
    announced: dict[str, datetime] = {}
    for text in airflow.component_log("triggerer").read_text(errors="replace").splitlines():
        if match := line.match(re.sub(r"\x1b\[[0-9;]*m", "", text)):
            for version in match[2].split(", "):
                announced.setdefault(version, datetime.fromisoformat(match[1]))
    calls = emulator.calls("GET", path=f"/models/{name}/versions$")
    reads = sorted(datetime.fromtimestamp(call["at"], UTC) for call in calls)
    queued = {run["dag_run_id"]: datetime.fromisoformat(run["queued_at"]) for run in airflow.rest.runs(name)}
    found: dict[str, list[datetime]] = {}
    for event in sorted(airflow.rest.asset_events(), key=lambda event: str(event["timestamp"])):
        runs = [queued[run["run_id"]] for run in event["created_dagruns"] if run["run_id"] in queued]
        for version in event["extra"].get("payload", {}).get("versions", ()):
            number = version["version"]
            if version["name"] == name and runs and number in announced and number not in found:
                read = max(moment for moment in reads if moment <= announced[number])
                stored = datetime.fromisoformat(event["timestamp"])
                found[number] = [made[number], max(read, made[number]), announced[number], stored, runs[0]]
    return found


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Return median and 95th percentile."""
    ordered = sorted(seconds)
    return {"median, s": statistics.median(ordered), "95 %, s": ordered[int(len(ordered) * 0.95)]}


def tell(found: dict[str, dict[str, list[datetime]]], versions: int) -> None:
    """Write the report."""
    rows: list[dict[str, Any]] = []
    announced = {}
    for name, way in {"nudged": "with an event queue", "polled": f"polled every {INTERVAL} s"}.items():
        moments = [*found[name].values()]
        total = quantiles([(each[-1] - each[0]).total_seconds() for each in moments])
        announced[name] = quantiles([(each[2] - each[0]).total_seconds() for each in moments])
        rows.append({"who": f"this provider: {way}", **total})
        steps = zip(
            *([(after - before).total_seconds() for before, after in pairwise(each)] for each in moments), strict=True
        )
        rows += [{"who": f"- to {stage}", **quantiles([*step])} for stage, step in zip(STAGES, steps, strict=True)]
    write(
        "watch_latency",
        "From the registration of a model to the DAG run that a watcher starts",
        rows,
        goals={
            "each version had a DAG run": all(len(way) == versions for way in found.values()),
            "with an event queue: announced within 5 s (median)": announced["nudged"]["median, s"] < 5,
            "polled: announced within the interval and 3 s (95 %)": announced["polled"]["95 %, s"] < INTERVAL + 3,
        },
        bars="median, s",
        conditions=(
            f"{versions} versions of each of two models, 4 to 8 s apart. Scheduler, triggerer, API server, emulator "
            "and SQLite share the machine. Events of one asset are 3 s apart at least; Event Grid's delay is not in."
        ),
    )


if __name__ == "__main__":
    main()
