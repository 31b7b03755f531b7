"""What Airflow sees of operators, sensors and triggers when it parses a DAG."""

from __future__ import annotations

import json
from pydoc import locate

import pytest
from airflow.sdk import DAG, Asset

from airflow_provider_azureml.datasets import Kind, Registry, Workspace
from airflow_provider_azureml.provider.operators.compute import (
    AzureMachineLearningCreateComputeResourceOperator as CreateCompute,
)
from airflow_provider_azureml.provider.operators.data import AzureMachineLearningCreateDataOperator
from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator as CreateJob
from airflow_provider_azureml.provider.operators.model import AzureMachineLearningRegisterModelOperator
from airflow_provider_azureml.provider.rest.states import JobOutcome, job_outcome
from airflow_provider_azureml.provider.triggers.base import found_or_raise
from airflow_provider_azureml.provider.triggers.job import AzureMachineLearningJobTrigger
from airflow_provider_azureml.provider.triggers.version import AzureMachineLearningVersionTrigger
from airflow_provider_azureml.sensors import AzureMachineLearningDataVersionSensor
from airflow_provider_azureml.sensors import AzureMachineLearningJobSensor as JobSensor

WS = Workspace("12345678-1234-1234-1234-123456789abc", "ml", "fraud-prod")


def test_the_asset_is_an_outlet_beside_the_users_own():
    own = Asset("own")
    operator = AzureMachineLearningCreateDataOperator(
        task_id="t", workspace=WS, data_asset={"name": "sales", "path": "x"}, outlets=[own]
    )
    assert operator.outlets == [own, WS.data("sales")]


@pytest.mark.parametrize("model", ["model.yml", {"name": "m-{{ ds }}", "path": "x"}, dict])
def test_the_alias_is_the_outlet_where_the_name_comes_late(model):
    operator = AzureMachineLearningRegisterModelOperator(task_id="t", workspace=WS, model=model)
    assert operator.outlets == [WS.alias(Kind.MODEL)]


@pytest.mark.parametrize("make", [CreateJob, CreateJob.partial, CreateCompute, JobSensor])
def test_what_registries_do_not_have_is_refused_at_parse(make):
    spec = {"job_name": "j"} if make is JobSensor else {"compute": {}} if make is CreateCompute else {"job": {}}
    with pytest.raises(ValueError, match=r"registry 'company'.* needs a workspace"):
        make(task_id="t", workspace=Registry("company"), **spec)


def test_a_partition_key_needs_an_asset_that_is_known_at_parse():
    with pytest.raises(ValueError, match="known when the DAG is parsed"):
        AzureMachineLearningRegisterModelOperator(
            task_id="t", workspace=WS, model="model.yml", partition_by_version=True
        )


def test_without_a_workspace_nothing_is_announced():
    operator = AzureMachineLearningRegisterModelOperator(task_id="t", model={"name": "m", "path": "x"})
    assert operator.outlets == []


def test_a_name_that_cannot_be_fails_at_parse_when_it_is_an_outlet():
    with pytest.raises(ValueError, match="'m m'"):
        AzureMachineLearningRegisterModelOperator(task_id="t", workspace=WS, model={"name": "m m", "path": "x"})


def test_sensors_announce_what_they_meet():
    sensor = AzureMachineLearningDataVersionSensor(task_id="t", workspace=WS, data_name="sales")
    assert sensor.outlets == [WS.data("sales")]


def test_deferral_follows_airflows_default(monkeypatch):
    def deferrable() -> bool:
        return AzureMachineLearningDataVersionSensor(task_id="t", data_name="s").deferrable

    assert not deferrable()
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    assert deferrable()


def test_parsing_a_dag_again_gives_the_same_serialised_dag():
    """A DAG that changes on each parse gets a new version on each."""
    from airflow.serialization.serialized_objects import DagSerialization

    def parse() -> str:
        with DAG("d", schedule=[WS.data("sales")]) as dag:
            AzureMachineLearningCreateDataOperator(task_id="a", workspace=WS, data_asset={"name": "s", "path": "x"})
            AzureMachineLearningRegisterModelOperator(task_id="b", workspace=WS, model="model.yml")
            AzureMachineLearningDataVersionSensor(task_id="c", workspace=WS, data_name="s", tags={"a": "b"})
        return json.dumps(DagSerialization.serialize_dag(dag), sort_keys=True, default=str)

    assert parse() == parse()


@pytest.mark.parametrize(
    "trigger",
    [
        AzureMachineLearningJobTrigger(conn_id="c", poll_interval=60, job_name="j", fail_on_paused=True),
        AzureMachineLearningVersionTrigger(conn_id="c", poll_interval=5.0, wanted={"kind": "model", "name": "m"}),
    ],
)
def test_a_trigger_survives_airflows_database(trigger):
    path, fields = trigger.serialize()
    again = locate(path)(**json.loads(json.dumps(fields)))
    assert again.serialize() == trigger.serialize()


@pytest.mark.parametrize("name", ["JobFailedError", "TransientError", "RequestRefusedError", "AuthenticationError"])
def test_a_triggers_error_is_the_tasks_error(name):
    from airflow_provider_azureml.provider import errors

    with pytest.raises(getattr(errors, name), match=r"^why$"):
        found_or_raise({"status": "error", "error": name, "message": "why"})


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("Completed", JobOutcome.SUCCEEDED),
        ("Failed", JobOutcome.FAILED),
        ("Canceled", JobOutcome.FAILED),
        ("NotResponding", JobOutcome.SILENT),
        ("Paused", JobOutcome.PAUSED),
        ("CancelRequested", JobOutcome.RUNNING),
        ("Finalizing", JobOutcome.RUNNING),
        ("Unknown", JobOutcome.RUNNING),
        ("Hibernating", JobOutcome.UNKNOWN),
    ],
)
def test_what_a_jobs_status_means(status, outcome):
    assert job_outcome(status) is outcome
