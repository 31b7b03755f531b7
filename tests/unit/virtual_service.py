"""A service that exists in virtual time, for tests of the plan of waits: hours pass in milliseconds."""

from __future__ import annotations

import asyncio
import contextlib
import math
import selectors
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from airflow_provider_azureml.datasets import Workspace
from airflow_provider_azureml.provider.connection import WorkspaceConnection
from airflow_provider_azureml.provider.errors import AzureMachineLearningError, NotFoundError, TransientError
from airflow_provider_azureml.provider.rest.read_budget import ReadBudget, ReadMeter
from airflow_provider_azureml.provider.rest.transport import Answer
from airflow_provider_azureml.provider.waiting.plan import Listing, Plan

T = TypeVar("T")
LEFT = "x-ms-ratelimit-remaining-subscription-reads"
CONNECTION = WorkspaceConnection("azureml", Workspace("00000000-0000-0000-0000-000000000001", "ml", "fraud"))
JOBS = Listing(("jobs",), (("listViewType", "ActiveOnly"),))


class _Selector(selectors.DefaultSelector):
    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        if not events and timeout:
            self.loop.now += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to whatever comes next."""

    def __init__(self) -> None:
        self.now = 1000.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


@dataclass
class Service:
    """Jobs that end at set times, in a list that is as unhelpful as it is told to be, behind ARM's bucket of reads."""

    ends: dict[str, float] = field(default_factory=dict)  # name -> when it ends
    page_size: int = 50
    reverse: bool = False  # oldest first
    unlisted: set[str] = field(default_factory=set)
    older: int = 0  # jobs that ended long ago, listed after the others
    younger: int = 0  # the same, before the others
    lag: float = 0.0  # seconds that the list's statuses are behind
    latency: float = 0.1
    enforce: bool = True
    refuse: Any = None  # (kind, number of read) -> an error, or None
    reads: Counter[str] = field(default_factory=Counter)
    throttled: int = 0

    def __post_init__(self) -> None:
        self.left, self.at = 250.0, 0.0
        self.budget: ReadBudget | None = None

    def status(self, name: str, behind: float = 0.0) -> str:
        return "Completed" if asyncio.get_running_loop().time() - behind >= self.ends[name] else "Running"

    async def request(
        self, method: str, url: str, *, params: Any = None, json: Any = None, retry: bool = False, reader: str = ""
    ) -> Answer:
        loop = asyncio.get_running_loop()
        if self.budget is None:
            self.budget = ReadBudget(ReadMeter(now=loop.time()))
        async with self.budget.turn(reader) as hear:
            await asyncio.sleep(self.latency)
            status, headers = self._take(loop.time())
            hear(status, headers)
        if status == 429:
            self.throttled += 1
            raise TransientError("busy", retry_after=float(headers["retry-after"]))
        path = urlsplit(url).path
        kind = "list" if path.endswith("/jobs") else "read"
        self.reads[kind] += 1
        if self.refuse and (error := self.refuse(kind, self.reads[kind])):
            raise error
        if kind == "read":
            name = path.rpartition("/")[2].lower()  # as ARM's names have no case
            if name not in self.ends:
                raise NotFoundError(name)
            return Answer(200, {"name": name, "properties": {"status": self.status(name)}}, {})
        return Answer(200, self._page(url), {})

    def _take(self, now: float) -> tuple[int, dict[str, str]]:
        self.left = min(250.0, self.left + (now - self.at) * 25)
        self.at = now
        if self.left < 1 and self.enforce:
            return 429, {LEFT: "0", "retry-after": str(math.ceil((1 - self.left) / 25))}
        self.left -= 1
        return 200, {LEFT: str(max(0, int(self.left)))}

    def _page(self, url: str) -> dict[str, Any]:
        start = int((parse_qs(urlsplit(url).query).get("at") or ["0"])[0])
        awaited = [name for name in reversed(self.ends) if name not in self.unlisted]
        total = self.younger + len(awaited) + self.older
        places = range(start, min(start + self.page_size, total))
        items = []
        for place in places:
            index = (total - 1 - place if self.reverse else place) - self.younger
            known = 0 <= index < len(awaited)
            name = awaited[index] if known else f"other{index}"
            status = self.status(name, self.lag) if known else "Completed"
            items.append({"name": name, "properties": {"status": status}})
        body: dict[str, Any] = {"value": items}
        if start + self.page_size < total:
            body["nextLink"] = f"https://management.azure.com/subscriptions/x/jobs?at={start + self.page_size}"
        return body


@dataclass
class Waiter:
    """Who waits for a job."""

    name: str
    check: Callable[[], Awaitable[Any]]
    calls_for_check: Callable[[dict[str, Any] | None], bool] = lambda _: True
    reminds: Callable[[], float] = lambda: 1e6

    def listing_and_name(self) -> tuple[Listing, str]:
        return JOBS, self.name

    def see_listed(self, item: dict[str, Any] | None) -> bool:
        return self.calls_for_check(item)

    async def check_once(self, client: Any) -> Any:
        return await self.check()

    def remind(self) -> float:
        return self.reminds()


@dataclass
class Outcome:
    """What became of some waits: how long each was behind, in seconds, or the error that ended it."""

    delays: dict[str, float] = field(default_factory=dict)
    errors: dict[str, AzureMachineLearningError] = field(default_factory=dict)

    @property
    def worst(self) -> float:
        return max(self.delays.values())


async def wait_for_jobs(
    service: Service, names: list[str], *, interval: float = 30.0, seconds: float | None = None, spread: float = 0.0
) -> Outcome:
    """
    Wait for jobs, as so many triggers would.

    :param seconds: give up after this time; what has not been heard of then is in neither part of the outcome.
    :param spread: over how many seconds the waits begin.
    """
    outcome, loop = Outcome(), asyncio.get_running_loop()
    async with Plan(CONNECTION, service) as plan:

        async def one(number: int, name: str) -> None:
            await asyncio.sleep(spread * number / len(names))

            async def look() -> str | None:
                body = await plan.client.get_resource("jobs", name)
                return name if body["properties"]["status"] == "Completed" else None

            def tells(item: dict[str, Any] | None) -> bool:
                return item is None or item["properties"]["status"] == "Completed"

            try:
                await plan.wait(Waiter(name, look, tells), interval=interval)
                outcome.delays.setdefault(name, loop.time() - max(service.ends[name.lower()], 1000.0))
            except AzureMachineLearningError as error:
                outcome.errors[name] = error

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                for number, name in enumerate(names):
                    group.create_task(one(number, name))
    return outcome
