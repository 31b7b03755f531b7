"""Watching jobs that have been open for long: what it costs, and that each is heard of when it ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_azureml.datasets import Kind
from airflow_provider_azureml.provider.errors import NotFoundError
from airflow_provider_azureml.provider.rest.client import WorkspaceClient
from airflow_provider_azureml.provider.rest.transport import Answer
from airflow_provider_azureml.provider.watching import desk as module
from airflow_provider_azureml.provider.watching.cursors import milliseconds
from airflow_provider_azureml.provider.watching.desk import JOBS, Desk, Listing, Query

from .virtual_service import CONNECTION, run

FIRST = datetime(2026, 11, 1, tzinfo=UTC)
PAGE = 50


@pytest.fixture(autouse=True)
def in_virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: asyncio.get_running_loop().time()))


@dataclass
class Jobs:
    """A workspace with a job a minute, of which some have not ended; its list shows the newest first."""

    count: int = 5000
    open: set[int] = field(default_factory=set)
    unlisted: set[int] = field(default_factory=set)
    frozen: set[int] = field(default_factory=set)  # which the list always calls running
    reads: Counter[str] = field(default_factory=Counter)

    async def request(self, method: str, url: str, **options: Any) -> Answer:
        await asyncio.sleep(0.1)
        path, _, query = url.partition("?")
        if path.endswith("/jobs"):
            self.reads["pages"] += 1
            start = int(query or 0)
            numbers = [number for number in reversed(range(self.count)) if number not in self.unlisted]
            body: dict[str, Any] = {"value": [self._body(n, listed=True) for n in numbers[start : start + PAGE]]}
            if start + PAGE < len(numbers):
                body["nextLink"] = f"https://management.azure.com/jobs?{start + PAGE}"
            return Answer(200, body, {})
        self.reads["jobs"] += 1
        if int(path.rpartition("-")[2]) >= self.count:
            raise NotFoundError(path)
        return Answer(200, self._body(int(path.rpartition("-")[2])), {})

    def _body(self, number: int, *, listed: bool = False) -> dict[str, Any]:
        goes_on = number in self.open or (listed and number in self.frozen)
        made = (FIRST + timedelta(minutes=number)).isoformat()
        properties = {"status": "Running" if goes_on else "Completed", "experimentName": "night"}
        return {"name": f"job-{number}", "id": "/x", "properties": properties, "systemData": {"createdAt": made}}

    @property
    def names(self) -> set[str]:
        return {f"job-{number}" for number in self.open}


@contextlib.asynccontextmanager
async def asking(jobs: Jobs) -> AsyncIterator[Any]:
    """What a poll finds that asks for the jobs of the last ten minutes, and for others by name."""
    found = asyncio.Event()
    desk = Desk(Kind.EXPERIMENT, on_found=found.set)
    desk.use(WorkspaceClient(CONNECTION, transport=jobs, retry=False))  # type: ignore[arg-type]
    task = asyncio.create_task(desk.run())
    since = milliseconds((FIRST + timedelta(minutes=jobs.count - 10)).isoformat())

    async def ask(names: set[str]) -> Listing:
        await asyncio.sleep(60)
        found.clear()
        desk.want(JOBS, Query(since=since, jobs=names))
        await found.wait()
        return desk.collect()[JOBS]

    yield ask
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def told(listing: Listing, names: set[str]) -> set[str]:
    assert listing.error is None
    return {job.name for job in listing.jobs if job.name in names and job.has_ended}


@pytest.mark.parametrize(
    ("count", "every", "reads"),
    [(1, 4000, 2), (100, 10, 33), (1000, 5, 112), (100, 45, 150)],
    ids=["one", "a hundred of the last thousand", "a thousand of the last 5,000", "a hundred of the last 4,500"],
)
def test_a_poll_reads_no_more_than_the_pages_that_tell_of_open_jobs_and_some_in_turn(count, every, reads):
    async def scenario() -> None:
        jobs = Jobs(open={5000 - every * number for number in range(1, count + 1)})
        names = jobs.names
        async with asking(jobs) as ask:
            await ask(names)
            await ask(names)
            jobs.reads.clear()
            for _ in range(10):
                assert told(await ask(names), names) == set()
            assert jobs.reads.total() / 10 <= reads, jobs.reads
            ended = sorted(jobs.open)[0]
            jobs.open.remove(ended)
            assert told(await ask(names), names) == {f"job-{ended}"}

    run(scenario())


def test_a_job_that_no_list_mentions_is_heard_of_when_it_ends_and_one_that_is_gone_is_not_there():
    async def scenario() -> None:
        jobs = Jobs(open=set(range(0, 3000, 10)), unlisted={0, 10, 20})
        names = {*jobs.names, "job-9999"}
        async with asking(jobs) as ask:
            await ask(names)
            jobs.open -= {10, 500}
            listing = await ask(names)
            assert told(listing, names) == {"job-10", "job-500"}
            assert names - {job.name for job in listing.jobs} == {"job-9999"}
            assert "job-9999" in listing.asked

    run(scenario())


def test_a_list_that_calls_ended_jobs_running_is_found_out_job_by_job():
    async def scenario() -> None:
        jobs = Jobs(open=set(range(0, 3000, 3)))
        names = jobs.names
        async with asking(jobs) as ask:
            await ask(names)
            jobs.frozen = set(jobs.open)
            jobs.open.clear()
            heard: set[str] = set()
            for _ in range(20):
                heard |= told(await ask(names - heard), names)
            assert heard == names

    run(scenario())


def test_two_watchers_that_ask_for_different_jobs_in_turn_share_what_is_known_of_the_list():
    async def scenario() -> None:
        jobs = Jobs(open=set(range(4000, 5000, 5)))
        one, other = {f"job-{n}" for n in range(4000, 5000, 10)}, {f"job-{n}" for n in range(4005, 5000, 10)}
        async with asking(jobs) as ask:
            for names in (one, other, one, other):
                await ask(names)
            jobs.reads.clear()
            for names in (one, other) * 5:
                await ask(names)
            assert jobs.reads.total() / 10 <= 33, jobs.reads
            assert len(jobs.names) == 200

    run(scenario())
