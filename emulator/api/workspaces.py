"""Workspaces: their bodies, and how one is made."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import uuid
from typing import Any

from ..core.arm import PROVIDER, Reply
from ..core.clock import timestamp
from ..core.owners import Owner, new_owner
from ..core.service import Service
from ..core.versions import FIRST, visible
from ..wire.exchange import Exchange
from ..wire.routing import ok, route
from .datastores import DEFAULT, built_in
from .datastores import collection as datastore_collection
from .operations import begin


def render(owner: Owner, account: str, tenant: str, *, hierarchical: bool) -> dict[str, Any]:
    """Return a workspace's body (recorded_shapes/workspace.json)."""
    group = f"/subscriptions/{owner.subscription}/resourceGroups/{owner.group}/providers"
    created = timestamp(owner.created, "Z").replace("Z", "0Z")
    author = {"createdBy": owner.created_by, "createdByType": owner.created_by_kind}
    return {
        "id": owner.id,
        "name": owner.name,
        "type": owner.type,
        "location": owner.location,
        "tags": {},
        "etag": None,
        "properties": {
            "friendlyName": owner.name,
            "description": "",
            "storageAccount": f"{group}/Microsoft.Storage/storageAccounts/{account}",
            "keyVault": f"{group}/Microsoft.Keyvault/vaults/{account}",
            "applicationInsights": f"{group}/Microsoft.insights/components/{owner.name}",
            "hbiWorkspace": False,
            "tenantId": tenant,
            "imageBuildCompute": None,
            "provisioningState": "Succeeded",
            "managedNetwork": {
                "isolationMode": "Disabled",
                "enableNetworkMonitor": False,
                "enableFirewallLog": False,
                "changeableIsolationModes": ["AllowInternetOutbound", "AllowOnlyApprovedOutbound"],
            },
            "allowRoleAssignmentOnRG": True,
            "v1LegacyMode": False,
            "softDeleteEnabled": False,
            "containerRegistry": f"{group}/Microsoft.ContainerRegistry/registries/{account}",
            "creationTime": created,
            "notebookInfo": {
                "resourceId": hashlib.md5(owner.guid.encode(), usedforsecurity=False).hexdigest(),
                "fqdn": f"ml-{owner.name}-{owner.location}-{owner.guid}.{owner.location}.notebooks.azure.net",
                "isPrivateLinkEnabled": False,
                "notebookPreparationError": None,
            },
            "storageHnsEnabled": hierarchical,
            "workspaceId": owner.guid,
            "linkedModelInventoryArmId": None,
            "privateLinkCount": 0,
            "publicNetworkAccess": "Enabled",
            "ipAllowlist": [],
            "networkAcls": {
                "defaultAction": "Allow",
                "bypass": "AzureServices",
                "ipRules": [],
                "resourceAccessRules": [],
            },
            "discoveryUrl": f"https://{owner.location}.api.azureml.ms/discovery",
            "mlFlowTrackingUri": f"azureml://{owner.location}.api.azureml.ms/mlflow/v1.0{owner.id}",
            "serverlessComputeSettings": None,
            "EnableSoftwareBillOfMaterials": False,
            "sdkTelemetryAppInsightsKey": owner.guid,
            "sasGetterUri": "",
            "enableDataIsolation": False,
            "systemDatastoresAuthMode": "accesskey",
            "enableServiceSideCMKEncryption": False,
        },
        "identity": {"type": "SystemAssigned", "principalId": owner.guid, "tenantId": tenant},
        "kind": "Default",
        "sku": {"name": "Basic", "tier": "Basic"},
        "systemData": {
            "createdAt": created,
            **author,
            **{key.replace("created", "lastModified"): value for key, value in author.items()},
            "lastModifiedAt": created,
        },
    }


def _render(exchange: Exchange, owner: Owner) -> dict[str, Any]:
    service = exchange.service
    account, tenant = service.storage.account, service.directory.tenant
    body = render(owner, account, tenant, hierarchical=service.config.hierarchical)
    changes = service.store.get("workspacechanges", owner.key)
    if changes is not None:
        body["tags"] = changes["tags"] or {}
        for key, value in changes["properties"].items():
            # Templates say "true" and "false".
            flag = isinstance(value, str) and isinstance(body["properties"].get(key), bool)
            body["properties"][key] = value.lower() == "true" if flag else value
        body["kind"] = changes.get("kind") or body["kind"]
        body["identity"] |= changes.get("identity") or {}
    if exchange.api_version in FIRST:
        del body["kind"]
    return visible("workspaces", exchange.api_version, body)


async def create_workspace(
    service: Service, subscription: str, group: str, name: str, *, location: str | None = None
) -> Owner:
    """Create a workspace with its datastores and their containers; one that exists is left alone."""
    owner = new_owner(
        subscription=subscription,
        group=group,
        name=name,
        now=service.clock.now(),
        location=location or service.config.location,
    )
    known = service.owners.find(owner.id)
    if known is not None:
        return known
    for container in (owner.container, owner.artifact_container):
        await asyncio.to_thread(service.storage.create_container, container)
    service.owners.add(owner)
    authored = bool(service.turns.take("built-in datastores"))
    for datastore, document in reversed(built_in(owner, service.config.account, authored=authored).items()):
        service.store.put(datastore_collection(owner), datastore, document)  # lists have known them for long
    if service.config.refuse_secrets and service.turns.take("secrets"):
        service.store.update(datastore_collection(owner), DEFAULT, lambda default: default.update(refuses_secrets=True))
    return owner


@route("GET", "{workspace}")
def get_workspace(exchange: Exchange) -> Reply:
    """Return the workspace."""
    return ok(_render(exchange, exchange.workspace))


