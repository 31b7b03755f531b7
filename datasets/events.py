"""What an asset event says: which versions there are now, and how a consumer reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Asset, AssetAlias, Context

_VERSIONS = "versions"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetVersion:
    """
    One version of a model or data asset, as it was when it was announced.

    :param kind: ``model`` or ``data``.
    :param name: the asset's name.
    :param version: the version; a positive integer in text for models, any text for data.
    :param id: the ARM id, unique in Azure. A consumer that must not act twice remembers this.
    :param path: where the bytes are: an ``azureml://`` or ``https://`` URI.
    :param type: ``uri_file``, ``uri_folder``, ``mltable``, ``custom_model``, ``mlflow_model``, ``triton_model``.
    :param stage: a model's stage (``Development``, ``Production``, ``Archived`` ...); None for data.
    :param job_name: the AzureML job that made it, where the service knows.
    :param metrics: what that job logged with MLflow, where it was asked for: name -> last value, None for one that is
        no finite number.
    :param created_at: ISO 8601 with time zone, as the service gave it.
    :param created_by: the person or application that made it.
    """

    kind: str
    name: str
    version: str
    id: str
    path: str = ""
    type: str = ""
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    stage: str | None = None
    job_name: str | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    created_at: str = ""
    created_by: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON: what the event holds, and what the operators and sensors return as XCom."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> AssetVersion:
        """
        Return the version that :meth:`to_dict` wrote; fields that this release does not know are left out.

        :raises ValueError: it lacks kind, name, version or id.
        """
        known = {f.name for f in fields(cls)}
        try:
            return cls(**{key: item for key, item in value.items() if key in known})
        except (TypeError, AttributeError):
            raise ValueError(
                f"Not an AzureML asset version: {value!r}. It needs at least kind, name, version and id."
            ) from None

    @property
    def order(self) -> tuple[datetime, int, str]:
        """Sort key: when it was made, then its number, then its text. Text alone would put 10 before 9."""
        return parse_time(self.created_at), int(self.version) if self.version.isdecimal() else -1, self.version


def parse_time(text: str) -> datetime:
    """
    Return an Azure timestamp (0 to 7 fraction digits, ``Z`` or an offset) as datetime; the epoch's start for none.

    :raises ValueError: it is no timestamp.
    """
    if not text:
        return datetime.fromtimestamp(0, UTC)
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def announce(
    context: Context, outlet: Asset | AssetAlias, versions: Iterable[AssetVersion], *, asset: Asset | None = None
) -> None:
    """
    Put versions into the event that Airflow will emit for an outlet of the running task when it succeeds.

    :param context: the task's context.
    :param outlet: an outlet of the task.
    :param versions: what to announce. One event holds them all: of several events in quick succession, a consuming
        DAG run sees only the first.
    :param asset: with an alias as outlet, the asset that it stands for this time.
    """
    extra: Any = {_VERSIONS: [version.to_dict() for version in versions]}
    event = context["outlet_events"][outlet]
    if asset is not None:
        event.add(asset, extra=extra)
    else:
        event.extra = extra


def asset_versions(events: Mapping[Any, Iterable[Any]] | Iterable[Any]) -> list[AssetVersion]:
    """
    Return the versions that started this DAG run, oldest first and each one once.

    ::

        @task
        def roll_out(*, triggering_asset_events):
            for version in asset_versions(triggering_asset_events):
                print(version.name, version.version, version.path)

    Airflow does not order events, merges some runs and may deliver an event again, so act on all of them and expect a
    repeat in a later run (compare ``id``). Of a version that is announced twice, the newer announcement counts.

    :param events: ``triggering_asset_events``, or the events of one of its assets
        (``triggering_asset_events[ws.model("fraud")]``). Events that say nothing of AzureML versions are passed over.
    :raises ValueError: an event has ``versions`` that are not AzureML asset versions.
    """
    if not isinstance(events, Iterable):
        raise TypeError(f"asset_versions() reads triggering_asset_events, not {type(events).__name__}.")
    every = [event for group in events.values() for event in group] if isinstance(events, Mapping) else list(events)
    newest: dict[str, AssetVersion] = {}
    for event in sorted(every, key=lambda event: event.timestamp):
        for value in _payload(event.extra).get(_VERSIONS) or ():
            version = AssetVersion.from_dict(value)
            newest[version.id.lower()] = version
    return sorted(newest.values(), key=lambda version: version.order)


def _payload(extra: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Airflow keeps what a task said in ``extra`` and what a watcher said one level below, in ``payload``."""
    extra = extra or {}
    payload = extra.get("payload")
    return payload if isinstance(payload, Mapping) else extra
