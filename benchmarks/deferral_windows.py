"""
What becomes of a job whose task is lost, or ended by a user, in the moments around its deferral, in a running Airflow.

    .venv/bin/python benchmarks/deferral_windows.py [EACH]

These moments are Airflow's own: no code of a provider runs in them. So this does not say how good anything is, but how
long they are and what remains: whether the job is cancelled, found again by the next try, or left running.
"""

from __future__ import annotations

import contextlib
import sqlite3
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "demo"))

from airflow_rest import AirflowRest, until
from report import write
from scenario import airflow_environment
from standalone import StandaloneAirflow

from airflow_provider_azureml.emulator import Emulator
from airflow_provider_azureml.emulator.emulator import Job

LOOK = 3.0  # seconds that the look at the job takes, after which the task defers
FAILED = "tasks that Airflow failed"
AGAIN = "the same, with a retry, which waits for the same job"
USUAL = "the same, poll_interval=10"
LOST_AFTER = 15  # seconds; Airflow's default is 300
DAGS = """
from datetime import timedelta
from airflow.sdk import DAG
from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator

for name, retries, pause in (("once", 0, 1), ("again", 1, 1), ("usual", 0, 10)):
    with DAG(name, schedule=None, max_active_runs=16):
        AzureMachineLearningCreateJobOperator(
            task_id="train", conn_id="azureml", waiting=True, deferrable=True, poll_interval=pause,
            retries=retries, retry_delay=timedelta(seconds=1),
            job={"type": "command", "command": "train", "tags": {"run": "{{ run_id }}"},
                 "environment": "azureml://registries/azureml/environments/sklearn/versions/1"})
"""


class Tasks:
    """Runs of a DAG of one task, and the job that each has submitted."""

    def __init__(self, airflow: StandaloneAirflow, emulator: Emulator, dag: str, count: int) -> None:
        self._airflow, self._emulator, self._dag = airflow, emulator, dag
        self._http = httpx.Client(
            base_url="https://management.azure.com",
            headers={"Authorization": f"Bearer {emulator.token()}"},
            params={"api-version": "2024-10-01"},
            proxy=emulator.environment["HTTPS_PROXY"],
            verify=ssl.create_default_context(cafile=emulator.environment["SSL_CERT_FILE"]),
            trust_env=False,
        )
        self._list = f"{airflow_environment(emulator)['AZUREML_WORKSPACE_ID']}/jobs"
        self.runs = [airflow.rest.trigger(dag) for _ in range(count)]

    @property
    def rest(self) -> AirflowRest:
        """Airflow's REST API."""
        return self._airflow.rest

    def task(self, run: str) -> dict[str, Any]:
        """Return the task instance of a run."""
        return self.rest.task(self._dag, run, "train")

    def jobs(self, run: str) -> list[Job]:
        """Return the jobs that a run has submitted, by their tag."""
        found = self._http.get(self._list).raise_for_status().json()["value"]
        return [self._emulator.job(body["name"]) for body in found if body["properties"]["tags"].get("run") == run]

    def each_job(self) -> Iterator[str]:
        """Yield each run once its job is there."""
        left = [*self.runs]
        end = time.monotonic() + 180
        while left and time.monotonic() < end:
            for run in [run for run in left if self.jobs(run)]:
                left.remove(run)
                yield run
            time.sleep(0.02)
        assert not left, "a task has not submitted its job"

    def wait(self, condition: Callable[[dict[str, Any]], bool], seconds: float = 180) -> list[float]:
        """Return when each task met a condition."""
        moments: dict[str, float] = {}

        def all_met() -> bool:
            for run in self.runs:
                if run not in moments and condition(self.task(run)):
                    moments[run] = time.time()
            return len(moments) == len(self.runs)

        until(all_met, seconds, lambda: str([self.task(run)["state"] for run in self.runs]))
        return [moments[run] for run in self.runs]

    def mark_failed(self, run: str) -> float:
        """End a run's task as a user does, and return when."""
        self.rest.mark(self._dag, run, "train", "failed")
        return time.time()

    def fate(self) -> dict[str, int]:
        """Return what became of the jobs: how many were submitted, cancelled, and left running."""
        jobs = [job for run in self.runs for job in self.jobs(run)]
        cancelled = sum(job.status in ("CancelRequested", "Canceled") for job in jobs)
        return {
            "jobs submitted": len(jobs),
            "cancelled": cancelled,
            "left running": sum(job.status == "Running" for job in jobs),
        }


