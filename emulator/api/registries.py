"""Registries: where they are, and uploads into them. Their assets answer as a workspace's do (assets.py).

Of registries nothing was recorded: the paths are those of the SDK, the bodies those of workspaces with registry ids.
"""

from __future__ import annotations

import asyncio
import re
import secrets

from ..core.arm import Reply, gateway_error
from ..core.holders import Holder, new_holder
from ..core.service import Service
from ..core.store import Document
from ..wire.exchange import Exchange
from ..wire.routing import ok, route
from .components import COMPONENTS
from .data import DATA
from .environments import ENVIRONMENTS
from .models import MODELS

_KINDS = {kind.segment: kind for kind in (MODELS, DATA, ENVIRONMENTS, COMPONENTS)}


def create_registry(service: Service, subscription: str, group: str, name: str) -> Holder:
    """Create a registry; one that exists is left alone."""
    holder = new_holder(
        subscription=subscription,
        group=group,
        name=name,
        now=service.clock.now(),
        location=service.config.location,
        segment="registries",
    )
    return service.holders.find(holder.id) or service.holders.add(holder)


def _find(exchange: Exchange, name: str) -> Holder:
    holders = exchange.service.holders.all()
    found = next((one for one in holders if one.segment == "registries" and one.name.lower() == name.lower()), None)
    if found is None:
        raise gateway_error(404, "RegistryNotFound", f"Registry {name} was not found.")
    return found


@route("GET", "/registrymanagement/v1.0/registries/{name}/discovery")
def discover(exchange: Exchange, name: str) -> Reply:
    """Tell where a registry is."""
    holder = _find(exchange, name)
    return ok(
        {
            "registryName": holder.name,
            "tenantId": exchange.service.directory.tenant,
            "primaryRegion": holder.location,
            "regions": [holder.location],
            "subscriptionId": holder.subscription,
            "resourceGroup": holder.group,
            "workspaceName": holder.name,
            "primaryRegionResourceProviderUri": f"https://{holder.location}.api.azureml.ms/",
        }
    )


@route("PUT", "{registry}/tempdatarefs/{name}/versions/{version}")
async def temporary_data_reference(exchange: Exchange, name: str, version: str) -> Reply:
    """Open a container for an upload; 409 once the version exists, as the SDK expects."""
    holder, storage = exchange.workspace, exchange.service.storage
    asset = str(exchange.json().get("assetId", ""))
    segment = next((noun for noun in ("models", "data", "codes", "environments") if f"/{noun}/" in asset), "models")
    if exchange.service.store.get(f"{holder.key}/{segment}/{name}/versions", version) is not None:
        raise gateway_error(409, "Conflict", "Asset already exists.")
    container = f"{holder.guid}-{secrets.token_hex(13)}"
    await asyncio.to_thread(storage.create_container, container)
    return ok(_reference(exchange, container))


def _reference(exchange: Exchange, container: str) -> Document:
    holder, storage = exchange.workspace, exchange.service.storage
    uri = f"https://{storage.account}.blob.core.windows.net/{container}"
    group = f"/subscriptions/{holder.subscription}/resourceGroups/{holder.group}"
    return {
        "blobReferenceForConsumption": {
            "blobUri": uri,
            "storageAccountArmId": f"{group}/providers/Microsoft.Storage/storageAccounts/{storage.account}",
            "credential": {"credentialType": "SAS", "sasUri": f"{uri}?{storage.container_sas(container)}"},
        },
        "temporaryDataReferenceId": container,
        "temporaryDataReferenceType": "TemporaryBlobReference",
    }


_SOURCE = re.compile(
    r"azureml://locations/[^/]+/workspaces/([^/]+)/(models|data|environments|components)/(.+)/versions/(.+)"
)


@route("POST", "{registry}/import")
def import_asset(exchange: Exchange) -> Reply:
    """Copy a workspace's asset, as models.share and data.share ask for it; the bytes stay where they are."""
    sent = exchange.json().get("properties") or {}
    source = _SOURCE.fullmatch(str(sent.get("sourceAssetId")))
    holder = next((one for one in exchange.service.holders.all() if source and one.guid == source[1]), None)
    if source is None or holder is None:
        raise gateway_error(404, "NotFound", f"There is no asset {sent.get('sourceAssetId')}.")
    kind = _KINDS[source[2]]
    found = exchange.service.store.get(kind.versions(holder, source[3]), source[4])
    if found is None:
        raise kind.missing(source[3], source[4])
    name, version = sent.get("destinationName") or source[3], sent.get("destinationVersion") or source[4]
    kind.create(exchange, name, version, found["properties"])
    return Reply(200)


@route("POST", "{registry}/datarefs/{name}/versions/{version}")
def data_reference(exchange: Exchange, name: str, version: str) -> Reply:
    """Hand out a signature to read an asset's files."""
    uri = str(exchange.json().get("blobUri", ""))
    container = uri.removeprefix("https://").partition("/")[2].partition("/")[0]
    return ok(_reference(exchange, container))
