"""What a watcher remembers: each version once, whatever the order, and little room for many."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_azureml.datasets import AssetVersion
from airflow_provider_azureml.provider.rest.bodies import Job
from airflow_provider_azureml.provider.watching.cursors import JobCursor, VersionCursor

START = datetime(2026, 11, 22, tzinfo=UTC)
PRODUCTION = {"stage": "production"}


def version(text: Any, minute: int | None = None, **tags: str) -> AssetVersion:
    made = START + timedelta(minutes=int(text) if minute is None else minute)
    return AssetVersion(
        kind="model", name="m", version=str(text), id=f"/m/{text}", created_at=made.isoformat(), tags=tags
    )


def stored(cursor: VersionCursor) -> VersionCursor:
    """The cursor as it comes back from Airflow's database."""
    return VersionCursor.from_json(json.loads(json.dumps(cursor.to_json())))


def tell(cursor: VersionCursor, *versions: AssetVersion, tags: dict[str, str] | None = None) -> Any:
    new, after = cursor.news(versions, tags or {})
    return [found.version for found in new], stored(after)


@given(st.lists(st.sets(st.integers(1, 40)), max_size=12))
def test_every_version_is_told_exactly_once_in_whatever_order_lists_show_them(polls):
    """Lists that lag behind, forget and remember again."""
    cursor, told = VersionCursor(), []
    for shown in polls:
        new, cursor = tell(cursor, *(version(number) for number in shown))
        told += new
    assert sorted(told) == sorted({str(number) for shown in polls for number in shown})


@given(st.sets(st.one_of(st.integers(0, 10**6).map(str), st.text("0123456789abz._-", min_size=1, max_size=8))))
def test_any_versions_survive_storage(names):
    cursor = VersionCursor(frozenset(names), "2026-11-22T00:00:00Z")
    assert stored(cursor) == cursor


def test_ten_thousand_versions_take_less_room_than_airflow_warns_about():
    cursor = VersionCursor(frozenset(map(str, range(1, 10_001))))
    assert len(json.dumps(cursor.to_json())) < 100


def test_a_promotion_counts_when_it_comes():
    _, cursor = tell(VersionCursor(), version(1), version(2), tags=PRODUCTION)
    told, cursor = tell(cursor, version(1), version(2, **PRODUCTION), tags=PRODUCTION)
    assert told == ["2"]
    told, cursor = tell(cursor, version(1, **PRODUCTION), version(2), tags=PRODUCTION)
    assert told == ["1"], "also of an older version, later"
    told, _ = tell(cursor, version(1, **PRODUCTION), version(2, **PRODUCTION), tags=PRODUCTION)
    assert told == []


def test_a_version_that_was_deleted_and_made_again_is_news():
    _, cursor = tell(VersionCursor(), version(1), version(2))
    told, cursor = tell(cursor, version(1, minute=60), version(2))
    assert told == ["1"]
    told, _ = tell(cursor, version(1, minute=60), version(2))
    assert told == []


def test_a_version_made_again_without_the_tags_is_told_when_it_gets_them():
    _, cursor = tell(VersionCursor(), version(1, **PRODUCTION), tags=PRODUCTION)
    _, cursor = tell(cursor, version(1, minute=60), tags=PRODUCTION)
    told, _ = tell(cursor, replace(version(1, minute=60), tags=PRODUCTION), tags=PRODUCTION)
    assert told == ["1"]


def job(name: str, status: str, minute: int) -> Job:
    return Job(name=name, id=f"/jobs/{name}", status=status, created_at=(START + timedelta(minutes=minute)).isoformat())


def end(cursor: JobCursor, *jobs: Job) -> Any:
    newest = max((j.created_at for j in jobs), default="")
    ended, after = cursor.news(jobs, newest)
    return [j.name for j in ended], JobCursor.from_json(json.loads(json.dumps(after.to_json())))


def test_a_job_is_told_when_it_ends_however_long_that_takes():
    told, cursor = end(JobCursor(), job("long", "Running", 0), job("short", "Completed", 1))
    assert told == ["short"]
    told, cursor = end(cursor, job("long", "Running", 0), job("next", "Failed", 300))
    assert told == ["next"]
    told, cursor = end(cursor, job("long", "Completed", 0), job("next", "Failed", 300))
    assert told == ["long"]
    assert end(cursor, job("next", "Failed", 300))[0] == []


def test_a_job_that_shows_up_late_in_the_list_is_not_lost():
    _, cursor = end(JobCursor(), job("young", "Completed", 9))
    assert not cursor.is_past(job("old", "Completed", 5).created_at)
    assert end(cursor, job("young", "Completed", 9), job("old", "Completed", 5))[0] == ["old"]


def test_what_is_long_past_need_not_be_looked_at():
    _, cursor = end(JobCursor(), job("young", "Completed", 60))
    assert cursor.is_past(job("old", "Completed", 5).created_at)


def test_a_job_that_is_deleted_while_it_runs_is_forgotten():
    _, cursor = end(JobCursor(), job("gone", "Running", 0))
    _, cursor = end(cursor)
    assert not cursor.open
