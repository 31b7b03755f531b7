"""What is wrong in a DAG file and can be seen there: an import error that says what, not a task that fails or waits."""

from __future__ import annotations

from argparse import Namespace
from datetime import timedelta

import pytest
from airflow.sdk import DAG

from airflow_provider_azureml.datasets import Registry, Workspace
from airflow_provider_azureml.provider.cli.watchers import replay
from airflow_provider_azureml.provider.errors import SpecError
from airflow_provider_azureml.provider.operators.batch import AzureMachineLearningInvokeBatchEndpointOperator as Batch
from airflow_provider_azureml.provider.operators.compute import (
    AzureMachineLearningCreateComputeResourceOperator as CreateCompute,
)
from airflow_provider_azureml.provider.operators.compute import (
    AzureMachineLearningDeleteComputeResourceOperator as DeleteCompute,
)
from airflow_provider_azureml.provider.operators.compute import AzureMachineLearningStopComputeOperator as StopCompute
from airflow_provider_azureml.provider.operators.data import AzureMachineLearningCreateDataOperator as CreateData
from airflow_provider_azureml.provider.operators.endpoint import (
    AzureMachineLearningDeleteEndpointOperator as DeleteEndpoint,
)
from airflow_provider_azureml.provider.operators.invoke import (
    AzureMachineLearningInvokeOnlineEndpointOperator as Invoke,
)
from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator as CreateJob
from airflow_provider_azureml.provider.operators.schedule import (
    AzureMachineLearningTriggerScheduleOperator as TriggerSchedule,
)
from airflow_provider_azureml.provider.operators.traffic import (
    AzureMachineLearningSetEndpointTrafficOperator as SetTraffic,
)
from airflow_provider_azureml.provider.operators.version import AzureMachineLearningArchiveAssetOperator as Archive
from airflow_provider_azureml.provider.operators.version import AzureMachineLearningSetTagsOperator as SetTags
from airflow_provider_azureml.sensors import AzureMachineLearningComputeSensor as ComputeSensor
from airflow_provider_azureml.sensors import AzureMachineLearningDataVersionSensor as DataSensor
from airflow_provider_azureml.sensors import AzureMachineLearningEndpointSensor as EndpointSensor
from airflow_provider_azureml.sensors import AzureMachineLearningJobSensor as JobSensor
from airflow_provider_azureml.sensors import AzureMachineLearningModelVersionSensor as ModelSensor
from airflow_provider_azureml.sensors import watch

WS = Workspace("12345678-1234-1234-1234-123456789abc", "ml", "fraud-prod")
JOB = {"command": "echo", "environment": "azureml:e:1", "compute": "azureml:cpu"}
FRAUD = {"kind": "model", "asset_name": "fraud", "version": 1}
NAME_RULE = "A-Z a-z 0-9 _ - ."


class Thing:
    """A Python object that got into a DAG's arguments by mistake."""


