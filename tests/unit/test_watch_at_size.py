"""Watching thousands of models and of versions, in virtual time: what it costs, and that nobody starves."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_provider_azureml.datasets import AssetVersion, Kind
from airflow_provider_azureml.provider.errors import NotFoundError, TransientError
from airflow_provider_azureml.provider.rest.client import WorkspaceClient
from airflow_provider_azureml.provider.rest.read_budget import ReadBudget, ReadMeter
from airflow_provider_azureml.provider.rest.transport import Answer
from airflow_provider_azureml.provider.watching import desk, poll, version_watcher, watcher
from airflow_provider_azureml.provider.watching.memory import Kept
from airflow_provider_azureml.provider.watching.version_watcher import VersionWatcher

from .virtual_service import CONNECTION, LEFT, run

EPOCH = 1_790_000_000.0  # what the loop's zero is as a time of day
FIELDS = {"kind": "model", "tags": {}, "start": "latest"}


def moment(now: float) -> str:
    return datetime.fromtimestamp(EPOCH + now, UTC).isoformat(timespec="microseconds")


@dataclass
class Registry:
    """Models with versions behind ARM's bucket of reads, listed 50 a page."""

    models: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    refuse: float = 0.0  # share of pages that are refused
    honours_order: bool = True
    reads: Counter[str] = field(default_factory=Counter)
    throttled: int = 0

    def __post_init__(self) -> None:
        self.left, self.at, self.chance = 250.0, 1000.0, random.Random(7)
        self.budget: ReadBudget | None = None

    def put(self, name: str, version: int, at: float, **tags: str) -> None:
        known = self.models.setdefault(name, {}).get(str(version))
        system = {"createdAt": known["systemData"]["createdAt"] if known else moment(at), "lastModifiedAt": moment(at)}
        body = {"name": str(version), "id": f"/{name}/{version}", "properties": {"tags": tags}, "systemData": system}
        self.models[name][str(version)] = body

    async def request(
        self, method: str, url: str, *, params: Any = None, json: Any = None, retry: bool = False, reader: str = ""
    ) -> Answer:
        loop = asyncio.get_running_loop()
        if self.budget is None:
            self.budget = ReadBudget(ReadMeter(now=loop.time()))
        async with self.budget.turn(reader) as hear:
            await asyncio.sleep(0.1)
            status, headers = self._take(loop.time())
            hear(status, headers)
        if status == 429:
            self.throttled += 1
            raise TransientError("busy", retry_after=float(headers["retry-after"]), status=429)
        parts = urlsplit(url)
        query = {**{key: values[0] for key, values in parse_qs(parts.query).items()}, **(params or {})}
        words = parts.path.split("/models", 1)[1].strip("/").split("/")
        kind = "models" if words == [""] else "versions" if words[-1] == "versions" else "model"
        self.reads[kind] += 1
        if kind == "model":
            if words[0] not in self.models:
                raise NotFoundError(words[0])
            return Answer(200, self._container(words[0]), {})
        if self.chance.random() < self.refuse:
            raise TransientError("not now", status=503)
        items = [self._container(name) for name in self.models] if kind == "models" else self._versions(words[0], query)
        start = int(query.get("at", 0))
        body: dict[str, Any] = {"value": items[start : start + 50]}
        if start + 50 < len(items):
            order = query.get("$orderBy", "")
            body["nextLink"] = f"https://host{parts.path}?$orderBy={order.replace(' ', '%20')}&at={start + 50}"
        return Answer(200, body, {})

    def _container(self, name: str) -> dict[str, Any]:
        latest = next(reversed(self.models[name]), None)
        return {"name": name, "properties": {"latestVersion": latest}, "systemData": {}}

    def _versions(self, name: str, query: dict[str, str]) -> list[dict[str, Any]]:
        if name not in self.models:
            raise NotFoundError(name)
        by_change = self.honours_order and query["$orderBy"].startswith("modifiedtime")
        by = "lastModifiedAt" if by_change else "createdAt"
        return sorted(self.models[name].values(), key=lambda body: str(body["systemData"][by]), reverse=True)

    def _take(self, now: float) -> tuple[int, dict[str, str]]:
        self.left = min(250.0, self.left + (now - self.at) * 25)
        self.at = now
        if self.left < 1:
            return 429, {LEFT: "0", "retry-after": str(math.ceil((1 - self.left) / 25))}
        self.left -= 1
        return 200, {LEFT: str(int(self.left))}


