"""The DAGs of `examples/operators/`, each run once."""

import json
import uuid
from collections.abc import Callable

import pytest
from airflow_rest import AirflowRest
from scenario import EXAMPLES as EXAMPLES_FOLDER
from standalone import StandaloneAirflow

from airflow_provider_azureml.emulator import Emulator

from .conftest import Outsider

EXAMPLES = (
    "automl_job",
    "command_job",
    "component",
    "compute",
    "data",
    "endpoint",
    "environment",
    "parallel_job",
    "pipeline",
    "python_environment",
    "schedule",
    "sweep_job",
    "two_subscriptions",
)


@pytest.fixture(scope="module")
def started(airflow: StandaloneAirflow, emulator: Emulator) -> dict[str, str]:
    """All examples, started side by side, with what they take for granted: name -> id of the run.

    That is a cluster, a model, and a connection to a workspace in another subscription.
    """
    rest, outsider = airflow.rest, Outsider(emulator)
    outsider.put("computes/cpu", computeType="AmlCompute", properties={"vmSize": "Standard_DS3_v2"})
    outsider.register_model("flowers", "1")
    outsider.close()
    other = str(uuid.uuid4())
    emulator.grant(scope=f"/subscriptions/{other}")
    emulator.create_workspace("other", subscription_id=other)
    connection = emulator.connection_for("other")
    extra = {**connection["extra"], "subscriptionId": other}
    body = {**connection, "connection_id": "azureml_other", "extra": json.dumps(extra)}
    rest.request("POST", "connections", json=body)
    rest.wait_for_dags(*(f"example_{name}" for name in EXAMPLES))
    return {name: rest.trigger(f"example_{name}") for name in EXAMPLES}


@pytest.fixture
def finished(rest: AirflowRest, started: dict[str, str]) -> Callable[[str], str]:
    """Wait until an example has succeeded and return the id of its run."""

    def wait(name: str) -> str:
        rest.wait_for_run(f"example_{name}", started[name], timeout=300)
        return started[name]

    return wait


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(finished: Callable[[str], str], name: str) -> None:
    finished(name)


def test_no_example_is_left_out() -> None:
    assert {path.stem for path in (EXAMPLES_FOLDER / "operators").glob("*.py")} == set(EXAMPLES)


def test_the_job_runs_in_both_subscriptions(rest: AirflowRest, finished: Callable[[str], str]) -> None:
    run_id = finished("two_subscriptions")
    assert sorted(rest.task_instances("example_two_subscriptions", run_id)) == ["job[0]", "job[1]"]


def test_what_the_command_job_registers_is_announced(rest: AirflowRest, finished: Callable[[str], str]) -> None:
    run_id = finished("command_job")
    (event,) = [event for event in rest.asset_events() if event["source_run_id"] == run_id]
    assert [version["name"] for version in event["extra"]["versions"]] == ["flowers"]