def lose_worker(pid: int) -> None:
    """End a task and whoever watches over it, as when a worker is lost: with SIGKILL."""
    task = psutil.Process(pid)
    supervisor = task.parent()
    for process in (supervisor, task):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process is not None:
                process.kill()


def lost(airflow: StandaloneAirflow, emulator: Emulator, each: int, dag: str) -> dict[str, Any]:
    """The worker is lost after the submission and before the deferral."""
    emulator.misbehave("GET", r"/jobs/[^/]+$", latency=LOOK)
    tasks = Tasks(airflow, emulator, dag, each)
    moments = {}
    for run in tasks.each_job():
        lose_worker(tasks.task(run)["pid"])
        moments[run] = time.time()
    noticed = tasks.wait(lambda task: task["state"] != "running")
    emulator.behave()
    seconds = [after - moments[run] for run, after in zip(tasks.runs, noticed, strict=True)]
    if dag == "again":
        tasks.wait(lambda task: task["state"] == "deferred")
    found = {"seconds": max(seconds), **tasks.fate()}
    for run in tasks.runs:
        for job in tasks.jobs(run):
            job.complete()
    return found


def ended_before_the_heartbeat(airflow: StandaloneAirflow, emulator: Emulator, each: int) -> dict[str, Any]:
    """A user ends the task less than a heartbeat before it defers."""
    emulator.misbehave("GET", r"/jobs/[^/]+$", latency=LOOK)
    tasks = Tasks(airflow, emulator, "once", each)
    for run in tasks.each_job():
        time.sleep(LOOK - 1.0)
        tasks.mark_failed(run)
    time.sleep(12)
    emulator.behave()
    return {"seconds": None, **tasks.fate()}


def ended_before_the_trigger_runs(airflow: StandaloneAirflow, emulator: Emulator, each: int) -> dict[str, Any]:
    """A user ends the task when it is deferred and no triggerer has taken it up."""
    airflow.kill_component("triggerer")
    tasks = Tasks(airflow, emulator, "once", each)
    tasks.wait(lambda task: task["state"] == "deferred")
    for run in tasks.runs:
        tasks.mark_failed(run)
    airflow.start_component("triggerer")
    time.sleep(20)
    return {"seconds": None, **tasks.fate()}


