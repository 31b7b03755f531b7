"""Announcements in events of a size that Airflow bears."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_azureml.datasets import AssetVersion
from airflow_provider_azureml.provider.watching.pieces import MOST, ROOM, pieces


@given(st.lists(st.integers(0, 90_000), max_size=250))
def test_every_version_is_in_one_event_in_order_and_no_event_is_large(sizes):
    versions = [
        AssetVersion(kind="model", name="m", version=str(n), id=str(n), description="x" * size)
        for n, size in enumerate(sizes)
    ]
    events = list(pieces(versions))
    assert [version for event in events for version in event] == versions
    for event in events:
        size = sum(len(json.dumps(version.to_dict())) for version in event)
        assert len(event) <= MOST == 100
        assert len(event) == 1 or size <= ROOM == 64_000, "one that needs more room has an event of its own"
