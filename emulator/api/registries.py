"""Registries: where they are, and uploads into them. Their assets answer as a workspace's do (assets.py).

Shapes: recorded_shapes/registry.json. Of uploads into registries, of sharing and of nouns other than data and
environments nothing was recorded: the paths are those of the SDK, the bodies those of workspaces with registry ids.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import uuid
from typing import Any

from ..core.arm import PROVIDER, Reply, gateway_error, provider_error
from ..core.owners import Owner, new_owner
from ..core.service import Service
from ..core.store import Document
from ..wire.exchange import Exchange
from ..wire.routing import ok, route
from .assets import Kind, Properties
from .components import COMPONENTS
from .data import DATA
from .environments import ENVIRONMENTS
from .job_outputs import place
from .models import MODELS
from .operations import begin

_KINDS = {kind.segment: kind for kind in (MODELS, DATA, ENVIRONMENTS, COMPONENTS)}


def create_registry(service: Service, subscription: str, group: str, name: str) -> Owner:
    """Create a registry; one that exists is left alone."""
    owner = new_owner(
        subscription=subscription,
        group=group,
        name=name,
        now=service.clock.now(),
        location=service.config.location,
        segment="registries",
    )
    return service.owners.find(owner.id) or service.owners.add(owner)


def _find(exchange: Exchange, name: str) -> Owner:
    owners = exchange.service.owners.all()
    found = next((one for one in owners if one.segment == "registries" and one.name.lower() == name.lower()), None)
    if found is None:
        raise gateway_error(404, "RegistryNotFound", f"Registry {name} was not found.")
    return found


@route("GET", "/registrymanagement/v1.0/registries/{name}/discovery")
def discover(exchange: Exchange, name: str) -> Reply:
    """Tell where a registry is."""
    owner = _find(exchange, name)
    return ok(
        {
            "registryId": owner.guid,
            "registryName": owner.name,
            "tenantId": exchange.service.directory.tenant,
            "primaryRegion": owner.location,
            "regions": [owner.location],
            "subscriptionId": owner.subscription,
            "resourceGroup": owner.group,
            "workspaceName": None,
            "primaryRegionResourceProviderUri": f"https://cert-{owner.location}.experiments.azureml.net/",
            "registryFqdns": {owner.location: {"uri": f"https://{owner.location}.api.azureml.ms"}},
            "intellectualPropertyPublisher": None,
        }
    )


@route("PUT", "{registry}/tempdatarefs/{name}/versions/{version}")
async def temporary_data_reference(exchange: Exchange, name: str, version: str) -> Reply:
    """Open a container for an upload; 409 once the version exists, as the SDK expects."""
    owner, storage = exchange.workspace, exchange.service.storage
    asset = str(exchange.json().get("assetId", ""))
    segment = next((noun for noun in ("models", "data", "codes", "environments") if f"/{noun}/" in asset), "models")
    if exchange.service.store.get(f"{owner.key}/{segment}/{name}/versions", version) is not None:
        raise gateway_error(409, "Conflict", "Asset already exists.")
    same = exchange.service.way("registry upload place") == "same"
    suffix = hashlib.sha256(asset.encode()).hexdigest()[:26] if same else secrets.token_hex(13)
    container = f"{owner.guid}-{suffix}"
    await asyncio.to_thread(storage.create_container, container)
    return ok(_reference(exchange, container))


def _reference(exchange: Exchange, container: str) -> Document:
    owner, storage = exchange.workspace, exchange.service.storage
    uri = f"https://{storage.account}.blob.core.windows.net/{container}"
    group = f"/subscriptions/{owner.subscription}/resourceGroups/{owner.group}"
    return {
        "blobReferenceForConsumption": {
            "blobUri": uri,
            "storageAccountArmId": f"{group}/providers/Microsoft.Storage/storageAccounts/{storage.account}",
            "credential": {"credentialType": "SAS", "sasUri": f"{uri}?{storage.container_sas(container)}"},
        },
        "temporaryDataReferenceId": container,
        "temporaryDataReferenceType": "TemporaryBlobReference",
    }


# What ARM knows of registries ----------------------------------------------------------------------------------------


def _render(exchange: Exchange, owner: Owner) -> dict[str, Any]:
    tenant = exchange.service.directory.tenant
    sent = exchange.service.store.get("registrybodies", owner.key) or {}
    properties = sent.get("properties") or {}
    group = f"/subscriptions/{owner.subscription}/resourceGroups/azureml-rg-{owner.name}"
    account, registry = f"{owner.guid[:8]}storage", f"{owner.guid[:8]}acr"
    storage_id = f"{group}/providers/Microsoft.Storage/storageAccounts/{account}"
    images_id = f"{group}/providers/Microsoft.ContainerRegistry/registries/{registry}"
    storage = {"storageAccountType": "Standard_LRS", "storageAccountHnsEnabled": False, "storageAccountName": account}
    images = {"acrAccountSku": "Premium", "acrAccountName": registry, "armResourceId": {"resourceId": images_id}}
    details: dict[str, Any] = next(iter(properties.get("regionDetails") or ()), {})
    asked = details.get("storageAccountDetails") or [None]
    region = {
        "location": owner.location,
        "storageAccountDetails": [
            {
                "userCreatedStorageAccount": None,
                "systemCreatedStorageAccount": {**storage, "armResourceId": {"resourceId": storage_id}},
            }
            for _ in asked
        ],
        "acrDetails": [{"userCreatedAcrAccount": None, "systemCreatedAcrAccount": images}],
    }
    api = f"https://{owner.location}.api.azureml.ms"
    return {
        "tags": sent.get("tags") or {},
        "location": owner.location,
        "identity": {"type": "SystemAssigned", "principalId": owner.guid, "tenantId": tenant},
        "id": owner.id,
        "name": owner.name,
        "type": owner.type,
        "properties": {
            "regionDetails": [region],
            "intellectualPropertyPublisher": None,
            "publicNetworkAccess": properties.get("publicNetworkAccess") or "Enabled",
            "discoveryUrl": f"{api}/registrymanagement/v1.0/registries/{owner.name}/discovery",
            "managedResourceGroup": {"resourceId": group},
            "managedResourceGroupTags": properties.get("managedResourceGroupTags") or {},
            "mlFlowRegistryUri": f"azureml://{owner.location}.api.azureml.ms/mlflow/v1.0{owner.id}",
        },
        "systemData": None,
    }


_GROUP = "/subscriptions/{subscription}/resourceGroups/{group}/providers/" + PROVIDER + "/registries"


@route("PUT", f"{_GROUP}/{{name}}")
def put_registry(exchange: Exchange, subscription: str, group: str, name: str) -> Reply:
    """Create a registry: 202 with an empty body, unlike every other PUT."""
    owner = create_registry(exchange.service, subscription, group, name)
    exchange.service.store.put("registrybodies", owner.key, exchange.json())
    return _begin(exchange, owner)


@route("GET", "{arm_registry}")
def get_registry(exchange: Exchange) -> Reply:
    """Return a registry."""
    return ok(_render(exchange, exchange.workspace))


@route("DELETE", "{arm_registry}")
def delete_registry(exchange: Exchange) -> Reply:
    """Delete a registry and all that is in it."""
    owner = exchange.workspace
    exchange.service.owners.remove(owner)
    return _begin(exchange, owner)


def _begin(exchange: Exchange, owner: Owner) -> Reply:
    exchange.owner = owner
    seconds = exchange.service.config.operation_seconds
    url = begin(exchange, "registryOperationsStatus", str(uuid.uuid4()), seconds=seconds, signed=False)
    return Reply(202, headers={"Azure-AsyncOperation": f"{url}&type=async", "Location": f"{url}&type=location"})


@route("GET", _GROUP)
@route("GET", "/subscriptions/{subscription}/providers/" + PROVIDER + "/registries")
def list_registries(exchange: Exchange, subscription: str, group: str | None = None) -> Reply:
    """List the registries of a subscription or resource group."""
    scope = f"/subscriptions/{subscription}/" + (f"resourceGroups/{group}/" if group else "")
    known = exchange.service.owners.all()
    found = [one for one in known if one.segment == "registries" and one.key.startswith(scope.lower())]
    return ok({"value": [_render(exchange, one) for one in found]})


@route("GET", "/{service}/v1.0/operations/{identifier}")
def operation(exchange: Exchange, service: str, identifier: str) -> Reply:
    """Tell how the making of a version stands: 202 with an empty body until it is done."""
    store = exchange.service.store
    found = store.get("registryoperations", identifier)
    if found is None:
        raise gateway_error(404, "NotFound", f"There is no operation {identifier}.")
    found["polls"] += 1
    store.put("registryoperations", identifier, found)
    if exchange.now < found["due"] or found["polls"] <= exchange.service.config.operation_polls:
        return Reply(202, headers={"Retry-After": str(exchange.service.config.retry_after)})
    if error := found["error"]:
        how = exchange.service.way("registry operation fails")
        if how == "refusal":
            raise provider_error(400, error["message"])
        return ok({"status": "Failed", "error": error} if how == "status" else {"error": error})
    return ok(found["body"]) if found["body"] else Reply(200)


_SOURCE = re.compile(
    r"azureml://locations/[^/]+/workspaces/([^/]+)/(models|data|environments|components)/(.+)/versions/(.+)"
)


@route("POST", "{registry}/import")
async def import_asset(exchange: Exchange) -> Reply:
    """Copy a workspace's asset into the registry's storage, as models.share and data.share ask for it."""
    sent = exchange.json().get("properties") or {}
    source = _SOURCE.fullmatch(str(sent.get("sourceAssetId")))
    owner = next((one for one in exchange.service.owners.all() if source and one.guid == source[1]), None)
    if source is None or owner is None:
        raise gateway_error(404, "NotFound", f"There is no asset {sent.get('sourceAssetId')}.")
    kind = _KINDS[source[2]]
    found = exchange.service.store.get(kind.versions(owner, source[3]), source[4])
    if found is None:
        raise kind.missing(source[3], source[4])
    name, version = sent.get("destinationName") or source[3], sent.get("destinationVersion") or source[4]
    kind.refuse_again(exchange, name, version)
    properties = await _copied(exchange, owner, kind, found["properties"])
    if exchange.service.way("registry import keeps") == "nothing":
        properties |= {"tags": {}, "properties": {}, "description": None}
    kind.refuse_again(exchange, name, version)  # who came while the bytes were copied
    kind.create(exchange, name, version, properties)
    if exchange.service.way("registry import") == "done":
        return Reply(200)
    return kind.accepted(exchange, name, version, told=False)  # azure-ai-ml takes any body for a failure


async def _copied(exchange: Exchange, workspace: Owner, kind: Kind, properties: Properties) -> Properties:
    """Return a workspace's version's properties with its files in the registry's storage."""
    if kind.path is None:
        return dict(properties)
    storage = exchange.service.storage
    target = f"{exchange.workspace.guid}-{secrets.token_hex(13)}"
    await asyncio.to_thread(storage.create_container, target)
    path = ""
    if found := place(exchange.service, workspace, properties[kind.path]):
        container, path = found
        await asyncio.to_thread(storage.copy, container, path, target)
    uri = f"https://{storage.account}.blob.core.windows.net/{target}/{path}"
    return {**properties, kind.path: uri, "stage": "Development" if kind.segment == "models" else None}


@route("POST", "{registry}/datarefs/{name}/versions/{version}")
def data_reference(exchange: Exchange, name: str, version: str) -> Reply:
    """Hand out a signature to read an asset's files."""
    uri = str(exchange.json().get("blobUri", ""))
    container = uri.removeprefix("https://").partition("/")[2].partition("/")[0]
    return ok(_reference(exchange, container))
