"""The DAGs of `examples/`, played as in `make demo`."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from airflow_rest import AirflowRest, until
from azure.storage.blob import BlobServiceClient
from scenario import DemoError, outside_environment, play
from standalone import StandaloneAirflow
from timeline import Timeline

from airflow_provider_azureml.emulator import Emulator

DEMO = Path(__file__).parents[2] / "demo"


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


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux only")
def test_no_process_of_the_demo_outlives_it_when_it_is_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}  # files do outlive it
    with subprocess.Popen([sys.executable, str(DEMO)], stdout=subprocess.PIPE, text=True, env=environment) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "healthy after" in line:
                break
        processes = psutil.Process(demo.pid).children(recursive=True)
        demo.send_signal(signal.SIGKILL)
    names = [process.name() for process in processes if process.is_running()]
    assert len(processes) > 10, names
    _, left = psutil.wait_procs(processes, timeout=10)
    assert left == []


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
