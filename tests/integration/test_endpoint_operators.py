"""Endpoints, deployments and traffic: made, changed and deleted once, whatever dies; what is refused beforehand."""

from __future__ import annotations

import io
import json
import logging
import re
import threading
import time
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from airflow_provider_azureml.provider.errors import (
    ConnectionConfigurationError,
    NotFoundError,
    ProvisioningFailedError,
    SpecError,
    WaitTimeoutError,
)
from airflow_provider_azureml.provider.operators.batch import (
    AzureMachineLearningInvokeBatchEndpointOperator as InvokeBatch,
)
from airflow_provider_azureml.provider.operators.endpoint import (
    AzureMachineLearningCreateEndpointOperator as Create,
)
from airflow_provider_azureml.provider.operators.endpoint import (
    AzureMachineLearningDeleteEndpointOperator as Delete,
)
from airflow_provider_azureml.provider.operators.endpoint import (
    AzureMachineLearningDeployEndpointOperator as Deploy,
)
from airflow_provider_azureml.provider.operators.model import AzureMachineLearningRegisterModelOperator as RegisterModel
from airflow_provider_azureml.provider.operators.traffic import (
    AzureMachineLearningSetDefaultDeploymentOperator as SetDefault,
)
from airflow_provider_azureml.provider.operators.traffic import (
    AzureMachineLearningSetEndpointTrafficOperator as SetTraffic,
)
from airflow_provider_azureml.provider.resources.endpoint import Endpoint
from airflow_provider_azureml.sensors import AzureMachineLearningEndpointSensor as EndpointSensor

from .conftest import TaskRunner

FAST = {"poll_interval": 0.1}
both_ways = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "in place"])
both_types = pytest.mark.parametrize("endpoint_type", ["online", "batch"])


def deployment(name: str = "blue", endpoint_type: str = "online", **keys: Any) -> dict[str, Any]:
    common = {"name": name, "endpoint_name": "fraud", "model": "azureml:fraud:1", **keys}
    if endpoint_type == "batch":
        return {**common, "compute": "azureml:cpu"}
    return {**common, "instance_type": "Standard_DS3_v2", "instance_count": 1}


@pytest.fixture(autouse=True)
def model(ws: Any, task: Any, folder: Any, cpu: None, azureml_emulator: Any) -> None:
    """The version 1 of the model `fraud`, beside the cluster that deployments name."""
    task(RegisterModel, model={"name": "fraud", "path": str(folder)}).run()
    azureml_emulator.clear_calls()


@pytest.fixture
def endpoint(task: Any, ws: Any) -> Any:
    """Create the endpoint `fraud`, with deployments."""

    def make(*deployments: str, endpoint_type: str = "online") -> None:
        task(Create, endpoint={"name": "fraud"}, endpoint_type=endpoint_type, **FAST).run()
        for name in deployments:
            spec = deployment(name, endpoint_type)
            task(Deploy, deployment=spec, endpoint_type=endpoint_type, **FAST).run()

    return make


@pytest.fixture
def found(ask: Any) -> Any:
    """An endpoint or deployment as ARM describes it; None if there is none."""

    def read(deployment_name: str | None = None, endpoint_type: str = "online") -> Any:
        which = Endpoint(endpoint_name="fraud", endpoint_type=endpoint_type, deployment_name=deployment_name)
        return ask(lambda client: which.find(client))

    return read


@both_ways
@both_types
def test_an_endpoint_and_a_deployment_are_made_and_waited_for(
    ws, task, azureml_emulator, found, deferrable, endpoint_type, long_operations
):
    how = {"endpoint_type": endpoint_type, "deferrable": deferrable, **FAST}
    runner = task(Create, endpoint={"name": "fraud", "tags": {"a": "b"}}, **how)
    runner.while_deferred = goes_on = long_operations(deferrable)
    made = runner.run()
    assert (made["name"], made["status"], made["tags"]) == ("fraud", "Succeeded", {"a": "b"})
    assert (runner.deferral is not None) == deferrable
    assert runner.ti.xcoms["azureml_studio_url"] == made["studio_url"]
    deploying = task(Deploy, deployment=deployment(endpoint_type=endpoint_type), **how)
    deploying.while_deferred = goes_on
    deployed = deploying.run()
    assert (deployed["name"], deployed["endpoint_name"], deployed["status"]) == ("blue", "fraud", "Succeeded")
    assert deployed["model"].endswith("/models/fraud/versions/1")
    assert deployed["tags"]["airflow.dag_id"] == "dag"
    assert azureml_emulator.unknown_routes == []