# What follows was not recorded; its source is Microsoft's published models.


@route("PATCH", "{workspace}")
def change_workspace(exchange: Exchange) -> Reply:
    """Change a workspace's description, names and tags."""
    apply_changes(exchange.service, exchange.workspace, exchange.json())
    return ok(_render(exchange, exchange.workspace))


_OWN = {"provisionNetworkNow", "allowRecoverSoftDeletedWorkspace", "existingWorkspaces", "encryption"}
"""What is sent and not given back: `encryption` says nothing where there is no key of the customer's."""


def apply_changes(service: Service, owner: Owner, sent: dict[str, Any]) -> None:
    """Remember what was said of a workspace; what is null stays as it is."""
    known = service.store.get("workspacechanges", owner.key) or {"properties": {}}
    known["tags"] = sent.get("tags") or known.get("tags")
    known["kind"] = _KINDS.get(str(sent.get("kind")).lower(), known.get("kind"))
    known["identity"] = {key: value for key, value in (sent.get("identity") or {}).items() if key == "type" and value}
    told = {key: value for key, value in (sent.get("properties") or {}).items() if value not in (None, "", {})}
    network = told.pop("managedNetwork", None)
    known["properties"] |= {key: value for key, value in told.items() if key not in _OWN}
    if isinstance(network, dict):
        before = known["properties"].get("managedNetwork") or {}
        rules = {**(before.get("outboundRules") or {}), **(network.get("outboundRules") or {})}
        shown = {key: value for key, value in network.items() if value is not None}
        known["properties"]["managedNetwork"] = {**NETWORK, **before, **shown, "outboundRules": rules}
    service.store.put("workspacechanges", owner.key, known)


_KINDS = {"default": "Default", "hub": "Hub", "project": "Project", "featurestore": "FeatureStore"}
NETWORK = {
    "isolationMode": "Disabled",
    "status": {"status": "Inactive", "sparkReady": False},
    "enableNetworkMonitor": False,
    "enableFirewallLog": False,
}


@route("DELETE", "{workspace}")
def delete_workspace(exchange: Exchange) -> Reply:
    """Delete a workspace and all that is in it."""
    url = begin(exchange, "workspaceOperationsStatus", str(uuid.uuid4()), seconds=_seconds(exchange), signed=False)
    exchange.service.owners.remove(exchange.workspace)
    return Reply(202, headers={"Azure-AsyncOperation": url})


@route("POST", "{workspace}/listKeys")
def list_keys(exchange: Exchange) -> Reply:
    """Return the keys of what belongs to a workspace."""
    storage = exchange.service.storage
    identifier = f"/subscriptions/{exchange.workspace.subscription}/resourceGroups/{exchange.workspace.group}"
    return ok(
        {
            "userStorageKey": storage.key,
            "userStorageResourceId": f"{identifier}/providers/Microsoft.Storage/storageAccounts/{storage.account}",
            "appInsightsInstrumentationKey": exchange.workspace.guid,
            "containerRegistryCredentials": None,
            "notebookAccessKeys": None,
        }
    )


@route("POST", "{workspace}/resyncKeys")
def resync_keys(exchange: Exchange) -> Reply:
    """Read the keys again."""
    url = begin(exchange, "workspaceOperationsStatus", str(uuid.uuid4()), seconds=_seconds(exchange), signed=False)
    return Reply(202, headers={"Azure-AsyncOperation": url, "Location": url})


@route("POST", "{workspace}/diagnose")
def diagnose(exchange: Exchange) -> Reply:
    """Find nothing wrong with a workspace."""
    kinds = ("userDefinedRoute", "networkSecurityRule", "resourceLock", "dnsResolution", "storageAccount", "keyVault")
    others = ("containerRegistry", "applicationInsights", "other")
    return ok({"value": {f"{kind}Results": [] for kind in (*kinds, *others)}})


def _seconds(exchange: Exchange) -> float:
    return exchange.service.config.operation_seconds


@route("GET", "/subscriptions/{subscription}/resourceGroups/{group}/providers/" + PROVIDER + "/workspaces")
@route("GET", "/subscriptions/{subscription}/providers/" + PROVIDER + "/workspaces")
def list_workspaces(exchange: Exchange, subscription: str, group: str | None = None) -> Reply:
    """List the workspaces of a subscription or resource group."""
    service = exchange.service
    scope = f"/subscriptions/{subscription}/" + (f"resourceGroups/{group}/" if group else "")
    return ok(
        {
            "value": [
                _render(exchange, owner)
                for owner in service.owners.all()
                if owner.segment == "workspaces" and owner.key.startswith(scope.lower())
            ]
        }
    )


@route("GET", "/discovery")
def discovery(exchange: Exchange) -> Reply:
    """Tell a region's data-plane hosts (recorded_shapes/job.json, "discovery")."""
    region = exchange.host.partition(".")[0]
    api = f"https://{region}.api.azureml.ms"
    return ok(
        {
            "api": api,
            "catalog": "https://catalog.cortanaanalytics.com",
            "experimentation": f"https://{region}.experiments.azureml.net",
            "history": f"https://{region}.experiments.azureml.net",
            "hyperdrive": f"https://{region}.experiments.azureml.net",
            "labeling": f"https://{region}.experiments.azureml.net",
            "modelmanagement": f"https://{region}.modelmanagement.azureml.net",
            "pipelines": f"https://{region}.aether.ms",
            "studio": "https://ml.azure.com",
        }
    )


def unique_name(prefix: str) -> str:
    """Make up a name that nothing else has."""
    return f"{prefix}-{secrets.token_hex(4)}"
