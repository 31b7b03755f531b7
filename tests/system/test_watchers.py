"""Watchers in a running Airflow: models that somebody outside registers start DAGs, also through hardship."""

import random
from collections import Counter

import pytest
from airflow_rest import AirflowRest, Json, until
from standalone import StandaloneAirflow

from airflow_provider_azureml.datasets import Workspace
from airflow_provider_azureml.emulator import Emulator
from airflow_provider_azureml.sensors import watch

from .conftest import Outsider


@pytest.fixture
def workspace(emulator: Emulator) -> Workspace:
    return Workspace(emulator.subscription_id, emulator.resource_group, emulator.workspace_name)


def announced(rest: AirflowRest, uri: str) -> list[str]:
    """The versions in a watched asset's events, in the order of the events."""
    events: list[Json] = rest.asset_events(uri)
    return [version["version"] for event in events for version in event["extra"]["payload"]["versions"]]


def wait_until_watching(airflow: StandaloneAirflow, emulator: Emulator) -> None:
    """Wait for two polls: the first one takes what is there as known."""
    last = max((call["number"] for call in emulator.calls()), default=0)
    emulator.wait_for_call("GET", "/models$", count=2, after=last, timeout=60)


def test_a_model_registered_outside_starts_the_dag_that_watches_it(
    airflow: StandaloneAirflow, rest: AirflowRest, emulator: Emulator, outsider: Outsider
) -> None:
    rest.wait_for_dags("watch_any", "watch_promoted")
    wait_until_watching(airflow, emulator)

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


def test_no_version_is_lost_while_the_triggerer_is_killed_and_the_consumer_is_paused(
    airflow: StandaloneAirflow, rest: AirflowRest, emulator: Emulator, outsider: Outsider, workspace: Workspace
) -> None:
    rest.wait_for_dags("watch_hardship")
    uri = watch(workspace.model("hardship"), conn_id="azureml").uri
    wait_until_watching(airflow, emulator)
    chance = random.Random(7)
    made: list[str] = []

    def register(count: int) -> None:
        for _ in range(count):
            made.append(str(len(made) + 1))
            outsider.register_model("hardship", made[-1])

    for _ in range(3):
        register(chance.randint(1, 4))
        # Killed before, while or after the poll that finds them.
        emulator.wait_for_call("GET", "/hardship/versions", count=chance.randint(0, 1), timeout=60)
        airflow.kill_component("triggerer")
        register(chance.randint(0, 2))
        airflow.start_component("triggerer")
    until(lambda: set(announced(rest, uri)) >= set(made), 120, lambda: f"of {made} only {announced(rest, uri)}")

    rest.pause("watch_hardship")
    register(2)
    rest.pause("watch_hardship", paused=False)
    emulator.kill()
    emulator.restart()
    register(1)
    until(lambda: set(announced(rest, uri)) >= set(made), 120, lambda: f"of {made} only {announced(rest, uri)}")

    repeats = sum(Counter(announced(rest, uri)).values()) - len(made)
    print(f"{len(made)} versions, 3 kills of the triggerer: none lost, {repeats} announced again")
