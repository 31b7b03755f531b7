"""Feature stores: workspaces with an identity that materializes, and connections to where it puts what it made.

Source: the ARM template inside azure-ai-ml, whose parameters these are, and its end-to-end tests; nothing here was
recorded.
"""

from __future__ import annotations

import uuid
from typing import Any

from ..core.arm import Author, created, modified
from ..core.owners import Owner
from ..core.service import Service
from .connections import collection

Parameters = dict[str, Any]


def furnish(service: Service, owner: Owner, parameters: Parameters, author: Author, now: float) -> None:
    """Give a workspace what its template says of a feature store."""
    places = {
        "offline_store_connection_name": ("ADLSGen2", _container(parameters)),
        "online_store_connection_name": ("Redis", parameters.get("online_store_resource_id")),
    }
    system = {**created(author, now), **modified(author, now)}
    names = {}
    for parameter, (category, target) in places.items():
        if (name := parameters.get(parameter)) and target:
            names[parameter] = name
            properties = {"category": category, "target": target, "authType": "None"}
            service.store.put(collection(owner), name, {"properties": properties, "systemData": system}, now)
    known = service.store.get("workspacechanges", owner.key) or {"properties": {}, "tags": None}
    known["properties"]["featureStoreSettings"] = {
        "computeRuntime": {"sparkRuntimeVersion": parameters.get("spark_runtime_version") or "3.4.0"},
        "offlineStoreConnectionName": names.get("offline_store_connection_name"),
        "onlineStoreConnectionName": names.get("online_store_connection_name"),
    }
    identity = _identifier(
        parameters,
        "materialization_identity",
        f"Microsoft.ManagedIdentity/userAssignedIdentities/{parameters.get('materialization_identity_name')}",
    )
    ids = {"principalId": str(uuid.uuid4()), "clientId": str(uuid.uuid4())}
    known["identity"] = {"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": {identity: ids}}
    service.store.put("workspacechanges", owner.key, known)


def _identifier(parameters: Parameters, what: str, resource: str) -> str:
    subscription, group = parameters.get(f"{what}_subscription_id"), parameters.get(f"{what}_resource_group_name")
    return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/{resource}"


def _container(parameters: Parameters) -> str:
    account, container = (parameters.get(f"offline_store_{key}") for key in ("storage_account_name", "container_name"))
    place = f"Microsoft.Storage/storageAccounts/{account}/blobServices/default/containers/{container}"
    return _identifier(parameters, "offline_store", place)
