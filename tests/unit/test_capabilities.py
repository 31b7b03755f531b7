"""What an older Airflow lacks is done the older way."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from airflow_provider_azureml.provider.capabilities import aget_state, aset_state


class OlderStore:
    """The asset state store of Airflow 3.3.0: blocking calls only, of which none may be made on the event loop."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.event_loop = threading.get_ident()

    def get(self, key: str, default: Any = None) -> Any:
        assert threading.get_ident() != self.event_loop
        return self.values.get(key, default)

    def set(self, key: str, value: Any) -> None:
        assert threading.get_ident() != self.event_loop
        self.values[key] = value


class NewerStore(OlderStore):
    """That of 3.3.2, whose calls can be awaited."""

    async def aget(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        self.values[key] = value

    get = set = None  # type: ignore[assignment]


@pytest.mark.parametrize("store", [OlderStore, NewerStore])
async def test_state_is_kept_and_the_event_loop_is_not_held_up(store):
    store = store()
    assert await aget_state(store, "cursor") is None
    await aset_state(store, "cursor", {"version": "1"})
    assert await aget_state(store, "cursor") == {"version": "1"}


@pytest.mark.parametrize("store", [OlderStore, NewerStore])
async def test_what_the_store_raises_is_raised(store):
    store = store()
    store.values = None
    with pytest.raises((AttributeError, TypeError)):
        await aset_state(store, "cursor", {})


def test_the_airflow_at_hand_has_one_of_the_two():
    from airflow.sdk.execution_time.context import AssetStateStoreAccessors

    assert {"get", "set"} <= vars(AssetStateStoreAccessors).keys() or {"aget", "aset"} <= vars(
        AssetStateStoreAccessors
    ).keys()