@pytest.mark.parametrize(
    ("operator", "arguments", "words"),
    [
        (ModelSensor, {"model_name": "my model"}, ["model's name 'my model' is invalid", NAME_RULE]),
        (ModelSensor, {"model_name": "models/fraud"}, ["'models/fraud'", NAME_RULE]),
        (ModelSensor, {"model_name": "azureml:fraud:3"}, ["Leave out 'azureml:' and the version"]),
        (ModelSensor, {"model_name": "x" * 256}, ["1 to 255"]),
        (ModelSensor, {"model_name": ""}, ["model's name is ''"]),
        (ModelSensor, {"model_name": None}, ["model's name is None", "XCom"]),
        (ModelSensor, {"model_name": 7}, ["model's name is given as int"]),
        (ModelSensor, {"model_name": "fraud", "tags": "a=b"}, ["tags must be a mapping", "'a=b'"]),
        (ModelSensor, {"model_name": "fraud", "tags": ["a"]}, ["tags must be a mapping", "['a']"]),
        (ModelSensor, {"model_name": "fraud", "tags": {"stage": None}}, ["tag 'stage' is None"]),
        (ModelSensor, {"model_name": "fraud", "tags": {5: "x"}}, ["5 is no name of a tag"]),
        (
            ModelSensor,
            {"model_name": "fraud", "tags": "{{ }}", "workspace": "fraud-prod"},
            ["workspace is 'fraud-prod'"],
        ),
        (ModelSensor, {"model_name": "fraud", "workspace": "x"}, ["workspace is 'x'"]),
        (ModelSensor, {"model_name": "fraud", "deferrable": "no"}, ["deferrable is 'no'", "True or False"]),
        (ModelSensor, {"model_name": "fraud", "conn_id": None}, ["conn_id is None"]),
        (DataSensor, {"data_name": "sales of may"}, ["data asset's name 'sales of may'"]),
        (JobSensor, {"job_name": "My training run"}, ["job's name 'My training run'"]),
        (JobSensor, {"job_name": "https://ml.azure.com/runs/x"}, ["job's name 'https://"]),
        (JobSensor, {"job_name": "j", "not_responding_grace": -1}, ["not_responding_grace is -1"]),
        (JobSensor, {"job_name": "j", "workspace": Registry("shared")}, ["registry 'shared'", "needs a workspace"]),
        (JobSensor, {"job_name": "j", "fail_on_paused": "false"}, ["fail_on_paused is 'false'"]),
        (ComputeSensor, {"compute_name": "my cpu"}, ["compute's name 'my cpu'"]),
        (ComputeSensor, {"compute_name": "cpu", "state": "on"}, ["state is 'on'", "'Running'"]),
        (EndpointSensor, {"endpoint_name": "e p"}, ["endpoint's name 'e p'"]),
        (EndpointSensor, {"endpoint_name": "ep", "deployment_name": ""}, ["deployment's name is ''"]),
        (EndpointSensor, {"endpoint_name": "ep", "endpoint_type": "real"}, ["endpoint_type is 'real'"]),
        (SetTags, {**FRAUD, "tags": "a=b"}, ["tags must be a mapping", "'a=b'"]),
        (SetTags, {**FRAUD, "tags": None}, ["tags must be a mapping"]),
        (SetTags, {**FRAUD, "tags": {"": "x"}}, ["'' is no name of a tag"]),
        (SetTags, {**FRAUD, "tags": {}, "version": None}, ["version is None"]),
        (SetTags, {**FRAUD, "tags": {}, "version": "latest"}, ["'latest'", "positive integers"]),
        (SetTags, {**FRAUD, "tags": {}, "version": 1.5}, ["'1.5'", "positive integers"]),
        (SetTags, {**FRAUD, "tags": {}, "kind": "models"}, ["kind is 'models'", "'model' or 'data'"]),
        (SetTags, {**FRAUD, "tags": {}, "asset_name": "my fraud"}, ["model's name 'my fraud'"]),
        (Archive, {**FRAUD, "kind": "data", "version": "a b"}, ["'a b' is invalid as a version"]),
        (SetTraffic, {"endpoint_name": "ep", "traffic": {"a": 50, "b": 40}}, ["adds up to 90", "not to 100"]),
        (SetTraffic, {"endpoint_name": "ep", "traffic": {"a": 150, "b": -50}}, ["negative for b"]),
        (SetTraffic, {"endpoint_name": "ep", "traffic": {"a": 50.5, "b": 49.5}}, ["whole percentages"]),
        (SetTraffic, {"endpoint_name": "ep", "traffic": {"a": True}}, ["whole percentages"]),
        (SetTraffic, {"endpoint_name": "ep", "traffic": "a=100"}, ["must map deployments"]),
        (SetTraffic, {"endpoint_name": "ep", "traffic": None}, ["must map deployments"]),
        (SetTraffic, {"endpoint_name": "ep", "traffic": {"a b": 100}}, ["deployment's name 'a b'"]),
        (SetTraffic, {"endpoint_name": "ep", "traffic": {"a": 100}, "step": True}, ["step is True"]),
        (Invoke, {"endpoint_name": "e/p", "request": {}}, ["endpoint's name 'e/p'"]),
        (Invoke, {"endpoint_name": "ep", "request": {}, "timeout": 0}, ["timeout is 0"]),
        (Batch, {"endpoint_name": "", "inputs": {}}, ["endpoint's name is ''"]),
        (StopCompute, {"compute_name": "my box"}, ["compute's name 'my box'"]),
        (DeleteCompute, {"compute_name": None}, ["compute's name is None"]),
        (DeleteCompute, {"compute_name": "cpu", "if_missing": "skip"}, ["if_missing is 'skip'"]),
        (DeleteEndpoint, {"endpoint_name": "ep", "deployment_name": ""}, ["deployment's name is ''"]),
        (TriggerSchedule, {"schedule_name": "every night"}, ["schedule's name 'every night'"]),
        (CreateCompute, {"compute": {}, "waiting": "false"}, ["waiting is 'false'", "True or False"]),
        (CreateCompute, {"compute": {}, "timeout": "1h"}, ["timeout is '1h'", "seconds"]),
        (CreateCompute, {"compute": {}, "timeout": timedelta(hours=1)}, ["timeout is", "seconds"]),
        (CreateCompute, {"compute": {}, "on_difference": "ask"}, ["on_difference is 'ask'"]),
        (CreateJob, {"job": JOB, "not_responding_grace": None}, ["not_responding_grace is None"]),
        (CreateJob, {"job": JOB, "workspace": str(WS.id)}, ["workspace is '/subscriptions/"]),
        (CreateJob, {"job": JOB, "conn_id": ""}, ["conn_id is ''"]),
        (CreateData, {"data_asset": {}, "if_unchanged": "skip"}, ["if_unchanged is 'skip'"]),
        (CreateData, {"data_asset": {}, "workspace": "fraud-prod"}, ["workspace is 'fraud-prod'"]),
    ],
)
def test_it_is_an_import_error_that_says_what_is_wrong(operator, arguments, words):
    with DAG("d", schedule=None), pytest.raises(SpecError) as caught:
        operator(task_id="t", **arguments)
    for word in words:
        assert word in str(caught.value)


