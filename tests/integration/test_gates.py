"""A version, in event and XCom, with the metrics of the job that made it: what a gate before production reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_azureml.datasets import Registry
from airflow_provider_azureml.provider.errors import SpecError
from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator as CreateJob
from airflow_provider_azureml.provider.operators.model import AzureMachineLearningRegisterModelOperator as RegisterModel
from airflow_provider_azureml.provider.rest.run_history import RunHistory
from airflow_provider_azureml.sensors import AzureMachineLearningModelVersionSensor as ModelVersionSensor
from airflow_provider_azureml.sensors import watch

ENVIRONMENT = "azureml://registries/azureml/environments/sklearn/versions/1"


@pytest.fixture
def measured(submit: Any, azureml_emulator: Any) -> Any:
    """Somebody's job that has logged metrics: `measured(f1=0.9)` returns its name."""

    def run(**metrics: float) -> str:
        name: str = submit(["Running"])
        azureml_emulator.job(name).complete(metrics=metrics)
        return name

    return run


def model_of(job: str, **more: Any) -> dict[str, Any]:
    path = f"azureml://jobs/{job}/outputs/artifacts/paths/model/"
    return {"name": "fraud", "type": "custom_model", "path": path, **more}


@pytest.mark.parametrize("wanted", [True, False])
def test_a_registered_version_has_them_if_asked_and_costs_no_read_if_not(ws, task, measured, azureml_emulator, wanted):
    job = measured(f1=0.9)
    azureml_emulator.clear_calls()
    runner = task(RegisterModel, workspace=ws, model=model_of(job), metrics=wanted)
    found = runner.run()
    assert found["metrics"] == ({"f1": 0.9} if wanted else {})
    assert runner.announced(ws.model("fraud"))[0]["metrics"] == found["metrics"]
    assert len(azureml_emulator.calls("GET", "/mlflow/")) == (1 if wanted else 0)


def test_a_job_gives_its_metrics_to_the_versions_of_its_outputs(ws, task, azureml_emulator):
    azureml_emulator.script_jobs([{"status": "Completed", "metrics": {"f1": 0.5}}])
    outputs = {"model": {"type": "mlflow_model", "name": "fraud"}, "rows": {"type": "uri_folder", "name": "rows"}}
    spec = {"type": "command", "command": "x", "environment": ENVIRONMENT, "outputs": outputs}
    runner = task(CreateJob, workspace=ws, job=spec, waiting=True, poll_interval=0.1)
    assert runner.run()["metrics"] == {"f1": 0.5}
    for asset in (ws.model("fraud"), ws.data("rows")):
        assert runner.announced(asset)[0]["metrics"] == {"f1": 0.5}
    assert len(azureml_emulator.calls("GET", "/mlflow/")) == 1


@pytest.mark.parametrize("deferrable", [False, True], ids=["in place", "deferred"])
def test_a_sensor_gives_them(ws, task, measured, azureml_emulator, deferrable):
    azureml_emulator.configure(list_delay=0)
    task(RegisterModel, model=model_of(measured(f1=0.1))).run()
    for f1 in (0.2, 0.3):
        task(RegisterModel, model=model_of(measured(f1=f1))).run()
    sensor = task(
        ModelVersionSensor, workspace=ws, model_name="fraud", after_version=1, metrics=True, deferrable=deferrable
    )
    assert sensor.run()["metrics"] == {"f1": 0.3}
    assert [version["metrics"] for version in sensor.announced(ws.model("fraud"))] == [{"f1": 0.2}, {"f1": 0.3}]


def test_the_version_in_production_is_found_with_its_metrics(ws, task, measured, azureml_emulator):
    azureml_emulator.configure(list_delay=0)
    hook = AzureMachineLearningHook("azureml")
    assert hook.find_version("model", "fraud", metrics=True) is None
    task(RegisterModel, model=model_of(measured(f1=0.1), tags={"stage": "production"})).run()
    task(RegisterModel, model=model_of(measured(f1=0.2), tags={"stage": "test"})).run()
    found = hook.find_version("model", "fraud", tags={"stage": "production"}, metrics=True)
    assert found is not None
    assert (found.version, found.metrics) == ("1", {"f1": 0.1})


async def test_what_is_no_finite_number_is_none_as_json_has_none():
    """MLflow writes NaN as text."""

    class MLflow:
        async def _ask(self, *_: Any) -> Any:
            values = {"a": 1, "b": 0.5, "nan": "NaN", "inf": float("inf"), "none": None}
            return {"run": {"data": {"metrics": [{"key": key, "value": value} for key, value in values.items()]}}}

    found = await RunHistory.read_metrics(MLflow(), "j")  # type: ignore[arg-type]
    assert found == {"a": 1, "b": 0.5, "nan": None, "inf": None, "none": None}


def test_metrics_that_are_refused_are_said_and_missing(ws, task, measured, azureml_emulator, caplog):
    job = measured(f1=0.1)
    azureml_emulator.misbehave("GET", "/mlflow/", status=403)
    assert task(RegisterModel, model=model_of(job), metrics=True).run()["metrics"] == {}
    assert f"MLflow gave no metrics of job {job}" in caplog.text


def test_a_version_that_no_job_made_has_none(ws, task, folder):
    spec = {"name": "fraud", "type": "custom_model", "path": str(folder)}
    assert task(RegisterModel, model=spec, metrics=True).run()["metrics"] == {}


@pytest.mark.parametrize(
    "make",
    [
        lambda owner: RegisterModel(task_id="it", model=model_of("j"), workspace=owner, metrics=True),
        lambda owner: ModelVersionSensor(task_id="it", model_name="fraud", workspace=owner, metrics=True),
        lambda owner: watch(owner.model("fraud"), conn_id="azureml", metrics=True),
    ],
)
def test_of_a_registry_they_are_refused_in_the_dag_file(make):
    with pytest.raises(SpecError, match="does not tell in which workspace"):
        make(Registry("shared"))


def test_what_is_no_flag_is_refused_in_the_dag_file():
    with pytest.raises(SpecError, match="metrics is 'yes'"):
        RegisterModel(task_id="it", model=model_of("j"), metrics="yes")


def test_a_watcher_without_them_is_to_airflow_what_it_was(ws):
    plain, measured = (watch(ws.model("fraud"), conn_id="azureml", metrics=metrics) for metrics in (False, True))
    assert (plain.name, plain.uri) == (measured.name, measured.uri)
    (before,), (after,) = (
        [watcher.trigger.serialize()[1] for watcher in asset.watchers] for asset in (plain, measured)
    )
    assert "metrics" not in before
    assert json.loads(json.dumps(after))["metrics"] is True
