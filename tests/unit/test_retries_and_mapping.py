"""What all operators and sensors share: errors that end a task at once, and mapped tasks that announce."""

from __future__ import annotations

import pytest
from airflow.sdk import DAG, RetryAction, RetryPolicy

from airflow_provider_azureml.datasets import Kind, Workspace
from airflow_provider_azureml.provider.errors import (
    AuthenticationError,
    ConnectionConfigurationError,
    NotFoundError,
    PermissionDeniedError,
    RequestRefusedError,
    SpecError,
    TransientError,
)
from airflow_provider_azureml.provider.operators.data import AzureMachineLearningCreateDataOperator as CreateData
from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator as CreateJob
from airflow_provider_azureml.provider.operators.model import AzureMachineLearningRegisterModelOperator as Register
from airflow_provider_azureml.provider.operators.version import AzureMachineLearningSetTagsOperator as SetTags
from airflow_provider_azureml.sensors import AzureMachineLearningJobSensor as JobSensor

WS = Workspace("12345678-1234-1234-1234-123456789012", "ml", "fraud")
TASKS = [
    lambda **more: CreateJob(task_id="t", job={}, **more),
    lambda **more: JobSensor(task_id="t", job_name="j", **more),
]
tasks = pytest.mark.parametrize("make", TASKS, ids=["operator", "sensor"])


@tasks
@pytest.mark.parametrize("error", [SpecError("x"), ConnectionConfigurationError("x"), PermissionDeniedError("x")])
def test_an_error_that_a_retry_cannot_mend_ends_the_task(make, error):
    decision = make().retry_policy.evaluate(error, try_number=1, max_tries=3)
    assert decision.action is RetryAction.FAIL


@tasks
@pytest.mark.parametrize(
    "error",
    [
        TransientError("x"),
        NotFoundError("x"),
        AuthenticationError("x"),
        RequestRefusedError("x", status=409),
        OSError(),
    ],
)
def test_others_are_retried_as_ever(make, error):
    assert make().retry_policy.evaluate(error, try_number=1, max_tries=3).action is RetryAction.DEFAULT


class Own(RetryPolicy):
    def evaluate(self, *_, **__):
        raise NotImplementedError


@tasks
def test_a_policy_of_the_tasks_or_of_the_dags_own_replaces_it(make):
    own = Own()
    assert make(retry_policy=own).retry_policy is own
    with DAG("d", default_args={"retry_policy": own}):
        assert make().retry_policy is own


def mapped(operator, partial, expand):
    with DAG("mapped"):
        return operator.partial(task_id="t", workspace=WS, **partial).expand(**expand)


@pytest.mark.parametrize(
    ("operator", "partial", "expand", "kinds"),
    [
        (CreateData, {}, {"data_asset": [{"name": "a", "path": "x"}]}, [Kind.DATA]),
        (Register, {}, {"model": [{"name": "a", "path": "x"}]}, [Kind.MODEL]),
        (CreateJob, {"waiting": True}, {"job": [{"outputs": {"o": {"name": "a"}}}]}, [Kind.MODEL, Kind.DATA]),
        (SetTags, {"kind": "model", "asset_name": "a", "tags": {}}, {"version": ["1"]}, [Kind.MODEL, Kind.DATA]),
    ],
)
def test_a_mapped_operator_declares_its_workspaces_aliases_and_nothing_else(operator, partial, expand, kinds):
    """Airflow fails a task whose outlet is an asset that no DAG declares, and it knows a mapped one's from partial."""
    aliases = [WS.alias(kind) for kind in kinds]
    task = mapped(operator, partial, expand)
    assert task.outlets == aliases
    each = {name: values[0] for name, values in expand.items()}
    assert task.unmap(each).outlets == aliases


def test_outlets_that_the_user_declares_stay():
    task = mapped(CreateData, {"outlets": [WS.data("all")]}, {"data_asset": [{"name": "a", "path": "x"}]})
    assert task.outlets == [WS.data("all"), WS.alias(Kind.DATA)]
