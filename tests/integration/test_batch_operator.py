"""Invoking a batch endpoint: one job for one task run, though only the service knows its name."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from airflow_provider_azureml.emulator.core.turns import WAYS
from airflow_provider_azureml.provider.errors import (
    AmbiguousError,
    JobFailedError,
    NotFoundError,
    SpecError,
    WaitTimeoutError,
)
from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
from airflow_provider_azureml.provider.jobs import batch_invocation
from airflow_provider_azureml.provider.operators.batch import AzureMachineLearningInvokeBatchEndpointOperator as Invoke
from airflow_provider_azureml.provider.operators.data import AzureMachineLearningCreateDataOperator as CreateData
from airflow_provider_azureml.provider.operators.endpoint import AzureMachineLearningCreateEndpointOperator as Create
from airflow_provider_azureml.provider.operators.endpoint import AzureMachineLearningDeployEndpointOperator as Deploy
from airflow_provider_azureml.provider.operators.model import AzureMachineLearningRegisterModelOperator as RegisterModel
from airflow_provider_azureml.provider.triggers.job import AzureMachineLearningJobTrigger

FAST = {"poll_interval": 0.1}
both_ways = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "in place"])
INPUTS = {"sales": {"type": "uri_folder", "path": "azureml:sales:1"}, "limit": 5}
BLUE = {"name": "blue", "endpoint_name": "scoring", "model": "azureml:fraud:1", "compute": "azureml:cpu"}


@pytest.fixture
def invoke(ws: Any, task: Any, folder: Any, cpu: None) -> Any:
    """A runner that invokes the endpoint `scoring`, whose deployment is `blue`, with the data version sales:1."""
    task(CreateData, data_asset={"name": "sales", "path": str(folder)}).run()
    task(RegisterModel, model={"name": "fraud", "path": str(folder)}).run()
    batch = {"endpoint_type": "batch", **FAST}
    task(Create, endpoint={"name": "scoring"}, **batch).run()
    task(Deploy, deployment=BLUE, **batch).run()

    def make(**arguments: Any) -> Any:
        fields = {"endpoint_name": "scoring", "deployment_name": "blue", "inputs": INPUTS, **FAST, **arguments}
        return task(Invoke, **fields)

    return make


@pytest.fixture
def jobs(ask: Any) -> Any:
    return lambda: ask(lambda client: client._list("/jobs", {}))


@both_ways
def test_its_job_is_waited_for_and_returned(invoke, azureml_emulator, jobs, deferrable):
    azureml_emulator.configure(answers={"batch job keeps": "tags"})
    azureml_emulator.script_jobs([("Running", None)] if deferrable else [("Running", 0.3), "Completed"])
    runner = invoke(deferrable=deferrable)
    runner.while_deferred = lambda: azureml_emulator.job(jobs()[0]["name"]).complete()
    job = runner.run()
    assert (runner.deferral is not None) == deferrable
    assert job["status"] == "Completed"
    assert job["tags"]["airflow.dag_id"] == "dag"
    assert [made["name"] for made in jobs()] == [job["name"]]
    assert runner.ti.xcoms["azureml_studio_url"] == job["studio_url"]
    assert azureml_emulator.unknown_routes == []


def test_without_waiting_the_task_ends_when_its_job_has_started(invoke, azureml_emulator, jobs):
    azureml_emulator.script_jobs([("Running", 3600.0), "Completed"])
    job = invoke(waiting=False, timeout=5).run()
    assert [(made["name"], made["properties"]["status"]) for made in jobs()] == [(job["name"], "Running")]


def test_a_retry_finds_the_job_and_a_cleared_task_starts_another(invoke, azureml_emulator, jobs):
    azureml_emulator.script_jobs(["Completed"])
    runner = invoke()
    first = runner.run()["name"]
    azureml_emulator.clear_calls()
    assert runner.run()["name"] == first
    assert not azureml_emulator.calls("GET", "/jobs$"), "its name is known: nothing is looked for"
    runner.clear()
    runner.run()
    assert len(jobs()) == 2


def test_a_retry_after_the_job_failed_starts_another(invoke, azureml_emulator, jobs):
    azureml_emulator.script_jobs([{"status": "Failed", "error": {"code": "ScriptError", "message": "no column"}}])
    runner = invoke()
    with pytest.raises(JobFailedError, match=r"is Failed. ScriptError: no column"):
        runner.run()
    azureml_emulator.script_jobs(None)
    azureml_emulator.script_jobs(["Completed"])
    assert runner.run()["name"] == runner.run()["name"]
    assert len(jobs()) == 2


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("fault", [{"lose_answer": True}, {"reset": True}, {"status": 429, "retry_after": 1}])
def test_an_answer_that_is_lost_or_refused_for_now_leaves_one_job(invoke, azureml_emulator, jobs, fault):
    azureml_emulator.script_jobs(["Completed"])
    azureml_emulator.misbehave("POST", "^/jobs$", times=1, **fault)
    name = invoke().run()["name"]
    assert [job["name"] for job in jobs()] == [name]


@pytest.mark.usefixtures("quick")
def test_sigkill_after_any_call_leaves_one_job(invoke, azureml_emulator, jobs, kill_at_each_call):
    azureml_emulator.script_jobs([("Running", 0.2), "Completed"])
    assert kill_at_each_call(invoke()) > 6
    assert len(jobs()) == 1


def test_a_job_that_takes_too_long_is_canceled(invoke, azureml_emulator):
    azureml_emulator.script_jobs(["Running"])
    with pytest.raises(WaitTimeoutError, match="it was canceled"):
        invoke(deferrable=False, timeout=0.5).run()
    assert len(azureml_emulator.calls("POST", "/cancel")) == 1


def test_the_triggerer_cancels_its_job(invoke, azureml_emulator, jobs):
    azureml_emulator.script_jobs(["Running"])
    runner = invoke(deferrable=True)

    def kill() -> None:
        asyncio.run(runner.deferral.trigger.on_kill())

    runner.while_deferred = kill
    with pytest.raises(JobFailedError, match="is Canceled"):
        runner.run()
    assert len(azureml_emulator.calls("POST", "/cancel")) == 1


def test_its_job_is_canceled_also_if_the_service_does_not_keep_the_tags(invoke, azureml_emulator):
    from azure.ai.ml import Input

    azureml_emulator.script_jobs(["Running"])
    inputs = {"sales": Input(path="azureml://datastores/d/paths/p")}
    with AzureMachineLearningHook("azureml").ml_client() as ml:
        name = ml.batch_endpoints.invoke("scoring", deployment_name="blue", inputs=inputs).name
    trigger = AzureMachineLearningJobTrigger(
        conn_id="azureml", poll_interval=1, job_name=name, task_run_id="a task run"
    )
    asyncio.run(trigger.on_kill())
    assert len(azureml_emulator.calls("POST", f"/jobs/{name}/cancel")) == 1


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"endpoint_name": "nowhere"}, NotFoundError, "no batch endpoint 'nowhere'"),
        ({"deployment_name": "green"}, NotFoundError, "no deployment 'green'"),
        ({"inputs": {"sales": {"type": "uri_folder", "path": "azureml:sales:9"}}}, NotFoundError, "sales"),
        ({"inputs": {"sales": {"type": "folder", "path": "azureml:sales:1"}}}, SpecError, "'sales' is .* uri_folder"),
        ({"inputs": {"sales": {"path": "./lake"}}}, SpecError, "'./lake' of input 'sales' is not in Azure"),
    ],
)
def test_what_cannot_be_starts_nothing(invoke, azureml_emulator, jobs, arguments, error, words):
    with pytest.raises(error, match=words):
        invoke(**arguments).run()
    assert jobs() == []


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_invocation, "_LOOK_SECONDS", 2.0)
    monkeypatch.setattr(batch_invocation, "_PAUSE", 0.1)


@pytest.mark.parametrize("lag", [0.0, 1.0], ids=["lists are up to date", "lists lag"])
@pytest.mark.parametrize(
    ("keeps", "repeatability"), list(itertools.product(WAYS["batch job keeps"], WAYS["repeatability"]))
)
@pytest.mark.usefixtures("quick")
def test_a_lost_answer_leads_to_one_job_whatever_the_service_keeps_of_it(
    invoke, jobs, azureml_emulator, keeps, repeatability, lag
):
    azureml_emulator.script_jobs(["Completed"])
    azureml_emulator.configure(answers={"batch job keeps": keeps, "repeatability": repeatability}, list_delay=lag)
    azureml_emulator.misbehave("POST", "^/jobs$", times=1, lose_answer=True)
    runner = invoke()
    name = runner.run()["name"]
    azureml_emulator.configure(list_delay=0.0)
    assert [job["name"] for job in jobs()] == [name]
    assert runner.run()["name"] == name


@pytest.mark.parametrize("keeps", WAYS["batch job keeps"])
@pytest.mark.usefixtures("quick")
def test_one_job_when_the_worker_dies_with_the_answer(invoke, jobs, azureml_emulator, monkeypatch, keeps):
    class Died(BaseException):
        pass

    azureml_emulator.script_jobs(["Completed"])
    azureml_emulator.configure(answers={"batch job keeps": keeps}, list_delay=1.0)
    runner = invoke()
    real = batch_invocation.BatchInvocation._invoke

    async def die(self: Any, *arguments: Any) -> str:
        await real(self, *arguments)
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(batch_invocation.BatchInvocation, "_invoke", die)
        with pytest.raises(Died):
            runner.run()
    name = runner.run()["name"]
    azureml_emulator.configure(list_delay=0.0)
    assert [job["name"] for job in jobs()] == [name]


@pytest.mark.usefixtures("quick")
def test_of_two_that_may_be_it_none_is_taken_and_no_third_is_started(invoke, jobs, azureml_emulator):
    from azure.ai.ml import Input

    azureml_emulator.script_jobs(["Completed"])
    azureml_emulator.configure(answers={"batch job keeps": "nothing"})
    inputs = {"sales": Input(path="azureml://datastores/d/paths/p")}
    runner = invoke()
    with AzureMachineLearningHook("azureml").ml_client() as ml:
        ml.batch_endpoints.invoke("scoring", deployment_name="blue", inputs=inputs)
    azureml_emulator.misbehave("POST", "^/jobs$", times=1, lose_answer=True)
    with pytest.raises(AmbiguousError, match=r"any of batchjob-.*, batchjob-.* may be the job that it started"):
        runner.run()
    assert len(jobs()) == 2
