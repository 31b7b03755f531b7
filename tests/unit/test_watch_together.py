"""Watchers that share a poll and have seen different amounts: what one asks for must not make another skip anything."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_azureml.datasets import AssetVersion, Kind, Registry
from airflow_provider_azureml.provider.errors import NotFoundError
from airflow_provider_azureml.provider.rest.bodies import Job
from airflow_provider_azureml.provider.watching import event_queue
from airflow_provider_azureml.provider.watching.cursors import JobCursor, VersionCursor
from airflow_provider_azureml.provider.watching.desk import Desk, Query
from airflow_provider_azureml.provider.watching.job_watcher import JobWatcher
from airflow_provider_azureml.provider.watching.memory import Kept
from airflow_provider_azureml.provider.watching.poll import Beat, WorkspacePoll
from airflow_provider_azureml.provider.watching.version_watcher import VersionWatcher
from airflow_provider_azureml.provider.watching.watcher import Watcher

from .virtual_service import CONNECTION

START = datetime(2026, 11, 1, tzinfo=UTC)


def at(minute: int) -> str:
    return (START + timedelta(minutes=minute)).isoformat()


class Memory:
    """What Airflow keeps for one asset."""

    def __init__(self, cursor: Any = None) -> None:
        self.row = None if cursor is None else Kept(cursor.to_json(), mark="mark").to_json()
        self.copy = self.row
        self.health: list[dict[str, Any]] = []
        self.is_in_use = True

    async def read(self) -> Any:
        return self.row if self.is_in_use else None

    async def read_copy(self) -> Any:
        return self.copy

    async def is_there(self) -> bool:
        return self.row is not None

    async def write(self, kept: Kept) -> None:
        self._check()
        self.row = json.loads(json.dumps(kept.to_json()))

    async def read_settling(self) -> Any:
        return None

    async def write_settling(self, kept: Kept) -> None:
        self._check()

    async def write_copy(self, kept: Kept) -> None:
        self.copy = json.loads(json.dumps(kept.to_json()))

    async def write_health(self, health: dict[str, Any]) -> None:
        self._check()
        self.health.append(health)

    def _check(self) -> None:
        if not self.is_in_use:
            raise RuntimeError("404: Asset not found")


class Workspace:
    """Lists of a workspace."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.changes: dict[str, AssetVersion] = {}  # when it was changed -> version

    async def list_job_pages(self) -> Any:
        yield sorted(self.jobs, key=lambda job: job.created_at, reverse=True)

    async def find_job(self, name: str) -> Job | None:
        return next((job for job in self.jobs if job.name == name), None)

    async def list_changed_versions(self, kind: Kind, name: str) -> Any:
        if not self.changes:
            raise NotFoundError(name)
        for changed_at, version in sorted(self.changes.items(), reverse=True):
            yield version, changed_at


class Together:
    """A poll with its desk, and a beat whenever a test wants one."""

    def __init__(self, kind: Kind, workspace: Workspace) -> None:
        self._found = asyncio.Event()
        self.desk = Desk(kind, on_found=self._found.set)
        self.desk.use(workspace)  # type: ignore[arg-type]
        self._polls = 0

    async def poll(self, first: Watcher, *others: Watcher) -> list[list[str]]:
        """
        Poll. Return what each watcher tells of what the first one asked for, and then of what all asked for.

        The others join when the first one has asked and nothing is found yet.
        """
        self._polls += 1
        await first.hear(self.beat())
        await asyncio.wait_for(self._found.wait(), 30)
        self._found.clear()
        told: list[list[str]] = [[] for _ in range(1 + len(others))]
        found = self.desk.collect()
        for _ in range(3):
            beat = self.beat(found)
            for number, watcher in enumerate((first, *others)):
                told[number] += [version.version for version in await watcher.hear(beat)]
            beat.stored = asyncio.get_running_loop().time()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._found.wait(), 0.2)
            self._found.clear()
            found = self.desk.collect()
        return told

    def beat(self, found: Any = None) -> Beat:
        """A beat with what was found, if anything."""
        return Beat(self.desk, Counter(), self._polls, {"fraud": "mark"}, is_complete=True, found=found or {})