class Memory:
    """What Airflow keeps for one asset."""

    def __init__(self) -> None:
        self.row: Any = None
        self.settling: Any = None
        self.copy: Any = None
        self.largest = 0

    async def read(self) -> Any:
        return self.row

    async def read_copy(self) -> Any:
        return self.copy

    async def is_there(self) -> bool:
        return self.row is not None

    async def write(self, kept: Kept) -> None:
        self.row = json.loads(json.dumps(kept.to_json()))
        self.largest = max(self.largest, len(json.dumps(self.row)))

    async def read_settling(self) -> Any:
        return self.settling

    async def write_settling(self, kept: Kept) -> None:
        self.settling = json.loads(json.dumps(kept.to_json()))
        self.largest = max(self.largest, len(json.dumps(self.settling)))

    async def write_copy(self, kept: Kept) -> None:
        self.copy = json.loads(json.dumps(kept.to_json()))

    async def write_health(self, health: dict[str, Any]) -> None:
        pass


class Poll(poll.WorkspacePoll):
    """The poll, without Airflow's connection."""

    registry: Registry

    async def _connect(self) -> tuple[WorkspaceClient, WorkspaceClient]:
        first, second = (
            WorkspaceClient(CONNECTION, transport=self.registry, retry=False, reader=name)  # type: ignore[arg-type]
            for name in ("polls", "lists")
        )
        return first, second

    async def _read_requests(self) -> None:
        pass


@dataclass
class Told:
    """What one watcher told: event by event, each with when."""

    events: list[tuple[float, list[AssetVersion]]] = field(default_factory=list)

    @property
    def versions(self) -> list[str]:
        return [version.version for _, versions in self.events for version in versions]


@contextlib.asynccontextmanager
async def triggerer(
    registry: Registry, watched: dict[str, Memory], *, interval: float = 60.0, **fields: Any
) -> AsyncIterator[dict[str, Told]]:
    """Watch models as a triggerer does; Airflow stores each event a second later."""
    shared = Poll(conn_id="c", owner=CONNECTION.workspace, kind=Kind.MODEL, interval=interval, event_queue=None)
    shared.registry = registry
    told = {name: Told() for name in watched}
    watchers = [
        VersionWatcher(
            {**FIELDS, **fields, "name": name}, memory, trigger_id=1, confirmed=True, log=logging.getLogger("quiet")
        )
        for name, memory in watched.items()
    ]
    loop = asyncio.get_running_loop()

    async def beats() -> None:
        joined = False
        async for beat, _ in shared.open_stream():
            if not joined:
                beat.watched.update([*watched])
                joined = True
            for one in watchers:
                if piece := await one.hear(beat):
                    told[one.name].events.append((loop.time(), piece))
            loop.call_later(1.0, setattr, beat, "stored", loop.time() + 1.0)

    task = asyncio.create_task(beats())
    try:
        yield told
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await shared.aclose()


@pytest.fixture(autouse=True)
def in_virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(
        monotonic=lambda: asyncio.get_running_loop().time(), time=lambda: EPOCH + asyncio.get_running_loop().time()
    )
    for module in (desk, poll, version_watcher, watcher):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(watcher, "settle_time", lambda: 120.0)

    async def at_once(work: Callable[..., Any], *arguments: Any) -> Any:
        return work(*arguments)  # a thread would run in real time

    monkeypatch.setattr(version_watcher.asyncio, "to_thread", at_once)


async def until(condition: Callable[[], Any], seconds: float) -> None:
    end = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < end, "it does not come to hold"
        await asyncio.sleep(1.0)


@pytest.mark.slow
def test_a_thousand_models_with_tags_under_arms_bucket_are_all_heard_within_three_intervals():
    async def scenario() -> None:
        registry = Registry()
        for number in range(1000):
            registry.put(f"m{number}", 1, 900.0 + number / 1000)
        watched = {f"m{number}": Memory() for number in range(1000)}
        async with triggerer(registry, watched, tags={"stage": "production"}) as told:
            await until(lambda: all(memory.row for memory in watched.values()), 120)
            loop = asyncio.get_running_loop()
            begin, before = loop.time(), registry.reads.total()
            made = {}
            for number in registry.chance.sample(range(1000), 1000):
                await asyncio.sleep(0.6)
                made[f"m{number}"] = loop.time()
                registry.put(f"m{number}", 1, loop.time(), stage="production")
            await until(lambda: all(one.events for one in told.values()), 200)
            late = max(one.events[0][0] - made[name] for name, one in told.items())
            rate = (registry.reads.total() - before) / (loop.time() - begin)
        assert late < 180, f"{late:.0f} s"
        assert all(one.versions == ["1"] for one in told.values())
        assert rate < 25, f"{rate:.1f} reads a second"
        assert registry.throttled < registry.reads.total() / 200, f"{registry.throttled} of {registry.reads.total()}"

    run(scenario())