def taken_up(airflow: StandaloneAirflow, emulator: Emulator, each: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """How long it takes from the deferral until the triggerer runs the trigger; and an end after that."""
    with contextlib.closing(sqlite3.connect(airflow.home / "airflow.db", timeout=30)) as database:
        seen: dict[int, float] = {}
        tasks = Tasks(airflow, emulator, "once", each)
        created: dict[int, float] = {}
        end = time.monotonic() + 180
        while len(seen) < each and time.monotonic() < end:
            query = "SELECT id, created_date, triggerer_id FROM trigger WHERE classpath LIKE '%JobTrigger'"
            for number, moment, triggerer in database.execute(query).fetchall():
                created[number] = datetime.fromisoformat(f"{moment}+00:00").timestamp()
                if triggerer is not None:
                    seen.setdefault(number, time.time())
            time.sleep(0.1)
    waits = [seen[number] - created[number] for number in seen]
    took = {"seconds": statistics.median(waits), **dict.fromkeys(("jobs submitted", "cancelled", "left running"))}
    time.sleep(8)  # each trigger looks at its job
    begin = {run: tasks.mark_failed(run) for run in tasks.runs}
    until(lambda: tasks.fate()["left running"] == 0, 60, lambda: str(tasks.fate()))
    return took, {"seconds": time.time() - min(begin.values()), **tasks.fate()}


def ended_when_deferred(airflow: StandaloneAirflow, emulator: Emulator, each: int) -> dict[str, Any]:
    """A user ends the task in the moment after its deferral."""
    tasks = Tasks(airflow, emulator, "once", each)
    left = {*tasks.runs}
    query = "SELECT run_id FROM task_instance WHERE state = 'deferred'"
    end = time.monotonic() + 180
    with contextlib.closing(sqlite3.connect(airflow.home / "airflow.db", timeout=30)) as database:
        while left and time.monotonic() < end:
            for (run,) in database.execute(query).fetchall():
                if run in left:
                    left.remove(run)
                    tasks.mark_failed(run)
            time.sleep(0.02)
    time.sleep(20)
    return {"seconds": None, **tasks.fate()}


def ended_at_once(airflow: StandaloneAirflow, emulator: Emulator, each: int, dag: str) -> dict[str, Any]:
    """The job ends in the seconds after the deferral, before Airflow has noticed the end of the worker's process."""
    emulator.script_jobs([("Running", 2), "Completed"])
    tasks = Tasks(airflow, emulator, dag, each)
    tasks.wait(lambda task: task["state"] in ("success", "failed"))
    emulator.script_jobs([("Running", None)])
    states = [tasks.task(run)["state"] for run in tasks.runs]
    return {"seconds": None, **tasks.fate(), FAILED: states.count("failed")}


def main() -> None:
    """Measure, and write the report."""
    each = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    with tempfile.TemporaryDirectory() as folder, Emulator() as emulator:
        Path(folder, "windows.py").write_text(DAGS)
        environment = {
            **airflow_environment(emulator),
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(LOST_AFTER),
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "5",  # Airflow's default
        }
        with StandaloneAirflow(
            Path(folder),
            environment=environment,
            connections={"azureml": emulator.connection},
            preload=["azure.ai.ml", "azure.ai.ml.entities", "airflow_provider_azureml.provider.sdk"],
        ) as airflow:
            airflow.rest.wait_for_dags("once", "again")
            emulator.script_jobs([("Running", None)])
            took, after = taken_up(airflow, emulator, each)
            found = {
                "worker lost between submission and deferral, no retries: until noticed": lost(
                    airflow, emulator, each, "once"
                ),
                AGAIN: lost(airflow, emulator, each, "again"),
                "ended by a user a second before the deferral": ended_before_the_heartbeat(airflow, emulator, each),
                "deferred: until a triggerer has it (median)": took,
                "ended by a user in the moment after the deferral": ended_when_deferred(airflow, emulator, each),
                "ended by a user while there is no triggerer": ended_before_the_trigger_runs(airflow, emulator, each),
                "ended by a user after that: until its job is cancelled": after,
                "job ends within seconds of the deferral, poll_interval=1": ended_at_once(
                    airflow, emulator, each, "once"
                ),
                USUAL: ended_at_once(airflow, emulator, each, "usual"),
            }
    again = found[AGAIN]
    write(
        "deferral_windows",
        "The moments around a deferral that are Airflow's own",
        [{"who": name, FAILED: None, **row} for name, row in found.items()],
        goals={
            "a retry finds the job of the lost try: one job for each task": again["jobs submitted"] == each,
            "a task that a user ends once its trigger runs has its job cancelled": after["left running"] == 0,
            "with poll_interval=10 no task is failed because its trigger fired early (apache/airflow#67287)": found[
                USUAL
            ][FAILED]
            == 0,
        },
        bars="seconds",
        conditions=(
            f"{each} tasks each. [scheduler] task_instance_heartbeat_timeout is "
            f"{LOST_AFTER} here, 300 by default; Airflow looks every 10 s. [workers] min_heartbeat_interval is 5, its "
            "default: only a heartbeat tells a worker that its task was ended."
        ),
    )


if __name__ == "__main__":
    main()
