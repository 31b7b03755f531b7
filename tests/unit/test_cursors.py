"""What a watcher remembers: each version once, whatever the order, and little room for many."""

from __future__ import annotations

import json
import random
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_azureml.datasets import AssetVersion
from airflow_provider_azureml.provider.rest.bodies import Job
from airflow_provider_azureml.provider.watching.cursors import JobCursor, OldVersionCursor, VersionCursor, milliseconds
from airflow_provider_azureml.provider.watching.packing import pack, unpack

START = datetime(2026, 11, 22, tzinfo=UTC)
PRODUCTION = {"stage": "production"}
NAMES = st.one_of(st.integers(0, 10**6).map(str), st.text("0123456789abz._-#[", min_size=1, max_size=40))


def version(text: Any, minute: float | None = None, **tags: str) -> AssetVersion:
    made = START + timedelta(minutes=int(text) if minute is None else minute)
    return AssetVersion(
        kind="model", name="m", version=str(text), id=f"/m/{text}", created_at=made.isoformat(), tags=tags
    )


def stored(cursor: VersionCursor) -> VersionCursor:
    """The cursor as it comes back from Airflow's database."""
    return VersionCursor.from_json(unpack(json.loads(json.dumps(pack(cursor.to_json())))))


def tell(cursor: VersionCursor, *versions: AssetVersion, tags: dict[str, str] | None = None) -> Any:
    new = cursor.to_announce(versions, tags or {})
    return [found.version for found in new], stored(cursor.with_announced(new).compact(versions))


def test_a_list_that_shows_a_version_on_two_pages_makes_one_announcement():
    assert [found.version for found in VersionCursor().to_announce([version(2), version(1), version(2)], {})] == [
        "1",
        "2",
    ]


@given(st.lists(st.sets(st.integers(1, 40)), max_size=12))
def test_every_version_is_told_exactly_once_in_whatever_order_lists_show_them(polls):
    """Lists that lag behind, forget and remember again, for up to 40 minutes."""
    cursor, told = VersionCursor(), []
    for shown in polls:
        new, cursor = tell(cursor, *(version(number) for number in shown))
        told += new
    assert sorted(told) == sorted({str(number) for shown in polls for number in shown})


@given(
    st.dictionaries(NAMES, st.tuples(st.integers(0, 4000), st.booleans()), max_size=60), st.lists(NAMES, max_size=10)
)
def test_a_cursor_says_the_same_of_every_version_however_it_is_compacted_and_stored(made, late):
    """Versions of any names, made at any minutes of three days, some at the same one; some were told, some not."""
    every = {name: version(name, minute) for name, (minute, _) in made.items()}
    told = [every[name] for name, (_, is_told) in made.items() if is_told]
    cursor = stored(stored(VersionCursor().with_announced(told).compact(every.values())).compact(every.values()))
    assert {found.version for found in every.values() if cursor.knows(found)} == {found.version for found in told}
    newest = max((minute for minute, _ in made.values()), default=0)
    for name in set(late) - set(made):
        assert not cursor.knows(version(name, newest - 59)), "it shows up an hour late"


@given(st.lists(st.tuples(st.integers(1, 6), st.sampled_from(["make", "delete"])), max_size=30), st.randoms())
def test_a_version_deleted_and_made_again_is_told_again_also_when_it_is_listed_after_younger_ones(acts, chance):
    cursor, there, told, expected = VersionCursor(), {}, [], []
    for minute, (number, act) in enumerate(acts):
        if act == "delete":
            there.pop(number, None)
        elif number not in there:
            there[number] = version(number, minute)
            expected.append(there[number])
        visible = [found for found in there.values() if chance.random() < 0.6]
        new = cursor.to_announce(visible, {})
        told += new
        cursor = stored(cursor.with_announced(new).compact(visible))
    told += cursor.to_announce(there.values(), {})
    assert len({(found.version, found.created_at) for found in told}) == len(told), "never twice"
    gone = [found for found in expected if found not in there.values()]
    assert [found for found in expected if found not in told and found not in gone] == []


NUMBERS = [str(number) for number in range(1, 10_001)]
DATES = [f"{START + timedelta(hours=hour):%Y-%m-%dT%H}" for hour in range(10_000)]
RANDOM = [str(uuid.UUID(int=random.Random(number).getrandbits(128))) for number in range(10_000)]


