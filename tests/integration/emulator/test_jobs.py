"""Jobs and run history, through the SDK itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning:azure", "ignore::DeprecationWarning")


def command(**options: Any) -> Any:
    from azure.ai.ml import command as build

    return build(**{"command": "echo hi", "environment": "azureml:env:1", "compute": "serverless", **options})


def test_a_command_job_runs_on_by_itself(ml: Any, folder: Path, azureml_emulator: Any) -> None:
    job = ml.jobs.create_or_update(command(code=str(folder), tags={"emulator.duration": "0.2"}))
    assert job.status == "Starting"

    azureml_emulator.advance(60)
    assert ml.jobs.get(job.name).status == "Completed"
    history = [status for status, _ in azureml_emulator.job(job.name).history]
    assert history == ["Starting", "Preparing", "Queued", "Running", "Finalizing", "Completed"]
    assert azureml_emulator.unknown_routes == []


def test_the_same_code_is_uploaded_once(ml: Any, folder: Path, azureml_emulator: Any) -> None:
    ml.jobs.create_or_update(command(code=str(folder)))
    first = len(azureml_emulator.calls("POST", "startPendingUpload"))
    ml.jobs.create_or_update(command(code=str(folder)))

    assert (first, len(azureml_emulator.calls("POST", "startPendingUpload"))) == (1, 1)


def test_a_driven_job_stays_where_it_is_put(ml: Any, azureml_emulator: Any) -> None:
    azureml_emulator.script_jobs([("Starting", None)])
    job = ml.jobs.create_or_update(command())
    azureml_emulator.advance(3600)
    assert ml.jobs.get(job.name).status == "Starting"

    azureml_emulator.job(job.name).set_status("Running")
    assert ml.jobs.get(job.name).status == "Running"


def test_a_script_says_how_long_each_status_lasts(ml: Any, azureml_emulator: Any) -> None:
    azureml_emulator.script_jobs([("Starting", 10), ("Running", 100), "Completed"])
    name = ml.jobs.create_or_update(command()).name

    statuses = [ml.jobs.get(name).status]
    for seconds in (11, 100):
        azureml_emulator.advance(seconds)
        statuses.append(ml.jobs.get(name).status)
    assert statuses == ["Starting", "Running", "Completed"]


def test_a_finished_job_has_outputs_and_registers_the_named_ones(
    ml: Any, azureml_emulator: Any, tmp_path: Path
) -> None:
    from azure.ai.ml import Output

    azureml_emulator.script_jobs([("Running", None)])
    outputs = {"model": Output(type="custom_model", name="fraud"), "rows": Output(type="uri_folder", name="rows")}
    job = ml.jobs.create_or_update(command(outputs=outputs))
    azureml_emulator.job(job.name).complete(files={"rows": {"part/0.csv": "1,2"}, "default": {"log.txt": b"done"}})

    assert ml.models.get("fraud", label="latest").version == "1"
    assert ml.models.get("fraud", "1").job_name == job.name
    assert ml.data.get("rows", "1").path.endswith(f"/azureml/{job.name}/rows/")
    assert set(ml.jobs.get(job.name).outputs) == {"model", "rows", "default"}


def test_an_output_of_a_finished_job_is_downloaded(ml: Any, azureml_emulator: Any, tmp_path: Path) -> None:
    from azure.ai.ml import Output

    azureml_emulator.script_jobs([("Running", None)])
    job = ml.jobs.create_or_update(command(outputs={"rows": Output(type="uri_folder")}))
    azureml_emulator.job(job.name).complete(files={"rows": {"part/0.csv": "1,2"}})
    ml.jobs.download(job.name, download_path=str(tmp_path), output_name="rows")

    assert (tmp_path / "named-outputs" / "rows" / "part" / "0.csv").read_text() == "1,2"


def test_the_reason_of_a_failure_is_in_run_history_alone(ml: Any, azureml_emulator: Any, capsys: Any) -> None:
    from azure.ai.ml.exceptions import JobException

    azureml_emulator.script_jobs([("Running", None)])
    name = ml.jobs.create_or_update(command()).name
    azureml_emulator.job(name).fail("UserError", "the script ended with 1")

    assert ml.jobs.get(name).status == "Failed"
    with pytest.raises(JobException, match="the script ended with 1"):
        ml.jobs.stream(name)


def test_a_job_is_cancelled(ml: Any, azureml_emulator: Any) -> None:
    azureml_emulator.script_jobs([("Running", None)])
    name = ml.jobs.create_or_update(command()).name
    poller = ml.jobs.begin_cancel(name)
    azureml_emulator.advance(5)
    poller.result()

    assert ml.jobs.get(name).status == "Canceled"


def test_jobs_are_listed_newest_first_and_by_tag(ml: Any) -> None:
    names = [ml.jobs.create_or_update(command(tags={"n": str(n)})).name for n in range(2)]

    assert [job.name for job in ml.jobs.list()] == names[::-1]
    assert [job.name for job in ml.jobs.list(tag="n=0")] == names[:1]


def test_a_job_is_changed_in_run_history(ml: Any, azureml_emulator: Any) -> None:
    job = ml.jobs.get(ml.jobs.create_or_update(command(tags={"a": "1"})).name)
    job.tags = {"b": "2"}
    job.display_name = "renamed"

    changed = ml.jobs.create_or_update(job)
    assert (changed.display_name, changed.tags) == ("renamed", {"a": "1", "b": "2"})
    assert not ml.jobs.show_services(job.name)
    assert azureml_emulator.unknown_routes == []


def test_an_archived_job_is_hidden(ml: Any, azureml_emulator: Any) -> None:
    name = ml.jobs.create_or_update(command()).name
    ml.jobs.archive(name)
    assert azureml_emulator.unknown_routes == []

    assert list(ml.jobs.list()) == []
    assert ml.jobs.get(name).name == name


def test_a_missing_job_is_not_found(ml: Any) -> None:
    with pytest.raises(ResourceNotFoundError, match="Job nothing not found"):
        ml.jobs.get("nothing")


async def test_run_history_tells_the_error_twice_nested(rest: Any, azureml_emulator: Any, workspace_id: str) -> None:
    azureml_emulator.script_jobs([("Running", 5), {"status": "Failed", "error": {"message": "boom"}}])
    await rest("PUT", "/jobs/j1", {"properties": {"jobType": "Command", "command": "x", "environmentId": "e"}})
    azureml_emulator.advance(6)

    discovery = (await rest("GET", "https://westeurope.api.azureml.ms/discovery")).json()
    run = (await rest("GET", f"{discovery['api']}/history/v1.0{workspace_id}/runs/j1")).json()
    assert (run["status"], run["error"]["error"]["message"], run["duration"]) == ("Failed", "boom", "00:00:05.0000000")
    assert "error" not in (await rest("GET", "/jobs/j1")).json()["properties"]


def test_a_job_that_completes_by_itself_has_bytes_in_its_named_outputs_and_logs(
    ml: Any, azureml_emulator: Any, tmp_path: Path
) -> None:
    from azure.ai.ml import Output

    azureml_emulator.script_jobs(["Completed"])
    # With models' types in the other spelling azure-ai-ml 1.35.2 fails by itself (`BatchGetResolvedUrisDto(values=)`).
    azureml_emulator.configure(answers={"output types": "uri_folder"})
    outputs = {"model": Output(type="mlflow_model", name="fraud"), "rows": Output(type="uri_folder", name="rows")}
    name = ml.jobs.create_or_update(command(outputs=outputs)).name
    for output in ("model", "default"):
        ml.jobs.download(name, download_path=str(tmp_path), output_name=output)

    assert (tmp_path / "named-outputs" / "model" / "MLmodel").read_text()
    assert (tmp_path / "artifacts" / "user_logs" / "std_log.txt").read_text().endswith("Completed\n")
    ml.jobs.download(name, download_path=str(tmp_path / "one"), output_name="rows")
    assert (tmp_path / "one" / "named-outputs" / "rows" / "part-0.csv").read_text()
    assert azureml_emulator.unknown_routes == []


def test_an_outputs_path_may_hold_the_jobs_name(ml: Any, azureml_emulator: Any, tmp_path: Path) -> None:
    from azure.ai.ml import Output

    azureml_emulator.script_jobs(["Completed"])
    # Where the SDK looks for what it downloads, and how.
    azureml_emulator.configure(answers={"registered outputs": "run", "output types": "uri_folder"})
    path = "azureml://datastores/workspaceblobstore/paths/mine/${{name}}/"
    name = ml.jobs.create_or_update(command(outputs={"rows": Output(type="uri_folder", name="rows", path=path)})).name

    assert ml.data.get("rows", "1").path.endswith(f"/datastores/workspaceblobstore/paths/mine/{name}/")
    ml.jobs.download(name, download_path=str(tmp_path), output_name="rows")
    assert (tmp_path / "named-outputs" / "rows" / "part-0.csv").exists()


def test_a_sweep_knows_its_best_trial_whose_outputs_are_downloaded(
    ml: Any, azureml_emulator: Any, tmp_path: Path
) -> None:
    from azure.ai.ml import Output
    from azure.ai.ml.sweep import Uniform

    azureml_emulator.script_jobs(["Completed"])
    azureml_emulator.configure(answers={"output types": "uri_folder"})  # the SDK's own defect: see above
    trial = command(inputs={"lr": 0.1}, outputs={"model": Output(type="mlflow_model", name="fraud")})
    sweep = trial(lr=Uniform(0.1, 0.9)).sweep(primary_metric="f1", goal="Maximize", sampling_algorithm="random")
    sweep.set_limits(max_total_trials=2)
    job = ml.jobs.get(ml.jobs.create_or_update(sweep).name)

    assert job.properties["best_child_run_id"] == f"{job.name}_0"
    ml.jobs.download(job.name, download_path=str(tmp_path), output_name="model")
    assert (tmp_path / "named-outputs" / "model" / "MLmodel").exists()


async def test_at_a_stable_api_version_outputs_have_no_asset_name_and_it_is_refused(rest: Any) -> None:
    body = {"jobType": "Command", "command": "x", "environmentId": "e"}
    outputs = {"o": {"jobOutputType": "uri_folder", "assetName": "a"}}
    refused = await rest("PUT", "/jobs/j", {"properties": {**body, "outputs": outputs}})
    assert refused.status_code == 400
    assert "Could not find member 'assetName' on object of type 'UriFolderJobOutput'" in refused.text()

    preview = {"api_version": "2024-01-01-preview"}
    assert (await rest("PUT", "/jobs/j", {"properties": {**body, "outputs": outputs}}, **preview)).status_code == 201
    shown = [(await rest("GET", "/jobs/j", **more)).json()["properties"]["outputs"]["o"] for more in ({}, preview)]
    assert shown[0].keys() == {"description", "uri", "mode", "jobOutputType"}
    assert shown[1]["assetName"] == "a"


async def test_a_name_that_is_taken_by_another_job_is_refused(rest: Any) -> None:
    body = {"jobType": "Command", "command": "x", "environmentId": "e"}
    assert (await rest("PUT", "/jobs/j", {"properties": body})).status_code == 201
    assert (await rest("PUT", "/jobs/j", {"properties": {**body, "tags": {"a": "1"}}})).status_code == 200
    refused = await rest("PUT", "/jobs/j", {"properties": {**body, "command": "y"}})
    assert refused.status_code == 400
    assert "A job with this name already exists" in refused.text()
    assert "the existing job's Command cannot be changed" in refused.text()


async def test_deleting_a_job_is_202_with_an_empty_body(rest: Any) -> None:
    await rest("PUT", "/jobs/j", {"properties": {"jobType": "Command", "command": "x", "environmentId": "e"}})
    answer = await rest("DELETE", "/jobs/j")
    assert (answer.status_code, answer.content) == (202, b"")
    assert (await rest("DELETE", "/jobs/j")).status_code == 204


async def test_lists_of_jobs_and_endpoints_are_filtered(rest: Any) -> None:
    job = {"jobType": "Command", "command": "x", "environmentId": "e"}
    for name in ("train-1", "train-2", "score-1"):
        await rest("PUT", f"/jobs/{name}", {"properties": job})
    await rest("PUT", "/onlineEndpoints/a", {"location": "westeurope", "properties": {"authMode": "Key"}})
    await rest("PUT", "/onlineEndpoints/b", {"location": "westeurope", "properties": {"authMode": "Key"}})

    async def names(path: str) -> list[str]:
        return [one["name"] for one in (await rest("GET", path)).json()["value"]]

    assert await names("/jobs?assetName=train") == ["train-2", "train-1"]
    assert await names("/jobs?scheduled=true") == []
    assert len(await names("/jobs?scheduled=false")) == 3
    assert await names("/onlineEndpoints?name=a") == ["a"]
    assert len(await names("/onlineEndpoints?count=1")) == 1


@pytest.mark.parametrize("told", ["resolved", "as sent"])
def test_a_model_made_of_a_jobs_output_downloads(ml: Any, azureml_emulator: Any, tmp_path: Path, told: str) -> None:
    from azure.ai.ml.entities import Model

    azureml_emulator.script_jobs(["Completed"])
    azureml_emulator.configure(answers={"paths of job outputs": told})
    path = f"azureml://jobs/{ml.jobs.create_or_update(command()).name}/outputs/artifacts/paths/user_logs"
    ml.models.create_or_update(Model(name="fraud", version="1", path=path))
    if told == "as sent":
        assert ml.models.get("fraud", "1").path == path
    else:
        ml.models.download("fraud", "1", download_path=str(tmp_path))
        assert list(tmp_path.rglob("std_log.txt"))
