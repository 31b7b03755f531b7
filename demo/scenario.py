"""What the demo does in a running Airflow, with the DAGs of `examples/`."""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from airflow_rest import Json
from keeper import Kept
from standalone import StandaloneAirflow
from timeline import Timeline

from airflow_provider_azureml.datasets import Workspace
from airflow_provider_azureml.emulator import Emulator

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
EXPECTED = Counter(
    publish=1,
    train=1,  # started by the data
    wait=1,
    deploy=2,  # started by the published model, and by the outsider's, which the sensor met
)


class DemoError(Exception):
    """Something failed or was not done in time; the text holds the log that tells why."""


def play(
    airflow: StandaloneAirflow, outside: Mapping[str, str], folder: Path, timeline: Timeline, *, timeout: float = 300
) -> None:
    """Publish; train and deploy on the asset events; wait for the outsider's job and then for its model version.

    - outside: environment of the outsider, who has no part in Airflow.
    - folder: for the files that are published.
    """
    rest = airflow.rest
    rest.wait_for_dags(*EXPECTED)
    earlier = {run["dag_run_id"] for run in rest.all_runs()}
    sales, model, their_model = make_files(folder)
    deadline = time.monotonic() + timeout
    outsider = Outsider(outside, folder, their_model)
    try:
        rest.trigger("publish", conf={"sales": str(sales), "model": str(model)})
        while True:
            for fact in outsider.news():
                timeline.tell("outsider", fact["text"])
                if "job" in fact:
                    rest.trigger("wait", conf={"job_name": fact["job"]})
            timeline.follow(rest)
            runs = [run for run in rest.all_runs() if run["dag_run_id"] not in earlier]
            if failed := [run for run in runs if run["state"] == "failed"]:
                raise DemoError(f"{rest.failed_logs(failed[0])}\n{airflow.complaints()}")
            done = Counter(run["dag_id"] for run in runs if run["state"] == "success")
            if done >= EXPECTED:
                return
            if done["deploy"]:
                outsider.approve()  # only now: Airflow starts one run for asset events that come close together
            if time.monotonic() > deadline:
                states = ", ".join(f"{run['dag_id']}: {run['state']}" for run in runs)
                raise DemoError(f"not finished within {timeout:.0f} s ({states})\n{airflow.complaints()}")
            time.sleep(0.3)
    finally:
        outsider.end()


def make_files(folder: Path) -> tuple[Path, Path, Path]:
    """Return a folder with data, one with a model and one with another model."""
    sales, model, their_model = (folder / name for name in ("sales", "model", "their_model"))
    for day in range(1, 4):
        _write(sales / f"2026-11-{day:02}.csv", "customer,amount\n" + "".join(f"{n},{n * day}\n" for n in range(1000)))
    _write(model / "model.json", json.dumps({"weights": [0.1, 0.2]}))
    _write(model / "README.md", "Made by the DAG `publish`.\n")
    _write(their_model / "model.json", json.dumps({"weights": [0.3, 0.4]}))
    return sales, model, their_model


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class Outsider:
    """The script `outside_actor.py`, which submits a job and registers a model, and says so line by line."""

    def __init__(self, environment: Mapping[str, str], folder: Path, model: Path) -> None:
        self._heard = 0
        self._output = folder / "outside_actor.log"
        self._approval = folder / "approved"
        options = ["--name", "fraud", "--model", str(model), "--approval", str(self._approval)]
        self._process = Kept(
            [sys.executable, str(HERE / "outside_actor.py"), *options],
            environment=environment,
            directory=folder,
            log=self._output,
        )

    def news(self) -> Iterator[Json]:
        """Yield what it has said since the last time."""
        ended = self._process.status
        output = self._output.read_text()
        if ended:
            raise DemoError(f"outside_actor.py ended with status {ended}:\n{output}")
        said = [line for line in output.splitlines(keepends=True) if line.startswith("{") and line.endswith("\n")]
        for line in said[self._heard :]:
            self._heard += 1
            yield json.loads(line)

    def approve(self) -> None:
        """Let it register its model when its job is done."""
        self._approval.touch()

    def end(self) -> None:
        """Leave nothing of it."""
        self._process.kill()


def airflow_environment(emulator: Emulator) -> dict[str, str]:
    """Return what Airflow's processes need: where Azure is, and which workspace the DAG files mean."""
    workspace = Workspace(emulator.subscription_id, emulator.resource_group, emulator.workspace_name)
    return {**emulator.environment, "AZUREML_WORKSPACE_ID": workspace.id}


def outside_environment(emulator: Emulator) -> dict[str, str]:
    """Return the same for a script outside Airflow, which has no connection but a service principal in variables."""
    return {**os.environ, **airflow_environment(emulator), **emulator.credential_environment}
