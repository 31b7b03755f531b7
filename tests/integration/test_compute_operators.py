"""Creating, deleting, starting and stopping computes: once, whatever dies; and what is said of differences."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_provider_azureml.provider.errors import (
    NotFoundError,
    ProvisioningFailedError,
    SpecError,
    WaitTimeoutError,
)
from airflow_provider_azureml.provider.operators.compute import (
    AzureMachineLearningCreateComputeResourceOperator as Create,
)
from airflow_provider_azureml.provider.operators.compute import (
    AzureMachineLearningDeleteComputeResourceOperator as Delete,
)
from airflow_provider_azureml.provider.operators.compute import AzureMachineLearningStartComputeOperator as Start
from airflow_provider_azureml.provider.operators.compute import AzureMachineLearningStopComputeOperator as Stop
from airflow_provider_azureml.provider.resources.compute import Compute
from airflow_provider_azureml.sensors import AzureMachineLearningComputeSensor as ComputeSensor

CLUSTER = {"name": "cpu", "type": "amlcompute", "size": "Standard_DS3_v2", "max_instances": 2}
INSTANCE = {"name": "box", "type": "computeinstance", "size": "Standard_DS3_v2"}
FAST = {"poll_interval": 0.1}
both_ways = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "in place"])


@pytest.fixture
def compute(ask: Any) -> Any:
    """A compute as ARM describes it; None if there is none."""
    return lambda name: ask(lambda client: Compute(name).find(client))


@both_ways
@pytest.mark.parametrize("spec", [CLUSTER, INSTANCE], ids=["cluster", "instance"])
def test_a_compute_is_created_and_waited_for(ws, task, azureml_emulator, compute, deferrable, spec, long_operations):
    runner = task(Create, compute=spec, deferrable=deferrable, **FAST)
    runner.while_deferred = long_operations(deferrable)
    result = runner.run()
    assert (runner.deferral is not None) == deferrable
    assert (result["name"], result["status"], result["size"]) == (spec["name"], "Succeeded", "STANDARD_DS3_V2")
    assert compute(spec["name"])["properties"]["provisioningState"] == "Succeeded"
    assert runner.ti.xcoms["azureml_studio_url"] == result["studio_url"]
    assert azureml_emulator.unknown_routes == []


def test_without_waiting_the_task_ends_while_azure_goes_on(ws, task):
    assert task(Create, compute=CLUSTER, waiting=False, **FAST).run()["status"] == "Creating"


class TestWhatExists:
    @pytest.fixture(autouse=True)
    def cluster(self, ws, task, azureml_emulator):
        task(Create, compute=CLUSTER, **FAST).run()
        azureml_emulator.clear_calls()

    def test_with_the_same_settings_it_is_used(self, task, azureml_emulator, capsys):
        task(Create, compute={**CLUSTER, "size": "STANDARD_ds3_v2"}, on_difference="error", **FAST).run()
        assert not azureml_emulator.calls("PUT")

    def test_with_other_settings_it_is_used_with_a_warning(self, task, azureml_emulator, capsys):
        task(Create, compute={**CLUSTER, "max_instances": 5}, **FAST).run()
        assert "properties.scaleSettings.maxNodeCount is 2, not 5. It is used as it is." in capsys.readouterr().out
        assert not azureml_emulator.calls("PUT")

    def test_with_other_settings_it_is_an_error_where_that_is_wanted(self, task, azureml_emulator):
        spec = {**CLUSTER, "size": "Standard_NC6", "tags": {"team": "a"}}
        with pytest.raises(SpecError, match=r"vmSize is STANDARD_DS3_V2, not Standard_NC6.* Nothing was changed"):
            task(Create, compute=spec, on_difference="error", **FAST).run()
        assert not azureml_emulator.calls("PUT")

    def test_with_other_settings_it_is_updated_where_that_is_wanted(self, task, compute):
        task(Create, compute={**CLUSTER, "max_instances": 5}, on_difference="update", **FAST).run()
        assert compute("cpu")["properties"]["properties"]["scaleSettings"]["maxNodeCount"] == 5


def test_a_retry_after_the_compute_was_begun_waits_for_it(ws, task, azureml_emulator):
    runner = task(Create, compute=CLUSTER, on_difference="error", **FAST)
    runner.run()
    azureml_emulator.clear_calls()
    assert runner.run()["status"] == "Succeeded"
    assert not azureml_emulator.calls("PUT")


@both_ways
def test_a_compute_is_deleted_and_waited_for(ws, task, compute, deferrable):
    task(Create, compute=CLUSTER, **FAST).run()
    runner = task(Delete, compute_name="cpu", if_missing="fail", deferrable=deferrable, **FAST)
    assert runner.run() == {"name": "cpu", "status": "Deleted"}
    assert compute("cpu") is None
    assert runner.run()["status"] == "Deleted", "a retry after the worker died, deleted by an earlier try"


def test_deleting_what_is_not_there_is_a_warning_or_an_error(ws, task, azureml_emulator, capsys):
    assert task(Delete, compute_name="cpu", **FAST).run()["status"] == "Deleted"
    assert "There is no compute 'cpu': nothing to delete" in capsys.readouterr().out
    with pytest.raises(NotFoundError, match=r"no compute 'cpu' in workspace"):
        task(Delete, compute_name="cpu", if_missing="fail", **FAST).run()
    assert not azureml_emulator.calls("DELETE")


@both_ways
def test_an_instance_is_stopped_and_started(ws, task, azureml_emulator, deferrable):
    task(Create, compute=INSTANCE, **FAST).run()
    assert task(Stop, compute_name="box", deferrable=deferrable, **FAST).run()["state"] == "Stopped"
    assert task(Start, compute_name="box", deferrable=deferrable, **FAST).run()["state"] == "Running"
    azureml_emulator.clear_calls()
    task(Start, compute_name="box", **FAST).run()
    assert not azureml_emulator.calls("POST", "/start"), "it runs already"


def test_a_cluster_cannot_be_stopped(ws, task, azureml_emulator):
    task(Create, compute=CLUSTER, **FAST).run()
    with pytest.raises(SpecError, match="'cpu' is of type AmlCompute; only instances can be told to stop"):
        task(Stop, compute_name="cpu", **FAST).run()
    assert not azureml_emulator.calls("POST", "/stop")


@both_ways
def test_azure_goes_on_when_the_task_has_waited_long_enough(ws, task, azureml_emulator, deferrable):
    azureml_emulator.configure(operation_seconds=30)
    try:
        with pytest.raises(WaitTimeoutError, match=r"not Succeeded within 3 s.*Seen last: \w"):
            task(Create, compute=CLUSTER, deferrable=deferrable, timeout=3, **FAST).run()
    finally:
        azureml_emulator.configure(operation_seconds=0.5)


@pytest.mark.parametrize("operator", ["create", "delete", "stop", "start"])
def test_sigkill_after_any_call_acts_once(ws, task, azureml_emulator, kill_at_each_call, compute, operator):
    if operator != "create":
        task(Create, compute=INSTANCE, **FAST).run()
    if operator == "start":
        task(Stop, compute_name="box", **FAST).run()
    azureml_emulator.clear_calls()
    runner = {
        "create": lambda: task(Create, compute=INSTANCE, on_difference="error", **FAST),
        "delete": lambda: task(Delete, compute_name="box", if_missing="fail", **FAST),
        "stop": lambda: task(Stop, compute_name="box", **FAST),
        "start": lambda: task(Start, compute_name="box", **FAST),
    }[operator]()
    assert kill_at_each_call(runner) >= 3
    acted = [
        call for call in azureml_emulator.calls() if re.search("PUT|DELETE|/stop|/start", call["method"] + call["path"])
    ]
    assert len(acted) == 1


@pytest.mark.parametrize("operator", ["create", "delete", "stop"])
def test_a_lost_answer_is_no_failure(ws, task, azureml_emulator, operator):
    if operator != "create":
        task(Create, compute=INSTANCE, **FAST).run()
    method = {"create": "PUT", "delete": "DELETE", "stop": "POST"}[operator]
    azureml_emulator.misbehave(method, "/computes/box", lose_answer=True, times=1)
    if operator == "create":
        assert task(Create, compute=INSTANCE, **FAST).run()["status"] == "Succeeded"
    elif operator == "delete":
        assert task(Delete, compute_name="box", **FAST).run()["status"] == "Deleted"
    else:
        assert task(Stop, compute_name="box", **FAST).run()["state"] == "Stopped"


class TestSensor:
    @both_ways
    def test_it_waits_for_a_state(self, ws, task, deferrable, long_operations):
        goes_on = long_operations(deferrable)
        task(Create, compute=INSTANCE, waiting=False).run()
        runner = task(ComputeSensor, compute_name="box", state="Running", deferrable=deferrable, poke_interval=0.1)
        runner.while_deferred = goes_on
        assert runner.run()["state"] == "Running"
        assert (runner.deferral is not None) == deferrable

    def test_it_waits_until_a_compute_is_gone(self, ws, task):
        task(Create, compute=CLUSTER, **FAST).run()
        task(Delete, compute_name="cpu", waiting=False).run()
        sensor = task(ComputeSensor, compute_name="cpu", state="Deleted", deferrable=True, poke_interval=0.1)
        assert sensor.run() == {"name": "cpu", "status": "Deleted"}

    def test_a_compute_that_is_not_there_is_an_error(self, ws, task):
        with pytest.raises(NotFoundError, match="no compute 'box'"):
            task(ComputeSensor, compute_name="box").run()

    def test_a_state_that_there_is_not(self, ws, task):
        with pytest.raises(SpecError, match="'Idle'; it can be 'Succeeded', 'Running', 'Stopped' or 'Deleted'"):
            task(ComputeSensor, compute_name="box", state="Idle").run()


class TestAzureFails:
    @both_ways
    def test_a_compute_that_cannot_be_made_says_why_and_a_retry_makes_it(self, ws, task, azureml_emulator, deferrable):
        quota = {"code": "QuotaExceeded", "message": "0 cores left of Standard_NC6."}
        azureml_emulator.misbehave("PUT", "/computes/cpu", operation_fails=True, times=1, **quota)
        runner = task(Create, compute=CLUSTER, deferrable=deferrable, **FAST)
        with pytest.raises(
            ProvisioningFailedError, match=r"QuotaExceeded: 0 cores left.* https://ml.azure.com/compute/"
        ):
            runner.run()
        assert runner.run()["status"] == "Succeeded"

    @pytest.mark.parametrize(("operator", "method"), [(Delete, "DELETE"), (Stop, "POST")])
    def test_one_that_cannot_be_deleted_or_stopped_says_why(self, ws, task, azureml_emulator, operator, method):
        task(Create, compute=INSTANCE, **FAST).run()
        azureml_emulator.misbehave(method, "/computes/box", operation_fails=True, code="InUse", message="It has jobs.")
        with pytest.raises(ProvisioningFailedError, match=r"InUse: It has jobs.* The compute 'box' is Failed"):
            task(operator, compute_name="box", **FAST).run()


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"type": "amlcompute", "size": "s"}, "name"),
        ({**CLUSTER, "sizes": "x"}, "sizes"),
        ({**CLUSTER, "type": "abacus"}, "abacus"),
    ],
)
def test_a_spec_that_cannot_be(ws, task, azureml_emulator, spec, words):
    with pytest.raises(SpecError, match=words):
        task(Create, compute=spec).run()
    assert not azureml_emulator.calls("PUT")
