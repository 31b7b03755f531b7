"""
How many reads a second Azure grants, and whose turn it is: one budget for all that read in the same name.

ARM counts reads in a token bucket for each subscription, region and principal: 250 at once and 25 more each second
(source: "Understand how Azure Resource Manager throttles requests"). It says after each read how many are left. Others
whom this process knows nothing of draw on the same bucket: further triggerers, tasks on workers, people in the studio.
So what the service says always counts for more than what is reckoned here.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import weakref
from collections import deque
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .. import metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Hashable, Mapping

    from ..connection import WorkspaceConnection

READS_PER_SECOND = 25.0
"""What ARM grants in the long run; ``[azureml] max_reads_per_second`` in Airflow's configuration replaces it."""

_BURST = 10  # seconds' worth of reads that a bucket holds when full
_RESERVE = 0.1  # of a full bucket: left to those who do not look how much is left
_LEAST_PACE = 0.04  # of the full pace: so a bucket that others keep empty is still asked, once a second
_LONGEST_QUIET = 3600.0  # seconds; a Retry-After beyond it is taken for a mistake
_RECOVERY = 120.0  # seconds from standstill to full pace after a 429
_AT_ONCE = 32  # reads on their way: so answers are heard before the next reads go out


class ReadMeter:
    """
    When the next read may be sent. Knows no clock: the caller gives it the time, in seconds.

    While more than half of the bucket is left, reads go out as they come. Below, the pace falls with what is left, so
    that several processes on one bucket meet at equal shares without knowing of each other.

    :param rate: reads a second in the long run; ten times as many at once.
    :param now: the time.
    """

    def __init__(self, *, rate: float = READS_PER_SECOND, now: float = 0.0) -> None:
        self.rate = rate
        self.size = max(1.0, rate * _BURST)
        self.left = self.size
        self.quiet_until = now
        self._pace = rate  # halved by a 429, and found again in time: there are limits that no header tells of
        self._next = now
        self._at = now

    def delay(self, now: float) -> float:
        """Return after how many seconds the next read may be sent; 0: now."""
        self._catch_up(now)
        wait = max(self.quiet_until - now, self._next - now, 0.0)
        return wait if self.left >= 1 or wait else (1 - self.left) / self.rate

    def spend(self, now: float) -> None:
        """Take note that a read is sent."""
        self._catch_up(now)
        self.left -= 1
        if self._pace < self.rate or self.left < self.size / 2:
            self._next = max(self._next, now) + 1 / self._speed()

    def hear(self, now: float, status: int, headers: Mapping[str, str], *, on_their_way: int = 0) -> None:
        """
        Take note of an answer.

        :param headers: by lower-case name.
        :param on_their_way: how many other reads are not answered yet; the service may not have counted them.
        """
        self._catch_up(now)
        remaining = _remaining(headers)
        if remaining is not None:
            self.left = min(self.left, max(0.0, remaining - on_their_way))
        if status == 429:
            if now >= self.quiet_until:  # one refusal, however many reads met it
                self._pace = max(self.rate * _LEAST_PACE, self._pace / 2)
            self.left = 0.0
            asked = retry_after(headers)
            self.quiet_until = max(self.quiet_until, now + min(_LONGEST_QUIET, 1.0 if asked is None else asked))

    def _speed(self) -> float:
        """Return how many reads a second go out at this filling."""
        reserve = self.size * _RESERVE
        share = (self.left - reserve) / max(self.size / 2 - reserve, 1e-9)
        return min(self._pace, self.rate * max(_LEAST_PACE, min(1.0, share)))

    def _catch_up(self, now: float) -> None:
        passed = max(0.0, now - self._at)
        self._at = max(self._at, now)
        self.left = min(self.size, self.left + passed * self.rate)
        self._pace = min(self.rate, self._pace + passed * self.rate / _RECOVERY)


