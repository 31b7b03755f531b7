"""A producer whose worker dies in the middle: the retry leaves one version, announced once."""

import os
import signal
from pathlib import Path

import pytest
from airflow_rest import AirflowRest, until

from airflow_provider_azureml.emulator import Emulator

from .conftest import Outsider


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "day.csv").write_text("customer,amount\n1,2\n")
    return tmp_path


def kill_worker(rest: AirflowRest, dag_id: str, run_id: str) -> None:
    os.kill(rest.task(dag_id, run_id, "make")["pid"], signal.SIGKILL)


def test_killed_before_the_version_is_made(
    rest: AirflowRest, emulator: Emulator, outsider: Outsider, files: Path
) -> None:
    rest.wait_for_dags("data_producer", "data_consumer")
    emulator.misbehave("PUT", "/data/produced/versions/", latency=600, times=1)
    run_id = rest.trigger("data_producer", conf={"path": str(files)})
    until(lambda: emulator.calls("PUT", "/data/produced/versions/"), 60, lambda: "the version was not asked for")

    kill_worker(rest, "data_producer", run_id)

    rest.wait_for_run("data_producer", run_id)
    assert rest.task("data_producer", run_id, "make")["try_number"] == 2
    assert outsider.versions("data", "produced") == ["1"]
    made = rest.xcom("data_producer", run_id, "make")
    consumer = rest.wait_for_run("data_consumer")
    assert rest.xcom("data_consumer", consumer["dag_run_id"], "consume") == [made]


def test_killed_after_the_version_is_made_and_before_the_answer(
    rest: AirflowRest, emulator: Emulator, outsider: Outsider, files: Path
) -> None:
    rest.wait_for_dags("model_producer")
    emulator.misbehave("PUT", "/models/produced/versions/", crash=True, lose_answer=True, times=1)
    run_id = rest.trigger("model_producer", conf={"path": str(files)})
    until(lambda: not emulator.running, 60, lambda: "the version was not asked for")

    kill_worker(rest, "model_producer", run_id)
    emulator.restart()

    rest.wait_for_run("model_producer", run_id)
    assert rest.task("model_producer", run_id, "make")["try_number"] == 2
    assert outsider.versions("models", "produced") == ["1"]
    (event,) = [event for event in rest.asset_events() if event["source_run_id"] == run_id]
    assert [version["version"] for version in event["extra"]["versions"]] == ["1"]


def test_a_cleared_task_makes_a_new_version(rest: AirflowRest, outsider: Outsider, files: Path) -> None:
    rest.wait_for_dags("data_producer")
    run_id = rest.trigger("data_producer", conf={"path": str(files)})
    rest.wait_for_run("data_producer", run_id)
    before = outsider.versions("data", "produced")

    rest.clear("data_producer", run_id, "make")

    until(lambda: len(outsider.versions("data", "produced")) > len(before), 60, lambda: "no new version")
    rest.wait_for_run("data_producer", run_id)
    assert len(outsider.versions("data", "produced")) == len(before) + 1
