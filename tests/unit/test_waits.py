"""The plan of waits: what many waits cost, and how late they hear, whatever the service's lists are like."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import random
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_azureml.provider.errors import (
    ConnectionConfigurationError,
    NotFoundError,
    PermissionDeniedError,
    TransientError,
    WaitTimeoutError,
)
from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
from airflow_provider_azureml.provider.rest import transport
from airflow_provider_azureml.provider.triggers.job import AzureMachineLearningJobTrigger
from airflow_provider_azureml.provider.triggers.resource import AzureMachineLearningResourceTrigger
from airflow_provider_azureml.provider.triggers.version import AzureMachineLearningVersionTrigger
from airflow_provider_azureml.provider.waiting import plan as plan_module
from airflow_provider_azureml.provider.waiting.connections import connection_of
from airflow_provider_azureml.provider.waiting.plan import Plan
from airflow_provider_azureml.provider.waiting.rounds import MOST_PAGES, Roster, Subject, best_depth
from airflow_provider_azureml.provider.waiting.shared_reads import SharedReads

from .virtual_service import CONNECTION, Service, Waiter, run, wait_for_jobs

INTERVAL = 30.0
NEVER = 10.0**9


def jobs(number: int, *, ending: float = 0.1, first: float = 60.0, last: float = 400.0) -> dict[str, float]:
    """Some of which end at random times, between so many seconds after the start."""
    chance = random.Random(7)
    ends = (1000 + chance.uniform(first, last) if chance.random() < ending else NEVER for _ in range(number))
    return {f"job{index}": end for index, end in enumerate(ends)}


def heard(service: Service, seconds: float = 600.0, **options: Any) -> Any:
    """Wait for all jobs of a service; all that end are heard of."""
    outcome = run(wait_for_jobs(service, list(service.ends), seconds=seconds, spread=INTERVAL, **options))
    assert outcome.delays.keys() == {name for name, end in service.ends.items() if end < NEVER}
    return outcome


def test_a_thousand_waits_cost_a_twentieth_of_a_read_for_each_and_hear_within_two_intervals():
    service = Service(jobs(1000))
    assert heard(service).worst <= 2 * INTERVAL
    assert service.reads.total() < 1000 * 600 / INTERVAL / 20
    assert service.throttled == 0


def test_ten_thousand_waits_are_never_refused_and_hear_within_two_intervals():
    service = Service(jobs(10_000, ending=0.02, last=90.0))
    assert heard(service, seconds=160.0).worst <= 2 * INTERVAL
    assert service.throttled == 0


def test_few_waits_are_read_one_by_one_and_no_list_is():
    service = Service(jobs(12, ending=0.5))
    assert heard(service).worst <= INTERVAL + 1
    assert service.reads["list"] == 0


@pytest.mark.parametrize(
    "manners",
    [
        {"page_size": 10},
        {"reverse": True},
        {"younger": 3000},
        {"older": 100_000},
        {"older": 20_000, "reverse": True},
        {"younger": 20_000},
    ],
    ids=str,
)
def test_page_size_order_and_length_of_the_list_cost_reads_but_no_time(manners):
    service = Service(jobs(500), **manners)
    assert heard(service).worst <= 2 * INTERVAL
    assert service.throttled == 0
    assert service.reads["list"] <= MOST_PAGES * 600 / INTERVAL / 2


def test_what_no_list_mentions_is_read_by_itself():
    """Archived jobs, steps of pipelines, jobs without the tag."""
    service = Service(jobs(500))
    service.unlisted = {name for name in service.ends if int(name[3:]) % 2}
    assert heard(service).worst <= 2 * INTERVAL


def test_names_that_no_list_mentions_do_not_make_each_round_read_it_to_the_end():
    service = Service(jobs(100, ending=0.0), older=100_000)
    service.unlisted = set(service.ends)
    run(wait_for_jobs(service, list(service.ends), seconds=1800.0))
    rounds = 1800 / INTERVAL
    assert service.reads["list"] < rounds * 100 * 0.25
    assert service.reads["read"] > 0.9 * rounds * 100


@pytest.mark.parametrize("lag", [20.0, 100.0])
def test_a_list_that_lags_delays_by_its_lag_at_most(lag):
    service = Service(jobs(500, ending=0.5), lag=lag)
    assert heard(service).worst <= lag + 2 * INTERVAL


def test_a_list_that_never_changes_is_distrusted_until_all_is_read_one_by_one():
    service = Service(jobs(300, ending=0.9, first=60.0, last=1600.0), lag=10.0**8)
    outcome = heard(service, seconds=2500.0)
    late = [delay for name, delay in outcome.delays.items() if service.ends[name] > 2000.0]
    assert len(late) > 50
    assert sorted(late)[int(len(late) * 0.9)] <= 2 * INTERVAL


def test_a_job_is_called_ended_by_a_read_and_never_by_a_list_alone():
    """The list is ahead of the service: it says Completed of jobs that run."""
    service = Service(jobs(100, ending=0.0), lag=-(10.0**10))
    outcome = run(wait_for_jobs(service, list(service.ends), seconds=300.0))
    assert not outcome.delays


def test_two_hundred_jobs_that_end_in_one_second_are_heard_of_within_two_intervals():
    service = Service({f"job{index}": 1200.0 + index / 200 if index < 200 else NEVER for index in range(1000)})
    assert heard(service).worst <= 2 * INTERVAL
    assert service.throttled == 0


def test_waits_for_the_same_thing_cost_one_read():
    service = Service({"job": 1300.0})
    outcome = run(wait_for_jobs(service, ["job"] * 1000))
    assert outcome.delays
    assert service.reads.total() < 2 * 300 / INTERVAL


def test_a_thing_waited_for_at_two_intervals_is_looked_at_at_the_shorter():
    service = Service({"job": 1500.0})

    async def both() -> None:
        async with Plan(CONNECTION, service) as plan:

            async def look() -> Any:
                body = await plan.client.get_resource("jobs", "job")
                return body if body["properties"]["status"] == "Completed" else None

            waiter = Waiter("job", look)
            started = asyncio.get_running_loop().time()
            slow = asyncio.create_task(plan.wait(waiter, interval=300.0))
            await plan.wait(waiter, interval=10.0)
            await slow
            assert asyncio.get_running_loop().time() - started < 520

    run(both())


def unhelpful(*errors: Exception | None) -> Any:
    """Answer the first reads of lists so."""
    left: Iterator[Exception | None] = iter(errors)
    return lambda kind, _: next(left, None) if kind == "list" else None


@pytest.mark.parametrize(
    "refuse",
    [
        unhelpful(None, None, TransientError("busy", retry_after=20), None, TransientError("cut")),
        unhelpful(*[TransientError("down")] * 30),
        lambda kind, _: PermissionDeniedError("no lists for you") if kind == "list" else None,
        lambda kind, _: RuntimeError("a mistake of ours") if kind == "list" else None,
        lambda kind, number: TransientError("blip") if number % 7 == 0 else None,
        lambda kind, number: TransientError("busy", retry_after=3) if kind == "list" and number % 3 else None,
    ],
    ids=["cut in the middle", "down for a while", "forbidden", "not understood", "one of seven", "two of three"],
)
def test_a_list_that_cannot_be_read_costs_reads_but_loses_nobody(refuse):
    service = Service(jobs(300), refuse=refuse)
    assert heard(service).worst <= 4 * INTERVAL


def test_a_page_that_is_refused_is_asked_for_again_and_the_list_goes_on():
    service = Service(jobs(500, ending=0.0))
    service.refuse = lambda kind, number: TransientError("busy") if kind == "list" and number % 5 == 0 else None
    run(wait_for_jobs(service, list(service.ends), seconds=300.0))
    rounds = 300 / INTERVAL
    assert service.reads["list"] < rounds * 10 * 1.5
    assert service.reads["read"] < rounds * 25


@pytest.mark.parametrize("body", [{}, {"value": None}, {"value": [{}]}, {"value": ["job1", None]}, [], None])
def test_a_list_in_another_shape_loses_nobody(body):
    service = Service(jobs(100))
    service._page = lambda url: body  # type: ignore[method-assign]
    assert heard(service).worst <= 3 * INTERVAL


def test_one_whose_job_does_not_exist_ends_with_the_error_and_the_others_wait_on():
    service = Service(jobs(50))
    outcome = run(wait_for_jobs(service, [*service.ends, "missing"], seconds=600.0))
    assert isinstance(outcome.errors["missing"], NotFoundError)
    assert outcome.errors.keys() == {"missing"}
    assert outcome.worst <= 2 * INTERVAL


def test_other_users_of_the_budget_are_not_starved_by_waits():
    """A watcher reads once a second while 1,000 waits that no list mentions want 33 reads a second."""
    service = Service(jobs(1000, ending=0.0))
    service.unlisted = set(service.ends)
    slowest = 0.0

    async def watch() -> None:
        nonlocal slowest
        loop = asyncio.get_running_loop()
        await asyncio.sleep(60)
        while True:
            before = loop.time()
            await service.request("GET", "https://management.azure.com/subscriptions/x/jobs", reader="watcher")
            slowest = max(slowest, loop.time() - before)
            await asyncio.sleep(1)

    async def both() -> None:
        watching = asyncio.create_task(watch())
        await wait_for_jobs(service, list(service.ends), seconds=150.0)
        watching.cancel()

    run(both())
    assert slowest < 2.0
    assert service.throttled == 0


def test_young_waits_go_first_when_reads_are_short_and_old_ones_still_get_their_turn():
    service = Service(jobs(1900, ending=0.0))
    service.unlisted = set(service.ends)
    looks: dict[str, list[float]] = {"old": [], "young": []}

    async def both() -> None:
        loop = asyncio.get_running_loop()
        async with Plan(CONNECTION, service) as plan:

            async def one(name: str) -> None:
                async def look() -> None:
                    looks["young" if int(name[3:]) >= 1600 else "old"].append(loop.time())
                    await plan.client.get_resource("jobs", name)

                await plan.wait(Waiter(name, look), interval=INTERVAL)

            names = list(service.ends)
            tasks = [asyncio.create_task(one(name)) for name in names[:1600]]
            await asyncio.sleep(400)
            tasks += [asyncio.create_task(one(name)) for name in names[1600:]]
            await asyncio.sleep(60)
            began = loop.time()
            await asyncio.sleep(150)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            rate = {age: sum(at > began for at in times) / 150 for age, times in looks.items()}
            assert rate["young"] / 300 > 1.4 * rate["old"] / 1600
            assert rate["old"] > 10

    run(both())


async def test_a_timeout_of_something_else_is_not_told_as_the_end_of_the_wait(monkeypatch):
    trigger = AzureMachineLearningJobTrigger(conn_id="azureml", job_name="keen", poll_interval=1)

    async def check(client: Any) -> None:
        raise TimeoutError("a socket's")

    monkeypatch.setattr(trigger, "check", check)
    with pytest.raises(TimeoutError, match="a socket's"):
        await trigger.check_once(None)


def test_waits_that_end_leave_nothing_behind():
    service = Service(jobs(300, ending=0.0))

    async def come_and_go() -> None:
        async with Plan(CONNECTION, service) as plan:

            async def look() -> None:
                await plan.client.get_resource("jobs", "job1")

            def wait(name: str) -> asyncio.Task[None]:
                return asyncio.create_task(plan.wait(Waiter(name, look), interval=INTERVAL))

            chance = random.Random(3)
            for _ in range(20):
                tasks = [wait(name) for name in service.ends]
                await asyncio.sleep(chance.uniform(0, 100))
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(100)
            assert (plan._rosters, plan._reading, plan._checking, plan._waits) == ({}, {}, 0, 0)
            assert not plan.client._transport._asking
        assert len(asyncio.all_tasks()) == 1

    run(come_and_go())


def test_a_mistake_in_the_plan_itself_does_not_end_the_waits(monkeypatch, caplog):
    service, mistakes = Service({"job": 1100.0}), iter([True, True])
    begin = Plan._begin_rounds

    def sometimes(self: Plan) -> None:
        if self._now() > 1050 and next(mistakes, False):
            raise ZeroDivisionError
        begin(self)

    monkeypatch.setattr(Plan, "_begin_rounds", sometimes)
    assert run(wait_for_jobs(service, ["job"])).worst <= 2 * INTERVAL
    assert "mistake of its own" in caplog.text


async def test_all_who_wait_over_one_connection_share_one_plan_which_ends_with_the_last():
    plans = set()

    async def one(conn_id: str) -> None:
        async with plan_module.plans.use(replace(CONNECTION, conn_id=conn_id)) as plan:
            plans.add(plan)
            await asyncio.sleep(0.01)

    await asyncio.gather(*(one(f"azureml_{number % 2}") for number in range(100)))
    assert len(plans) == 1, "two connections to one workspace in the same name"
    assert len(plan_module.plans) == 0


async def test_those_who_begin_to_wait_at_the_same_time_ask_airflow_once_for_their_connection(monkeypatch):
    """A triggerer that starts begins a thousand waits, and passes each look-up on to the secrets backend."""
    asked, answer = [], asyncio.Event()

    async def look_up(hook: AzureMachineLearningHook) -> Any:
        asked.append(hook.conn_id)
        await answer.wait()
        if hook.conn_id == "missing":
            raise ConnectionConfigurationError("none")
        return CONNECTION

    monkeypatch.setattr(AzureMachineLearningHook, "aget_workspace_connection", look_up)
    waiting = {
        name: [asyncio.create_task(connection_of(AzureMachineLearningHook(name))) for _ in range(500)]
        for name in ("azureml", "missing")
    }
    await asyncio.sleep(0)
    waiting["azureml"][0].cancel()  # the one who asked first
    await asyncio.sleep(0)
    answer.set()
    found = {name: await asyncio.gather(*tasks, return_exceptions=True) for name, tasks in waiting.items()}
    assert sorted(asked) == ["azureml", "missing"]
    assert found["azureml"][1:] == [CONNECTION] * 499
    assert {type(error) for error in found["missing"]} == {ConnectionConfigurationError}
    await connection_of(AzureMachineLearningHook("azureml"))
    assert len(asked) == 3, "an answer is not kept"


def test_a_wait_keeps_so_little_that_ten_thousand_do_not_hold_up_the_garbage_collector(monkeypatch):
    """It looks at every object that Python tracks, in one go; half of a wait's are asyncio's and Airflow's own."""
    number = 500
    service = Service({f"job{index}": NEVER for index in range(number)})

    async def connection(_: Any) -> Any:
        return CONNECTION

    @contextlib.asynccontextmanager
    async def shared(_: Any) -> Any:
        yield service

    async def wait(name: str) -> None:
        trigger = AzureMachineLearningJobTrigger(
            job_name=name, conn_id="azureml", poll_interval=INTERVAL, deadline=time.time() + 86400
        )
        async for _ in trigger.run():
            raise AssertionError

    async def count() -> int:
        warm = asyncio.create_task(wait("job0"))
        await asyncio.sleep(100)
        gc.collect()
        before = len(gc.get_objects())
        tasks = [asyncio.create_task(wait(name)) for name in service.ends]
        await asyncio.sleep(100)
        gc.collect()
        after = len(gc.get_objects())
        for task in (warm, *tasks):
            task.cancel()
        await asyncio.gather(warm, *tasks, return_exceptions=True)
        return after - before

    monkeypatch.setattr(AzureMachineLearningHook, "aget_workspace_connection", connection)
    monkeypatch.setattr(transport, "shared_transport", shared)
    assert run(count()) < 20 * number


