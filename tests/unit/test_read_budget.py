"""The budget of reads: what the meter allows by what the service says, and how readers take turns."""

from __future__ import annotations

import asyncio
import math

import pytest
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_azureml.datasets import Workspace
from airflow_provider_azureml.provider.connection import WorkspaceConnection
from airflow_provider_azureml.provider.rest.read_budget import ReadBudget, ReadMeter, read_budget, retry_after
from airflow_provider_azureml.provider.sign_in import SignIn

LEFT = "x-ms-ratelimit-remaining-subscription-reads"
GLOBAL = "x-ms-ratelimit-remaining-subscription-global-reads"


class ArmBucket:
    """ARM's documented bucket, as several processes draw on it."""

    def __init__(self, size: float = 250.0, rate: float = 25.0) -> None:
        self.size, self.rate, self.left, self.at = size, rate, size, 0.0
        self.refused = 0

    def read(self, now: float) -> tuple[int, dict[str, str]]:
        self.left = min(self.size, self.left + (now - self.at) * self.rate)
        self.at = now
        if self.left < 1:
            self.refused += 1
            return 429, {"retry-after": str(math.ceil((1 - self.left) / self.rate)), LEFT: "0"}
        self.left -= 1
        return 200, {LEFT: str(int(self.left))}


def simulate(meters: list[ReadMeter], bucket: ArmBucket, seconds: float, strangers: float = 0.0) -> list[int]:
    """Let each meter read as often as it allows, beside strangers who read so often a second whatever they hear."""
    counts, now, stranger = [0] * len(meters), 0.0, 0.0
    while now < seconds:
        for number, meter in enumerate(meters):
            while meter.delay(now) == 0:
                meter.spend(now)
                meter.hear(now, *bucket.read(now))
                counts[number] += 1
        if strangers and now >= stranger:
            refused = bucket.refused
            bucket.read(now)
            bucket.refused = refused
            stranger += 1 / strangers
        now += 0.01
    return counts


def test_a_full_bucket_lets_a_burst_out_at_once_and_then_25_a_second():
    bucket, meter = ArmBucket(), ReadMeter()
    counts = simulate([meter], bucket, 0.01)
    assert 100 <= counts[0] <= 130
    counts = simulate([ReadMeter()], bucket := ArmBucket(), 100)
    assert 25 * 100 * 0.95 <= counts[0] <= 25 * 100 + 250
    assert bucket.refused == 0


@pytest.mark.parametrize("triggerers", [2, 3, 8])
def test_processes_that_share_nothing_but_the_services_answers_get_equal_shares_and_no_429(triggerers):
    bucket = ArmBucket()
    counts = simulate([ReadMeter() for _ in range(triggerers)], bucket, 120)
    assert bucket.refused == 0
    assert min(counts) > 0.7 * max(counts)
    assert sum(counts) > 0.9 * 25 * 120


def test_a_process_that_comes_later_gets_its_share_of_a_bucket_that_another_uses():
    bucket, first, later = ArmBucket(), ReadMeter(), ReadMeter()
    simulate([first], bucket, 60)
    bucket.at = first._at = first._next = 0.0
    counts = simulate([first, later], bucket, 60)
    assert bucket.refused == 0
    assert min(counts) > 0.7 * max(counts)


def test_strangers_that_do_not_look_at_what_is_left_still_find_some():
    bucket = ArmBucket()
    simulate([ReadMeter()], bucket, 120, strangers=15)
    assert bucket.refused == 0
    assert bucket.left > 10


def test_a_bucket_that_strangers_keep_empty_is_asked_about_once_a_second():
    bucket = ArmBucket()
    counts = simulate([ReadMeter()], bucket, 120, strangers=100)
    assert 5 <= counts[0] <= 300


def test_a_429_quietens_for_as_long_as_the_service_asks_and_halves_the_pace_once():
    meter = ReadMeter()
    for _ in range(10):
        meter.spend(5.0)
    for _ in range(10):  # all ten were on their way
        meter.hear(5.0, 429, {"retry-after": "7"})
    assert meter.delay(5.0) == pytest.approx(7.0)
    assert meter.delay(11.9) == pytest.approx(0.1)
    assert 12.4 < meter._pace < 14.5  # it has begun to recover
    assert meter.delay(12.0) == 0
    assert simulate_calm(meter, 12.0, 10.0) < 16 * 10
    assert meter.delay(500.0) == 0
    assert meter._pace == 25.0