def test_a_kubernetes_endpoint_names_its_compute(ws, task, ask, found, azureml_emulator):
    spec = {"name": "fraud", "compute": "azureml:k8s"}
    with pytest.raises(SpecError, match="The online endpoint's compute 'k8s' does not exist in workspace"):
        task(Create, endpoint=spec, **FAST).run()
    assert not azureml_emulator.calls("PUT", "/onlineEndpoints/")
    cluster = {"location": "westeurope", "properties": {"computeType": "AmlCompute", "properties": {}}}
    ask(lambda client: client.change_resource("PUT", "computes", "k8s", json=cluster))
    task(Create, endpoint=spec, **FAST).run()
    assert found()["properties"]["compute"] == f"{ws.id}/computes/k8s"


class TestAnEndpointThatExists:
    def test_with_the_same_settings_it_is_used(self, ws, task, endpoint, azureml_emulator):
        endpoint()
        azureml_emulator.clear_calls()
        spec = {"name": "fraud", "auth_mode": "key"}
        assert task(Create, endpoint=spec, on_difference="error", **FAST).run()["status"] == "Succeeded"
        assert not azureml_emulator.calls("PUT")

    def test_with_other_settings_it_is_used_with_a_warning_or_an_error(
        self, ws, task, endpoint, azureml_emulator, capsys
    ):
        endpoint()
        azureml_emulator.clear_calls()
        spec = {"name": "fraud", "auth_mode": "aml_token"}
        task(Create, endpoint=spec, **FAST).run()
        assert "authMode is Key, not AMLToken. It is used as it is." in capsys.readouterr().out
        with pytest.raises(SpecError, match=r"'fraud' exists already .*authMode is Key.* Nothing was changed"):
            task(Create, endpoint=spec, on_difference="error", **FAST).run()
        assert not azureml_emulator.calls("PUT")

    def test_an_update_leaves_traffic_and_other_tags_alone(self, ws, task, endpoint, found):
        task(Create, endpoint={"name": "fraud", "tags": {"team": "a"}}, **FAST).run()
        task(Deploy, deployment=deployment(), **FAST).run()
        task(SetTraffic, endpoint_name="fraud", traffic={"blue": 100}, **FAST).run()
        spec = {"name": "fraud", "description": "scores payments", "tags": {"tier": "1"}}
        made = task(Create, endpoint=spec, on_difference="update", **FAST).run()
        assert (made["traffic"], made["tags"]) == ({"blue": 100}, {"team": "a", "tier": "1"})
        assert found()["properties"]["description"] == "scores payments"


def test_a_deployments_code_is_uploaded(ws, task, endpoint, folder, found):
    endpoint()
    (folder / "score.py").write_text("def init():\n    pass\n\ndef run(data):\n    return data\n")
    spec = deployment(
        code_configuration={"code": str(folder), "scoring_script": "score.py"},
        environment="azureml://registries/azureml/environments/sklearn/versions/1",
    )
    task(Deploy, deployment=spec, **FAST).run()
    assert "/codes/" in found("blue")["properties"]["codeConfiguration"]["codeId"]


def test_the_sdk_writes_nothing_to_standard_error_which_airflow_would_show_as_an_error(ws, task, endpoint):
    endpoint()
    own, errors = logging.getLogger("azure.ai.ml"), io.StringIO()
    own.addHandler(logging.StreamHandler(errors))  # as the SDK does at its import
    own.setLevel(logging.INFO)
    task(Deploy, deployment=deployment(), **FAST).run()
    assert errors.getvalue() == ""


def test_a_cleared_task_updates_the_deployment_and_a_retry_does_not(ws, task, endpoint, azureml_emulator):
    endpoint()
    runner = task(Deploy, deployment=deployment(), **FAST)
    runner.run()
    azureml_emulator.clear_calls()
    runner.run()
    assert not azureml_emulator.calls("PUT")
    runner.clear()
    runner.run()
    assert len(azureml_emulator.calls("PUT", "/deployments/blue")) == 1


