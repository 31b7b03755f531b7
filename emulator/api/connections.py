"""Connections of a workspace to other services. Source: Microsoft's published models; nothing here was recorded."""

from __future__ import annotations

from typing import Any

from ..core.arm import Reply, ServiceError, created, modified, provider_error
from ..core.owners import Owner
from ..core.store import Document
from ..wire.exchange import Exchange
from ..wire.paging import page
from ..wire.routing import ok, route

_PATH = "{workspace}/connections/{name}"


def collection(owner: Owner) -> str:
    """Return where the connections of a workspace are kept."""
    return f"{owner.key}/connections"


def _render(owner: Owner, name: str, document: Document, *, secrets: bool = False) -> dict[str, Any]:
    properties = {key: value for key, value in document["properties"].items() if secrets or key != "credentials"}
    if not secrets:
        properties["credentials"] = None
    return {
        "id": f"{owner.id}/connections/{name}",
        "name": name,
        "type": f"{owner.type}/connections",
        "properties": properties,
        "systemData": document["systemData"],
    }


def _missing(name: str) -> ServiceError:
    return provider_error(404, f"Connection {name} can't be found in this workspace.", code="UserError")


@route("GET", "{workspace}/connections")
def list_connections(exchange: Exchange) -> Reply:
    """List the connections, without their secrets; `category` filters."""
    category = exchange.query.get("category")

    def wanted(_: str, document: Document) -> bool:
        return category in (None, document["properties"].get("category"))

    return page(exchange, collection(exchange.workspace), wanted, _render, size=exchange.service.config.page_size)


@route("GET", _PATH)
def get_connection(exchange: Exchange, name: str) -> Reply:
    """Return one connection, without its secret."""
    return ok(_render(exchange.workspace, name, _find(exchange, name)))


def _find(exchange: Exchange, name: str) -> Document:
    document = exchange.service.store.get(collection(exchange.workspace), name)
    if document is None:
        raise _missing(name)
    return document


@route("PUT", _PATH)
def put_connection(exchange: Exchange, name: str) -> Reply:
    """Create or replace a connection: 200, as published."""
    owner, store = exchange.workspace, exchange.service.store
    before = store.get(collection(owner), name)
    system = before["systemData"] if before else created(exchange.author, exchange.now)
    document = {
        "properties": exchange.json().get("properties") or {},
        "systemData": {**system, **modified(exchange.author, exchange.now)},
    }
    store.put(collection(owner), name, document, exchange.now)
    return ok(_render(owner, name, document))


@route("DELETE", _PATH)
def delete_connection(exchange: Exchange, name: str) -> Reply:
    """Delete a connection."""
    gone = exchange.service.store.delete(collection(exchange.workspace), name)
    return Reply(200 if gone else 204)


@route("POST", f"{_PATH}/listsecrets")
def list_secrets(exchange: Exchange, name: str) -> Reply:
    """Return one connection with its secret."""
    return ok(_render(exchange.workspace, name, _find(exchange, name), secrets=True))


@route("GET", f"{_PATH}/deployments")
def list_deployments(exchange: Exchange, name: str) -> Reply:
    """List the deployments of a service that serves language models: none."""
    _find(exchange, name)
    return ok({"value": []})
