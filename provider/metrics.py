"""
What this provider tells Airflow's statistics (StatsD or OpenTelemetry; section ``[metrics]`` of its configuration).

Airflow has the facility twice: one copy for tasks, ``airflow.sdk.observability.stats``, and one that the triggerer sets
up, ``airflow.observability.stats``. Everything that is counted here happens in the triggerer; told to the other copy,
it would be dropped without a word.
"""

from __future__ import annotations

from datetime import timedelta

try:
    from airflow.observability import stats
except ImportError:
    from airflow.sdk.observability import stats  # type: ignore[no-redef]


def count(name: str, **tags: str) -> None:
    """Count one more."""
    stats.incr(name, tags=tags)


def duration(name: str, passed: timedelta, **tags: str) -> None:
    """Tell how long something took."""
    stats.timing(name, passed, tags=tags)


def gauge(name: str, value: float, **tags: str) -> None:
    """Tell how much there is of something now."""
    stats.gauge(name, value, tags=tags)
