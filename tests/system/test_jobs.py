"""A job and the task that submitted it, when either way of waiting is killed: one job, and none left running."""

import os
import re
import signal

import pytest
from airflow_rest import AirflowRest, until
from standalone import COMPONENTS, StandaloneAirflow

from airflow_provider_azureml.emulator import Emulator

from .conftest import Outsider

both_ways = pytest.mark.parametrize("way", ["deferred", "in_place"])


@pytest.fixture(autouse=True)
def _jobs_stay_where_they_are_put(emulator: Emulator) -> None:
    emulator.script_jobs([("Running", None)], name="^outlived-")


def start(rest: AirflowRest, outsider: Outsider, way: str) -> tuple[str, str]:
    """Start the DAG; return the run's id and the name of its job, once the task waits for it."""
    dag_id = f"job_submitted_{way}"
    rest.wait_for_dags(dag_id)
    run_id = rest.trigger(dag_id)
    state = "deferred" if way == "deferred" else "running"
    rest.wait_for_task(dag_id, run_id, "outlived", state=state)
    job = until(lambda: outsider.jobs(run_id), 60, lambda: rest.log(dag_id, run_id, "outlived", try_number=1))
    return run_id, job[0]


def test_a_worker_that_is_killed_leaves_its_job_to_the_retry(
    rest: AirflowRest, emulator: Emulator, outsider: Outsider
) -> None:
    run_id, job = start(rest, outsider, "in_place")
    os.kill(rest.task("job_submitted_in_place", run_id, "outlived")["pid"], signal.SIGKILL)
    until(
        lambda: rest.task("job_submitted_in_place", run_id, "outlived")["try_number"] == 2, 60, lambda: "no second try"
    )
    emulator.job(job).complete()

    rest.wait_for_run("job_submitted_in_place", run_id)
    assert outsider.jobs(run_id) == [job]
    assert rest.xcom("job_submitted_in_place", run_id, "outlived")["name"] == job


def test_a_deferred_task_outlives_all_of_airflow(
    airflow: StandaloneAirflow, rest: AirflowRest, emulator: Emulator, outsider: Outsider
) -> None:
    """Scheduler, triggerer, DAG processor and API server are killed, and the job completes before they are back."""
    run_id, job = start(rest, outsider, "deferred")
    for component in COMPONENTS:
        airflow.kill_component(component)
    emulator.job(job).complete()
    for component in COMPONENTS:
        airflow.start_component(component)
    airflow.wait_until_healthy()

    rest.wait_for_run("job_submitted_deferred", run_id)
    assert outsider.jobs(run_id) == [job]
    assert rest.task("job_submitted_deferred", run_id, "outlived")["try_number"] == 1


@both_ways
def test_each_line_of_the_jobs_log_is_in_the_tasks_once(
    airflow: StandaloneAirflow, rest: AirflowRest, emulator: Emulator, outsider: Outsider, way: str
) -> None:
    """Also when the triggerer, or the worker, is killed in between."""
    dag_id = f"job_submitted_{way}"
    run_id, name = start(rest, outsider, way)

    def lines() -> list[str]:
        tries = rest.task(dag_id, run_id, "outlived")["try_number"]
        text = "".join(rest.log(dag_id, run_id, "outlived", try_number=number + 1) for number in range(tries))
        return re.findall("~ epoch [0-9]", text)

    emulator.job(name).write_log("~ epoch 1\n~ epoch 2\n")
    until(lambda: len(lines()) == 2, 60, lambda: rest.log(dag_id, run_id, "outlived", try_number=1))
    if way == "deferred":
        airflow.kill_component("triggerer")
        airflow.start_component("triggerer")
    else:
        os.kill(rest.task(dag_id, run_id, "outlived")["pid"], signal.SIGKILL)
    emulator.job(name).write_log("~ epoch 3\n")
    until(lambda: len(lines()) == 3, 120, lambda: str(lines()))
    emulator.job(name).write_log("~ epoch 4")
    emulator.job(name).complete()
    rest.wait_for_run(dag_id, run_id)
    assert lines() == [f"~ epoch {number}" for number in (1, 2, 3, 4)]


@both_ways
def test_marking_the_task_failed_cancels_its_job(
    rest: AirflowRest, emulator: Emulator, outsider: Outsider, way: str
) -> None:
    run_id, job = start(rest, outsider, way)
    # The task has looked at its job; Airflow tells no trigger that it was killed before it ran.
    emulator.wait_for_call("GET", f"/jobs/{job}$", count=4, timeout=60)
    rest.mark(f"job_submitted_{way}", run_id, "outlived", "failed")
    until(lambda: emulator.job(job).status in ("CancelRequested", "Canceled"), 60, lambda: "the job goes on")
    assert len(emulator.calls("POST", f"/jobs/{job}/cancel")) == 1
    assert outsider.jobs(run_id) == [job]
