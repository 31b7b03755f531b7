"""What hours and days do: the clock is moved, nobody waits."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from datetime import UTC, datetime, timedelta
from pydoc import locate
from typing import Any

import pytest
from freezegun import freeze_time

from airflow_provider_azureml.datasets import Workspace
from airflow_provider_azureml.provider import errors
from airflow_provider_azureml.provider.connection import WorkspaceConnection
from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
from airflow_provider_azureml.provider.jobs.check import Wait
from airflow_provider_azureml.provider.rest import transport
from airflow_provider_azureml.provider.rest.bodies import Datastore, Job
from airflow_provider_azureml.provider.storage.container import Container
from airflow_provider_azureml.provider.triggers import base
from airflow_provider_azureml.provider.triggers.job import AzureMachineLearningJobTrigger as JobTrigger

WS = Workspace("12345678-1234-1234-1234-123456789abc", "ml", "fraud-prod")


class GivesSecrets:
    """A workspace, as far as a container asks it: each time another signature."""

    connection = WorkspaceConnection("azureml", WS)

    def __init__(self) -> None:
        self.asked = 0

    async def get_datastore_secret(self, name: str) -> str:
        self.asked += 1
        return f"sv=1&sig={self.asked}"


async def test_an_upload_of_hours_gets_a_new_signature_before_the_old_one_runs_out():
    store = Datastore("store", "https://account.blob.core.windows.net", "container", has_credentials=True)
    workspace: Any = GivesSecrets()
    with freeze_time(real_asyncio=True) as clock:
        async with Container(workspace, store) as container:
            first = await container.client()
            clock.tick(timedelta(minutes=44))
            assert await container.client() is first
            clock.tick(timedelta(minutes=2))
            assert await container.client() is not first
            assert workspace.asked == 2
            clock.tick(timedelta(hours=3))
            await asyncio.gather(*(container.client() for _ in range(5)))
            assert workspace.asked == 3, "those who upload at the same time share one"


async def test_a_deadline_outlives_the_restart_of_a_triggerer(monkeypatch):
    """A trigger is stored and loaded again after hours: its time is up at once, and does not begin anew."""

    @contextlib.asynccontextmanager
    async def silent(_: Any) -> Any:
        yield None

    async def connection(_: Any) -> Any:
        return GivesSecrets.connection

    monkeypatch.setattr(transport, "shared_transport", silent)
    monkeypatch.setattr(AzureMachineLearningHook, "aget_workspace_connection", connection)
    began = datetime(2026, 1, 1, tzinfo=UTC)
    with freeze_time(began, real_asyncio=True) as clock:
        trigger = JobTrigger(conn_id="azureml", poll_interval=60, job_name="j", deadline=began.timestamp() + 3600)
        stored = json.dumps(trigger.serialize())
        clock.tick(timedelta(hours=2))
        path, fields = json.loads(stored)
        async with asyncio.timeout(30):
            events = [event.payload async for event in locate(path)(**fields).run()]
    assert events[0]["error"] == "WaitTimeoutError"
    assert "job 'j' to complete" in events[0]["message"]


async def test_checks_become_rarer_while_the_service_cannot_answer_and_never_sooner_than_it_asks(monkeypatch):
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(base.asyncio, "sleep", sleep)
    answers: list[Any] = [errors.TransientError("busy")] * 5 + [errors.TransientError("busy", retry_after=900), None, 1]

    async def look() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await base.poll(look, interval=60) == 1
    assert pauses == [60, 120, 240, 480, 480, 900, 60]


def test_a_job_that_does_not_respond_is_given_up_after_its_grace_and_not_before():
    def job(status: str) -> Job:
        return Job.from_body({"name": "j", "id": "i", "properties": {"status": status, "jobType": "Command"}})

    with freeze_time("2026-01-01") as clock:
        wait = Wait(grace=1800)
        wait.see(job("NotResponding"))
        clock.tick(timedelta(minutes=29))
        assert not wait.given_up
        wait.see(job("Running"))
        wait.see(job("NotResponding"))
        clock.tick(timedelta(minutes=29))
        assert not wait.given_up, "it had come back meanwhile"
        clock.tick(timedelta(minutes=2))
        assert wait.given_up


def test_a_wait_of_a_day_says_now_and_then_that_it_goes_on(caplog):
    caplog.set_level(logging.INFO)
    with freeze_time("2026-01-01") as clock:
        trigger = JobTrigger(conn_id="azureml", poll_interval=60, job_name="j", deadline=time.time() + 24 * 3600)
        trigger._begin()

        def wait() -> None:
            while True:
                clock.tick(trigger.remind())

        with pytest.raises(errors.WaitTimeoutError, match=r"job 'j' to complete: checked not yet\."):
            wait()
        assert time.time() == pytest.approx(trigger.deadline, abs=1)
    lines = [record.getMessage() for record in caplog.records][1:]
    assert set(lines) == {"Waiting for job 'j' to complete: checked not yet."}
    assert 20 < len(lines) < 30, "ten minutes, then ever more rarely, at last each hour"