class TestABusyEndpoint:
    """Azure takes no deployment while the endpoint is made or changed, by whoever."""

    @pytest.fixture(params=["bad request", "conflict"])
    def busy(self, ws, task, endpoint, azureml_emulator, request):
        """Somebody moves the traffic, which takes a while."""
        endpoint("blue")
        azureml_emulator.configure(operation_seconds=30, answers={"endpoint is busy": request.param})
        task(SetTraffic, endpoint_name="fraud", traffic={"blue": 100}, waiting=False).run()
        azureml_emulator.clear_calls()

    def test_a_deployment_waits_for_it_also_where_nobody_waits_for_the_deployment(
        self, task, busy, azureml_emulator, found
    ):
        def settle() -> None:
            azureml_emulator.wait_for_call("PUT", "/deployments/green")
            azureml_emulator.advance(30)

        settling = threading.Thread(target=settle)
        settling.start()
        assert task(Deploy, deployment=deployment("green"), waiting=False, **FAST).run()["status"] == "Updating"
        settling.join()
        first, *_, last = azureml_emulator.calls("PUT", "/deployments/green")
        assert (first["status"] in (400, 409), last["status"]) == (True, 201)
        assert found()["properties"]["traffic"] == {"blue": 100}

    def test_it_waits_no_longer_than_it_may(self, task, busy, found):
        runner = task(Deploy, deployment=deployment("green"), timeout=0.3, **FAST)
        with pytest.raises(WaitTimeoutError, match=r"busy with another change for 0\.3 s \(timeout\).*Updating"):
            runner.run()
        assert found("green") is None


class TestTraffic:
    @both_ways
    def test_it_is_shared_and_what_else_the_endpoint_has_stays(self, ws, task, endpoint, found, deferrable):
        endpoint("blue", "green")
        before = found()
        result = task(
            SetTraffic, endpoint_name="fraud", traffic={"blue": 90, "green": "10"}, deferrable=deferrable, **FAST
        ).run()
        assert (result["traffic"], result["status"]) == ({"blue": 90, "green": 10}, "Succeeded")
        after = found()
        assert (after["tags"], after["properties"]["authMode"]) == (before["tags"], before["properties"]["authMode"])

    def test_the_same_traffic_changes_nothing(self, ws, task, endpoint, azureml_emulator):
        endpoint("blue")
        task(SetTraffic, endpoint_name="fraud", traffic={"blue": 100}, **FAST).run()
        azureml_emulator.clear_calls()
        task(SetTraffic, endpoint_name="fraud", traffic={"blue": 100, "green": 0}, **FAST).run()
        assert not azureml_emulator.calls("PUT")

    @both_ways
    def test_gradually_it_moves_step_by_step(self, ws, task, endpoint, azureml_emulator, deferrable):
        endpoint("blue", "green")
        task(SetTraffic, endpoint_name="fraud", traffic={"blue": 100}, **FAST).run()
        azureml_emulator.clear_calls()
        how = {"step": 40, "step_interval": 1.0, "deferrable": deferrable, **FAST}
        runner = task(SetTraffic, endpoint_name="fraud", traffic={"green": 100}, **how)
        result = runner.run()
        assert result["traffic"] == {"green": 100}
        steps = azureml_emulator.calls("PUT", "/onlineEndpoints/fraud")
        assert len(steps) == 3
        assert all(after["at"] - before["at"] >= 1.0 for before, after in pairwise(steps))

    def test_a_retry_goes_on_from_the_traffic_that_there_is(self, ws, task, endpoint, azureml_emulator, found):
        endpoint("blue", "green")
        task(SetTraffic, endpoint_name="fraud", traffic={"blue": 100}, **FAST).run()
        how = {"step": 60, "step_interval": 0.5, "deferrable": True, **FAST}
        runner = task(SetTraffic, endpoint_name="fraud", traffic={"green": 100}, **how)
        runner.while_deferred = lambda: (_ for _ in ()).throw(KeyboardInterrupt)  # the try ends here
        with pytest.raises(KeyboardInterrupt):
            runner.run()
        assert found()["properties"]["traffic"] == {"blue": 40, "green": 60}
        azureml_emulator.clear_calls()
        runner.while_deferred = lambda: None
        assert runner.run()["traffic"] == {"green": 100}
        assert len(azureml_emulator.calls("PUT", "/onlineEndpoints/fraud")) == 1

    @pytest.mark.parametrize("arguments", [{"step": 0}, {"step": "x"}, {"step": 10, "waiting": False}])
    def test_steps_that_cannot_be(self, ws, task, azureml_emulator, arguments):
        with pytest.raises(SpecError, match="step"):
            task(SetTraffic, endpoint_name="fraud", traffic={"blue": 100}, **arguments).run()
        assert not azureml_emulator.calls()

    @pytest.mark.parametrize(
        ("traffic", "words"),
        [
            ({"blue": 90}, "adds up to 90, not to 100"),
            ({"blue": 150, "green": -50}, "negative for green"),
            ({"blue": "most"}, "whole percentages"),
            (["blue"], "whole percentages"),
        ],
    )
    def test_what_does_not_add_up_is_refused_before_any_call(self, ws, task, azureml_emulator, traffic, words):
        with pytest.raises(SpecError, match=words):
            task(SetTraffic, endpoint_name="fraud", traffic=traffic, **FAST).run()
        assert not azureml_emulator.calls()

    def test_a_deployment_that_does_not_exist(self, ws, task, endpoint, azureml_emulator):
        endpoint("blue")
        azureml_emulator.clear_calls()
        with pytest.raises(NotFoundError, match="no deployment 'green' of online endpoint 'fraud'"):
            task(SetTraffic, endpoint_name="fraud", traffic={"blue": 50, "green": 50}, **FAST).run()
        assert not azureml_emulator.calls("PUT")