@pytest.mark.slow
def test_a_backlog_of_7500_versions_on_150_pages_of_which_2_percent_are_refused_is_told_in_order():
    async def scenario() -> None:
        registry = Registry(refuse=0.02)
        for version in range(1, 7501):
            registry.put("fraud", version, version / 10)
        memory = Memory()
        async with triggerer(registry, {"fraud": memory}, start="all") as told:
            await until(lambda: len(told["fraud"].versions) >= 7500, 600)
        assert told["fraud"].versions == [str(version) for version in range(1, 7501)]
        assert max(len(versions) for _, versions in told["fraud"].events) == 100
        assert memory.largest < 16_000

    run(scenario())


def test_of_2000_versions_made_while_no_triggerer_ran_none_is_lost_and_a_crash_repeats_an_event_at_most():
    async def scenario() -> None:
        registry, memory = Registry(), Memory()
        registry.put("fraud", 1, 900.0)
        async with triggerer(registry, {"fraud": memory}):
            await until(lambda: memory.row and memory.row["mark"], 600)
        for version in range(2, 2002):
            registry.put("fraud", version, asyncio.get_running_loop().time() + version / 1000)
        found: list[str] = []
        crashes = 0
        while len(set(found)) < 2000:
            async with triggerer(registry, {"fraud": memory}) as told:
                await until(lambda told=told: told["fraud"].events, 60)
                await asyncio.sleep(registry.chance.uniform(0, 25))
            crashes += 1
            found += told["fraud"].versions
        assert sorted(set(found), key=int) == [str(version) for version in range(2, 2002)]
        assert crashes >= 5
        assert len(found) <= 2000 + 100 * crashes
        assert memory.largest < 16_000

    run(scenario())


def test_a_triggerer_that_crashes_in_a_loop_with_news_in_between_tells_no_long_backlog_again():
    """A crash each half minute, which is a quarter of the time in which an announcement counts as heard."""

    async def scenario() -> None:
        registry, memory = Registry(), Memory()
        registry.put("fraud", 1, 900.0)
        loop = asyncio.get_running_loop()
        async with triggerer(registry, {"fraud": memory}, interval=10.0):
            await until(lambda: memory.row, 60)
        found: list[str] = []
        made: dict[str, float] = {}
        for _ in range(60):
            version = 2 + len(made)
            made[str(version)] = loop.time()
            registry.put("fraud", version, loop.time())
            async with triggerer(registry, {"fraud": memory}, interval=10.0) as told:
                await asyncio.sleep(30)
            found += told["fraud"].versions
        assert sorted(found, key=int) == [*made], "a crash repeats nothing that is stored and kept"
        memory.row = memory.settling = None  # the asset fell out of use
        async with triggerer(registry, {"fraud": memory}, interval=10.0) as told:
            await until(lambda: told["fraud"].events, 60)
            again = told["fraud"].versions
        assert loop.time() - made[again[0]] < 2 * 120 + 60, f"{len(again)} of {len(made)}"

    run(scenario())


@pytest.mark.parametrize("tags", [{}, {"stage": "production"}])
def test_a_poll_that_finds_nothing_new_costs_a_page_whatever_there_is(tags):
    """5,000 models that nobody watches, and one of 10,000 versions."""

    async def scenario() -> None:
        registry, memory = Registry(), Memory()
        for number in range(5000):
            registry.put(f"m{number}", 1, 1.0)
        for version in range(1, 10_001):
            registry.put("fraud", version, -100_000.0 + version * 9)
        registry.put("fraud", 5000, 1_000.0, stage="production")
        async with triggerer(registry, {"fraud": memory}, tags=tags) as told:
            await until(lambda: memory.row and memory.row["mark"], 1200)
            assert registry.reads["models"] <= 2, "the list of models is left where it is longer than what is watched"
            await asyncio.sleep(120)
            registry.reads.clear()
            await asyncio.sleep(600)
            polls = registry.reads["model"]
            assert 9 <= polls <= 11
            assert registry.reads["versions"] <= (polls if tags else 0)
            assert not told["fraud"].events
            loop = asyncio.get_running_loop()
            registry.put("fraud", 17, loop.time(), stage="production")
            registry.put("fraud", 10_001, loop.time(), stage="production")
            await until(lambda: len(told["fraud"].versions) == 1 + bool(tags), 90)
        expected = ["17", "10001"] if tags else ["10001"]
        assert sorted(told["fraud"].versions, key=int) == expected
        assert memory.largest < 16_000

    run(scenario())


