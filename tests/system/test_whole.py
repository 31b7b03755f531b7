"""Outputs, a batch endpoint's default and a failed deployment as a running Airflow shows them."""

import pytest
from airflow_rest import AirflowRest

from airflow_provider_azureml.emulator import Emulator

from .conftest import Outsider

PLACE = {"location": "westeurope"}


def test_what_the_dag_says_of_an_output_is_in_its_event_and_in_azureml(
    rest: AirflowRest, emulator: Emulator, outsider: Outsider
) -> None:
    rest.wait_for_dags("outputs_described", "outputs_consumer")
    run_id = rest.trigger("outputs_described")
    rest.wait_for_run("outputs_described", run_id)
    run = rest.wait_for_run("outputs_consumer")
    (version,) = rest.xcom("outputs_consumer", run["dag_run_id"], "consume")
    assert (version["name"], version["description"]) == ("described", "made by outputs_described")
    assert version["tags"]["of"] == run_id
    there = outsider.version("models", "described", version["version"])["properties"]
    assert (there["tags"]["of"], there["description"]) == (run_id, "made by outputs_described")


@pytest.fixture
def batched(outsider: Outsider) -> None:
    """A batch endpoint with two deployments."""
    outsider.put("batchEndpoints/batched", **PLACE, authMode="AADToken")
    for name in ("v1", "v2"):
        outsider.put(f"batchEndpoints/batched/deployments/{name}", **PLACE, model=None)


def test_who_names_no_deployment_of_a_batch_endpoint_gets_the_default_that_a_task_chose(
    rest: AirflowRest, outsider: Outsider, batched: None
) -> None:
    rest.wait_for_dags("batch_default")
    for name in ("v2", "v1"):
        run_id = rest.trigger("batch_default", conf={"deployment": name})
        rest.wait_for_run("batch_default", run_id)
        assert rest.xcom("batch_default", run_id, "choose")["default_deployment"] == name
        assert rest.xcom("batch_default", run_id, "score")["tags"]["azureml.deploymentname"] == name


def test_the_log_of_a_deployment_that_fails_is_in_the_tasks(
    rest: AirflowRest, emulator: Emulator, outsider: Outsider
) -> None:
    outsider.register_model("failing", "1")
    outsider.put("onlineEndpoints/failing", **PLACE, authMode="Key")
    rest.wait_for_dags("deployment_fails")
    fails = {"operation_fails": True, "code": "BadScript", "message": "the script ends"}
    emulator.misbehave("PUT", "/onlineEndpoints/failing/deployments/blue", **fails)
    try:
        run_id = rest.trigger("deployment_fails")
        rest.wait_for_run("deployment_fails", run_id, state="failed")
    finally:
        emulator.behave()
    log = rest.log("deployment_fails", run_id, "deploy")
    assert "BadScript" in log
    assert "[InferenceServer] the script ends" in log
