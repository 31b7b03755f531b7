"""What is wrong and only the run of a task can know: a clear error, and nothing is changed in Azure."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_azureml.provider.errors import (
    AzureMachineLearningError,
    ConnectionConfigurationError,
    PermissionDeniedError,
)
from airflow_provider_azureml.provider.operators.batch import AzureMachineLearningInvokeBatchEndpointOperator as Batch
from airflow_provider_azureml.provider.operators.component import (
    AzureMachineLearningLoadAndRegisterComponentOperator as RegisterComponent,
)
from airflow_provider_azureml.provider.operators.compute import (
    AzureMachineLearningCreateComputeResourceOperator as CreateCompute,
)
from airflow_provider_azureml.provider.operators.compute import (
    AzureMachineLearningDeleteComputeResourceOperator as DeleteCompute,
)
from airflow_provider_azureml.provider.operators.data import AzureMachineLearningCreateDataOperator as CreateData
from airflow_provider_azureml.provider.operators.download import AzureMachineLearningDownloadOperator as Download
from airflow_provider_azureml.provider.operators.endpoint import (
    AzureMachineLearningCreateEndpointOperator as CreateEndpoint,
)
from airflow_provider_azureml.provider.operators.endpoint import (
    AzureMachineLearningDeleteEndpointOperator as DeleteEndpoint,
)
from airflow_provider_azureml.provider.operators.endpoint import AzureMachineLearningDeployEndpointOperator as Deploy
from airflow_provider_azureml.provider.operators.environment import (
    AzureMachineLearningCreateEnvironmentOperator as CreateEnvironment,
)
from airflow_provider_azureml.provider.operators.invoke import (
    AzureMachineLearningInvokeOnlineEndpointOperator as Invoke,
)
from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator as CreateJob
from airflow_provider_azureml.provider.operators.model import AzureMachineLearningRegisterModelOperator as RegisterModel
from airflow_provider_azureml.provider.operators.schedule import (
    AzureMachineLearningCreateScheduleOperator as CreateSchedule,
)
from airflow_provider_azureml.provider.operators.schedule import (
    AzureMachineLearningDeleteScheduleOperator as DeleteSchedule,
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

NONE = "{{ none }}"  # what a template makes of an XCom that is None
JOB = {"type": "command", "command": "echo", "environment": {"image": "busybox"}, "compute": "azureml:cpu"}
PIPELINE = {"type": "pipeline", "jobs": {"a": {"type": "command", "component": "azureml:nobody:1"}}}
BLUE = {"name": "blue", "endpoint_name": "fraud", "instance_type": "Standard_DS3_v2", "instance_count": 1}
FRAUD = {"kind": "model", "asset_name": "fraud", "version": "1"}
CRON = {"type": "cron", "expression": "0 2 * * *"}
PLACE = "azureml://datastores/workspaceblobstore/paths/x"


class Thing:
    """A Python object that got into a DAG's arguments by mistake."""


def refused(runner: Any, azureml_emulator: Any) -> AzureMachineLearningError:
    """Render and run a task, and return the error: this provider's, alone, without a secret, and before any change."""
    operator = runner.operator
    for name in operator.template_fields:
        setattr(operator, name, operator.render_template(getattr(operator, name), {"none": None}))
    azureml_emulator.clear_calls()
    with pytest.raises(AzureMachineLearningError) as caught:
        runner.run()
    error = caught.value
    assert error.__cause__ is None, "a chain of errors in the log"
    assert error.__context__ is None or error.__suppress_context__, "a chain of errors in the log"
    assert azureml_emulator.client_secret not in str(error)
    reads = ("oauth2", "listSecrets", "rundata")
    calls = [call for call in azureml_emulator.calls() if not any(read in call["path"] for read in reads)]
    assert {call["method"] for call in calls} <= {"GET", "HEAD"}, "something was changed"
    return error