@contextlib.asynccontextmanager
async def together(kind: Kind, workspace: Workspace) -> Any:
    found = Together(kind, workspace)
    serving = asyncio.create_task(found.desk.run())
    yield found
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving


def job_watcher(memory: Memory, **fields: Any) -> JobWatcher:
    words = {"kind": "experiment", "name": "night", "tags": {}, "start": "latest", "statuses": ["Completed"], **fields}
    return JobWatcher(words, memory, trigger_id=1, confirmed=True, log=logging.getLogger("quiet"))  # type: ignore[arg-type]


def version_watcher(memory: Memory) -> VersionWatcher:
    words = {"kind": "model", "name": "fraud", "tags": {"stage": "production"}, "start": "latest"}
    return VersionWatcher(words, memory, trigger_id=1, confirmed=True, log=logging.getLogger("quiet"))  # type: ignore[arg-type]


def job(name: str, minute: int, status: str = "Completed") -> Job:
    return Job(name=name, id=f"/{name}", status=status, created_at=at(minute), experiment_name="night")


async def test_a_consumer_of_jobs_that_was_paused_for_an_hour_hears_all_of_it_though_another_went_on() -> None:
    workspace = Workspace()
    workspace.jobs = [job("known", 0), job("while_paused", 20), job("now", 60)]
    went_on = job_watcher(Memory(JobCursor(at(50))))
    paused = job_watcher(Memory(JobCursor(at(1), recent=frozenset({"known"}))))
    async with together(Kind.EXPERIMENT, workspace) as poll:
        assert await poll.poll(went_on, paused) == [["now"], ["while_paused", "now"]]


async def test_an_experiment_that_is_watched_from_now_on_tells_of_jobs_that_have_long_been_running() -> None:
    workspace = Workspace()
    workspace.jobs = [job("long", 0, "Running"), job("now", 60)]
    watched = job_watcher(Memory(JobCursor(at(50))))
    new = job_watcher(Memory())
    async with together(Kind.EXPERIMENT, workspace) as poll:
        assert await poll.poll(watched, new) == [["now"], []]
        workspace.jobs[0] = job("long", 0)
        assert await poll.poll(watched, new) == [[], ["long"]]


async def test_a_promotion_that_came_while_one_filter_was_paused_is_told_though_another_filter_went_on() -> None:
    """Their lists of what was changed go back to different moments."""
    workspace = Workspace()
    made = [AssetVersion(kind="model", name="fraud", version=str(n), id=f"/{n}", created_at=at(n)) for n in range(4)]
    promoted = AssetVersion(**{**made[1].to_dict(), "tags": {"stage": "production"}})
    workspace.changes = {at(2): made[2], at(20): promoted, at(30): made[0], at(50): made[3]}
    went_on = version_watcher(Memory(VersionCursor().with_announced(made)))
    paused = version_watcher(Memory(VersionCursor()))
    async with together(Kind.MODEL, workspace) as poll:
        assert await poll.poll(went_on) == [[]]  # and now knows that changes are shown first
        workspace.changes[at(60)] = AssetVersion(**{**made[2].to_dict(), "tags": {"stage": "staging"}})
        del workspace.changes[at(2)]
        assert await poll.poll(went_on, paused) == [[], ["1"]]


