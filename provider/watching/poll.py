"""One poll of a workspace for all who watch something in it: what there is, told to each of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

from ...datasets.workspace import Kind, Registry, Workspace
from ..errors import AzureMachineLearningError, NotFoundError, TransientError
from ..hook import AzureMachineLearningHook

if TYPE_CHECKING:
    from ...datasets.events import AssetVersion
    from ..rest.bodies import Job
    from ..rest.client import WorkspaceClient

log = logging.getLogger(__name__)

_TICK = 5.0  # seconds between repetitions of the last snapshot, for who joined late and for cursors to be stored
_MOST_BACKOFF = 900.0
_AFTER_NUDGE = (0.0, 2.0, 8.0)  # seconds; Azure's lists may show what is new a while after its event
_NUDGES = {
    Kind.MODEL: {"modelregistered"},
    Kind.DATA: set[str](),
    Kind.EXPERIMENT: {"runcompleted", "runstatuschanged"},
}


class Snapshot:
    """
    What one poll found. All watchers of a stream get the same one, and share what they ask for further.

    :param client: asks further.
    :param kind: what is watched.
    :param fingerprints: name of each model or data asset -> what changes when it gets a version.
    """

    def __init__(self, client: WorkspaceClient, kind: Kind, fingerprints: dict[str, str]) -> None:
        self.client = client
        self.kind = kind
        self.fingerprints = fingerprints
        self._asked: dict[str, asyncio.Task[Any]] = {}
        self._jobs: list[Job] = []
        self._more_jobs: AsyncIterator[Job] | None = client.list_jobs() if kind is Kind.EXPERIMENT else None
        self._lock = asyncio.Lock()
        self._broken: AzureMachineLearningError | None = None

    async def versions(self, name: str) -> list[AssetVersion]:
        """Return the versions of an asset; one request however many ask. A name that does not exist has none."""
        found: list[AssetVersion] = await self._once(name, self._list_versions)
        return found

    async def job(self, name: str) -> Job | None:
        """Return a job, or None if it is gone; one request however many ask."""
        found: Job | None = await self._once(name, self._get_job)
        return found

    async def jobs(self) -> AsyncIterator[Job]:
        """Yield the workspace's jobs in the service's order; each page is fetched once, when somebody gets there."""
        index = 0
        while True:
            async with self._lock:
                if self._broken is not None:
                    raise self._broken
                if index == len(self._jobs) and self._more_jobs is not None:
                    try:
                        self._jobs.append(await anext(self._more_jobs))
                    except StopAsyncIteration:
                        self._more_jobs = None
                    except AzureMachineLearningError as error:
                        self._broken = error
                        raise
            if index == len(self._jobs):
                return
            yield self._jobs[index]
            index += 1

    async def _once(self, name: str, ask: Callable[[str], Coroutine[Any, Any, Any]]) -> Any:
        if name not in self._asked:
            self._asked[name] = asyncio.create_task(ask(name))
        return await asyncio.shield(self._asked[name])

    async def _list_versions(self, name: str) -> list[AssetVersion]:
        try:
            return [version async for version in self.client.list_versions(self.kind, name)]
        except NotFoundError:
            return []

    async def _get_job(self, name: str) -> Job | None:
        try:
            return await self.client.get_job(name)
        except NotFoundError:
            return None


@dataclass(slots=True, eq=False)
class Beat:
    """
    One item of the shared stream: a new snapshot, or the last one again.

    :param stored: when Airflow said that it had stored the events made of this beat, on the monotonic clock.
    """

    snapshot: Snapshot
    stored: float | None = None


class WorkspacePoll(SharedStreamProducer):
    """
    Polls a workspace at an interval, and at once when an event queue says that something happened.

    It never returns and never raises: what goes wrong is logged once, backed off from and tried again. It runs in
    Airflow's ack mode, because that is how Airflow says that events are stored.

    :param conn_id: an Airflow connection of type ``azure_machine_learning``.
    :param owner: the workspace, which the connection must point to, or a registry.
    :param kind: what is watched in it.
    :param interval: seconds.
    :param event_queue: the URL of a Storage Queue, or None.
    """

    def __init__(
        self, *, conn_id: str, owner: Workspace | Registry, kind: Kind, interval: float, event_queue: str | None
    ) -> None:
        self._hook = AzureMachineLearningHook(conn_id, workspace=owner if isinstance(owner, Workspace) else None)
        self._owner = owner
        self._kind = kind
        self._interval = interval
        self._event_queue = event_queue
        self._nudged = asyncio.Event()
        self._complaint = ""
        self._failures = 0
        self._resources = contextlib.AsyncExitStack()
        self._connected = contextlib.AsyncExitStack()
        self._client: WorkspaceClient | None = None

    async def open_stream(self) -> AsyncIterator[tuple[Beat, Beat]]:
        """Yield a beat after each poll, and every few seconds in between: who joined late catches up with those."""
        if self._event_queue:
            self._resources.push_async_callback(_end, asyncio.create_task(self._listen()))
        snapshot: Snapshot | None = None
        due = [time.monotonic()]
        while True:
            if time.monotonic() >= due[0]:
                due.pop(0)
                try:
                    snapshot = await self._poll()
                    due = due or [time.monotonic() + self._interval]
                except AzureMachineLearningError as error:
                    due = [time.monotonic() + await self._complain(error)]
            if snapshot is not None:
                beat = Beat(snapshot)
                yield beat, beat
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._nudged.wait(), max(0.05, min(_TICK, due[0] - time.monotonic())))
                self._nudged.clear()
                now = time.monotonic()
                due = [*(now + pause for pause in _AFTER_NUDGE), now + self._interval]

    async def _poll(self) -> Snapshot:
        if self._client is None:
            self._client = await self._connect()
        fingerprints: dict[str, str] = {}
        if self._kind is not Kind.EXPERIMENT:
            fingerprints = {name: mark async for name, mark in self._client.list_fingerprints(self._kind)}
        if self._complaint:
            log.info("Watching %s goes on after %d failed polls.", self._kind.collection, self._failures)
        self._complaint, self._failures = "", 0
        return Snapshot(self._client, self._kind, fingerprints)

    async def _connect(self) -> WorkspaceClient:
        from ..rest.client import WorkspaceClient
        from ..rest.registry_client import RegistryClient
        from ..rest.transport import shared_transport

        connection = await self._hook.aget_workspace_connection()
        transport = await self._connected.enter_async_context(shared_transport(connection))
        if isinstance(self._owner, Registry):
            return RegistryClient(connection, transport=transport, retry=False, registry=self._owner)
        return WorkspaceClient(connection, transport=transport, retry=False)

    async def _complain(self, error: AzureMachineLearningError) -> float:
        """Log what is wrong, once for each reason, and return how long to wait."""
        if not isinstance(error, TransientError):
            # The connection may have been corrected in Airflow since: read it anew.
            await self._connected.aclose()
            self._client = None
        pause = min(self._interval * float(2 ** min(self._failures, 6)), max(_MOST_BACKOFF, self._interval))
        if isinstance(error, TransientError):
            pause = max(pause, error.retry_after or 0)
        self._failures += 1
        if (text := type(error).__name__) != self._complaint:
            self._complaint = text
            log.warning("Watching %s: %s Trying again in %.0f s.", self._kind.collection, error, pause)
        return pause

    async def _listen(self) -> None:
        """Take messages as they come, two looks a second: each nudges the poll."""
        from azure.core.exceptions import AzureError

        from .event_queue import EventQueue

        assert self._event_queue is not None
        complaint = ""
        while True:
            try:
                connection = await self._hook.aget_workspace_connection()
                async with (
                    connection.async_credential() as credential,
                    EventQueue(self._event_queue, credential) as queue,
                ):
                    while True:
                        if await queue.take() & _NUDGES[self._kind]:
                            self._nudged.set()
                        complaint = ""
                        await asyncio.sleep(0.5)
            except (AzureError, AzureMachineLearningError) as error:
                if (text := f"{type(error).__name__}: {str(error).splitlines()[0]}") != complaint:
                    complaint = text
                    log.warning("Event queue %s cannot be read; polling goes on. %s", self._event_queue, text)
                await asyncio.sleep(min(30.0, self._interval))

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Take note that Airflow has stored all events that were made of these beats."""
        for item in batch:
            item.broker_payload.stored = time.monotonic()

    async def aclose(self) -> None:
        """Close what was opened; the last watcher has left."""
        await self._resources.aclose()
        await self._connected.aclose()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
