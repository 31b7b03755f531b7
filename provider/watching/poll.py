"""One poll of a workspace for all who watch something in it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

from ...datasets.workspace import Kind, Registry, Workspace
from ..configuration import setting
from ..errors import AzureMachineLearningError, TransientError
from ..hook import AzureMachineLearningHook
from . import memory, metrics
from .desk import Desk, Listing

if TYPE_CHECKING:
    from ..rest.client import WorkspaceClient
    from .event_queue import Nudge

log = logging.getLogger(__name__)

_TICK = 5.0  # seconds between repetitions of the last beat: for those who joined late, and so that cursors are stored
_GATHER = 0.2  # seconds in which what is found is gathered for one beat
_AFTER_NUDGE = (0.0, 2.0, 8.0)  # seconds; Azure's lists may show what is new a while after its event
_NUDGE_SPACING = 2.0  # seconds from one poll to the next that a nudge asks for
_REQUESTS = 30.0  # seconds between two reads of what `airflow azureml watchers` asks
_NUDGES = {
    Kind.MODEL: {"modelregistered"},
    Kind.DATA: set[str](),
    Kind.EXPERIMENT: {"runcompleted", "runstatuschanged"},
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """
    Why polls fail.

    :param why: what is wrong and what to do.
    :param since: ISO 8601.
    :param next_poll: ISO 8601.
    """

    why: str
    since: str
    next_poll: str


@dataclass(slots=True, eq=False)
class Beat:
    """
    One item of the shared stream: what is known now, also if that is the same as before.

    :param polls: how many polls succeeded.
    :param fingerprints: name of each model or data asset -> what changes when it gets a version, None if it does not
        exist; None before the first poll.
    :param is_complete: whether a name that is not in there does not exist.
    :param found: what watchers asked the desk for.
    :param trouble: why polls fail at the moment, or None.
    :param last_poll: when one succeeded last, ISO 8601.
    :param desk: where watchers ask for more.
    :param watched: names that watchers join; the poll may ask for those alone.
    :param requests: name of a watched asset -> what ``airflow azureml watchers`` asks of it.
    :param is_announced: whether an event was made of it.
    :param stored: when Airflow said that it had stored the events made of this beat, on the monotonic clock.
    """

    desk: Desk
    watched: Counter[str]
    polls: int = 0
    fingerprints: Mapping[str, str | None] | None = None
    is_complete: bool = False
    found: Mapping[str, Listing] = field(default_factory=dict)
    trouble: Trouble | None = None
    last_poll: str | None = None
    requests: Mapping[str, Any] = field(default_factory=dict)
    is_announced: bool = False
    stored: float | None = None


class WorkspacePoll(SharedStreamProducer):
    """
    Polls a workspace at an interval, and soon when an event queue says that something happened.

    It never returns and never raises: what goes wrong is logged once, passed on to the watchers, and tried again ever
    later. It runs in Airflow's ack mode, because that is how Airflow says that events are stored.

    :param conn_id: an Airflow connection of type ``azure_machine_learning``.
    :param owner: the workspace, which the connection must point to, or a registry.
    :param kind: what is watched in it.
    :param interval: seconds.
    :param event_queue: the URL of a Storage Queue, or None.
    """

    def __init__(
        self, *, conn_id: str, owner: Workspace | Registry, kind: Kind, interval: float, event_queue: str | None
    ) -> None:
        self._hook = AzureMachineLearningHook(conn_id, workspace=owner)
        self._owner = owner
        self._kind = kind
        self._interval = max(interval, setting("watch_least_interval"))
        self._event_queue = event_queue
        self._wake = asyncio.Event()
        self._complaint = ""
        self._trouble: Trouble | None = None
        self._failures = 0
        self._polls = 0
        self._last_poll: str | None = None
        self._list_pages: int | None = None  # as far as is known
        self._fingerprints: dict[str, str | None] | None = None
        self._is_complete = False
        self._watched: Counter[str] = Counter()
        self._requests: Mapping[str, Any] = {}
        self._is_stored = False  # whether Airflow has said so of an event since the last beat
        self._due = [0.0]  # moments of the next polls, on the monotonic clock
        self._not_before = 0.0
        self._connected = contextlib.AsyncExitStack()
        self._client: WorkspaceClient | None = None
        self._desk = Desk(kind, on_found=self._wake.set)
        self._tasks: list[asyncio.Task[None]] = []

    async def open_stream(self) -> AsyncIterator[tuple[Beat, Beat]]:
        """Yield a beat after each poll, when lists have come, and every few seconds for those who joined late."""
        self._tasks = [asyncio.create_task(self._desk.run()), asyncio.create_task(self._read_requests())]
        last = 0.0
        first = self._beat({})
        yield first, first  # they join with it, so that the first poll knows what to ask for
        await asyncio.sleep(_GATHER)
        while True:
            polled = self._due[0] <= time.monotonic() or (self._lacks_some() and self._not_before <= time.monotonic())
            if polled:
                await self._poll()
            found = self._desk.collect()
            if polled or found or self._is_stored or time.monotonic() - last >= _TICK:
                last, self._is_stored = time.monotonic(), False
                beat = self._beat(found)
                yield beat, beat
            await self._rest(last)

    def _lacks_some(self) -> bool:
        """Whether somebody has joined since names were asked for, and waits to begin."""
        known = self._fingerprints
        return known is not None and not self._is_complete and any(name not in known for name in +self._watched)

    def _beat(self, found: Mapping[str, Listing]) -> Beat:
        return Beat(
            desk=self._desk,
            watched=self._watched,
            polls=self._polls,
            fingerprints=self._fingerprints,
            is_complete=self._is_complete,
            found=found,
            trouble=self._trouble,
            last_poll=self._last_poll,
            requests=self._requests,
        )

    async def _rest(self, last: float) -> None:
        """Wait for the next poll or beat, or until something is found; beats come the slower the more hear them."""
        await asyncio.sleep(_GATHER + self._watched.total() * _GATHER / 200)
        pause = min(self._due[0], last + _TICK) - time.monotonic()
        if pause > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
        self._wake.clear()

    async def _poll(self) -> None:
        begin = time.monotonic()
        self._due = [moment for moment in self._due[1:] if moment > begin]
        try:
            if self._client is None:
                self._client, client = await self._connect()
                self._desk.use(client)
            await self._read_fingerprints(self._client)
        except AzureMachineLearningError as error:
            await self._complain(error)
            outcome = type(error).__name__
        except Exception as error:
            log.exception("Watching %s of %s failed.", self._kind.collection, self._owner.label)
            await self._complain(TransientError(f"{type(error).__name__}: {error}"))
            outcome = type(error).__name__
        else:
            if self._complaint:
                log.info(
                    "Watching %s of %s goes on after %d failed polls.",
                    self._kind.collection,
                    self._owner.label,
                    self._failures,
                )
            self._complaint, self._trouble, self._failures = "", None, 0
            self._polls += 1
            self._last_poll = _clock(time.time())
            self._not_before = time.monotonic() + _NUDGE_SPACING
            self._due.append(time.monotonic() + self._interval)
            outcome = "ok"
        metrics.polled(self._kind, outcome, time.monotonic() - begin)

    async def _read_fingerprints(self, client: WorkspaceClient) -> None:
        if self._kind is Kind.EXPERIMENT:
            self._fingerprints, self._is_complete = {}, True
            return
        names = [*+self._watched]
        if self._list_pages is None or not 0 < len(names) < self._list_pages:
            found, before = dict[str, str | None](), client.pages
            async for name, mark in client.list_fingerprints(self._kind):
                self._list_pages = client.pages - before
                if 0 < len(names) < self._list_pages:
                    break  # asking for each costs less than going on
                found[name] = mark
            else:
                self._list_pages = client.pages - before
                self._fingerprints, self._is_complete = found, True
                return
        self._fingerprints = {name: await client.find_fingerprint(self._kind, name) for name in names}
        self._is_complete = False

    async def _connect(self) -> tuple[WorkspaceClient, WorkspaceClient]:
        """Return a client for this poll and one for the desk: each counts its pages."""
        from ..rest.registry_client import client_for
        from ..rest.transport import shared_transport

        connection = await self._hook.aget_workspace_connection()
        transport = await self._connected.enter_async_context(shared_transport(connection))
        if self._event_queue:
            from .event_queue import hearing

            await self._connected.enter_async_context(hearing(self._event_queue, connection, self._nudge))
        reader = f"watch:{self._owner.uri}:{self._kind}"

        def client(reader: str) -> WorkspaceClient:
            return client_for(connection, transport=transport, retry=False, reader=reader)

        # Two readers: a poll waits for no list that somebody asked the desk for.
        return client(reader), client(f"{reader}:lists")

    async def _complain(self, error: AzureMachineLearningError) -> None:
        """Log what is wrong, once for each reason, and poll later."""
        if not isinstance(error, TransientError):
            # The connection may have been corrected in Airflow since: read it anew.
            self._client = None
            self._desk.use(None)
            await self._connected.aclose()
        pause = self._interval * float(2 ** min(self._failures, 6))
        pause = min(pause, max(setting("watch_greatest_backoff"), self._interval))
        if isinstance(error, TransientError):
            pause = max(pause, error.retry_after or 0)
        self._failures += 1
        self._not_before = time.monotonic() + pause
        self._due = [self._not_before]
        if (text := type(error).__name__) != self._complaint:
            self._complaint = text
            what = f"{self._kind.collection} of {self._owner.label}"
            log.warning("Watching %s: %s Trying again in %.0f s.", what, error, pause)
        if self._failures > 1 or not isinstance(error, TransientError):  # one refusal is no trouble
            now = time.time()
            since = self._trouble.since if self._trouble else _clock(now)
            self._trouble = Trouble(str(error), since, _clock(now + pause))

    def _nudge(self, nudge: Nudge) -> None:
        """Poll soon, if it is about what is watched; but never before the service lets us."""
        if nudge.kind not in _NUDGES[self._kind]:
            return
        mine = self._owner.id.strip("/").lower() if isinstance(self._owner, Workspace) else ""
        if nudge.workspace and nudge.workspace != mine:
            return
        first = max(time.monotonic(), self._not_before)
        if self._failures:
            self._due = [first]  # the back-off goes on
        else:
            self._due = [*(first + pause for pause in _AFTER_NUDGE), first + self._interval]
        self._wake.set()

    async def _read_requests(self) -> None:
        """Read, now and then, what ``airflow azureml watchers`` asks."""
        while True:
            with contextlib.suppress(Exception):
                self._requests = await memory.read_requests()
            await asyncio.sleep(_REQUESTS)

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Take note that Airflow has stored all events that were made of these beats."""
        for item in batch:
            beat: Beat = item.broker_payload
            beat.stored = time.monotonic()
            if beat.is_announced:
                # What is stored is to be kept at once: until then a crash would have it announced again.
                self._is_stored = True
                self._wake.set()

    async def aclose(self) -> None:
        """Close what was opened; the last watcher has left."""
        for task in self._tasks:
            task.cancel()
        try:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        finally:
            await self._connected.aclose()


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