@both_ways
@both_types
def test_a_deployment_and_an_endpoint_are_deleted_and_waited_for(ws, task, endpoint, found, deferrable, endpoint_type):
    endpoint("blue", endpoint_type=endpoint_type)
    how = {"endpoint_name": "fraud", "endpoint_type": endpoint_type, "deferrable": deferrable, **FAST}
    assert task(Delete, deployment_name="blue", **how).run() == {"name": "blue", "status": "Deleted"}
    assert found("blue", endpoint_type) is None
    runner = task(Delete, if_missing="fail", **how)
    assert runner.run() == {"name": "fraud", "status": "Deleted"}
    assert found(None, endpoint_type) is None
    assert runner.run()["status"] == "Deleted", "a retry after the worker died, deleted by an earlier try"


def test_deleting_what_is_not_there_is_a_warning_or_an_error(ws, task, azureml_emulator, capsys):
    assert task(Delete, endpoint_name="fraud", **FAST).run()["status"] == "Deleted"
    assert "nothing to delete" in capsys.readouterr().out
    with pytest.raises(NotFoundError, match="no online endpoint 'fraud'"):
        task(Delete, endpoint_name="fraud", if_missing="fail", **FAST).run()
    assert not azureml_emulator.calls("DELETE")


@pytest.mark.parametrize("operator", ["create", "deploy", "traffic", "delete"])
def test_sigkill_after_any_call_acts_once(ws, task, endpoint, azureml_emulator, kill_at_each_call, operator):
    if operator != "create":
        endpoint(*(["blue"] if operator == "traffic" else []))
    azureml_emulator.clear_calls()
    runner = {
        "create": lambda: task(Create, endpoint={"name": "fraud"}, **FAST),
        "deploy": lambda: task(Deploy, deployment=deployment(), **FAST),
        "traffic": lambda: task(SetTraffic, endpoint_name="fraud", traffic={"blue": 100}, **FAST),
        "delete": lambda: task(Delete, endpoint_name="fraud", if_missing="fail", **FAST),
    }[operator]()
    assert kill_at_each_call(runner) >= 4
    assert len([call for call in azureml_emulator.calls() if re.search("PUT|DELETE", call["method"])]) == 1


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_lost_answer_is_no_failure(ws, task, endpoint, azureml_emulator, method):
    if method == "DELETE":
        endpoint()
    azureml_emulator.misbehave(method, "/onlineEndpoints/fraud", lose_answer=True, times=1)
    runner = (
        task(Create, endpoint={"name": "fraud"}, **FAST)
        if method == "PUT"
        else task(Delete, endpoint_name="fraud", **FAST)
    )
    assert runner.run()["status"] in ("Succeeded", "Deleted")


