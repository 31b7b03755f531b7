"""Watching with no DAG running: what the triggers behind ``watch()`` share."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from ...datasets.workspace import Kind, owner_of
from ..capabilities import aget_state, aset_state
from ..errors import AzureMachineLearningError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable

    from airflow.triggers.shared_stream import SharedStreamProducer

    from ...datasets.events import AssetVersion
    from ..watching.poll import Beat, Snapshot

_CURSOR = "azureml"
# A trigger whose DAG was paused lives on for a moment, and what it says then is lost although Airflow calls it stored.
# So
# the cursor moves only when the trigger is still alive this many seconds after its event was stored.
_SETTLED = 10.0


class AzureMachineLearningWatchTrigger(BaseEventTrigger):
    """
    Tells what is new of one thing in a workspace, again and again. All that poll the same share one poll.

    Airflow's asset state store keeps what was told, so nothing is lost or told anew when the triggerer restarts. It
    never ends and never fails.

    :param conn_id: an Airflow connection of type ``azure_machine_learning``.
    :param owner: what ``Workspace.uri`` or ``Registry.uri`` says.
    :param kind: ``model``, ``data`` or ``experiment``.
    :param name: of the model, data asset or experiment.
    :param tags: what must be carried to match.
    :param start: ``latest``: what is there at the very start is known already; ``all``: it is news.
    :param poll_interval: seconds.
    :param event_queue: the URL of a Storage Queue, or None.
    """

    def __init__(
        self,
        *,
        conn_id: str,
        owner: str,
        kind: str,
        name: str,
        tags: dict[str, str] | None = None,
        start: str = "latest",
        poll_interval: float = 60.0,
        event_queue: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.fields: dict[str, Any] = {
            "conn_id": conn_id,
            "owner": owner,
            "kind": kind,
            "name": name,
            "tags": dict(sorted((tags or {}).items())),
            "start": start,
            "poll_interval": poll_interval,
            "event_queue": event_queue,
        }
        self.name, self.tags, self.start = name, self.fields["tags"], start
        self._snapshot: Snapshot | None = None
        self._state: dict[str, Any] | None = None
        self._kept: dict[str, Any] | None = None
        self._unsettled: deque[tuple[Beat, dict[str, Any]]] = deque()
        self._complaint = ""
        self._held_back: set[str] = set()

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and fields, for Airflow's database."""
        return f"{type(self).__module__}.{type(self).__qualname__}", self.fields

    def shared_stream_key(self) -> Hashable:
        """Return what makes two watchers share a poll: all but name and filter."""
        return (
            "azureml",
            *(self.fields[key] for key in ("conn_id", "owner", "kind", "poll_interval", "event_queue")),
        )

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        """Return the poll that watchers with the same key share."""
        from ..watching.poll import WorkspacePoll

        return WorkspacePoll(
            conn_id=kwargs["conn_id"],
            owner=owner_of(kwargs["owner"]),
            kind=Kind(kwargs["kind"]),
            interval=kwargs["poll_interval"],
            event_queue=kwargs.get("event_queue"),
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch with a poll of its own; Airflow shares polls and does not call this."""
        producer = self.create_shared_stream_producer(self.fields)
        beats = (beat async for beat, _ in producer.open_stream())
        try:
            async for event in self.filter_shared_stream(beats):
                yield event
        finally:
            await producer.aclose()

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Beat]) -> AsyncIterator[TriggerEvent]:
        """Yield one event for each snapshot that holds news: ``{"versions": [...]}``."""
        async for beat in shared_stream:
            try:
                await self._keep_what_settled()
                versions = [] if beat.snapshot is self._snapshot else await self._examine(beat.snapshot)
                self._complaint = ""
            except Exception as error:  # noqa: BLE001 - a watcher that fails is restarted at once, for ever
                self._complain(error)
                continue
            if versions:
                names = ", ".join(version.version for version in versions)
                self.log.info("New of %s %s: %s.", self.fields["kind"], self.name, names)
                assert self._state is not None
                self._unsettled.append((beat, self._state))
                event = {"versions": [version.to_dict() for version in versions]}
                yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def _examine(self, snapshot: Snapshot) -> list[AssetVersion]:
        first = False
        if self._state is None:
            self._kept = await self._load()
            self._state = self._kept or self._nothing()
            first = self._kept is None and self.start == "latest"
        try:
            versions, state = await self._news(snapshot, self._state, first=first)
        except AzureMachineLearningError:
            self._state = None if first else self._state
            raise
        self._snapshot = snapshot
        self._state = state
        if first:
            self.log.info("Watching %s %s from now on.", self.fields["kind"], self.name)
            versions = []
        if not versions and not self._unsettled:
            await self._keep(state)
        return versions

    @abstractmethod
    def _nothing(self) -> dict[str, Any]:
        """Return the state in which nothing was told."""

    @abstractmethod
    async def _news(
        self, snapshot: Snapshot, state: dict[str, Any], *, first: bool
    ) -> tuple[list[AssetVersion], dict[str, Any]]:
        """Return what is new since a state, and the state after it was told."""

    async def _load(self) -> dict[str, Any] | None:
        if self.asset_state_store is None:
            self.log.warning("Airflow gave no asset state store: after a restart, watching begins anew.")
            return None
        kept = await aget_state(self.asset_state_store, _CURSOR)
        return kept if isinstance(kept, dict) else None

    async def _keep_what_settled(self) -> None:
        settled = None
        while self._unsettled:
            beat, state = self._unsettled[0]
            if beat.stored is None or time.monotonic() - beat.stored < _SETTLED:
                break
            settled = state
            self._unsettled.popleft()
        if settled is not None:
            await self._keep(settled)

    async def _keep(self, state: dict[str, Any]) -> None:
        if state != self._kept and self.asset_state_store is not None:
            await aset_state(self.asset_state_store, _CURSOR, state)
        self._kept = state

    def _complain(self, error: Exception) -> None:
        if (text := type(error).__name__) != self._complaint:
            self._complaint = text
            self.log.warning("Watching %s %s: %s", self.fields["kind"], self.name, error)

    def _hold_back(self, version: AssetVersion) -> None:
        if version.id not in self._held_back:
            self._held_back.add(version.id)
            self.log.info("%s:%s is there, but without %s.", version.name, version.version, self.tags)