def simulate_calm(meter: ReadMeter, start: float, seconds: float) -> int:
    count, now = 0, start
    while now < start + seconds:
        if meter.delay(now) == 0:
            meter.spend(now)
            meter.hear(now, 200, {})
            count += 1
        now += 0.005
    return count


def test_a_limit_that_no_header_tells_of_is_found_by_its_429s():
    """AzureML's own limits below ARM: 10 reads a second, and 249 left by ARM's word."""
    bucket, meter, refused, sent, now = ArmBucket(size=10, rate=10), ReadMeter(), 0, 0, 0.0
    while now < 300:
        if meter.delay(now) == 0:
            meter.spend(now)
            status, headers = bucket.read(now)
            meter.hear(now, status, headers | {LEFT: "249"})
            sent, refused = sent + 1, refused + (status == 429)
        now += 0.01
    assert refused < 0.05 * sent
    assert sent > 0.5 * 10 * 300


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        ({LEFT: "249", GLOBAL: "3749"}, 249.0),
        ({LEFT: "200", GLOBAL: "40"}, 40.0),
        ({LEFT: "11996"}, 249.0),  # what ARM said before its buckets of 2024: reckoned as the documented bucket
        ({LEFT: "many", "x-ms-ratelimit-remaining-subscription-writes": "3"}, 249.0),
        ({}, 249.0),
    ],
)
def test_what_is_left_is_the_least_that_the_service_or_the_reckoning_says(headers, left):
    meter = ReadMeter()
    meter.spend(0.0)
    meter.hear(0.0, 200, headers)
    assert meter.left == left


def test_reads_on_their_way_count_as_not_yet_counted_by_the_service():
    meter = ReadMeter()
    meter.hear(0.0, 200, {LEFT: "100"}, on_their_way=30)
    assert meter.left == 70


def test_a_retry_after_that_is_a_date_counts_from_the_date_of_the_answer():
    """The service's clock, and not this machine's."""
    until = "Wed, 21 Oct 2026 07:28:30 GMT"
    assert retry_after({"retry-after": until, "date": "Wed, 21 Oct 2026 07:28:00 GMT"}) == 30
    assert retry_after({"retry-after": until, "date": "Wed, 21 Oct 2026 07:30:00 GMT"}) == 0
    with freeze_time("2026-10-21T07:28:10Z"):
        assert retry_after({"retry-after": until}) == 20
        assert retry_after({"retry-after": until, "date": "yesterday"}) == 20


@pytest.mark.parametrize(
    ("text", "seconds"), [("3", 3.0), ("0.5", 0.5), ("soon", None), ("-1", None), ("inf", None), ("nan", None)]
)
def test_a_retry_after_that_is_no_number_of_seconds_is_none(text, seconds):
    assert retry_after({"retry-after": text}) == seconds
    assert retry_after({}) is None


@given(
    st.lists(
        st.tuples(
            st.floats(0, 1000, allow_nan=False),
            st.sampled_from([200, 404, 429, 500, 503]),
            st.one_of(st.none(), st.text(max_size=6), st.integers(-5, 10**12).map(str)),
            st.one_of(st.none(), st.text(max_size=6), st.integers(-5, 10**12).map(str)),
        ),
        max_size=40,
    ),
    st.floats(0.1, 1000),
)
def test_whatever_the_service_says_a_read_is_allowed_again_within_an_hour(answers, rate):
    meter, now = ReadMeter(rate=rate), 0.0
    for later, status, left, retry in answers:
        now += later
        meter.spend(now)
        headers = {LEFT: left, "retry-after": retry}
        meter.hear(now, status, {name: value for name, value in headers.items() if value is not None})
        assert 0 <= meter.delay(now) <= 3600 + len(answers) * 25 / rate + 1
        assert meter.left <= meter.size


