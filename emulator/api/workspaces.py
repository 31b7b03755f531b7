"""Workspaces, and what a path means by one: {workspace} in every other module."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from dataclasses import asdict, dataclass
from typing import Any

from .arm import PROVIDER, Reply, gateway_error
from .clock import timestamp
from .routing import Exchange, ok, route
from .state import Store

REGION = "westeurope"


@dataclass(frozen=True, slots=True)
class Holder:
    """What holds assets: a workspace, or a registry (which has no workspace's jobs, computes and so on)."""

    subscription: str
    group: str
    name: str
    guid: str
    location: str = REGION
    created: float = 0.0
    created_by: str = ""
    created_by_kind: str = "User"
    segment: str = "workspaces"

    @property
    def id(self) -> str:
        """The ARM id, spelled as it was created."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
            f"/providers/{PROVIDER}/{self.segment}/{self.name}"
        )

    @property
    def asset_id(self) -> str:
        """What the ids of assets begin with: a registry's have a short form."""
        return self.id if self.segment == "workspaces" else f"azureml://registries/{self.name}"

    @property
    def key(self) -> str:
        """The id as ARM compares it; collections of the store hang below it."""
        return self.id.lower()

    @property
    def type(self) -> str:
        """The resource type, e.g. Microsoft.MachineLearningServices/workspaces."""
        return f"{PROVIDER}/{self.segment}"

    @property
    def container(self) -> str:
        """The blob container of the default datastore."""
        return f"azureml-blobstore-{self.guid}"

    @property
    def artifact_container(self) -> str:
        """The blob container of the artifact store, where jobs keep their logs."""
        return "azureml"


class Holders:
    """All workspaces and registries, kept at hand because every call looks one up."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known = {entry.name: Holder(**entry.document) for entry in store.entries("holders", newest_first=False)}

    def add(self, holder: Holder) -> Holder:
        """Create a workspace or registry."""
        self._known[holder.key] = holder
        self._store.put("holders", holder.key, asdict(holder), holder.created)
        return holder

    def remove(self, holder: Holder) -> None:
        """Delete a workspace and all that is in it."""
        del self._known[holder.key]
        self._store.delete("holders", holder.key)
        self._store.delete_below(holder.key)

    def find(self, path: str) -> Holder | None:
        """Return the one with this ARM id, or None."""
        return self._known.get(path.lower())

    def all(self) -> list[Holder]:
        """Return all, oldest first."""
        return list(self._known.values())

    def require(self, path: str, whole_path: str, method: str) -> Holder:
        """Return the one with this ARM id, or answer as ARM's gateway does when it or a parent is missing."""
        holder = self.find(path)
        if holder is not None:
            return holder
        _, _, subscription, _, group, _, _, segment, name = path.split("/")[:9]
        if not any(known.subscription.lower() == subscription.lower() for known in self._known.values()):
            raise gateway_error(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")
        if not any(known.key.startswith(path.lower().partition("/providers/")[0] + "/") for known in self.all()):
            raise gateway_error(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")
        below = whole_path[len(path) :].strip("/").split("/")
        if below != [""]:
            noun = "/".join([segment, *below[::2]])
            verb = "read" if method == "GET" else "write"
            raise gateway_error(
                404,
                "ParentResourceNotFound",
                f"Failed to perform '{verb}' on resource(s) of type '{noun}', because the parent resource "
                f"'{path}' could not be found.",
            )
        raise gateway_error(
            404,
            "ResourceNotFound",
            f"The Resource '{PROVIDER}/{segment}/{name}' under resource group '{group}' was not found. "
            "For more details please go to https://aka.ms/ARMResourceNotFoundFix",
        )


def new_holder(
    *,
    subscription: str,
    group: str,
    name: str,
    now: float,
    location: str = REGION,
    created_by: str = "Emulator",
    segment: str = "workspaces",
) -> Holder:
    """Make up a workspace or registry with a guid of its own."""
    return Holder(subscription, group, name, str(uuid.uuid4()), location, now, created_by, "User", segment)


def render(holder: Holder, account: str, tenant: str) -> dict[str, Any]:
    """Return a workspace's body (recorded_shapes/workspace.json)."""
    group = f"/subscriptions/{holder.subscription}/resourceGroups/{holder.group}/providers"
    created = timestamp(holder.created, "Z").replace("Z", "0Z")
    author = {"createdBy": holder.created_by, "createdByType": holder.created_by_kind}
    return {
        "id": holder.id,
        "name": holder.name,
        "type": holder.type,
        "location": holder.location,
        "tags": {},
        "etag": None,
        "properties": {
            "friendlyName": holder.name,
            "description": "",
            "storageAccount": f"{group}/Microsoft.Storage/storageAccounts/{account}",
            "keyVault": f"{group}/Microsoft.Keyvault/vaults/{account}",
            "applicationInsights": f"{group}/Microsoft.insights/components/{holder.name}",
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
                "resourceId": hashlib.md5(holder.guid.encode(), usedforsecurity=False).hexdigest(),
                "fqdn": f"ml-{holder.name}-{holder.location}-{holder.guid}.{holder.location}.notebooks.azure.net",
                "isPrivateLinkEnabled": False,
                "notebookPreparationError": None,
            },
            "storageHnsEnabled": False,
            "workspaceId": holder.guid,
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
            "discoveryUrl": f"https://{holder.location}.api.azureml.ms/discovery",
            "mlFlowTrackingUri": f"azureml://{holder.location}.api.azureml.ms/mlflow/v1.0{holder.id}",
            "serverlessComputeSettings": None,
            "EnableSoftwareBillOfMaterials": False,
            "sdkTelemetryAppInsightsKey": holder.guid,
            "sasGetterUri": "",
            "enableDataIsolation": False,
            "systemDatastoresAuthMode": "accesskey",
            "enableServiceSideCMKEncryption": False,
        },
        "identity": {"type": "SystemAssigned", "principalId": holder.guid, "tenantId": tenant},
        "kind": "Default",
        "sku": {"name": "Basic", "tier": "Basic"},
        "systemData": {
            "createdAt": created,
            **author,
            **{key.replace("created", "lastModified"): value for key, value in author.items()},
            "lastModifiedAt": created,
        },
    }


@route("GET", "{workspace}")
def get_workspace(exchange: Exchange) -> Reply:
    """Return the workspace."""
    service = exchange.service
    return ok(render(exchange.workspace, service.storage.account, service.directory.tenant))


@route("GET", "/subscriptions/{subscription}/resourceGroups/{group}/providers/" + PROVIDER + "/workspaces")
@route("GET", "/subscriptions/{subscription}/providers/" + PROVIDER + "/workspaces")
def list_workspaces(exchange: Exchange, subscription: str, group: str | None = None) -> Reply:
    """List the workspaces of a subscription or resource group."""
    service = exchange.service
    scope = f"/subscriptions/{subscription}/" + (f"resourceGroups/{group}/" if group else "")
    return ok(
        {
            "value": [
                render(holder, service.storage.account, service.directory.tenant)
                for holder in service.holders.all()
                if holder.segment == "workspaces" and holder.key.startswith(scope.lower())
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