def test_names_in_another_case_are_found_in_lists():
    """ARM's names have no case: a list may write them otherwise than the DAG does."""
    service = Service(jobs(300))
    outcome = run(wait_for_jobs(service, [name.upper() for name in service.ends], seconds=600.0, spread=INTERVAL))
    assert {name for name, end in service.ends.items() if end < NEVER} == {name.lower() for name in outcome.delays}
    assert service.reads.total() < 300 * 600 / INTERVAL / 6, "a list told of them"


def test_a_wait_that_has_its_say_now_and_then_misses_no_turn():
    service, said = Service({f"job{index}": NEVER for index in range(5)}), []

    async def both() -> None:
        looks: list[float] = []
        now = asyncio.get_running_loop().time

        async with Plan(CONNECTION, service) as plan:

            async def look() -> None:
                looks.append(now())

            def remind() -> float:
                said.append(now())
                if len(said) == 300:
                    raise WaitTimeoutError("that is enough")
                return 7.0

            with pytest.raises(WaitTimeoutError, match="enough"):
                await plan.wait(Waiter("job1", look, reminds=remind), interval=INTERVAL)
        assert all(6.9 < later - sooner < 7.2 for sooner, later in itertools.pairwise(said))
        assert all(INTERVAL - 1 < later - sooner < INTERVAL + 1 for sooner, later in itertools.pairwise(looks))

    run(both())


