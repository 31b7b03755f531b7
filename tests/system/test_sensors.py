"""Sensors in a running Airflow: deferred, resumed, failed, skipped, timed out."""

import pytest
from airflow_rest import AirflowRest
from standalone import StandaloneAirflow

from airflow_provider_azureml.emulator import Emulator

from .conftest import Outsider


@pytest.fixture(autouse=True)
def _jobs_stay_where_they_are_put(emulator: Emulator) -> None:
    emulator.script_jobs([("Running", None)], name="^sensed-")


def start(rest: AirflowRest, dag_id: str, job_name: str) -> str:
    rest.wait_for_dags(dag_id)
    return rest.trigger(dag_id, conf={"job_name": job_name})


def test_a_deferred_sensor_resumes_when_the_job_completes_and_returns_its_facts(
    rest: AirflowRest, emulator: Emulator, outsider: Outsider
) -> None:
    job = outsider.submit_job("sensed-completes")
    run_id = start(rest, "job_deferred", job)
    rest.wait_for_task("job_deferred", run_id, "sense", state="deferred")

    emulator.job(job).complete()

    rest.wait_for_run("job_deferred", run_id)
    facts = rest.xcom("job_deferred", run_id, "sense")
    assert (facts["name"], facts["status"]) == (job, "Completed")
    assert rest.task("job_deferred", run_id, "sense")["try_number"] == 1


def test_airflows_database_holds_no_secret_while_a_sensor_is_deferred(
    airflow: StandaloneAirflow, rest: AirflowRest, emulator: Emulator, outsider: Outsider
) -> None:
    job = outsider.submit_job("sensed-secretly")
    run_id = start(rest, "job_deferred", job)
    rest.wait_for_task("job_deferred", run_id, "sense", state="deferred")

    stored = b"".join(file.read_bytes() for file in airflow.home.glob("airflow.db*"))
    assert job.encode() in stored
    assert emulator.client_secret.encode() not in stored

    emulator.job(job).complete()
    rest.wait_for_run("job_deferred", run_id)


def test_a_sensor_that_is_not_deferrable_pokes(rest: AirflowRest, emulator: Emulator, outsider: Outsider) -> None:
    job = outsider.submit_job("sensed-poked")
    emulator.clear_calls()
    run_id = start(rest, "job_poked", job)
    emulator.wait_for_call("GET", f"/jobs/{job}$", count=2, timeout=60)
    assert rest.task("job_poked", run_id, "sense")["state"] == "running"

    emulator.job(job).complete()

    rest.wait_for_run("job_poked", run_id)
    assert rest.xcom("job_poked", run_id, "sense")["status"] == "Completed"


def test_a_failed_job_fails_the_task_with_the_services_reason_in_its_log(
    rest: AirflowRest, emulator: Emulator, outsider: Outsider
) -> None:
    job = outsider.submit_job("sensed-fails")
    run_id = start(rest, "job_deferred", job)
    rest.wait_for_task("job_deferred", run_id, "sense", state="deferred")

    emulator.job(job).fail("UserError", "CUDA out of memory on node 3")

    rest.wait_for_run("job_deferred", run_id, state="failed")
    assert "CUDA out of memory on node 3" in rest.log("job_deferred", run_id, "sense")


def test_with_soft_fail_a_failed_job_skips_the_task(rest: AirflowRest, emulator: Emulator, outsider: Outsider) -> None:
    job = outsider.submit_job("sensed-fails-softly")
    run_id = start(rest, "job_soft_fail", job)
    rest.wait_for_task("job_soft_fail", run_id, "sense", state="deferred")

    emulator.job(job).fail("UserError", "CUDA out of memory on node 3")

    rest.wait_for_task("job_soft_fail", run_id, "sense", state="skipped")
    assert "CUDA out of memory on node 3" in rest.log("job_soft_fail", run_id, "sense")


def test_a_timeout_fails_the_task_and_is_not_retried(rest: AirflowRest, outsider: Outsider) -> None:
    job = outsider.submit_job("sensed-too-long")
    run_id = start(rest, "job_timeout", job)

    task = rest.wait_for_task("job_timeout", run_id, "sense", state="failed")

    assert task["try_number"] == 1
    assert "AirflowSensorTimeout" in rest.log("job_timeout", run_id, "sense")


def test_with_soft_fail_a_timeout_skips_the_task(rest: AirflowRest, outsider: Outsider) -> None:
    job = outsider.submit_job("sensed-too-long-softly")
    run_id = start(rest, "job_timeout_soft_fail", job)
    rest.wait_for_task("job_timeout_soft_fail", run_id, "sense", state="skipped")


def test_a_model_sensor_waits_for_a_new_version_with_the_tags_and_announces_it(
    rest: AirflowRest, outsider: Outsider
) -> None:
    outsider.register_model("sensed", "1", stage="production")
    rest.wait_for_dags("model_deferred", "model_consumer")
    run_id = rest.trigger("model_deferred")
    rest.wait_for_task("model_deferred", run_id, "sense", state="deferred")

    outsider.register_model("sensed", "2", stage="testing")
    outsider.register_model("sensed", "3", stage="production")

    rest.wait_for_run("model_deferred", run_id)
    found = rest.xcom("model_deferred", run_id, "sense")
    assert (found["name"], found["version"]) == ("sensed", "3")
    consumer = rest.wait_for_run("model_consumer")
    assert rest.xcom("model_consumer", consumer["dag_run_id"], "consume") == [found]