class TestBadInput:
    def test_deploying_to_an_endpoint_that_does_not_exist(self, ws, task, azureml_emulator, folder):
        with pytest.raises(NotFoundError, match="no online endpoint 'fraud' in workspace"):
            task(Deploy, deployment=deployment(), **FAST).run()
        assert not azureml_emulator.calls("PUT")

    @pytest.mark.parametrize(
        ("keys", "words"),
        [
            (
                {"model": "azureml:fraud:7"},
                "The online deployment's model 'fraud' version 7 does not exist in workspace",
            ),
            ({"environment": "azureml:none:1"}, "The online deployment's environment 'none' version 1 does not exist"),
        ],
    )
    def test_deploying_what_does_not_exist(self, ws, task, endpoint, azureml_emulator, keys, words):
        endpoint()
        azureml_emulator.clear_calls()
        with pytest.raises(SpecError, match=words):
            task(Deploy, deployment=deployment(**keys), **FAST).run()
        assert not azureml_emulator.calls("PUT")

    def test_deploying_to_an_endpoint_that_is_being_deleted(self, ws, task, endpoint, azureml_emulator):
        endpoint()
        azureml_emulator.configure(operation_seconds=30)
        try:
            task(Delete, endpoint_name="fraud", waiting=False).run()
            azureml_emulator.clear_calls()
            with pytest.raises(SpecError, match="'fraud' is being deleted"):
                task(Deploy, deployment=deployment(), **FAST).run()
            with pytest.raises(SpecError, match="'fraud' is being deleted"):
                task(Create, endpoint={"name": "fraud"}, **FAST).run()
        finally:
            azureml_emulator.configure(operation_seconds=0.5)
        assert not azureml_emulator.calls("PUT")

    @both_ways
    def test_azure_goes_on_when_the_task_has_waited_long_enough(self, ws, task, azureml_emulator, deferrable):
        azureml_emulator.configure(operation_seconds=30)
        try:
            with pytest.raises(WaitTimeoutError, match=r"not Succeeded within 0.3 s"):
                task(Create, endpoint={"name": "fraud"}, deferrable=deferrable, timeout=0.3, **FAST).run()
        finally:
            azureml_emulator.configure(operation_seconds=0.5)

    @both_ways
    def test_execution_timeout_holds_over_a_deferral(self, ws, task, azureml_emulator, deferrable):
        """Airflow itself counts it in each worker anew, and not at all in the triggerer."""
        azureml_emulator.configure(operation_seconds=30)
        how = {"deferrable": deferrable, "execution_timeout": timedelta(seconds=1), "timeout": 60, **FAST}
        began = time.monotonic()
        try:
            with pytest.raises(
                WaitTimeoutError, match=r"not Succeeded within 1 s \(execution_timeout\). Azure goes on"
            ):
                task(Create, endpoint={"name": "fraud"}, **how).run()
        finally:
            azureml_emulator.configure(operation_seconds=0.5)
        assert time.monotonic() - began < 10

    @pytest.mark.parametrize(
        ("operator", "arguments", "words"),
        [
            (Create, {"endpoint": {"name": "fraud", "auth_mod": "key"}}, "auth_mod"),
            (Deploy, {"deployment": {"name": "blue"}}, "endpoint_name"),
            (Create, {"endpoint": {"name": "fraud"}, "on_difference": "ignore"}, "it can be 'warn', 'error' or"),
            (Create, {"endpoint": {"name": "fraud"}, "endpoint_type": "serverless"}, "it can be 'online' or"),
            (Delete, {"endpoint_name": "fraud", "if_missing": "error"}, "it can be 'ignore' or 'fail'"),
            (Deploy, {"deployment": {**deployment(), "instance_typ": "x"}}, "instance_typ"),
            (Delete, {"endpoint_name": "fraud", "endpoint_type": "serverless"}, "'serverless'; it can be 'online' or"),
        ],
    )
    def test_what_cannot_be(self, ws, task, azureml_emulator, operator, arguments, words):
        with pytest.raises(SpecError, match=words):
            task(operator, **arguments).run()
        assert not azureml_emulator.calls("PUT")


@both_types
@pytest.mark.parametrize("times", [1, 2])
def test_what_is_missing_is_missing_however_the_service_says_it(ws, task, azureml_emulator, endpoint_type, times):
    """ARM's gateway says it of an endpoint as it does of a workspace; the provider has words of its own."""
    azureml_emulator.configure(both_forms=True)
    how = {"endpoint_type": endpoint_type, **FAST}
    try:
        for _ in range(times):  # so that each step meets each form
            with pytest.raises(NotFoundError, match=f"no {endpoint_type} endpoint 'fraud'"):
                task(Deploy, deployment=deployment(endpoint_type=endpoint_type), **how).run()
            task(Delete, endpoint_name="fraud", **how).run()
        task(Create, endpoint={"name": "fraud"}, **how).run()
        task(Delete, endpoint_name="fraud", deployment_name="blue", **how).run()
        task(Deploy, deployment=deployment(endpoint_type=endpoint_type), **how).run()
        assert task(Delete, endpoint_name="fraud", deployment_name="blue", **how).run()["status"] == "Deleted"
        assert task(Delete, endpoint_name="fraud", **how).run()["status"] == "Deleted"
    finally:
        azureml_emulator.configure(both_forms=False)