class ReadBudget:
    """
    Lets reads go out one after another as the meter allows; readers take turns, however many reads each has waiting.

    Belongs to one event loop.

    :param meter: says when.
    :param clock: the time in seconds; the event loop's if None.
    :param tags: what its figures are tagged with in Airflow's metrics.
    """

    def __init__(
        self, meter: ReadMeter, *, clock: Callable[[], float] | None = None, tags: dict[str, str] | None = None
    ) -> None:
        self.meter = meter
        self._tags = tags or {}
        self._clock = clock or asyncio.get_running_loop().time
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}
        self._on_their_way = 0
        self._timer: asyncio.TimerHandle | None = None

    @contextlib.asynccontextmanager
    async def turn(self, reader: str) -> AsyncIterator[Callable[[int, Mapping[str, str]], None]]:
        """
        Wait for a turn to send one read; give a function that takes the answer's status and headers.

        :param reader: on whose behalf: each reader has its own queue.
        """
        turn = asyncio.get_running_loop().create_future()
        self._queues.setdefault(reader, deque()).append(turn)
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._back()
            raise
        try:
            yield self._hear
        except Exception:
            metrics.count("azureml.reads", outcome="no_answer", **self._tags)
            raise
        finally:
            self._back()

    def _hear(self, status: int, headers: Mapping[str, str]) -> None:
        self.meter.hear(self._clock(), status, headers, on_their_way=self._on_their_way - 1)
        metrics.count("azureml.reads", outcome=_outcome(status), **self._tags)
        metrics.gauge("azureml.reads.left", self.meter.left, **self._tags)

    def _back(self) -> None:
        self._on_their_way -= 1
        self._serve()

    def _serve(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queues and self._on_their_way < _AT_ONCE:
            now = self._clock()
            if delay := self.meter.delay(now):
                self._timer = asyncio.get_running_loop().call_later(delay, self._serve)
                return
            if (turn := self._next()) is not None:
                self.meter.spend(now)
                self._on_their_way += 1
                turn.set_result(None)

    def _next(self) -> asyncio.Future[None] | None:
        """Return the first turn of the reader who has waited longest, and put the reader last."""
        reader = next(iter(self._queues))
        queue = self._queues.pop(reader)
        turn = queue.popleft()
        if queue:
            self._queues[reader] = queue
        return None if turn.done() else turn  # done: its waiter was canceled


_budgets: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, ReadBudget]] = weakref.WeakKeyDictionary()


def read_budget(connection: WorkspaceConnection, url: str) -> ReadBudget:
    """
    Return the budget that a read draws on: one for each principal, subscription and host in this event loop.

    AzureML's other hosts publish no limit; they are asked no faster than ARM.

    :param connection: in whose name the read is made; connections of the same principal share.
    :param url: absolute.
    """
    parts = urlsplit(url)
    segments = parts.path.lower().split("/")
    subscription = segments[segments.index("subscriptions") + 1] if "subscriptions" in segments[:-1] else ""
    mine = _budgets.setdefault(asyncio.get_running_loop(), {})
    key = (connection.identity, parts.hostname, subscription)
    if key not in mine:
        clock = asyncio.get_running_loop().time
        tags = {"host": parts.hostname or "", "subscription": subscription}
        mine[key] = ReadBudget(ReadMeter(rate=_configured_rate(), now=clock()), clock=clock, tags=tags)
    return mine[key]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """
    Return the seconds that an answer asks to wait; None if it does not say, or says what is neither form of RFC 9110.

    A date counts from the answer's own, as this machine's clock may be another; from now if it has none.
    """
    asked = str(headers.get("retry-after") or "")
    try:
        seconds = float(asked)
    except ValueError:
        if (until := _date(asked)) is None:
            return None
        seconds = max(0.0, until - (_date(headers.get("date") or "") or time.time()))
    return seconds if 0 <= seconds < float("inf") else None


def _date(text: str) -> float | None:
    """Return an HTTP date in seconds since the epoch."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def _remaining(headers: Mapping[str, Any]) -> float | None:
    """Return how many reads are left by the strictest of the limits that an answer names."""
    found = [
        int(value)
        for name, value in headers.items()
        if name.startswith("x-ms-ratelimit-remaining-") and name.endswith("-reads") and str(value).isdecimal()
    ]
    return float(min(found)) if found else None


def _outcome(status: int) -> str:
    if status == 429:
        return "throttled"
    return "success" if status < 400 else "not_found" if status == 404 else "error"


def _configured_rate() -> float:
    from airflow.sdk.configuration import conf

    rate: float = conf.getfloat("azureml", "max_reads_per_second", fallback=READS_PER_SECOND)
    return rate if rate > 0 else READS_PER_SECOND
