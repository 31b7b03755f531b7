"""What the logs of a thousand jobs cost those who wait for them: real triggers, a service in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import pytest

from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
from airflow_provider_azureml.provider.rest import blob_reader, transport
from airflow_provider_azureml.provider.rest.blob_reader import Part
from airflow_provider_azureml.provider.rest.read_budget import read_budget
from airflow_provider_azureml.provider.rest.transport import Answer
from airflow_provider_azureml.provider.triggers.job import AzureMachineLearningJobTrigger as JobTrigger

from .virtual_service import CONNECTION, Service, run

INTERVAL = 30.0
LINE = b"working\n"
_STORAGE, _HISTORY = "https://account.blob.core.windows.net", "https://westeurope.api.azureml.ms"


@dataclass
class LoggedService(Service):
    """One whose jobs write a line each minute, which run history and storage know."""

    asked: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """When each job's log was asked for, of run history or of storage."""
    by_host: Counter[str] = field(default_factory=Counter)

    async def request(self, method: str, url: str, **options: Any) -> Answer:
        path = urlsplit(url).path
        if "/jobs" in path:
            answer = await super().request(method, url, **options)
            if "value" not in answer.body:
                answer.body["id"] = f"{CONNECTION.workspace.id}/jobs/{answer.body['name']}"
            return answer
        if url.startswith(_HISTORY):
            name = path.split("/")[-2]
            await self._ask(name, url, options.get("reader", ""))
            return Answer(200, {"logFiles": {"user_logs/std_log.txt": f"{_STORAGE}/{name}"}}, {})
        self.by_host["discovery"] += 1
        body = {"properties": {"discoveryUrl": "https://x/discovery"}} if "discovery" not in url else {"api": _HISTORY}
        return Answer(200, body, {})

    async def read(self, url: str, *, start: int, length: int, reader: str = "") -> Part:
        await self._ask(urlsplit(url).path[1:], url, reader)
        content = LINE * int((asyncio.get_running_loop().time() - 1000) / 60)
        return Part(content[start : start + length], len(content))

    async def _ask(self, name: str, url: str, reader: str) -> None:
        async with read_budget(CONNECTION, url).turn(reader) as hear:
            self.asked[name].append(asyncio.get_running_loop().time())
            self.by_host[str(urlsplit(url).hostname)] += 1
            await asyncio.sleep(self.latency)
            hear(200, {})


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Wait with triggers for the jobs of a service, for so many seconds; returns how long each was behind."""

    def waiting(service: LoggedService, seconds: float, log: dict[str, Any] | None) -> dict[str, float]:
        @contextlib.asynccontextmanager
        async def of_service(*_: Any) -> AsyncIterator[Any]:
            yield service

        async def connection(self: Any) -> Any:
            return CONNECTION

        monkeypatch.setattr(AzureMachineLearningHook, "aget_workspace_connection", connection)
        monkeypatch.setattr(transport, "shared_transport", of_service)
        monkeypatch.setattr(blob_reader, "shared_blob_reader", of_service)
        delays: dict[str, float] = {}

        async def one(number: int, name: str) -> None:
            loop = asyncio.get_running_loop()
            await asyncio.sleep(INTERVAL * number / len(service.ends))
            trigger = JobTrigger(job_name=name, conn_id="azureml", poll_interval=INTERVAL, log=log)
            async for event in trigger.run():
                assert event.payload["status"] == "success", event.payload
                delays[name] = loop.time() - service.ends[name]

        async def all_of_them() -> None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                    for number, name in enumerate(service.ends):
                        group.create_task(one(number, name))

        run(all_of_them())
        return delays

    return waiting


LOG = {"type": "Command", "all_nodes": False, "shown": None}
NEVER = 10.0**9


def jobs(number: int, ending: int) -> dict[str, float]:
    return {f"job{index}": 1150.0 + index if index < ending else NEVER for index in range(number)}


def test_a_thousand_logs_cost_one_request_a_job_and_interval_at_most_and_delay_no_wait(wait):
    service = LoggedService(jobs(1000, 20))
    delays = wait(service, 240.0, LOG)
    assert len(delays) == 20
    assert max(delays.values()) <= 2 * INTERVAL + 10  # the event of a trigger settles for ten seconds at most
    assert service.throttled == 0
    assert len(service.asked) == 1000
    for name, times in service.asked.items():
        running = [at for at in times if at < service.ends[name]]
        assert all(later - earlier >= INTERVAL for earlier, later in pairwise(running)), name
    assert service.by_host["discovery"] == 2, "where run history is, is asked once for all"
    for host in (urlsplit(_STORAGE).hostname, urlsplit(_HISTORY).hostname):
        assert 100 < service.by_host[str(host)] <= 250 + 25 * 240, "it counts in the budget of reads"


def test_without_logs_nothing_but_the_waits_is_asked(wait):
    service = LoggedService(jobs(100, 5))
    assert len(wait(service, 300.0, None)) == 5
    assert not service.asked