@both_types
def test_a_missing_workspace_is_said_to_be_missing_by_either(ws, task, azureml_emulator, monkeypatch, endpoint_type):
    connection = {**azureml_emulator.connection, "extra": {**azureml_emulator.connection["extra"]}}
    connection["extra"]["workspace_name"] = "gone"
    monkeypatch.setenv("AIRFLOW_CONN_AZUREML", json.dumps(connection))
    azureml_emulator.configure(both_forms=True)
    try:
        for _ in range(2):
            with pytest.raises(ConnectionConfigurationError, match=r"there is no workspace .*/workspaces/gone"):
                task(Delete, endpoint_name="fraud", endpoint_type=endpoint_type, **FAST).run()
    finally:
        azureml_emulator.configure(both_forms=False)


class TestTheDefaultOfABatchEndpoint:
    @pytest.fixture(autouse=True)
    def two_deployments(self, endpoint, azureml_emulator):
        endpoint("v1", "v2", endpoint_type="batch")
        azureml_emulator.clear_calls()

    @pytest.fixture
    def default(self, found):
        return lambda: found(endpoint_type="batch")["properties"]["defaults"]["deploymentName"]

    @both_ways
    def test_it_is_set_and_set_back_and_the_rest_stays(self, ws, task, found, default, azureml_emulator, deferrable):
        before = found(endpoint_type="batch")
        for name in ("v1", "v2", "v1"):
            how = {"endpoint_name": "fraud", "deployment_name": name, "deferrable": deferrable, **FAST}
            facts = task(SetDefault, **how).run()
            assert (facts["status"], facts["default_deployment"], default()) == ("Succeeded", name, name)
        azureml_emulator.clear_calls()
        task(SetDefault, **how).run()
        assert not azureml_emulator.calls("PUT"), "it is so already"
        after = found(endpoint_type="batch")
        for key in ("authMode", "description", "scoringUri"):
            assert after["properties"].get(key) == before["properties"].get(key)
        assert (after["tags"], after["location"]) == (before["tags"], before["location"])

    def test_who_names_no_deployment_is_answered_by_it(self, ws, task, azureml_emulator):
        task(SetDefault, endpoint_name="fraud", deployment_name="v2", **FAST).run()
        azureml_emulator.script_jobs(["Completed"])
        job = task(InvokeBatch, endpoint_name="fraud", inputs={"text": "x"}, waiting=False).run()
        assert job["tags"]["azureml.deploymentname"] == "v2"

    def test_an_update_of_the_endpoint_keeps_it(self, ws, task, default):
        task(SetDefault, endpoint_name="fraud", deployment_name="v2", **FAST).run()
        spec = {"name": "fraud", "description": "new"}
        task(Create, endpoint=spec, endpoint_type="batch", on_difference="update", **FAST).run()
        assert default() == "v2"

    def test_what_is_not_there_or_has_failed_is_refused_and_nothing_changed(self, ws, task, default, azureml_emulator):
        with pytest.raises(NotFoundError, match="There is no deployment 'v3' of batch endpoint 'fraud'"):
            task(SetDefault, endpoint_name="fraud", deployment_name="v3", **FAST).run()
        with pytest.raises(NotFoundError, match="There is no batch endpoint 'other'"):
            task(SetDefault, endpoint_name="other", deployment_name="v1", **FAST).run()
        azureml_emulator.misbehave("PUT", "/deployments/v3", operation_fails=True, code="NoQuota", times=1)
        with pytest.raises(ProvisioningFailedError):
            task(Deploy, deployment=deployment("v3", "batch"), endpoint_type="batch", **FAST).run()
        with pytest.raises(SpecError, match=r"is Failed: it answers nobody\. Nothing was changed"):
            task(SetDefault, endpoint_name="fraud", deployment_name="v3", **FAST).run()
        assert default() is None

    @pytest.mark.parametrize("name", ["", None, "azureml:v1", "v 1"])
    def test_a_name_that_is_none_is_refused_in_the_dag_file(self, name):
        with pytest.raises(SpecError, match="The deployment's name"):
            SetDefault(task_id="it", endpoint_name="fraud", deployment_name=name)

    def test_azure_that_fails_is_told(self, ws, task, azureml_emulator):
        azureml_emulator.misbehave("PUT", "/batchEndpoints/fraud$", operation_fails=True, code="Internal", times=1)
        with pytest.raises(ProvisioningFailedError, match="Internal"):
            task(SetDefault, endpoint_name="fraud", deployment_name="v1", **FAST).run()

    def test_a_worker_killed_at_each_call_sets_it_once(self, ws, task, default, azureml_emulator, kill_at_each_call):
        runner = task(SetDefault, endpoint_name="fraud", deployment_name="v2", retries=40, **FAST)
        assert kill_at_each_call(runner) > 2
        assert default() == "v2"
        assert len(azureml_emulator.calls("PUT", "/batchEndpoints/fraud")) == 1