@pytest.mark.parametrize(
    ("operator", "arguments", "words"),
    [
        (ModelSensor, {"model_name": NONE}, ["model's name is 'None'", "XCom"]),
        (ModelSensor, {"model_name": ["fraud"]}, ["model's name is given as list"]),
        (ModelSensor, {"model_name": {"name": "fraud"}}, ["take its ['name']"]),
        (ModelSensor, {"model_name": "fraud", "tags": {"a": Thing()}}, ["'a' is a Python object (Thing)"]),
        (ModelSensor, {"model_name": "fraud", "tags": NONE}, ["tags must be a mapping", "'None'"]),
        (DataSensor, {"data_name": "sales", "after_version": "may"}, ["'may' of data 'sales' does not exist"]),
        (JobSensor, {"job_name": NONE}, ["job's name is 'None'"]),
        (JobSensor, {"job_name": {"name": "j", "id": "i"}}, ["take its ['name']"]),
        (JobSensor, {"job_name": "nobody"}, ["'azureml'", "404", "nobody"]),
        (ComputeSensor, {"compute_name": NONE}, ["compute's name is 'None'"]),
        (EndpointSensor, {"endpoint_name": "fraud", "deployment_name": NONE}, ["deployment's name is 'None'"]),
        (CreateData, {"data_asset": None}, ["data asset is None", "XCom"]),
        (CreateData, {"data_asset": ""}, ["data asset is ''"]),
        (CreateData, {"data_asset": []}, ["data asset is given as list"]),
        (CreateData, {"data_asset": {"name": "s", "path": "x", "description": Thing()}}, ["description must be text"]),
        (CreateData, {"data_asset": {"name": "s", "path": Thing()}}, ["path must be text", "(Thing)"]),
        (CreateData, {"data_asset": {"name": "s", "path": "x", "properties": "y"}}, ["properties must be a mapping"]),
        (CreateData, {"data_asset": {"name": "s", "path": "x", "version": NONE}}, ["version is 'None'"]),
        (CreateData, {"data_asset": {"name": "s", "path": "foo://b/x"}}, ["cannot read foo://"]),
        (CreateData, {"data_asset": {"name": "s", "path": "azureml://datastore/x"}}, ["datastores/NAME/paths"]),
        (CreateData, {"data_asset": {"name": "s", "path": "https://"}}, ["names no host"]),
        (RegisterModel, {"model": {"name": "m", "path": "x", "flavors": "sklearn"}}, ["flavors must be a mapping"]),
        (
            RegisterModel,
            {"model": {"name": "m", "path": "azureml://jobs/" + NONE + "/outputs/artifacts/paths/model/"}},
            ["'azureml://jobs/None/outputs/", "XCom"],
        ),
        (SetTags, {**FRAUD, "tags": {"a": Thing()}}, ["'a' is a Python object (Thing)"]),
        (SetTags, {**FRAUD, "version": NONE, "tags": {"a": "b"}}, ["version is 'None'"]),
        (SetTags, {**FRAUD, "asset_name": NONE, "tags": {"a": "b"}}, ["model's name is 'None'"]),
        (Archive, {**FRAUD, "version": "7"}, ["404", "fraud"]),
        (SetTraffic, {"endpoint_name": "ep", "traffic": {"a": "{{ 50 }}", "b": "{{ 40 }}"}}, ["adds up to 90"]),
        (SetTraffic, {"endpoint_name": "ep", "traffic": {"a": NONE}}, ["whole percentages"]),
        (Invoke, {"endpoint_name": "ep", "request": Thing()}, ["not JSON"]),
        (Invoke, {"endpoint_name": "ep", "request": None}, ["request is None"]),
        (Invoke, {"endpoint_name": "ep", "request": "no.json"}, ["no.json", "No such file"]),
        (Batch, {"endpoint_name": "ep", "inputs": "azureml:sales:1"}, ["inputs must be a mapping"]),
        (Batch, {"endpoint_name": "ep", "inputs": {}}, ["no batch endpoint 'ep'"]),
        (Download, {"source": None, "to": "x"}, ["nothing to download"]),
        (Download, {"source": "azureml:fraud:1", "to": "x"}, ["is invalid as what to download", "/versions/1"]),
        (Download, {"source": {"a": 1}, "to": "x"}, ["Not an AzureML asset version"]),
        (Download, {"source": PLACE, "to": None}, ["destination of the download is None"]),
        (Download, {"source": PLACE, "to": NONE}, ["destination of the download is 'None'"]),
        (Download, {"source": PLACE, "to": "x"}, ["nothing to download at 'x'", "'workspaceblobstore'"]),
        (CreateCompute, {"compute": {"name": "my cpu", "type": "amlcompute", "size": "s"}}, ["name 'my cpu'"]),
        (CreateCompute, {"compute": {"name": "c", "type": "amlcompute", "size": Thing()}}, ["'size' is a Python obj"]),
        (CreateCompute, {"compute": {"name": "c", "type": "amlcompute", "sizee": "s"}}, ["sizee: Unknown field"]),
        (CreateCompute, {"compute": {"name": "c", "type": "cloud"}}, ["Unknown compute type: cloud"]),
        (DeleteCompute, {"compute_name": NONE}, ["compute's name is 'None'"]),
        (DeleteEndpoint, {"endpoint_name": NONE}, ["endpoint's name is 'None'"]),
        (DeleteEndpoint, {"endpoint_name": "ep", "deployment_name": NONE}, ["deployment's name is 'None'"]),
        (CreateEndpoint, {"endpoint": {"name": "my_ep"}}, ["name: String does not match"]),
        (CreateEndpoint, {"endpoint": {"name": "x" * 33}}, ["at most 32 characters"]),
        (Deploy, {"deployment": {"name": "blue"}}, ["- endpoint_name: Missing", "- instance_type: Missing"]),
        (Deploy, {"deployment": BLUE}, ["no online endpoint 'fraud'"]),
        (CreateEnvironment, {"environment": {"name": "my env", "image": "x"}}, ["environment's name 'my env'"]),
        (CreateEnvironment, {"environment": {"name": "e", "image": "x", "version": "a b"}}, ["version 'a b'"]),
        (CreateEnvironment, {"environment": {"name": "e", "image": "x", "conda_file": "no.yml"}}, ["no.yml"]),
        (RegisterComponent, {"source": {"name": "c"}}, ["- command: Missing", "- environment: Missing"]),
        (CreateSchedule, {"schedule": {"name": "s"}}, ["missing: 'trigger' and 'create_job'"]),
        (CreateSchedule, {"schedule": {"name": "s", "trigger": CRON, "create_job": "azureml:nobody"}}, ["'nobody'"]),
        (DeleteSchedule, {"schedule_name": NONE}, ["schedule's name is 'None'"]),
        (CreateJob, {"job": None}, ["job is None"]),
        (CreateJob, {"job": NONE}, ["job is 'None'"]),
        (CreateJob, {"job": Thing()}, ["job is given as Thing"]),
        (CreateJob, {"job": lambda: None}, ["job is None"]),
        (CreateJob, {"job": {"type": "dream"}}, ["Unsupported job type: dream"]),
        (CreateJob, {"job": {**JOB, "comand": "x"}}, ["comand: Unknown field"]),
        (CreateJob, {"job": {**JOB, "command": Thing()}}, ["'command' is a Python object (Thing)"]),
        (CreateJob, {"job": {**JOB, "command": "echo ${{inputs.sales}}"}}, ["'sales' referenced in command"]),
        (CreateJob, {"job": {**JOB, "name": "my job"}}, ["job's name 'my job'"]),
        (CreateJob, {"job": {**JOB, "tags": "a=b"}}, ["tags: Not a valid mapping"]),
        (CreateJob, {"job": {**JOB, "tags": {f"t{n}": "" for n in range(47)}}}, ["47 tags", "takes 50"]),
        (CreateJob, {"job": {**JOB, "tags": {"t": "x" * 1001}}}, ["'t'", "1,001 characters"]),
        (CreateJob, {"job": {**JOB, "environment": "azureml:nobody@latest"}}, ["environment 'nobody' does not exist"]),
        (CreateJob, {"job": {**JOB, "environment": "azureml:nobody:1"}}, ["environment 'nobody' version 1 does not"]),
        (CreateJob, {"job": {**JOB, "compute": "azureml:nobody"}}, ["compute 'nobody' does not exist"]),
        (CreateJob, {"job": {**JOB, "code": "./nowhere"}}, ["nowhere"]),
        (CreateJob, {"job": PIPELINE}, ["component 'nobody' version 1 does not exist"]),
    ],
)
def test_a_clear_error_before_anything_is_changed(ws, task, cpu, azureml_emulator, operator, arguments, words):
    if issubclass(operator, (ModelSensor, DataSensor, JobSensor, ComputeSensor, EndpointSensor)):
        arguments = {"poke_interval": 0.1, "timeout": 0.1, **arguments}
    error = refused(task(operator, **arguments), azureml_emulator)
    for word in words:
        assert word in str(error)


