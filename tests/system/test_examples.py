"""The DAGs of `examples/`, played as in `make demo`."""

from pathlib import Path

import pytest
from airflow_rest import AirflowRest, until
from azure.storage.blob import BlobServiceClient
from scenario import DemoError, outside_environment, play
from standalone import StandaloneAirflow
from timeline import Timeline

from airflow_provider_azureml.emulator import Emulator

from .conftest import Outsider


@pytest.fixture(scope="module")
def played(
    airflow: StandaloneAirflow, emulator: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> StandaloneAirflow:
    play(airflow, outside_environment(emulator), tmp_path_factory.mktemp("demo"), Timeline())
    return airflow


def test_the_data_starts_train_and_the_model_starts_deploy_each_knowing_its_version(played: StandaloneAirflow) -> None:
    rest = played.rest
    assert results(rest, "train", "train") == ["sales:1 fetched back, 3 files, bytes as published"]
    assert results(rest, "deploy", "roll_out") == [
        "fraud:1 fetched back, 2 files, bytes as published",
        "fraud:2 fetched back, 1 files, bytes as published",
    ]


def test_the_waiting_dag_meets_the_job_and_the_version_that_somebody_else_made(played: StandaloneAirflow) -> None:
    (run,) = played.rest.runs("wait")
    job, version = (played.rest.xcom("wait", run["dag_run_id"], task_id) for task_id in ("job", "version"))
    assert job["status"] == "Completed"
    assert (version["name"], version["version"]) == ("fraud", "2")
    assert version["tags"]["job"] == job["name"]


def test_a_message_in_the_event_queue_makes_a_watcher_look_that_polls_each_quarter_of_an_hour(
    played: StandaloneAirflow, outsider: Outsider
) -> None:
    played.rest.wait_for_dags("evaluate")
    outsider.register_model("churn", "1")
    played.rest.wait_for_run("evaluate", timeout=120)
    assert results(played.rest, "evaluate", "evaluate") == ["churn:1"]


def test_the_examples_notice_bytes_that_are_not_those_that_were_published(
    played: StandaloneAirflow, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    rest = played.rest
    (run,) = rest.runs("train")
    (event,) = rest.upstream_asset_events("train", run["dag_run_id"])
    (version,) = event["extra"]["versions"]
    overwrite_one_blob(emulator, below=version["path"].split("/paths/")[1])

    rest.clear("train", run["dag_run_id"], "train")

    until(lambda: rest.run("train", run["dag_run_id"])["state"] == "failed", 60, lambda: "train did not fail")
    assert "sales:1 in storage is not what was published" in rest.log("train", run["dag_run_id"], "train")


def test_the_demo_fails_with_the_log_of_the_task_that_failed(
    played: StandaloneAirflow, emulator: Emulator, tmp_path: Path
) -> None:
    emulator.misbehave("PUT", "/data/sales/versions/", status=403, code="AuthorizationFailed", message="not you")
    try:
        with pytest.raises(DemoError, match=r"(?s)publish\.upload.*not you"):
            play(played, outside_environment(emulator), tmp_path, Timeline())
    finally:
        emulator.behave()


def results(rest: AirflowRest, dag_id: str, task_id: str) -> list[str]:
    """What a task returned in all runs of its DAG."""
    return [text for run in rest.runs(dag_id) for text in rest.xcom(dag_id, run["dag_run_id"], task_id)]


def overwrite_one_blob(emulator: Emulator, *, below: str) -> None:
    """Change bytes in storage behind everybody's back."""
    account = f"https://{emulator.storage_account}.blob.core.windows.net"
    with BlobServiceClient(account, credential=emulator.storage_key) as storage:
        for container in storage.list_containers():
            blobs = storage.get_container_client(container)
            if names := list(blobs.list_blob_names(name_starts_with=below)):
                blobs.upload_blob(names[0], b"tampered", overwrite=True)
                return
    raise AssertionError(f"no blob below {below}")