@pytest.fixture
def metrics(monkeypatch):
    seen: list[tuple[str, dict[str, str]]] = []
    path = "airflow_provider_azureml.provider.rest.read_budget.metrics"
    monkeypatch.setattr(f"{path}.count", lambda name, **tags: seen.append((name, tags)))
    monkeypatch.setattr(f"{path}.gauge", lambda name, value, **tags: seen.append((name, tags)))
    return seen


async def test_readers_take_turns_however_many_reads_each_has_waiting():
    budget = ReadBudget(ReadMeter(rate=1000.0, now=asyncio.get_running_loop().time()))
    budget.meter.left = 0.0
    order: list[str] = []

    async def read(reader: str) -> None:
        async with budget.turn(reader) as hear:
            order.append(reader)
            hear(200, {})

    greedy = [asyncio.create_task(read("greedy")) for _ in range(200)]
    await asyncio.sleep(0)
    modest = [asyncio.create_task(read("modest")) for _ in range(3)]
    await asyncio.gather(*greedy, *modest)
    last = max(index for index, reader in enumerate(order) if reader == "modest")
    assert last <= 7, [i for i, r in enumerate(order) if r == "modest"]


async def test_a_429_for_one_reader_quietens_all():
    loop = asyncio.get_running_loop()
    budget = ReadBudget(ReadMeter(now=loop.time()))
    async with budget.turn("a") as hear:
        before = loop.time()
        hear(429, {"retry-after": "0.3"})
    async with budget.turn("b"):
        assert loop.time() - before > 0.25


async def test_turns_that_are_canceled_are_given_back():
    budget = ReadBudget(ReadMeter(now=asyncio.get_running_loop().time()))

    async def read() -> None:
        async with budget.turn("a"):
            await asyncio.sleep(3600)

    for _ in range(3):
        tasks = [asyncio.create_task(read()) for _ in range(40)]  # 32 on their way, the others wait
        await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(1), budget.turn("b"):
        pass
    assert budget._on_their_way == 0


async def test_every_answer_is_counted_by_its_outcome(metrics):
    budget = ReadBudget(ReadMeter(now=asyncio.get_running_loop().time()))
    for status in (200, 404, 503, 429):
        async with budget.turn("a") as hear:
            hear(status, {"retry-after": "0"})
    with pytest.raises(OSError, match="cut"):
        async with budget.turn("a"):
            raise OSError("cut")
    outcomes = [tags["outcome"] for name, tags in metrics if name == "azureml.reads"]
    assert outcomes == ["success", "not_found", "error", "throttled", "no_answer"]
    assert "azureml.reads.left" in dict(metrics)


async def test_connections_of_one_principal_share_a_budget_for_each_subscription_and_host():
    def connection(conn_id: str, *sign_in: str, workspace: str = "ws") -> WorkspaceConnection:
        owner = Workspace("00000000-0000-0000-0000-000000000001", "g", workspace)
        return WorkspaceConnection(conn_id, owner, sign_in=SignIn(*sign_in))

    url = "https://management.azure.com/subscriptions/ABC/resourceGroups/g/x"
    first = connection("a", "client_secret", "t", "C", "s")
    same = connection("b", "workload_identity", "t", "c", workspace="other")
    assert read_budget(first, url) is read_budget(same, url.replace("ABC", "abc"))
    assert read_budget(connection("c"), url) is read_budget(connection("d"), url)
    others = [
        read_budget(first, url),
        read_budget(connection("c"), url),
        read_budget(connection("c", "managed_identity", "t", "m"), url),
        read_budget(first, url.replace("ABC", "DEF")),
        read_budget(first, "https://westeurope.api.azureml.ms/subscriptions/abc/x"),
        read_budget(first, "https://westeurope.api.azureml.ms/discovery"),
    ]
    assert len({id(budget) for budget in others}) == len(others)


async def test_a_platform_team_sets_the_most_reads_a_second(monkeypatch):
    monkeypatch.setenv("AIRFLOW__AZUREML__MAX_READS_PER_SECOND", "5")
    connection = WorkspaceConnection("a", Workspace("00000000-0000-0000-0000-000000000001", "g", "ws"))
    meter = read_budget(connection, "https://management.azure.com/subscriptions/set/x").meter
    assert (meter.rate, meter.size) == (5.0, 50.0)
