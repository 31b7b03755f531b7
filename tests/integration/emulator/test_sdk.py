"""The unmodified SDK, used as its documentation shows: no call is unknown to the emulator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning:azure", "ignore::DeprecationWarning")

LISTS: dict[str, Callable[[Any], Any]] = {
    "workspaces": lambda ml: ml.workspaces.list(),
    "workspaces of the subscription": lambda ml: ml.workspaces.list(scope="subscription"),
    "outbound rules": lambda ml: ml.workspace_outbound_rules.list(ml.workspace_name),
    "registries": lambda ml: ml.registries.list(),
    "registries of the subscription": lambda ml: ml.registries.list(scope="subscription"),
    "feature stores": lambda ml: ml.feature_stores.list(),
    "feature sets": lambda ml: ml.feature_sets.list(),
    "feature store entities": lambda ml: ml.feature_store_entities.list(),
    "connections": lambda ml: ml.connections.list(),
    "jobs": lambda ml: ml.jobs.list(),
    "archived jobs": lambda ml: ml.jobs.list(list_view_type="ArchivedOnly"),
    "computes": lambda ml: ml.compute.list(),
    "clusters": lambda ml: ml.compute.list(compute_type="AmlCompute"),
    "usage": lambda ml: ml.compute.list_usage(),
    "sizes": lambda ml: ml.compute.list_sizes(),
    "models": lambda ml: ml.models.list(),
    "data": lambda ml: ml.data.list(),
    "environments": lambda ml: ml.environments.list(),
    "components": lambda ml: ml.components.list(),
    "datastores": lambda ml: ml.datastores.list(),
    "online endpoints": lambda ml: ml.online_endpoints.list(),
    "batch endpoints": lambda ml: ml.batch_endpoints.list(),
    "schedules": lambda ml: ml.schedules.list(),
    "serverless endpoints": lambda ml: ml.serverless_endpoints.list(),
    "marketplace subscriptions": lambda ml: ml.marketplace_subscriptions.list(),
}


@pytest.mark.parametrize("what", LISTS)
def test_whatever_the_sdk_lists_is_listed(ml: Any, azureml_emulator: Any, what: str) -> None:
    list(LISTS[what](ml))
    assert azureml_emulator.unknown_routes == []


def test_a_workspace_is_read_changed_diagnosed_and_deleted(ml: Any, azureml_emulator: Any) -> None:
    name = azureml_emulator.workspace_name
    workspace = ml.workspaces.get(name)
    assert ml.workspaces.get_keys(name).user_storage_key == azureml_emulator.storage_key
    workspace.description = "it"
    assert ml.workspaces.begin_update(workspace, description="it", tags={"k": "v"}).result().tags == {"k": "v"}
    assert ml.workspaces.get(name).description == "it"
    ml.workspaces.begin_diagnose(name).result()
    ml.workspaces.begin_sync_keys(name).result()

    ml.workspaces.begin_delete(name, delete_dependent_resources=False).result()
    assert name not in [one.name for one in ml.workspaces.list()]
    assert azureml_emulator.unknown_routes == []


def test_sizes_and_usage_are_told(ml: Any, azureml_emulator: Any) -> None:
    assert "Standard_DS3_v2" in [size.name for size in ml.compute.list_sizes()]
    assert "standardDSv2Family" in [usage.name["value"] for usage in ml.compute.list_usage()]


def test_a_connection_is_made_listed_and_deleted(ml: Any, azureml_emulator: Any) -> None:
    from azure.ai.ml.entities import ApiKeyConfiguration, WorkspaceConnection

    key = ApiKeyConfiguration(key="not-a-key")
    ml.connections.create_or_update(
        WorkspaceConnection(name="mine", type="custom", target="https://example.org", credentials=key)
    )
    assert [one.name for one in ml.connections.list()] == ["mine"]
    assert ml.connections.get("mine").target == "https://example.org"
    ml.connections.delete("mine")
    assert list(ml.connections.list()) == []
    assert azureml_emulator.unknown_routes == []


def test_a_registry_is_made_read_and_deleted(ml: Any, azureml_emulator: Any) -> None:
    from azure.ai.ml.entities import (
        Registry,
        RegistryRegionDetails,
        SystemCreatedAcrAccount,
        SystemCreatedStorageAccount,
    )

    region = RegistryRegionDetails(
        acr_config=[SystemCreatedAcrAccount(acr_account_sku="Premium")],
        location="westeurope",
        storage_config=SystemCreatedStorageAccount(storage_account_hns=False, storage_account_type="Standard_LRS"),
    )
    name = f"r{azureml_emulator.workspace_name.replace('-', '')}"
    ml.registries.begin_create(Registry(name=name, location="westeurope", replication_locations=[region])).result()
    assert ml.registries.get(name).location == "westeurope"
    assert name in [one.name for one in ml.registries.list()]
    ml.registries.begin_delete(name=name).result()
    assert name not in [one.name for one in ml.registries.list()]
    assert azureml_emulator.unknown_routes == []
