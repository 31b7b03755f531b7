"""
How long it takes from the registration of a model to the DAG run that a watcher starts, in a running Airflow.

    .venv/bin/python benchmarks/watch_latency.py [VERSIONS]

With an event queue and polls a quarter of an hour apart, beside plain polling every 5 seconds, in one run.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "demo"))

from scenario import airflow_environment
from standalone import StandaloneAirflow

from airflow_provider_azureml.emulator import Emulator

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
    """Print the seconds for both ways."""
    versions = int(sys.argv[1]) if len(sys.argv) > 1 else 40
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
            made = {"nudged": {}, "polled": {}}
            for version in range(1, versions + 1):
                for name, times in made.items():
                    times[str(version)] = register(name, version)
                time.sleep(3)
            time.sleep(15)
            for name, times in made.items():
                report(airflow, name, times)


def report(airflow: StandaloneAirflow, name: str, made: dict[str, datetime]) -> None:
    """Print how long after its registration each version had a DAG run."""
    queued = {run["dag_run_id"]: run["queued_at"] for run in airflow.rest.runs(name)}
    seconds = []
    for event in airflow.rest.asset_events():
        for version in event["extra"].get("payload", {}).get("versions", ()):
            runs = [queued[run["run_id"]] for run in event["created_dagruns"] if run["run_id"] in queued]
            if version["name"] == name and runs:
                seconds.append((datetime.fromisoformat(runs[0]) - made[version["version"]]).total_seconds())
    seconds.sort()
    p95 = seconds[int(len(seconds) * 0.95)]
    print(f"{name}: {len(seconds)} of {len(made)}; median {statistics.median(seconds):.2f} s, 95 % {p95:.2f} s")


if __name__ == "__main__":
    main()