async def test_an_asker_that_leaves_takes_the_answer_from_nobody():
    class Slow:
        calls = canceled = 0

        async def request(self, method: str, url: str, **_: Any) -> str:
            self.calls += 1
            try:
                await asyncio.sleep(0.02)
            except asyncio.CancelledError:
                self.canceled += 1
                raise
            if "wrong" in url:
                raise NotFoundError(url)
            return url

    slow: Any = Slow()
    reads = SharedReads(slow)
    first, second = (asyncio.create_task(reads.request("GET", "a")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "a"
    assert slow.calls == 1
    results = await asyncio.gather(*(reads.request("GET", "wrong") for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [NotFoundError] * 3
    assert slow.calls == 2
    alone = asyncio.create_task(reads.request("GET", "b"))
    await asyncio.sleep(0)
    alone.cancel()
    await asyncio.gather(alone, return_exceptions=True)
    await asyncio.sleep(0)
    assert slow.canceled == 1
    assert not reads._asking
    assert await asyncio.gather(reads.request("POST", "a"), reads.request("POST", "a")) == ["a", "a"]
    assert slow.calls == 5


def test_of_a_list_without_end_500_pages_are_read_in_a_round():
    roster = Roster(Subject)
    for number in range(2_000):
        roster.join(f"job{number}", INTERVAL, 0.0, INTERVAL)
    round_ = roster.begin(INTERVAL)
    while round_.wants_a_page() and round_.pages < 2_000:
        round_.begin_page()
    assert round_.pages == 500


@given(st.lists(st.integers(1, 60), max_size=40))
def test_the_depth_costs_no_more_than_any_other(pages):
    def cost(depth: int) -> int:
        return depth + sum(page > depth for page in pages)

    assert cost(best_depth(pages)) == min(cost(depth) for depth in range(62))


@settings(max_examples=10, deadline=None)
@given(
    number=st.integers(1, 120),
    page_size=st.integers(1, 60),
    reverse=st.booleans(),
    older=st.integers(0, 500),
    younger=st.integers(0, 500),
    lag=st.sampled_from([0.0, 15.0, 70.0]),
    unlisted=st.integers(1, 5),
)
def test_whatever_the_list_is_like_all_hear(number, page_size, reverse, older, younger, lag, unlisted):
    service = Service(
        jobs(number, ending=0.6), page_size=page_size, reverse=reverse, older=older, younger=younger, lag=lag
    )
    service.unlisted = {name for name in service.ends if int(name[3:]) % unlisted == 0}
    outcome = heard(service) if any(end < NEVER for end in service.ends.values()) else None
    assert outcome is None or outcome.worst <= 2 * INTERVAL + lag


class TestWhatListsTell:
    """Each trigger's own judgement of an item of a list."""

    @pytest.mark.parametrize(
        ("status", "tells"),
        [
            *((status, False) for status in ("Running", "Queued", "CancelRequested")),
            *((status, True) for status in ("Completed", "Failed", "NotResponding", "Paused", "Brandnew", None)),
        ],
    )
    def test_of_a_job_all_that_is_not_plainly_going_on(self, status, tells):
        trigger = AzureMachineLearningJobTrigger(job_name="j", conn_id="c", poll_interval=30)
        assert trigger.calls_for_check({"name": "j", "properties": {"status": status}}) == tells
        assert trigger.calls_for_check(None)

    def test_only_jobs_that_an_operator_submitted_are_sought_among_those_with_its_tag(self):
        def params(owner: str | None) -> dict[str, str]:
            trigger = AzureMachineLearningJobTrigger(job_name="j", task_run_id=owner, conn_id="c", poll_interval=30)
            return dict(trigger.listing_and_name()[0].params)

        assert params("run")["tag"] == "airflow.task_run"
        assert "tag" not in params(None)

    @pytest.mark.parametrize(
        ("path", "wanted", "properties", "tells"),
        [
            (["computes", "c"], "Succeeded", {"provisioningState": "Creating"}, False),
            (["computes", "c"], "Succeeded", {"provisioningState": "Succeeded"}, True),
            (["computes", "c"], "Succeeded", {"provisioningState": "Failed"}, True),
            (["computes", "c"], "Deleted", {"provisioningState": "Deleting"}, False),
            (
                ["computes", "c"],
                "Running",
                {"provisioningState": "Succeeded", "properties": {"state": "Stopped"}},
                False,
            ),
            (
                ["computes", "c"],
                "Running",
                {"provisioningState": "Succeeded", "properties": {"state": "JobRunning"}},
                True,
            ),
            (["computes", "c"], "Running", {"provisioningState": "Succeeded"}, True),
            (["onlineEndpoints", "e", "deployments", "d"], "Succeeded", {"provisioningState": "Updating"}, False),
            (["batchEndpoints", "e"], "Succeeded", {"provisioningState": "Canceled"}, True),
        ],
    )
    def test_of_a_resource_the_wanted_state_or_a_failure(self, path, wanted, properties, tells):
        trigger = AzureMachineLearningResourceTrigger(path=path, state=wanted, conn_id="c", poll_interval=30)
        listing, name = trigger.listing_and_name()
        assert (*listing.path, name) == tuple(path)
        assert trigger.calls_for_check({"name": path[-1], "properties": properties}) == tells
        assert trigger.calls_for_check(None)

    @pytest.mark.parametrize("kind", ["model", "data"])
    async def test_of_versions_a_change_since_a_look_that_agreed_with_the_list(self, kind):
        versions = [_version(kind, "2")]

        class Client:
            async def list_versions(self, *_: Any, top: int | None = None) -> Any:
                for version in versions[:top]:
                    yield version

        client: Any = Client()
        wanted = {"kind": kind, "name": "a", "since": versions[0].created_at, "tags": {"stage": "production"}}
        trigger = AzureMachineLearningVersionTrigger(wanted=wanted, conn_id="c", poll_interval=30)
        tells = trigger.calls_for_check

        def item(latest: str) -> dict[str, Any]:
            return {"name": "a", "properties": {"latestVersion": latest, "nextVersion": "9"}}

        assert tells(item("2")), "nobody has looked yet"
        assert await trigger.check(client) is None
        assert not tells(item("2"))
        assert tells(item("3"))
        assert await trigger.check(client) is None
        assert tells(item("3")), "the list of versions lags behind the list of assets"
        versions.insert(0, _version(kind, "3", "2026-01-02T00:00:00Z"))
        assert await trigger.check(client) is None
        assert tells(item("3")), "it may get its tag later, of which no list tells"
        versions[0] = _version(kind, "3", "2026-01-02T00:00:00Z", stage="production")
        assert [found["version"] for found in await trigger.check(client) or ()] == ["3"]

    async def test_of_a_name_that_does_not_exist_its_coming(self):
        class Client:
            async def list_versions(self, *_: Any, top: int | None = None) -> Any:
                raise NotFoundError("none")
                yield

        client: Any = Client()
        wanted = {"kind": "model", "name": "a", "since": ""}
        trigger = AzureMachineLearningVersionTrigger(wanted=wanted, conn_id="c", poll_interval=30)
        tells = trigger.calls_for_check
        assert tells(None)
        assert await trigger.check(client) is None
        assert not tells(None)
        assert tells({"name": "a", "properties": {"latestVersion": "1"}})


def _version(kind: str, version: str, created_at: str = "2026-01-01T00:00:00Z", **tags: str) -> Any:
    from airflow_provider_azureml.datasets.events import AssetVersion

    fields = {"name": "a", "version": version, "id": f"/a/versions/{version}", "path": "", "type": ""}
    return AssetVersion(kind=kind, **fields, tags=tags, created_at=created_at)


def test_the_page_on_scale_says_the_numbers_that_hold() -> None:
    from airflow_provider_azureml.provider.configuration import provider_config
    from airflow_provider_azureml.provider.rest.read_budget import ReadMeter
    from airflow_provider_azureml.provider.waiting import rounds

    root = Path(rounds.__file__).parents[2]
    page = " ".join((root / "docs/how-to/scale.md").read_text().split())
    meter = ReadMeter(now=0.0)
    assert f"some {meter.rate:g} times a second in a subscription, with a reserve of {meter.size:g}" in page
    assert provider_config()["azureml"]["options"]["max_reads_per_second"]["default"] == f"{meter.rate:g}"
    assert f"{rounds.SPOT_CHECKS_PER_SECOND:g} reads a second for all of them" in page
    assert f"within {1000 / rounds.SPOT_CHECKS_PER_SECOND / 60:.0f} minutes where one does" in page
    assert f"With up to {rounds.FEW_PER_SECOND * 30:.0f} waits (at 30 s) no list is read at all" in page
    assert f"At most {rounds.MOST_PAGES} pages of a list are read in a round" in page
    oldest = rounds.Subject("j", interval=30.0, due=1e6, began=0.0)
    assert oldest.urgency(listed=False) - oldest.due == 5 * oldest.interval
    assert "up to five intervals longer" in page


def test_statistics_are_called_on_the_pages_what_they_are_called_in_the_code() -> None:
    root = Path(plan_module.__file__).parents[2]
    code = "\n".join(path.read_text() for path in (root / "provider").rglob("*.py"))
    sent = set(re.findall(r"\"(azureml\.(?:reads|waits|watch)[a-z_.]*)\"", code))
    pages = {page: (root / "docs" / page).read_text() for page in ("how-to/scale.md", "watchers.md")}
    told = {page: set(re.findall(r"`(azureml\.(?:reads|waits|watch)[a-z_.]*)`", text)) for page, text in pages.items()}
    assert told["how-to/scale.md"] == {name for name in sent if not name.startswith("azureml.watch.")}
    assert told["watchers.md"] == {name for name in sent if not name.startswith("azureml.waits")}
