"""What the other system tests rely on: Airflow runs, its parts can be killed, its failures are told."""

from pathlib import Path

import pytest
from airflow_rest import AirflowError, AirflowRest
from standalone import COMPONENTS, StandaloneAirflow


def test_every_dag_file_can_be_imported(rest: AirflowRest) -> None:
    rest.wait_for_dags("plain_producer", "plain_consumer")
    assert rest.import_errors() == {}


def test_an_asset_event_with_its_extra_starts_the_consumer(rest: AirflowRest) -> None:
    run_id = rest.trigger("plain_producer")
    rest.wait_for_run("plain_producer", run_id)

    consumer = rest.wait_for_run("plain_consumer")

    assert consumer["run_type"] == "asset_triggered"
    assert rest.xcom("plain_consumer", consumer["dag_run_id"], "consume") == [{"version": "7"}]
    (event,) = rest.asset_events("x-plain://asset")
    assert (event["source_dag_id"], event["source_run_id"]) == ("plain_producer", run_id)


def test_a_failed_run_is_an_error_that_holds_the_log_of_the_failed_task(rest: AirflowRest) -> None:
    run_id = rest.trigger("plain_failure")
    with pytest.raises(AirflowError, match=r"(?s)plain_failure\.fail.*ZeroDivisionError: division by zero"):
        rest.wait_for_run("plain_failure", run_id)


def test_the_triggerer_can_be_killed_and_replaced(airflow: StandaloneAirflow) -> None:
    killed = airflow.component("triggerer").processes
    airflow.restart_component("triggerer")
    assert not [process for process in killed if process.is_running()]
    assert airflow.component("triggerer").processes


def test_a_component_that_ends_is_reported_with_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StandaloneAirflow, "_create_database", lambda self: None)
    broken = StandaloneAirflow(tmp_path, components={"triggerer": COMPONENTS["triggerer"]})
    with pytest.raises(RuntimeError, match=r"(?s)ended: .*airflow db migrate"):
        broken.start()
    assert not broken.home.exists()
