"""Watching with no DAG running: what the triggers behind ``watch()`` share."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from ...datasets.workspace import Kind, owner_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable

    from airflow.triggers.shared_stream import SharedStreamProducer

    from ..watching.memory import Memory
    from ..watching.poll import Beat
    from ..watching.watcher import Watcher


class AzureMachineLearningWatchTrigger(BaseEventTrigger):
    """
    Announces what is new of one model, data asset or experiment, again and again. All that poll the same share a poll.

    What was announced is kept in Airflow (``watching/memory.py``), so nothing is lost or announced anew when the
    triggerer restarts. It never ends and never fails.

    :param conn_id: an Airflow connection of type ``azure_machine_learning``.
    :param owner: what ``Workspace.uri`` or ``Registry.uri`` says.
    :param kind: ``model``, ``data`` or ``experiment``.
    :param name: of the model, data asset or experiment.
    :param asset: the name of the watched Airflow asset.
    :param tags: what must be carried to match.
    :param start: ``latest``: what is there at the very start is known already; ``all``: it is announced.
    :param poll_interval: seconds.
    :param event_queue: the URL of a Storage Queue, or None.
    :param metrics: whether each version gets the metrics of the job that made it.
    """

    def __init__(
        self,
        *,
        conn_id: str,
        owner: str,
        kind: str,
        name: str,
        asset: str = "",
        tags: dict[str, str] | None = None,
        start: str = "latest",
        poll_interval: float = 60.0,
        event_queue: str | None = None,
        metrics: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.fields: dict[str, Any] = {
            "conn_id": conn_id,
            "owner": owner,
            "kind": kind,
            "name": name,
            "asset": asset,
            "tags": dict(sorted((tags or {}).items())),
            "start": start,
            "poll_interval": poll_interval,
            "event_queue": event_queue,
            **({"metrics": True} if metrics else {}),  # a watcher without it stays the same to Airflow
        }
        self._is_shared = True

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
        self._is_shared = False
        beats = (beat async for beat, _ in producer.open_stream())
        try:
            async for event in self.filter_shared_stream(beats):
                yield event
        finally:
            await producer.aclose()

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Beat]) -> AsyncIterator[TriggerEvent]:
        """Yield events that announce versions: ``{"versions": [...]}``."""
        from ..watching.memory import Memory

        watcher = self._watcher(Memory(self.asset_state_store, self.fields["asset"]))
        joined: Beat | None = None
        try:
            async for beat in shared_stream:
                if joined is None:
                    joined = beat
                    beat.watched[self.fields["name"]] += 1
                if piece := await watcher.hear(beat):
                    event = {"versions": [version.to_dict() for version in piece]}
                    yield TriggerEvent(event)  # type: ignore[no-untyped-call]
        finally:
            watcher.leave()
            if joined is not None:
                joined.watched[self.fields["name"]] -= 1

    @abstractmethod
    def _watcher(self, memory: Memory) -> Watcher:
        """Return what finds what to announce."""

    def _options(self) -> dict[str, Any]:
        return {"trigger_id": getattr(self, "trigger_id", None), "confirmed": self._is_shared, "log": self.log}
