"""Indexes of a workspace, on the data plane. Source: azure-ai-ml's own client of them; nothing here was recorded."""

from __future__ import annotations

from typing import Any

from ..core.arm import PROVIDER, Reply, provider_error
from ..core.clock import timestamp
from ..core.store import Document
from ..wire.exchange import Exchange
from ..wire.routing import ok, route

_ROOT = (
    f"/genericasset/subscriptions/{{subscription_}}/resourceGroups/{{group_}}/providers/{PROVIDER}"
    "/workspaces/{workspace_}/indexes"
)
_NEXT = ":getNextVersion"


def _collection(exchange: Exchange) -> str:
    return f"{exchange.workspace.key}/indexes"


def _all(exchange: Exchange, name: str = "") -> list[Document]:
    """Return the versions, newest first."""
    found = [entry.document for entry in exchange.service.store.entries(_collection(exchange))]
    return [document for document in found if not name or document["name"] == name]


def _render(exchange: Exchange, document: Document) -> dict[str, Any]:
    name, version, owner = document["name"], document["version"], exchange.workspace
    place = f"azureml://locations/{owner.location}/workspaces/{owner.guid}"
    return {
        **document["sent"],
        "id": f"{place}/indexes/{name}/versions/{version}",
        "systemData": document["systemData"],
    }


@route("PUT", f"{_ROOT}/{{name}}/versions/{{version}}")
def put_index(exchange: Exchange, name: str, version: str) -> Reply:
    """Create or replace a version."""
    at = {
        "createdAt": timestamp(exchange.now),
        "createdBy": exchange.author.name,
        "createdByType": exchange.author.kind,
    }
    document = {"name": name, "version": version, "sent": exchange.json(), "systemData": at}
    exchange.service.store.put(_collection(exchange), f"{name}:{version}", document, exchange.now)
    return ok(_render(exchange, document))


@route("GET", f"{_ROOT}/{{name}}/versions/{{version}}")
def get_index(exchange: Exchange, name: str, version: str) -> Reply:
    """Return one version."""
    return _one(exchange, [found for found in _all(exchange, name) if found["version"] == version])


@route("GET", f"{_ROOT}/{{name}}")
def get_latest(exchange: Exchange, name: str) -> Reply:
    """Return the version that was made last."""
    return _one(exchange, _all(exchange, name))


def _one(exchange: Exchange, found: list[Document]) -> Reply:
    if not found:
        raise provider_error(404, "The index was not found.", code="NotFound")
    return ok(_render(exchange, found[0]))


@route("POST", f"{_ROOT}/{{name}}")
def next_version(exchange: Exchange, name: str) -> Reply:
    """Return the number that is free: `POST .../indexes/NAME:getNextVersion`."""
    found = _all(exchange, name.removesuffix(_NEXT))
    numbers = [int(one["version"]) for one in found if one["version"].isdecimal()]
    latest = found[0]["version"] if found else None
    return ok({"nextVersion": max(numbers, default=0) + 1, "latestVersion": latest})


@route("GET", f"{_ROOT}/{{name}}/versions")
def list_versions(exchange: Exchange, name: str) -> Reply:
    """List the versions of one index."""
    return ok({"value": [_render(exchange, one) for one in _all(exchange, name)]})


@route("GET", _ROOT)
def list_latest(exchange: Exchange) -> Reply:
    """List the newest version of each index."""
    newest: dict[str, Document] = {}
    for document in _all(exchange):
        newest.setdefault(document["name"], document)
    return ok({"value": [_render(exchange, one) for one in newest.values()]})
