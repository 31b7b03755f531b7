"""Watchers: assets whose events come from AzureML itself, with no DAG waiting."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlencode

from airflow.sdk import Asset, AssetWatcher

from ..datasets.uri import parse_asset_uri
from ..datasets.workspace import Kind, Registry, Workspace
from ..provider.arguments import check_conn_id, check_metrics, check_tags
from ..provider.triggers.watch_experiment import AzureMachineLearningExperimentWatchTrigger
from ..provider.triggers.watch_version import AzureMachineLearningVersionWatchTrigger

if TYPE_CHECKING:
    from ..provider.triggers.watch import AzureMachineLearningWatchTrigger

_QUEUE_URL = re.compile(r"https://[a-z0-9]{3,24}\.queue\.[a-z0-9.-]+/[a-z0-9](?:[a-z0-9-]{1,61}[a-z0-9])")
_CONSUMER = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_LEAST_INTERVAL = 5


def watch(
    asset: Asset,
    *,
    conn_id: str,
    poll_interval: float = 60,
    tags: dict[str, str] | None = None,
    start: Literal["latest", "all"] = "latest",
    statuses: Iterable[str] | None = None,
    event_queue: str | None = None,
    consumer: str | None = None,
    metrics: bool = False,
) -> Asset:
    """
    Return an asset that has an event for each new version of an AzureML model or data asset, whoever makes it.

    ::

        with DAG("deploy", schedule=[watch(ws.model("fraud"), conn_id="azureml", tags={"stage": "production"})]):

            @task
            def roll_out(*, triggering_asset_events):
                for version in asset_versions(triggering_asset_events):
                    ...

    Each version is announced once, when it first matches: made with the tags, tagged later, or restored from the
    archive. Without tags, that is each new version. Several that one poll finds make one event, of up to 100 versions.
    What is made while Airflow is down is announced when it is back; after a crash a version may be announced again,
    with the same ``id``. For ``ws.experiment(name)`` each job that ends is a version, with its status as ``stage``.

    The result is an asset of its own, beside ``ws.model("fraud")`` (which has the events of Airflow's own tasks). Its
    identity holds the filter and the consumer; connection, interval and queue are not part of it, so they can be
    changed without announcing anything anew. Use one and the same object in all DAGs: import it from one module.

    The triggerer polls once per workspace, kind, interval and queue, however many assets are watched; a watcher with
    tags adds a request for each asset that it watches.

    :param asset: what ``Workspace.model()``, ``.data()`` or ``.experiment()`` made, or ``Registry.model()``,
        ``.data()``.
    :param conn_id: an Airflow connection of type ``azure_machine_learning`` to that workspace; for a registry, to any
        workspace, as an identity that may read the registry.
    :param poll_interval: seconds between two polls, 5 at least.
    :param tags: tags that a version (or job) must have, with these values; it may have more.
    :param start: when it is watched for the first time, ``latest`` takes what is there as known, ``all`` announces it.
    :param statuses: of an experiment only: the final states that count, ``["Completed"]`` if None; others are
        ``Failed`` and ``Canceled``. ``NotResponding`` is not final: such a job may go on, and is told of when it ends.
    :param event_queue: ``https://ACCOUNT.queue.core.windows.net/QUEUE``, a Storage Queue that Event Grid fills with the
        workspace's events: a message makes the next poll happen at once. It needs the extra ``event-queue``.
    :param consumer: makes this watched asset another one than those of other consumers. Airflow gives events to DAGs
        that are not paused, and keeps none for the others: a DAG that may be paused while others of the same watched
        asset are not needs a watched asset of its own, such as ``consumer="deploy"``.
    :param metrics: give each version (or job) the metrics that the job logged with MLflow: a read more for each job.
        They are those of the moment of the event. Not of a registry. It is not part of the identity either.
    :raises ValueError: an argument is wrong; Airflow shows it as the DAG's import error.
    """
    owner, kind, name = _identity(asset)
    check_conn_id(conn_id)
    wanted = {key: str(value) for key, value in sorted(check_tags(tags or {}).items())}
    for value in (conn_id, *wanted.values()):
        if "{{" in value or "{%" in value:
            raise ValueError(
                f"{value!r} is a template: a watched asset is none of a task, and nothing is rendered in it."
            )
    _check(owner, kind, poll_interval, start, statuses, event_queue)
    if consumer is not None and not (isinstance(consumer, str) and _CONSUMER.fullmatch(consumer)):
        raise ValueError(f"consumer is {consumer!r}; it is 1 to 100 letters, digits, _, - and ., e.g. a DAG's id.")
    fields: dict[str, Any] = {
        "conn_id": conn_id,
        "owner": owner.uri,
        "kind": kind.value,
        "name": name,
        "tags": wanted,
        "start": start,
        "poll_interval": float(poll_interval),
        "event_queue": event_queue,
    }
    check_metrics(metrics, owner)
    if metrics:
        fields["metrics"] = True
    conditions = [_condition(key, value) for key, value in wanted.items()]
    if kind is Kind.EXPERIMENT:
        fields["statuses"] = sorted(statuses or ["Completed"])
        conditions = [*fields["statuses"], *conditions]
    label = ", ".join(conditions)
    watched = {"watched": ",".join(conditions) or "all"}
    if consumer:
        label = f"{label} for {consumer}" if label else f"for {consumer}"
        watched = {"consumer": consumer, **watched}  # as Airflow sorts it
    fields["asset"] = f"{asset.name} (watched: {label})" if label else f"{asset.name} (watched)"
    trigger: AzureMachineLearningWatchTrigger
    if kind is Kind.EXPERIMENT:
        trigger = AzureMachineLearningExperimentWatchTrigger(**fields)
    else:
        trigger = AzureMachineLearningVersionWatchTrigger(**fields)
    return Asset(
        name=fields["asset"],
        uri=f"{asset.uri}?{urlencode(watched)}",
        group=asset.group,
        watchers=[AssetWatcher(name=f"{kind.collection}/{name}", trigger=trigger)],
    )


_QUOTED = r"[^ -~]|%(?=25|2C|3D|20|[0189A-F][0-9A-F]|7F)"
"""What a filter's words are never shown as: not ASCII, which Airflow refuses on MySQL, or what reads as quoted."""


def _condition(key: str, value: str) -> str:
    """Return a tag that is asked for, written so that no two filters read the same; plain ones are as they are."""
    key = re.sub(rf"[,=]|{_QUOTED}", lambda found: quote(found[0]), key)
    value = re.sub(rf",(?=.*=)|{_QUOTED}", lambda found: quote(found[0]), value, flags=re.DOTALL)
    return f"{key}={re.sub(r' for (?=[A-Za-z0-9_.-]+$)', '%20for ', value)}"


def _identity(asset: Asset) -> tuple[Workspace | Registry, Kind, str]:
    parsed = parse_asset_uri(asset.uri) if isinstance(asset, Asset) else None
    if parsed is None or "?" in asset.uri:
        raise ValueError(f"watch() takes what Workspace.model(), .data() or .experiment() made, not {asset!r}.")
    return parsed


def _check(
    owner: Workspace | Registry,
    kind: Kind,
    poll_interval: float,
    start: str,
    statuses: Iterable[str] | None,
    event_queue: str | None,
) -> None:
    number = isinstance(poll_interval, (int, float)) and not isinstance(poll_interval, bool)
    if not number or not _LEAST_INTERVAL <= poll_interval < float("inf"):
        raise ValueError(f"poll_interval is {poll_interval!r}; it is {_LEAST_INTERVAL} seconds or more.")
    if start not in ("latest", "all"):
        raise ValueError(f"start is {start!r}; it is 'latest' or 'all'.")
    if statuses is not None and kind is not Kind.EXPERIMENT:
        raise ValueError("statuses are for experiments; a model or data version has none.")
    if isinstance(statuses, str):
        raise ValueError(f"statuses is {statuses!r}; it is a list, such as [{statuses!r}].")
    for status in statuses or ():
        if status not in ("Completed", "Failed", "Canceled"):  # AzureML's spelling: what jobs are compared with
            raise ValueError(f"status {status!r} is not final; Completed, Failed and Canceled are, spelt so.")
    if event_queue is not None:
        _check_queue(owner, kind, event_queue)


def _check_queue(owner: Workspace | Registry, kind: Kind, event_queue: str) -> None:
    if kind is Kind.DATA or isinstance(owner, Registry):
        raise ValueError("event_queue does not help here: Event Grid has no event for data assets and registries.")
    if not isinstance(event_queue, str) or not _QUEUE_URL.fullmatch(event_queue):
        shown, _, query = str(event_queue).partition("?")  # which may be a signature
        raise ValueError(
            f"event_queue is {shown + ('?...' if query else '')!r}; it looks like "
            "https://ACCOUNT.queue.core.windows.net/QUEUE."
        )
    if find_spec("azure.storage.queue") is None:
        raise ValueError("event_queue needs azure-storage-queue: install airflow-provider-azureml[event-queue].")