class TestTheLogOfADeploymentThatFailed:
    @pytest.fixture(autouse=True)
    def fail_once(self, endpoint, azureml_emulator):
        endpoint()
        reason = "No module named 'sklearn'"
        azureml_emulator.misbehave(
            "PUT", "/deployments/blue", operation_fails=True, code="Crash", message=reason, times=1
        )

    @both_ways
    @pytest.mark.parametrize("answer", ["nothing", "null", "not found"])
    def test_its_last_lines_are_in_the_tasks(self, ws, task, azureml_emulator, caplog, deferrable, answer):
        caplog.set_level(logging.INFO)
        azureml_emulator.configure(answers={"logs of no container": answer})
        with pytest.raises(ProvisioningFailedError, match="Crash"):
            task(Deploy, deployment=deployment(), deferrable=deferrable, **FAST).run()
        assert "[InferenceServer] No module named 'sklearn'" in caplog.text
        assert "[StorageInitializer]" not in caplog.text

    @pytest.mark.parametrize("status", [403, 500])
    def test_one_that_cannot_be_read_hides_nothing(self, ws, task, azureml_emulator, caplog, status):
        azureml_emulator.misbehave("POST", "/getLogs", status=status, times=1)
        with pytest.raises(ProvisioningFailedError, match="Crash"):
            task(Deploy, deployment=deployment(), **FAST).run()

    def test_a_deployment_that_is_made_asks_for_none(self, ws, task, azureml_emulator):
        azureml_emulator.behave()
        task(Deploy, deployment=deployment(), **FAST).run()
        assert not azureml_emulator.calls("POST", "/getLogs")


class TestAFirstProvisioningThatFailed:
    """Azure never updates such a deployment: it is "in an unrecoverable state"."""

    @pytest.fixture(autouse=True)
    def fail_once(self, endpoint, azureml_emulator):
        endpoint()
        azureml_emulator.misbehave("PUT", "/deployments/blue", operation_fails=True, code="NoQuota", times=1)

    @both_ways
    def test_the_tasks_own_is_deleted_and_made_anew(self, ws, task, azureml_emulator, deferrable):
        runner = task(Deploy, deployment=deployment(), deferrable=deferrable, **FAST)
        with pytest.raises(ProvisioningFailedError, match="NoQuota"):
            runner.run()
        azureml_emulator.clear_calls()
        runner.clear()  # also in a later run of the task
        assert runner.run()["status"] == "Succeeded"
        assert len(azureml_emulator.calls("DELETE", "/deployments/blue", status=202)) == 1
        assert [call["status"] for call in azureml_emulator.calls("PUT", "/deployments/blue")] == [400, 201]

    def test_also_if_nobody_waits_for_the_new_one(self, ws, task):
        runner = task(Deploy, deployment=deployment(), **FAST)
        with pytest.raises(ProvisioningFailedError):
            runner.run()
        again = task(Deploy, deployment=deployment(), waiting=False, **FAST)
        assert again.run()["status"] == "Updating"

    def test_somebody_elses_is_left_alone(self, ws, task, azureml_emulator, found):
        other = TaskRunner(lambda: Deploy(task_id="other", conn_id="azureml", deployment=deployment(), **FAST))
        with pytest.raises(ProvisioningFailedError):
            other.run()
        with pytest.raises(SpecError, match=r"'blue' .*first provisioned.*not made by this task.*delete it"):
            task(Deploy, deployment=deployment(), **FAST).run()
        assert not azureml_emulator.calls("DELETE")
        assert found("blue")["properties"]["provisioningState"] == "Failed"

    def test_sigkill_after_any_call_makes_it_anew_once(self, ws, task, azureml_emulator, kill_at_each_call):
        runner = task(Deploy, deployment=deployment(), **FAST)
        with pytest.raises(ProvisioningFailedError):
            runner.run()
        azureml_emulator.clear_calls()
        assert kill_at_each_call(runner) >= 6
        assert len(azureml_emulator.calls("PUT", "/deployments/blue", status=201)) == 1
        assert len(azureml_emulator.calls("DELETE", "/deployments/blue", status=202)) == 1