def test_an_old_version_of_a_model_that_gets_another_one_at_each_poll_is_promoted_and_noticed_at_the_next_poll():
    async def scenario() -> None:
        registry, memory = Registry(), Memory()
        for version in range(1, 11):
            registry.put("fraud", version, -900_000.0 + version * 80_000)
        async with triggerer(registry, {"fraud": memory}, tags={"stage": "production"}) as told:
            await until(lambda: memory.row, 60)
            loop = asyncio.get_running_loop()
            for version in range(11, 49):
                registry.put("fraud", version, loop.time())
                await asyncio.sleep(20)
                if version == 40:
                    registry.put("fraud", 1, loop.time(), stage="production")
                    promoted = loop.time()
        ((heard, _),) = told["fraud"].events
        assert heard - promoted < 65, f"{heard - promoted:.0f} s"

    run(scenario())


def test_a_service_that_ceases_to_show_changes_first_is_found_out_at_the_next_poll():
    async def scenario() -> None:
        registry, memory = Registry(), Memory()
        for version in range(1, 201):
            registry.put("fraud", version, -900_000.0 + version * 4_000)
        async with triggerer(registry, {"fraud": memory}, tags={"stage": "production"}) as told:
            await until(lambda: memory.row, 60)
            loop = asyncio.get_running_loop()
            registry.put("fraud", 7, loop.time(), stage="production")
            await until(lambda: told["fraud"].versions == ["7"], 90)
            await asyncio.sleep(900)
            registry.honours_order = False
            registry.put("fraud", 8, loop.time(), stage="production")
            await until(lambda: told["fraud"].versions == ["7", "8"], 90)

    run(scenario())


def test_who_joins_while_names_are_asked_for_begins_at_once_and_not_an_interval_later():
    async def scenario() -> None:
        registry = Registry()
        for number in range(500):
            registry.put(f"m{number}", 1, 1.0)
        shared = Poll(conn_id="c", owner=CONNECTION.workspace, kind=Kind.MODEL, interval=900, event_queue=None)
        shared.registry = registry
        loop = asyncio.get_running_loop()
        begin = loop.time()
        async for beat, _ in shared.open_stream():
            beat.watched["m1"] = 1
            if loop.time() > begin + 20:
                beat.watched["m2"] = 1
            if "m2" in (beat.fingerprints or ()):
                break
            assert loop.time() < begin + 60
        await shared.aclose()

    run(scenario())


@pytest.mark.parametrize(("least", "interval", "polls"), [("0", 10, 60), ("60", 10, 10), ("60", 120, 5)])
def test_a_platform_team_sets_how_often_is_polled_at_most(monkeypatch, least, interval, polls):
    monkeypatch.setenv("AIRFLOW__AZUREML__WATCH_LEAST_INTERVAL", least)

    async def scenario() -> None:
        registry = Registry()
        registry.put("fraud", 1, 900.0)
        async with triggerer(registry, {"fraud": Memory()}, interval=interval):
            await asyncio.sleep(600)
        found = registry.reads["models"] + registry.reads["model"]
        assert polls - 1 <= found <= polls + 2

    run(scenario())


@pytest.mark.parametrize(("greatest", "tries"), [("900", (6, 9)), ("60", (58, 62))])
def test_a_platform_team_sets_how_late_a_poll_is_tried_again_at_most(monkeypatch, greatest, tries):
    monkeypatch.setenv("AIRFLOW__AZUREML__WATCH_GREATEST_BACKOFF", greatest)

    async def scenario() -> None:
        registry = Registry(refuse=1.0)
        registry.put("fraud", 1, 900.0)
        async with triggerer(registry, {"fraud": Memory()}, interval=60.0):
            await asyncio.sleep(3600)
        assert tries[0] <= registry.reads["models"] <= tries[1]

    run(scenario())


def test_a_platform_team_sets_how_many_reads_a_second_go_out(monkeypatch):
    from airflow_provider_azureml.provider.rest.read_budget import read_budget

    monkeypatch.setenv("AIRFLOW__AZUREML__MAX_READS_PER_SECOND", "5")

    async def scenario() -> float:
        return read_budget(CONNECTION, "https://management.azure.com/subscriptions/x/y").meter.rate

    assert run(scenario()) == 5