@pytest.mark.parametrize("names", [NUMBERS, DATES, RANDOM])
@pytest.mark.parametrize("told", [lambda n: True, lambda n: n % 2 == 0, lambda n: n % 97 == 0])
def test_ten_thousand_versions_of_any_names_and_a_hundred_young_ones_take_less_than_16_kb(names, told):
    chance = random.Random(7)
    minutes = sorted(chance.uniform(0, 600_000) for _ in names[100:]) + [600_050 + n / 10 for n in range(100)]
    every = [version(name, minute) for name, minute in zip(names, minutes, strict=True)]
    cursor = VersionCursor().with_announced(found for n, found in enumerate(every) if told(n)).compact(every)
    assert len(json.dumps(pack(cursor.to_json()))) < 16_000
    assert [cursor.knows(found) for found in every] == [told(n) for n in range(10_000)]


def test_ten_thousand_models_made_within_five_minutes_take_less_than_16_kb():
    every = [version(name, number / 2_000) for number, name in enumerate(NUMBERS)]
    cursor = VersionCursor().with_announced(every).compact(every)
    assert len(json.dumps(pack(cursor.to_json()))) < 16_000


def test_what_an_earlier_release_kept_is_read():
    old = OldVersionCursor.from_json({"ranges": [[1, 3], [7, 10**7]], "names": ["a"], "high": START.isoformat()})
    known = {text: old.knows(version(text, 0)) for text in ("1", "3", "4", "7", "9999999", "a", "b")}
    assert known == {"1": True, "3": True, "4": False, "7": True, "9999999": True, "a": True, "b": False}
    assert not old.knows(version("1", 1)), "made again since"


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        "text",
        {"floor": 0, "flips": [], "names": [[1, 10**12]], "made": []},
        {"floor": 0, "flips": [], "names": [[3, 1]], "made": []},
        {"floor": 0, "flips": [3, -2], "names": [], "made": []},
        {"floor": "x", "flips": [], "names": [], "made": []},
        {"zlib": "?"},
        {"zlib": "eJwDAAAAAAE="},
    ],
)
def test_what_is_no_cursor_is_a_value_error_at_once(value):
    with pytest.raises(ValueError, match=r"cursor|compressed"):
        VersionCursor.from_json(unpack(value))


@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_anything_else_is_a_value_error_and_no_other(value):
    for cursor in (VersionCursor, OldVersionCursor, JobCursor):
        with pytest.raises(ValueError, match="not a cursor"):
            cursor.from_json(value)


def test_a_replay_forgets_what_was_made_since():
    every = [version(number) for number in range(1, 600)]
    cursor = VersionCursor().with_announced(every).compact(every)
    again = stored(cursor).forget_since(milliseconds(every[299].created_at))
    assert [found.version for found in again.to_announce(every, {})] == [str(number) for number in range(300, 600)]


def test_a_promotion_counts_when_it_comes():
    _, cursor = tell(VersionCursor(), version(1), version(2), tags=PRODUCTION)
    told, cursor = tell(cursor, version(1), version(2, **PRODUCTION), tags=PRODUCTION)
    assert told == ["2"]
    told, cursor = tell(cursor, version(1, **PRODUCTION), version(2), tags=PRODUCTION)
    assert told == ["1"], "also of an older version, later"
    told, _ = tell(cursor, version(1, **PRODUCTION), version(2, **PRODUCTION), tags=PRODUCTION)
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
    ended, after = cursor.to_announce(jobs, newest)
    return [j.name for j in ended], JobCursor.from_json(json.loads(json.dumps(after.to_json())))


def test_a_job_is_told_when_it_ends_however_long_that_takes():
    told, cursor = end(JobCursor(), job("long", "Running", 0), job("short", "Completed", 1))
    assert told == ["short"]
    told, cursor = end(cursor, job("long", "Running", 0), job("next", "Failed", 300))
    assert told == ["next"]
    told, cursor = end(cursor, job("long", "Completed", 0), job("next", "Failed", 300))
    assert told == ["long"]
    assert end(cursor, job("next", "Failed", 300))[0] == []


def test_a_job_that_is_not_announced_yet_comes_up_again():
    _, cursor = end(JobCursor(), job("a", "Completed", 0), job("b", "Completed", 1))
    assert end(cursor.keep_open(["b"]), job("a", "Completed", 0), job("b", "Completed", 1))[0] == ["b"]


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
