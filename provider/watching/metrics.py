"""What watchers send to Airflow's statistics."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ...datasets.events import AssetVersion, parse_time
from .. import metrics

_failing: set[str] = set()


def polled(kind: str, outcome: str, seconds: float) -> None:
    """Count a poll: ``ok``, or the class of the error; and send how long it took."""
    metrics.count("azureml.watch.polls", kind=kind, outcome=outcome)
    metrics.duration("azureml.watch.poll_duration", timedelta(seconds=seconds), kind=kind)


def announced(kind: str, versions: list[AssetVersion]) -> None:
    """Count what is announced, and send how long after its creation that is."""
    now = datetime.now(UTC)
    metrics.count("azureml.watch.events", kind=kind)
    for version in versions:
        metrics.count("azureml.watch.announced", kind=kind)
        if version.created_at:
            metrics.duration("azureml.watch.lag", max(now - parse_time(version.created_at), timedelta()), kind=kind)


def failing(asset: str, *, fails: bool) -> None:
    """Send how many watchers of this process fail."""
    before = len(_failing)
    (_failing.add if fails else _failing.discard)(asset)
    if len(_failing) != before:
        metrics.gauge("azureml.watch.failing", len(_failing))
