"""A user's code as mypy sees it: `make lint` checks it, strictly; nothing runs it.

`assert_type` says what a user gets. An ignored error says what mypy must complain of: where it no longer does, the
ignore is unused, which is an error too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_type

from airflow.sdk import DAG, Asset, AssetAlias

from airflow_provider_azureml.datasets import AssetVersion, Kind, Registry, Workspace, asset_versions
from airflow_provider_azureml.emulator import Emulator, Job
from airflow_provider_azureml.provider.errors import AzureMachineLearningError, JobFailedError
from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator
from airflow_provider_azureml.provider.operators.model import AzureMachineLearningRegisterModelOperator
from airflow_provider_azureml.sensors import AzureMachineLearningJobSensor, watch

workspace = Workspace(subscription_id="s", resource_group="ml", name="fraud-prod")
assert_type(Workspace.from_id("/subscriptions/s/resourceGroups/ml/providers/..."), Workspace)
assert_type(workspace.model("fraud"), Asset)
assert_type(workspace.data("sales"), Asset)
assert_type(workspace.experiment("night"), Asset)
assert_type(workspace.alias(Kind.MODEL), AssetAlias)
assert_type(workspace.uri, str)
assert_type(Registry("shared").model("common"), Asset)
assert_type(watch(workspace.model("fraud"), conn_id="azureml", tags={"stage": "production"}), Asset)

Workspace("s", "ml", 7)  # type: ignore[arg-type]
Registry("shared").experiment("night")  # type: ignore[attr-defined]
watch(workspace.model("fraud"), conn_id="azureml", start="yesterday")  # type: ignore[arg-type]
watch(workspace.model("fraud"), "azureml")  # type: ignore[call-arg]
watch("models/fraud", conn_id="azureml")  # type: ignore[arg-type]

with DAG("deploy", schedule=[workspace.model("fraud")]):
    job = AzureMachineLearningCreateJobOperator(task_id="job", conn_id="azureml", job={}, waiting=True)
    AzureMachineLearningRegisterModelOperator(task_id="m", conn_id="azureml", workspace=workspace, model={"name": "m"})
    sensor = AzureMachineLearningJobSensor(task_id="sense", conn_id="azureml", job_name="{{ params.job }}")
    AzureMachineLearningRegisterModelOperator(task_id="m", workspace="fraud-prod", model={})
    AzureMachineLearningCreateJobOperator(task_id="j")  # type: ignore[call-arg]
    AzureMachineLearningJobSensor(task_id="s", job_name=7)  # type: ignore[arg-type]
    job >> sensor


def roll_out(*, triggering_asset_events: Mapping[Asset, list[Any]]) -> list[str]:
    """Read the versions that started a DAG run."""
    versions = asset_versions(triggering_asset_events)
    assert_type(versions, list[AssetVersion])
    for version in versions:
        assert_type(version.tags, dict[str, str])
        assert_type(version.job_name, str | None)
        assert_type(version.to_dict(), dict[str, Any])
    return [version.version for version in versions]


async def ask() -> None:
    """Use the hook."""
    hook = AzureMachineLearningHook("azureml")
    assert_type(hook.test_connection(), tuple[bool, str])
    try:
        async with hook.client() as client:
            await client.get_job("it")
    except JobFailedError as error:
        assert_type(isinstance(error, AzureMachineLearningError), bool)


def under_test() -> None:
    """Use the emulator."""
    with Emulator() as emulator:
        assert_type(emulator, Emulator)
        assert_type(emulator.connection, dict[str, Any])
        assert_type(emulator.environment, dict[str, str])
        assert_type(emulator.job("it"), Job)
        emulator.job("it").complete(outputs=["model"])  # type: ignore[arg-type]
