"""Watchers in a running Airflow: models that somebody outside registers start DAGs, also through hardship."""

import os

import pytest
from airflow_rest import AirflowRest, until
from standalone import StandaloneAirflow

from airflow_provider_azureml.datasets import Workspace
from airflow_provider_azureml.emulator import Emulator
from airflow_provider_azureml.sensors import watch

from .conftest import Outsider
from .hardship import MODEL, announced, endure, wait_until_watching


@pytest.fixture
def workspace(emulator: Emulator) -> Workspace:
    return Workspace(emulator.subscription_id, emulator.resource_group, emulator.workspace_name)


def test_a_model_registered_outside_starts_the_dag_that_watches_it(
    airflow: StandaloneAirflow, rest: AirflowRest, emulator: Emulator, outsider: Outsider
) -> None:
    rest.wait_for_dags("watch_any", "watch_promoted")
    wait_until_watching(emulator)

    outsider.register_model("watched", "1")

    run = rest.wait_for_run("watch_any")
    (version,) = rest.xcom("watch_any", run["dag_run_id"], "roll_out")
    assert (version["name"], version["version"]) == ("watched", "1")
    assert rest.runs("watch_promoted") == []

    outsider.register_model("watched", "1", stage="production")

    run = rest.wait_for_run("watch_promoted")
    (version,) = rest.xcom("watch_promoted", run["dag_run_id"], "roll_out")
    assert (version["version"], version["tags"]) == ("1", {"stage": "production"})
    assert len(rest.runs("watch_any")) == 1, "a promotion is no new version"


def test_the_example_rolls_out_what_is_promoted(rest: AirflowRest, emulator: Emulator, outsider: Outsider) -> None:
    rest.wait_for_dags("promote")
    wait_until_watching(emulator)
    outsider.register_model("fraud", "100")

    outsider.register_model("fraud", "100", stage="production")

    run = rest.wait_for_run("promote")
    assert rest.xcom("promote", run["dag_run_id"], "roll_out") == ["fraud:100"]


def test_no_version_is_lost_while_the_triggerer_is_killed(
    airflow: StandaloneAirflow, rest: AirflowRest, emulator: Emulator, outsider: Outsider, workspace: Workspace
) -> None:
    """KILLS and VERSIONS in the environment make it longer: `make hardship`."""
    uri = watch(workspace.model(MODEL), conn_id="azureml").uri
    kills, versions = int(os.environ.get("KILLS", "3")), int(os.environ.get("VERSIONS", "20"))

    outcome = endure(airflow, emulator, outsider, uri, kills=kills, versions=versions, seed=7)

    print(outcome)
    assert outcome.versions == versions
    assert outcome.lost == []


def test_a_paused_consumer_hears_of_it_when_it_goes_on(
    airflow: StandaloneAirflow, rest: AirflowRest, emulator: Emulator, outsider: Outsider, workspace: Workspace
) -> None:
    uri = watch(workspace.model("paused"), conn_id="azureml").uri
    rest.wait_for_dags("watch_paused")
    wait_until_watching(emulator)
    rest.pause("watch_paused")

    outsider.register_model("paused", "1")

    rest.pause("watch_paused", paused=False)
    until(lambda: "1" in announced(rest, uri), 60, lambda: "version 1 was not announced")
