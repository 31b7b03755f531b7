"""The example `dev_to_prod`: from one workspace through a registry into another, and back when the smoke test fails."""

import json

import pytest
from airflow_rest import AirflowRest, until

from airflow_provider_azureml.emulator import Emulator

from .conftest import Outsider


@pytest.fixture
def trainers(emulator: Emulator, rest: AirflowRest) -> Outsider:
    """Those who train models in the workspace `fraud-dev`, to which Airflow has a connection."""
    connection = emulator.connection_for(emulator.create_workspace("fraud-dev"))
    body = {**connection, "connection_id": "azureml_dev", "extra": json.dumps(connection["extra"])}
    rest.request("POST", "connections", json=body)
    return Outsider(emulator, "fraud-dev")


def share(rest: AirflowRest, trainers: Outsider, version: str) -> None:
    trainers.register_model("credit", version)
    rest.wait_for_run("share_credit", rest.trigger("share_credit", conf={"version": version}), timeout=120)


def wait_for_deployment(rest: AirflowRest, number: int, state: str) -> str:
    """Wait for the end of a run of the deploying DAG; return its id."""
    runs = until(lambda: rest.runs("deploy_credit")[number - 1 :], 120, lambda: "nothing was deployed")
    return str(rest.wait_for_run("deploy_credit", runs[0]["dag_run_id"], state=state)["dag_run_id"])


def test_a_version_goes_from_dev_to_prod_and_one_that_fails_is_taken_back(
    rest: AirflowRest, emulator: Emulator, outsider: Outsider, trainers: Outsider
) -> None:
    def traffic() -> dict[str, int]:
        endpoint = outsider.find("onlineEndpoints/credit")
        assert endpoint is not None
        return {name: share for name, share in endpoint["properties"]["traffic"].items() if share}

    rest.wait_for_dags("share_credit", "deploy_credit")
    emulator.wait_for_call("GET", "/registries/shared/models", count=2, timeout=120)

    share(rest, trainers, "1")
    first = wait_for_deployment(rest, 1, "success")
    assert (
        rest.xcom("deploy_credit", first, "choose")["model"] == "azureml://registries/shared/models/credit/versions/1"
    )
    assert rest.task("deploy_credit", first, "roll_back")["state"] == "skipped"
    assert traffic() == {"version-1": 100}

    emulator.misbehave("POST", "/score$", status=424, message="the model does not load")
    try:
        share(rest, trainers, "2")
        second = wait_for_deployment(rest, 2, "failed")
    finally:
        emulator.behave()
        trainers.close()
    states = {name: task["state"] for name, task in rest.task_instances("deploy_credit", second).items()}
    assert (states["roll_out"], states["smoke_test"], states["roll_back"]) == ("success", "failed", "success")
    assert traffic() == {"version-1": 100}, "the version that served before serves again"