@pytest.mark.parametrize("since", [at(-60), "2000-01-01"])
async def test_a_replay_of_jobs_forgets_none_that_is_still_running(since: str) -> None:
    workspace = Workspace()
    workspace.jobs = [job("long", -600, "Running"), job("ended", 0)]
    watcher = job_watcher(Memory(JobCursor(at(0), frozenset({"ended"}), frozenset({"long"}))))
    async with together(Kind.EXPERIMENT, workspace) as poll:
        assert await poll.poll(watcher) == [[]]
        beat = poll.beat()
        beat.requests = {"night": {"id": "1", "do": "replay", "since": since}}
        await watcher.hear(beat)
        assert await poll.poll(watcher) == [["ended"]]
        watcher._last_announced = 0.0  # events of one asset are seconds apart
        workspace.jobs[0] = job("long", -600)
        assert await poll.poll(watcher) == [["long"]]


async def test_a_request_that_somebody_wrote_by_hand_does_not_stop_a_watcher() -> None:
    workspace = Workspace()
    memory = Memory(JobCursor(at(1)))
    watcher = job_watcher(memory)
    async with together(Kind.EXPERIMENT, workspace) as poll:
        await poll.poll(watcher)
        beat = poll.beat()
        beat.requests = {"night": {"id": "1", "do": "replay", "since": "yesterday"}}
        await watcher.hear(beat)
        await watcher.hear(beat)
    assert memory.health[-1]["state"] == "ok"
    assert "yesterday" in memory.health[-1]["why"]


async def test_the_assets_page_says_how_it_is_also_after_a_bad_deployment_and_when_airflow_did_not_take_it_at_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow_provider_azureml.provider.watching import watcher as module

    monkeypatch.setattr(module, "_HEALTH_AGAIN", 0.1)
    workspace = Workspace()
    workspace.jobs = [job("known", 0)]
    memory = Memory(JobCursor(at(1), frozenset({"known"})))
    watcher = job_watcher(memory)
    async with together(Kind.EXPERIMENT, workspace) as poll:
        await poll.poll(watcher)
        (first,) = memory.health
        assert first["state"] == "ok"
        memory.row, memory.is_in_use = None, False  # Airflow deletes all of an asset that is out of use
        workspace.jobs.append(job("new", 30))
        assert await poll.poll(watcher) == [[]]
        memory.is_in_use = True
        await asyncio.sleep(0.1)
        assert [version.version for version in await watcher.hear(poll.beat())] == ["new"]
    assert [health["state"] for health in memory.health[1:]] == ["ok"]


async def test_a_desk_that_is_ended_just_as_it_is_asked_for_something_ends() -> None:
    """`asyncio.wait_for` of Python 3.11 forgets a cancellation that comes with what it waits for."""
    desk = Desk(Kind.MODEL, on_found=lambda: None)
    desk.want("fraud", Query())
    desk._not_before = time.monotonic() + 60  # the service is busy
    serving = asyncio.create_task(desk.run())
    await asyncio.sleep(0.1)  # it waits
    desk.use(None)
    serving.cancel()
    done, _ = await asyncio.wait([serving], timeout=30)
    assert done


async def test_who_is_ended_while_the_listener_of_a_queue_ends_is_ended(monkeypatch):
    """`await task` raises its CancelledError as it would raise the waiter's own: to suppress one forgets the other."""
    leaving = asyncio.Event()

    async def run(self: event_queue.Listener) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            leaving.set()
            await asyncio.sleep(0.01)

    monkeypatch.setattr(event_queue.Listener, "run", run)

    async def hear() -> None:
        async with event_queue.hearing("https://a.queue.core.windows.net/q", CONNECTION, lambda nudge: None):
            await asyncio.sleep(0)

    hearer = asyncio.create_task(hear())
    await leaving.wait()
    hearer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hearer


async def test_a_poll_that_is_ended_just_as_it_is_nudged_ends() -> None:
    poll = WorkspacePoll(conn_id="azureml", owner=Registry("shared"), kind=Kind.MODEL, interval=60, event_queue=None)
    poll._due = [time.monotonic() + 60]
    resting = asyncio.create_task(poll._rest(time.monotonic()))
    await asyncio.sleep(0.3)  # it waits
    poll._wake.set()
    resting.cancel()
    await asyncio.wait([resting], timeout=30)
    assert resting.cancelled()
