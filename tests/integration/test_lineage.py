"""What Airflow's OpenLineage provider hears of a task when it ends."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.utils.state import TaskInstanceState

from airflow_provider_azureml.provider.operators.data import AzureMachineLearningCreateDataOperator as CreateData
from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator as CreateJob

JOB = {
    "type": "command",
    "command": "train ${{inputs.sales}} ${{inputs.depth}}",
    "environment": "azureml://registries/azureml/environments/sklearn/versions/1",
    "inputs": {"sales": {"type": "uri_folder", "path": "azureml:sales:1"}, "depth": 3},
    "outputs": {"model": {"type": "mlflow_model", "name": "fraud"}, "scores": {"type": "uri_folder"}},
}


@pytest.fixture
def extract() -> Any:
    """Ask the OpenLineage provider's own machinery about a task that has ended."""
    from airflow.providers.openlineage.extractors.manager import ExtractorManager

    def ask(runner: Any) -> Any:
        run = SimpleNamespace(run_id=runner.ti.run_id)
        return ExtractorManager().extract_metadata(run, runner.operator, TaskInstanceState.SUCCESS, runner.ti)

    return ask


def names(datasets: list[Any]) -> list[tuple[str, str, str | None]]:
    return [
        (each.namespace, each.name, each.facets["version"].datasetVersion if each.facets else None) for each in datasets
    ]


@pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "in place"])
def test_a_job_reads_versions_and_makes_versions(ws, task, folder, azureml_emulator, extract, deferrable):
    task(CreateData, data_asset={"name": "sales", "path": str(folder)}).run()
    azureml_emulator.script_jobs([("Running", 0.3), "Completed"])
    runner = task(CreateJob, job=JOB, waiting=True, poll_interval=0.1, deferrable=deferrable)
    job = runner.run()
    found = extract(runner)
    assert names(found.inputs) == [(ws.uri, "data/sales", "1")]
    model, scores = names(found.outputs)
    assert model == (ws.uri, "models/fraud", "1")
    assert scores[:2] == (ws.uri, f"jobs/{job['name']}/outputs/scores")
    assert found.run_facets["externalQuery"].externalQueryId == job["name"]


def test_an_upload_is_made_of_what_was_uploaded(ws, task, folder, extract):
    runner = task(CreateData, workspace=ws, data_asset={"name": "sales", "path": str(folder)})
    runner.run()
    found = extract(runner)
    assert names(found.inputs) == [("file", str(folder), None)]
    assert names(found.outputs) == [(ws.uri, "data/sales", "1")]


def test_nothing_needs_openlineage():
    program = """if True:
        import sys
        for name in ("openlineage", "airflow.providers.openlineage.extractors"):
            sys.modules[name] = None  # importing it raises ImportError
        import airflow_provider_azureml.provider.lineage
        import airflow_provider_azureml.provider.operators.job
        import airflow_provider_azureml.provider.operators.model
        import airflow_provider_azureml.sensors
        from airflow_provider_azureml.datasets.uri import create_asset"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True)
