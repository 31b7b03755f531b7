"""The DAGs of `examples/operators/`, each run once."""

import json
import uuid
from collections.abc import Callable

import pytest
from airflow_rest import AirflowRest
from standalone import StandaloneAirflow

from airflow_provider_azureml.emulator import Emulator

from .conftest import Outsider

EXAMPLES = (
    "automl_job",
    "component",
    "compute",
    "data",
    "endpoint",
    "environment",
    "parallel_job",
    "pipeline",
    "python_environment",
    "sweep_job",
)


@pytest.fixture(scope="module")
def run(airflow: StandaloneAirflow, emulator: Emulator) -> Callable[[str], str]:
    """Run an example to its end and return the run's id; with all that the examples take for granted.

    That is a cluster, a model, and a connection to a workspace in another subscription.
    """
    rest, outsider = airflow.rest, Outsider(emulator)
    outsider._put("computes/cpu", computeType="AmlCompute", properties={"vmSize": "Standard_DS3_v2"})
    outsider.register_model("flowers", "1")
    outsider.close()
    other = str(uuid.uuid4())
    emulator.grant(scope=f"/subscriptions/{other}")
    emulator.create_workspace("other", subscription_id=other)
    connection = emulator.connection_for("other")
    extra = {**connection["extra"], "subscriptionId": other}
    body = {**connection, "connection_id": "azureml_other", "extra": json.dumps(extra)}
    rest.request("POST", "connections", json=body)

    def run(name: str) -> str:
        rest.wait_for_dags(f"example_{name}")
        run_id = rest.trigger(f"example_{name}")
        rest.wait_for_run(f"example_{name}", run_id, timeout=300)
        return run_id

    return run


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(run: Callable[[str], str], name: str) -> None:
    run(name)


def test_the_job_runs_in_both_subscriptions(rest: AirflowRest, run: Callable[[str], str]) -> None:
    run_id = run("two_subscriptions")
    assert sorted(rest.task_instances("example_two_subscriptions", run_id)) == ["job[0]", "job[1]"]


def test_what_the_command_job_registers_is_announced(rest: AirflowRest, run: Callable[[str], str]) -> None:
    run_id = run("command_job")
    (event,) = [event for event in rest.asset_events() if event["source_run_id"] == run_id]
    assert [version["name"] for version in event["extra"]["versions"]] == ["flowers"]