@pytest.fixture
def fraud(ws, task, folder):
    """Version 1 of the model `fraud`."""
    return task(RegisterModel, model={"name": "fraud", "path": str(folder)}).run()


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({f"t{n}": "x" for n in range(47)}, ["fraud:1 has 51 tags", "takes 50"]),
        ({"t": "x" * 1001}, ["'t'", "1,001 characters", "1,000"]),
        ({"t" * 251: "x"}, ["251 characters", "250"]),
    ],
)
def test_more_tags_than_azureml_takes_are_not_set_on_a_version(ws, task, fraud, azureml_emulator, tags, words):
    error = refused(task(SetTags, **FRAUD, tags=tags), azureml_emulator)
    for word in words:
        assert word in str(error)


def test_one_tag_more_is_set_where_the_service_took_more_than_the_documented_number(ws, task, folder):
    """The limit is documented of jobs; of versions it is not."""
    tags = {f"t{n}": "" for n in range(60)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("airflow_provider_azureml.provider.versions.limits._TAGS", 99)
        task(RegisterModel, model={"name": "fraud", "path": str(folder), "tags": tags}).run()
    assert task(SetTags, **FRAUD, tags={"t1": "new"}).run()["tags"]["t1"] == "new"


def elsewhere(azureml_emulator: Any, monkeypatch: pytest.MonkeyPatch, **extra: str) -> None:
    connection = azureml_emulator.connection
    changed = {**connection, "extra": {**connection["extra"], **extra}}
    monkeypatch.setenv("AIRFLOW_CONN_AZUREML", json.dumps(changed))


OTHER = "00000000-1111-2222-3333-444444444444"


@pytest.mark.parametrize("extra", [{"subscriptionId": OTHER}, {"resource_group_name": "nowhere"}])
def test_a_wrong_subscription_or_group_does_not_read_as_a_missing_role_alone(
    ws, task, azureml_emulator, monkeypatch, extra
):
    elsewhere(azureml_emulator, monkeypatch, **extra)
    error = refused(task(JobSensor, job_name="j", poke_interval=0.1, timeout=30), azureml_emulator)
    assert isinstance(error, (ConnectionConfigurationError, PermissionDeniedError))
    assert next(iter(extra.values())) in str(error)
    assert "subscription" in str(error)
    assert "check" in str(error).lower()


def test_where_arm_says_that_the_scope_may_be_invalid_the_place_is_named_before_the_role(
    ws, task, azureml_emulator, monkeypatch
):
    nobody = azureml_emulator.create_principal(role=None)
    connection = {
        **azureml_emulator.connection,
        "login": nobody["client_id"],
        "password": nobody["client_secret"],
    }
    monkeypatch.setenv("AIRFLOW_CONN_AZUREML", json.dumps(connection))
    text = str(refused(task(JobSensor, job_name="j", poke_interval=0.1, timeout=30), azureml_emulator))
    assert text.index(f"check its subscription {ws.subscription_id}") < text.index("Or a role is missing")
    assert nobody["client_secret"] not in text


def test_a_deployments_name_that_is_none_never_deletes_the_endpoint(ws, task, azureml_emulator):
    """A native template, or another task's result, can be None itself; None in the DAG file means the endpoint."""
    runner = task(DeleteEndpoint, endpoint_name="fraud", deployment_name="{{ params.deployment }}")
    runner.operator.deployment_name = None
    assert "deployment's name is None" in str(refused(runner, azureml_emulator))


def test_a_yaml_file_with_a_key_twice_is_refused_with_the_line(ws, task, azureml_emulator, tmp_path):
    (tmp_path / "job.yml").write_text("command: a\nenvironment: azureml:e:1\ncommand: b\n")
    error = refused(task(CreateJob, job=str(tmp_path / "job.yml")), azureml_emulator)
    assert "'command' is there twice" in str(error)
    assert "line 3" in str(error)
