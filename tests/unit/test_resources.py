"""What a resource is, as far as no call is needed: where it is, where it differs from a spec, wrong arguments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from freezegun import freeze_time

from airflow_provider_azureml.provider.errors import SpecError
from airflow_provider_azureml.provider.operators.compute import (
    AzureMachineLearningCreateComputeResourceOperator as CreateCompute,
)
from airflow_provider_azureml.provider.operators.endpoint import AzureMachineLearningCreateEndpointOperator as Create
from airflow_provider_azureml.provider.operators.endpoint import AzureMachineLearningDeleteEndpointOperator as Delete
from airflow_provider_azureml.provider.operators.traffic import (
    AzureMachineLearningSetEndpointTrafficOperator as SetTraffic,
)
from airflow_provider_azureml.provider.resources.comparison import differences, taken_out
from airflow_provider_azureml.provider.resources.compute import Compute
from airflow_provider_azureml.provider.resources.endpoint import Endpoint
from airflow_provider_azureml.provider.resources.nouns import resource_at
from airflow_provider_azureml.provider.resources.schedule import Schedule
from airflow_provider_azureml.sensors import AzureMachineLearningComputeSensor as ComputeSensor


@pytest.mark.parametrize(
    "resource",
    [
        Compute("cpu"),
        Schedule("daily"),
        Endpoint(endpoint_name="fraud"),
        Endpoint(endpoint_name="fraud", endpoint_type="batch", deployment_name="blue"),
    ],
    ids=str,
)
def test_a_noun_is_found_again_by_its_path(resource):
    assert resource_at(list(resource.path)) == resource


@pytest.mark.parametrize("path", [["datastores", "blob"], [], ["computes"], ["computes", "a", "b"]])
def test_a_path_of_no_known_noun_is_an_error(path):
    with pytest.raises(ValueError, match="Nothing is known that is at"):
        resource_at(path)


@pytest.mark.parametrize(
    ("asked", "found", "expected"),
    [
        ({"vmSize": "Standard_D2"}, {"vmSize": "STANDARD_D2", "more": 1}, []),
        ({"scale": {"max": 4}}, {"scale": {"max": 2}}, ["scale.max is 2, not 4"]),
        ({"idle": "PT120S"}, {"idle": "PT2M"}, []),
        ({"idle": "PT121S"}, {"idle": "PT2M"}, ["idle is PT2M, not PT121S"]),
        ({"subnet": "a"}, {"subnet": None}, []),
        ({"keyword": "a"}, {"keyword": "b"}, ["keyword is b, not a"]),
        ({"partition_key": "a"}, {"partition_key": "b"}, ["partition_key is b, not a"]),
        ({"adminUserPassword": "s3cret"}, {"adminUserPassword": "other"}, []),
        ({"keys": {"primaryKey": "s3cret"}}, {"keys": {"primaryKey": "other"}}, []),
        (
            {"sshSettings": {"adminPublicKey": "k"}},
            {"sshSettings": {"adminPublicKey": "l"}},
            ["sshSettings.adminPublicKey is l, not k"],
        ),
        ({"list": [{"a": 1}]}, {"list": [{"a": 1, "id": "added"}]}, []),
        ({"list": [{"a": 1}]}, {"list": [{"a": 2}]}, ["list[0].a is 2, not 1"]),
        ({"list": [1, 2]}, {"list": [1]}, ["list is [1], not [1, 2]"]),
    ],
)
def test_where_a_resource_differs(asked, found, expected):
    assert differences(asked, found) == expected


def cluster(**settings: Any) -> dict[str, Any]:
    """A cluster as the service shows it, with what it adds by itself."""
    added = {"vmPriority": "Dedicated", "subnet": None, "nodeStateCounts": {"idleNodeCount": 0}, "osType": "Linux"}
    more = {
        "computeType": "AmlCompute",
        "provisioningState": "Succeeded",
        "createdOn": "2026-01-01",
        "description": None,
    }
    return {"properties": {**more, "properties": {"vmSize": "X", **added, **settings}}, "tags": {"policy": "inherited"}}


ASKED = {"properties": {"computeType": "AmlCompute", "properties": {"vmSize": "x"}}}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (cluster(), []),
        (cluster(subnet={"id": "/s/a"}), ["properties.subnet is {'id': '/s/a'}, and is not asked for"]),
        (cluster(vmPriority="LowPriority"), ["properties.vmPriority is LowPriority, and is not asked for"]),
        (
            cluster(schedules={"computeStartStop": []}, sshSettings={"sshPublicAccess": "Disabled", "sshPort": 50000}),
            [],
        ),
        (cluster(idleTimeBeforeShutdown="PT30M"), ["properties.idleTimeBeforeShutdown is PT30M, and is not asked for"]),
    ],
)
def test_what_was_taken_out_of_a_spec_is_a_difference_and_what_the_service_adds_is_not(found, expected):
    assert Compute("cpu").differences(found, ASKED) == expected
    assert taken_out(ASKED, found, Compute.defaults) == expected


def test_an_identity_differs_by_what_a_spec_can_say_of_it():
    def body(kind: str, *users: str, **more: Any) -> dict[str, Any]:
        return {**ASKED, "identity": {"type": kind, "userAssignedIdentities": dict.fromkeys(users, more)}}

    compute = Compute("cpu")
    same = {**cluster(), "identity": {**body("UserAssigned", "/S/Me", clientId="c")["identity"], "principalId": "p"}}
    assert compute.differences(same, body("userAssigned", "/s/me")) == []
    assert compute.differences(same, body("SystemAssigned")) == ["identity.type is UserAssigned, not SystemAssigned"]
    assert compute.differences(same, body("UserAssigned", "/s/you")) == ["identity.users[0] is /s/me, not /s/you"]


@pytest.mark.parametrize(
    ("operator", "arguments", "words"),
    [
        (
            CreateCompute,
            {"compute": {}, "on_difference": "ignore"},
            "on_difference is 'ignore'; it can be 'warn', 'error' or",
        ),
        (
            CreateCompute,
            {"compute": {}, "poll_interval": 0},
            "poll_interval is 0; it can be a number of seconds above 0",
        ),
        (
            CreateCompute,
            {"compute": {}, "timeout": "1h"},
            "timeout is '1h'; it can be a number of seconds above 0, or None",
        ),
        (
            Create,
            {"endpoint": {}, "endpoint_type": "serverless"},
            "endpoint_type is 'serverless'; it can be 'online' or",
        ),
        (Delete, {"endpoint_name": "e", "if_missing": "error"}, "if_missing is 'error'; it can be 'ignore' or 'fail'"),
        (SetTraffic, {"endpoint_name": "e", "traffic": {}, "step": 101}, "step is 101"),
        (
            SetTraffic,
            {"endpoint_name": "e", "traffic": {}, "step": 5, "waiting": False},
            "nobody would take the second",
        ),
        (SetTraffic, {"endpoint_name": "e", "traffic": {}, "step_interval": -1}, "step_interval is -1"),
        (ComputeSensor, {"compute_name": "c", "state": "Fine"}, "state is 'Fine'; it can be 'Succeeded', 'Running'"),
    ],
)
def test_a_wrong_argument_is_an_error_of_the_dag_file(operator, arguments, words):
    with pytest.raises(SpecError, match=words), DAG("d", schedule=None):
        operator(task_id="t", **arguments)


def test_what_is_a_template_is_checked_at_run_time_only():
    with DAG("d", schedule=None):
        assert Create(task_id="t", endpoint={}, endpoint_type="{{ params.type }}").endpoint_type == "{{ params.type }}"
        assert ComputeSensor(task_id="s", compute_name="c", state="{{ params.state }}").state == "{{ params.state }}"


@pytest.mark.parametrize(
    ("timeout", "execution_timeout", "began", "left"),
    [
        (None, None, 0, None),
        (600, None, 500, 600),
        (None, 600, 0, 600),
        (None, 600, 500, 100),
        (60, 600, 500, 60),
        (3600, 600, 700, -100),
    ],
)
def test_a_try_ends_at_the_earlier_of_its_two_limits(timeout, execution_timeout, began, left):
    """`execution_timeout` counts from the begin of the try, which Airflow keeps over deferrals; `timeout` from now."""
    limit = None if execution_timeout is None else timedelta(seconds=execution_timeout)
    with freeze_time("2026-01-01T12:00:00"), DAG("d", schedule=None):
        now = datetime.now(UTC)
        operator = Delete(task_id="t", endpoint_name="e", timeout=timeout, execution_timeout=limit)
        context: Any = {"ti": SimpleNamespace(start_date=now - timedelta(seconds=began))}
        deadline = operator._waiting_fields(context)["deadline"]
        assert deadline == (None if left is None else now.timestamp() + left)