class TestAnUpdate:
    @both_ways
    def test_is_done_when_its_operation_is_whatever_the_resource_says(
        self, ws, task, endpoint, azureml_emulator, deferrable
    ):
        """Just after the PUT a resource may still say Succeeded, from before."""
        endpoint("blue")
        azureml_emulator.configure(operation_seconds=1.5)
        try:
            task(SetTraffic, endpoint_name="fraud", traffic={"blue": 100}, deferrable=deferrable, **FAST).run()
        finally:
            azureml_emulator.configure(operation_seconds=0.5)
        put = azureml_emulator.calls("PUT", "/onlineEndpoints/fraud")[-1]
        last = azureml_emulator.calls("GET", "/onlineEndpoints/fraud")[-1]
        assert last["at"] - put["at"] >= 1.5

    def test_keeps_the_address_and_shows_its_course(self, ws, task, endpoint, found, azureml_emulator):
        endpoint("blue")
        address = found()["properties"]["scoringUri"]
        azureml_emulator.configure(operation_seconds=30)
        try:
            task(SetTraffic, endpoint_name="fraud", traffic={"blue": 100}, waiting=False, **FAST).run()
            azureml_emulator.advance(16)
            updating = found()["properties"]
        finally:
            azureml_emulator.configure(operation_seconds=0.5)
        assert (updating["provisioningState"], updating["scoringUri"]) == ("Updating", address)


def test_a_deployment_with_traffic_is_not_deleted(ws, task, endpoint, azureml_emulator):
    endpoint("blue")
    task(SetTraffic, endpoint_name="fraud", traffic={"blue": 100}, **FAST).run()
    with pytest.raises(SpecError, match=r"'blue' of online endpoint 'fraud' gets 100 % of the requests.*Nothing was"):
        task(Delete, endpoint_name="fraud", deployment_name="blue", **FAST).run()
    assert not azureml_emulator.calls("DELETE")


@both_ways
@pytest.mark.parametrize("what", ["endpoint", "deployment", "deletion"])
def test_what_azure_fails_with_says_why_and_a_retry_goes_on(ws, task, endpoint, azureml_emulator, deferrable, what):
    if what != "endpoint":
        endpoint()
    azureml_emulator.misbehave(
        "DELETE" if what == "deletion" else "PUT",
        "/onlineEndpoints/",
        operation_fails=True,
        code="OutOfQuota",
        message="Not enough quota for DS3.",
        times=1,
    )
    how = {"deferrable": deferrable, **FAST}
    runner = {
        "endpoint": lambda: task(Create, endpoint={"name": "fraud"}, **how),
        "deployment": lambda: task(Deploy, deployment=deployment(), **how),
        "deletion": lambda: task(Delete, endpoint_name="fraud", **how),
    }[what]()
    with pytest.raises(ProvisioningFailedError, match=r"OutOfQuota: Not enough quota for DS3. .*'fraud' is Failed"):
        runner.run()
    assert runner.run()["status"] in ("Succeeded", "Deleted")


class TestSensor:
    @both_ways
    def test_it_waits_for_a_deployment(self, ws, task, endpoint, deferrable, long_operations):
        endpoint()
        goes_on = long_operations(deferrable)
        task(Deploy, deployment=deployment(), waiting=False).run()
        sensor = {"endpoint_name": "fraud", "deployment_name": "blue", "poke_interval": 0.1}
        runner = task(EndpointSensor, deferrable=deferrable, **sensor)
        runner.while_deferred = goes_on
        assert runner.run()["status"] == "Succeeded"
        assert (runner.deferral is not None) == deferrable

    def test_it_waits_until_an_endpoint_is_gone(self, ws, task, endpoint):
        endpoint()
        task(Delete, endpoint_name="fraud", waiting=False).run()
        runner = task(EndpointSensor, endpoint_name="fraud", state="Deleted", deferrable=True, poke_interval=0.1)
        assert runner.run() == {"name": "fraud", "status": "Deleted"}

    def test_a_state_that_there_is_not(self, ws, task):
        with pytest.raises(SpecError, match="'Healthy'; it can be 'Succeeded' or 'Deleted'"):
            task(EndpointSensor, endpoint_name="fraud", state="Healthy").run()
