"""Triggers as they were stored by others, and a service that asks for more patience than there is."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from pydoc import locate
from typing import Any

import pytest

from airflow_provider_azureml.provider import errors
from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
from airflow_provider_azureml.provider.rest import transport
from airflow_provider_azureml.provider.triggers.job import AzureMachineLearningJobTrigger
from airflow_provider_azureml.provider.triggers.resource import AzureMachineLearningResourceTrigger
from airflow_provider_azureml.provider.triggers.version import AzureMachineLearningVersionTrigger
from airflow_provider_azureml.provider.triggers.watch_experiment import AzureMachineLearningExperimentWatchTrigger
from airflow_provider_azureml.provider.triggers.watch_version import AzureMachineLearningVersionWatchTrigger

from .virtual_service import CONNECTION

NEEDED: dict[type, dict[str, Any]] = {
    AzureMachineLearningJobTrigger: {"conn_id": "c", "poll_interval": 60, "job_name": "j"},
    AzureMachineLearningVersionTrigger: {
        "conn_id": "c",
        "poll_interval": 60,
        "wanted": {"kind": "model", "name": "größe"},
    },
    AzureMachineLearningResourceTrigger: {"conn_id": "c", "poll_interval": 60, "path": ["computes", "a"], "state": "x"},
    AzureMachineLearningVersionWatchTrigger: {"conn_id": "c", "owner": "o", "kind": "model", "name": "m"},
    AzureMachineLearningExperimentWatchTrigger: {
        "conn_id": "c",
        "owner": "o",
        "kind": "experiment",
        "name": 'it\'s "night"',
        "statuses": ["Failed", "Completed"],
    },
}
FURTHER: dict[str, Any] = {
    "asset": "models/größe@ws",
    "deadline": 1.5e9,
    "event_queue": "https://q",
    "fail_on_paused": True,
    "log": {"type": "Command", "all_nodes": True, "shown": {}},
    "metrics": True,
    "not_before": 1.4e9,
    "not_responding_grace": 7.0,
    "operation": "https://management.azure.com/operations/1",
    "poll_interval": 7.5,
    "registry": "r",
    "start": "all",
    "tags": {"b": "größe", "a": "'\""},
    "task_run_id": "t",
}


@pytest.mark.parametrize("kind", NEEDED, ids=lambda kind: kind.__name__)
def test_every_argument_of_a_trigger_survives_airflows_database(kind: type) -> None:
    """And one that an earlier release stored, with fewer of them, is loaded."""
    arguments = {
        name
        for base in kind.__mro__
        if "__init__" in vars(base) and base.__module__.startswith("airflow_provider_azureml")
        for name, parameter in inspect.signature(base.__init__).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    assert arguments <= NEEDED[kind].keys() | FURTHER.keys()
    for further in ({}, {name: FURTHER[name] for name in arguments & FURTHER.keys()}):
        path, fields = kind(**{**NEEDED[kind], **further}).serialize()
        stored = json.loads(json.dumps(fields))
        again = locate(path)(**stored)  # type: ignore[operator]
        assert again.serialize() == (path, fields)
        for name, value in {**NEEDED[kind], **further}.items():
            assert stored[name] == (sorted(value) if name == "statuses" else value)


@pytest.mark.parametrize("retry_after", [600.0, None])
async def test_a_deadline_ends_a_wait_though_the_service_asks_for_ten_minutes(monkeypatch, retry_after) -> None:
    class Busy:
        async def __aenter__(self) -> Any:
            return self

        async def __aexit__(self, *_: object) -> None:
            pass

        async def request(self, *_: Any, **__: Any) -> Any:
            await asyncio.sleep(0)
            raise errors.TransientError("busy", retry_after=retry_after, status=429)

    async def connection(_: Any) -> Any:
        return CONNECTION

    monkeypatch.setattr(transport, "shared_transport", lambda _: Busy())
    monkeypatch.setattr(AzureMachineLearningHook, "aget_workspace_connection", connection)
    trigger = AzureMachineLearningJobTrigger(
        conn_id="azureml", poll_interval=0.1, job_name="j", deadline=time.time() + 1.0
    )
    async with asyncio.timeout(60):
        events = [event.payload async for event in trigger.run()]
    assert [event["error"] for event in events] == ["WaitTimeoutError"]
    assert "no answer" in events[0]["message"]


@pytest.mark.parametrize("retry_after", [600.0, None])
async def test_a_deadline_ends_a_wait_in_the_worker_too(retry_after) -> None:
    class Busy:
        async def get_job(self, _: str) -> Any:
            await asyncio.sleep(0)
            raise errors.TransientError("busy", retry_after=retry_after, status=429)

    trigger = AzureMachineLearningJobTrigger(
        conn_id="azureml", poll_interval=0.1, job_name="j", deadline=time.time() + 1.0
    )
    with pytest.raises(errors.WaitTimeoutError):
        await asyncio.wait_for(trigger.wait(Busy()), 60)  # type: ignore[arg-type]


class Silent:
    """A transport that never answers."""

    def __init__(self, opened: list[Any]) -> None:
        self._opened = opened

    async def __aenter__(self) -> Any:
        self._opened.append(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._opened.remove(self)

    async def request(self, *_: Any, **__: Any) -> Any:
        await asyncio.sleep(3600)


async def test_triggers_that_are_cancelled_and_made_again_a_thousand_times_leave_no_task(monkeypatch) -> None:
    opened: list[Any] = []

    async def connection(_: Any) -> Any:
        return CONNECTION

    monkeypatch.setattr(transport, "shared_transport", lambda _: Silent(opened))
    monkeypatch.setattr(AzureMachineLearningHook, "aget_workspace_connection", connection)

    async def wait(number: int) -> None:
        trigger = AzureMachineLearningJobTrigger(conn_id="azureml", poll_interval=0.01, job_name=f"j{number}")
        async for _ in trigger.run():
            raise AssertionError

    before = asyncio.all_tasks()
    for round_ in range(10):
        tasks = [asyncio.create_task(wait(number)) for number in range(100)]
        await asyncio.sleep(0.05 * round_)  # they are at different steps of the way when they are cancelled
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(60):
        while asyncio.all_tasks() != before or opened:
            await asyncio.sleep(0.1)


@pytest.mark.parametrize(("parsing", "cleanup", "seconds"), [(None, None, 120), (4, 4, 38), (300, 60, 390)])
def test_an_announcement_is_sure_after_airflows_own_intervals_and_half_a_minute(
    monkeypatch, parsing, cleanup, seconds
) -> None:
    from airflow_provider_azureml.provider.configuration import settle_time

    options = {"DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": parsing, "SCHEDULER__PARSING_CLEANUP_INTERVAL": cleanup}
    for option, value in options.items():
        monkeypatch.delenv(f"AIRFLOW__{option}", raising=False)
        if value is not None:
            monkeypatch.setenv(f"AIRFLOW__{option}", str(value))
    assert settle_time() == seconds
