"""What a consumer reads from the events that started it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_azureml.datasets import AssetVersion, asset_versions
from airflow_provider_azureml.datasets.events import parse_time

START = datetime(2026, 11, 22, tzinfo=UTC)


@dataclass
class Event:
    extra: Any
    timestamp: datetime = START


def version(number: int | str, *, minute: int | None = None, **fields: Any) -> AssetVersion:
    made = START + timedelta(minutes=number if minute is None else minute)
    return AssetVersion(
        kind="model", name="m", version=str(number), id=f"/m/{number}", created_at=made.isoformat(), **fields
    )


def event(*versions: AssetVersion, watched: bool = False, at: int = 0) -> Event:
    extra: dict[str, Any] = {"versions": [v.to_dict() for v in versions]}
    return Event({"from_trigger": True, "payload": extra} if watched else extra, START + timedelta(minutes=at))


def test_versions_of_tasks_and_of_watchers_are_read_alike():
    events = {"asset": [event(version(2), watched=True)], "other": [event(version(1))]}
    assert asset_versions(events) == [version(1), version(2)]


@given(st.permutations(range(1, 13)))
def test_versions_come_oldest_first_however_airflow_orders_events(numbers):
    """Text order would put 10 before 9."""
    found = asset_versions([event(version(number)) for number in numbers])
    assert [v.version for v in found] == [str(number) for number in range(1, 13)]


def test_numbers_decide_between_versions_made_at_the_same_moment():
    found = asset_versions([event(version(10, minute=0), version(9, minute=0))])
    assert [v.version for v in found] == ["9", "10"]


def test_a_version_that_is_announced_twice_counts_once_as_it_was_last():
    later = version(1, tags={"stage": "production"})
    events = [event(later, at=5), event(version(1), at=1)]
    assert asset_versions(events) == [later]


@pytest.mark.parametrize("extra", [{}, None, {"payload": "text"}, {"from_rest_api": True}, {"versions": None}])
def test_events_that_say_nothing_of_versions_are_passed_over(extra):
    assert asset_versions([Event(extra), event(version(1))]) == [version(1)]


def test_an_event_with_something_else_as_versions_is_an_error():
    with pytest.raises(ValueError, match="at least kind, name, version and id"):
        asset_versions([Event({"versions": [{"name": "m"}]})])


def test_a_version_survives_json_and_fields_of_later_releases():
    value = {**version(3, tags={"a": "b"}).to_dict(), "of_a_later_release": 1}
    assert AssetVersion.from_dict(value) == version(3, tags={"a": "b"})


@pytest.mark.parametrize(
    "text", ["2026-03-27T04:22:09.184748+00:00", "2026-03-27T04:22:09.1847481Z", "2026-03-27T04:22:09Z"]
)
def test_every_form_of_azures_timestamps_is_understood(text):
    assert parse_time(text).replace(microsecond=0) == datetime(2026, 3, 27, 4, 22, 9, tzinfo=UTC)


def test_what_holds_no_events_is_said_to_be_none():
    with pytest.raises(TypeError, match=r"reads triggering_asset_events, not NoneType"):
        asset_versions(None)
