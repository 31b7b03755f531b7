"""Many waits of all kinds in one triggerer, against lists as AzureML may have them and ARM's bucket of reads."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from airflow_provider_azureml.datasets import Kind
from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
from airflow_provider_azureml.provider.rest.client import WorkspaceClient
from airflow_provider_azureml.provider.triggers.job import AzureMachineLearningJobTrigger as JobTrigger
from airflow_provider_azureml.provider.triggers.resource import AzureMachineLearningResourceTrigger as ResourceTrigger
from airflow_provider_azureml.provider.triggers.version import AzureMachineLearningVersionTrigger as VersionTrigger

COMMAND = {"jobType": "Command", "command": "true", "environmentId": "azureml:e:1"}  # on serverless compute
COMMON: dict[str, Any] = {"conn_id": "azureml", "poll_interval": 1.0}


class Workspace:
    """What others do in the workspace, by ARM's REST API."""

    def __init__(self, client: WorkspaceClient) -> None:
        self.client = client

    async def submit(self, *names: str, **tags: str) -> None:
        for name in names:
            await self.client.change_resource("PUT", "jobs", name, json={"properties": {**COMMAND, "tags": tags}})

    async def register(self, kind: Kind, name: str, version: str) -> None:
        words = {"modelType": "custom_model", "dataType": "uri_file"}
        uri = "azureml://datastores/workspaceblobstore/paths/elsewhere"
        await self.client.put_version(kind, name, version, {"properties": {**words, "modelUri": uri, "dataUri": uri}})

    async def make_compute(self, name: str) -> None:
        size = {"vmSize": "STANDARD_DS3_V2", "scaleSettings": {"maxNodeCount": 1, "minNodeCount": 0}}
        body = {"location": "westeurope", "properties": {"computeType": "AmlCompute", "properties": size}}
        await self.client.change_resource("PUT", "computes", name, json=body)


@pytest.fixture
async def workspace(ws: Any) -> Any:
    async with AzureMachineLearningHook("azureml").client() as client:
        yield Workspace(client)


async def fire(trigger: Any) -> Any:
    async for event in trigger.run():
        return json.loads(json.dumps(event.payload))


async def test_waits_of_all_kinds_hear_though_lists_are_short_late_and_mostly_of_others(workspace, azureml_emulator):
    azureml_emulator.configure(page_size=7, list_delay=0.5)
    azureml_emulator.script_jobs(["Running", ("Running", 3600)])
    mine, others = [f"mine-{n}" for n in range(30)], [f"other-{n}" for n in range(30)]
    await workspace.submit(*mine, **{"airflow.task_run": "run"})
    await workspace.submit(*others)
    for number in range(10):
        await workspace.register(Kind.MODEL, f"old{number}", "1")
    azureml_emulator.configure(throttle=True)
    since = {"since": "2020-01-01T00:00:00Z"}
    waits = {
        **{name: fire(JobTrigger(job_name=name, task_run_id="run", **COMMON)) for name in mine},
        **{name: fire(JobTrigger(job_name=name, **COMMON)) for name in others},
        "fraud": fire(VersionTrigger(wanted={"kind": "model", "name": "fraud", **since}, **COMMON)),
        "sales": fire(VersionTrigger(wanted={"kind": "data", "name": "sales", **since}, **COMMON)),
        **{
            f"cpu-{n}": fire(ResourceTrigger(path=["computes", f"cpu-{n}"], state="Succeeded", **COMMON))
            for n in range(3)
        },
    }
    for number in range(3):
        await workspace.make_compute(f"cpu-{number}")
    running = {name: asyncio.create_task(wait) for name, wait in waits.items()}
    await asyncio.to_thread(azureml_emulator.wait_for_call, "GET", "/jobs$", count=4)  # two lists, twice
    for name in ("mine-3", "mine-29", "other-0", "other-17"):
        await asyncio.to_thread(azureml_emulator.job(name).complete)
    await asyncio.to_thread(azureml_emulator.job("other-5").fail, "UserError", "out of memory")
    await workspace.register(Kind.MODEL, "fraud", "1")
    await workspace.register(Kind.DATA, "sales", "1")
    ends = ["mine-3", "mine-29", "other-0", "other-17", "other-5", "fraud", "sales", "cpu-0", "cpu-1", "cpu-2"]
    began = time.monotonic()
    async with asyncio.timeout(20):
        events = dict(zip(ends, await asyncio.gather(*(running[name] for name in ends)), strict=True))
    assert time.monotonic() - began < 10
    assert events["mine-3"]["found"]["status"] == "Completed"
    assert events["other-5"]["error"] == "JobFailedError"
    assert "out of memory" in events["other-5"]["message"]
    assert events["fraud"]["found"][0]["name"] == "fraud"
    assert events["cpu-1"]["found"]["status"] == "Succeeded"
    assert all(not running[name].done() for name in running.keys() - set(ends))
    assert not azureml_emulator.calls(status=429)
    for task in running.values():
        task.cancel()
    await asyncio.gather(*running.values(), return_exceptions=True)


async def test_many_waits_cost_a_few_lists_and_not_a_read_each(workspace, azureml_emulator):
    azureml_emulator.configure(page_size=50)  # as recorded: what lists cost depends on it
    azureml_emulator.script_jobs(["Running", ("Running", 3600)])
    names = [f"job-{n}" for n in range(100)]
    await workspace.submit(*names)
    azureml_emulator.clear_calls()
    tasks = [asyncio.create_task(fire(JobTrigger(job_name=name, **COMMON))) for name in names]
    await asyncio.to_thread(azureml_emulator.wait_for_call, "GET", "/jobs$", count=6)  # of two pages
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    lists, all_reads = azureml_emulator.calls("GET", path="/jobs$"), azureml_emulator.calls("GET", "/jobs")
    assert len(lists) >= 6
    assert len(all_reads) < len(names), "three rounds one by one would be three times as many"


async def test_an_archived_job_is_heard_of_though_no_list_mentions_it(workspace, azureml_emulator):
    azureml_emulator.script_jobs(["Running", ("Running", 3600)])
    names = [f"job-{n}" for n in range(20)]
    await workspace.submit(*names)
    archived = {**COMMAND, "isArchived": True}
    await workspace.client.change_resource("PUT", "jobs", "job-7", json={"properties": archived})
    tasks = {name: asyncio.create_task(fire(JobTrigger(job_name=name, **COMMON))) for name in names}
    await asyncio.to_thread(azureml_emulator.wait_for_call, "GET", "/jobs$", count=2)
    await asyncio.to_thread(azureml_emulator.job("job-7").complete)
    async with asyncio.timeout(60):
        assert (await tasks["job-7"])["found"]["name"] == "job-7"
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