def test_a_mapped_task_is_told_too_that_its_workspace_is_none():
    with DAG("d", schedule=None), pytest.raises(SpecError, match="workspace is 'fraud-prod'"):
        CreateData.partial(task_id="t", workspace="fraud-prod")


@pytest.mark.parametrize(
    ("operator", "arguments"),
    [
        (ModelSensor, {"model_name": "{{ params.model }}", "tags": {"stage": "{{ params.stage }}"}, "workspace": WS}),
        (ModelSensor, {"model_name": "fraud", "tags": "{{ params.tags }}"}),
        (JobSensor, {"job_name": "{{ ti.xcom_pull('train')['name'] }}"}),
        (SetTraffic, {"endpoint_name": "ep", "traffic": {"blue": "{{ 100 - params.share }}", "green": 10}}),
        (SetTraffic, {"endpoint_name": "ep", "traffic": "{{ params.traffic }}"}),
        (SetTags, {**FRAUD, "version": "{{ ti.xcom_pull('register')['version'] }}", "tags": {"old": None}}),
        (DeleteEndpoint, {"endpoint_name": "{{ params.e }}", "deployment_name": "{{ params.d }}"}),
    ],
)
def test_what_a_template_may_make_right_is_left_to_the_run(operator, arguments):
    with DAG("d", schedule=None):
        operator(task_id="t", **arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tags": "a=b"}, ["tags must be a mapping"]),
        ({"tags": {"stage": None}}, ["tag 'stage' is None"]),
        ({"tags": {"stage": "{{ params.stage }}"}}, ["'{{ params.stage }}' is a template"]),
        ({"conn_id": ""}, ["conn_id is ''"]),
        ({"conn_id": "{{ var.value.c }}"}, ["is a template"]),
        ({"poll_interval": "60"}, ["poll_interval is '60'"]),
        ({"poll_interval": float("nan")}, ["poll_interval is nan"]),
        ({"asset": WS.experiment("e"), "statuses": "Completed"}, ["it is a list, such as ['Completed']"]),
        ({"asset": "azureml:fraud"}, ["not 'azureml:fraud'"]),
    ],
)
def test_watch_says_what_is_wrong(arguments, words):
    with pytest.raises(ValueError, match=r".") as caught:
        watch(**{"asset": WS.model("fraud"), "conn_id": "azureml", **arguments})
    for word in words:
        assert word in str(caught.value)


def test_a_signature_in_a_queues_address_is_not_repeated_in_the_error():
    with pytest.raises(ValueError, match="it looks like https://ACCOUNT") as caught:
        watch(WS.model("fraud"), conn_id="c", event_queue="https://account.queue.core.windows.net/events?sig=SECRET")
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("since", "version", "words"),
    [
        (None, None, "Give --since or --from-version"),
        ("2026-11-24", "7", "one of them"),
        ("yesterday", None, "--since is 'yesterday'; it looks like 2026-11-24T06:00:00"),
    ],
)
def test_a_replay_is_asked_for_in_one_way(since, version, words):
    with pytest.raises(SystemExit, match=words):
        replay(Namespace(asset="models/fraud", since=since, from_version=version))
