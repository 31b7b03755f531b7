"""Nouns of which no more is kept than what was sent: marketplace subscriptions, serverless endpoints, hosts of agents.

Source: Microsoft's published models and azure-ai-ml's clients; nothing here was recorded.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from typing import Any

from ..core.arm import PROVIDER, Reply, created, modified, provider_error
from ..core.owners import Owner
from ..core.store import Document
from ..wire.exchange import Exchange
from ..wire.paging import page
from ..wire.routing import ok, route
from .operations import begin

Added = Callable[[Exchange, str], dict[str, Any]]
"""The properties that the service adds to what was sent."""


def _subscription(exchange: Exchange, name: str) -> dict[str, Any]:
    plan = {"publisherId": "emulator", "offerId": name, "planId": name}
    return {"marketplacePlan": plan, "marketplaceSubscriptionStatus": "Subscribed"}


def _endpoint(exchange: Exchange, name: str) -> dict[str, Any]:
    uri = f"https://{name}.{exchange.workspace.location}.models.ai.azure.com"
    headers = {"Authorization": "Bearer"}
    return {"authMode": "Key", "endpointState": "Online", "inferenceEndpoint": {"uri": uri, "headers": headers}}


def _nothing(exchange: Exchange, name: str) -> dict[str, Any]:
    return {}


def _register(segment: str, added: Added) -> Callable[[Exchange, str], Document]:
    """Add a noun's routes; return what finds one."""

    def collection(owner: Owner) -> str:
        return f"{owner.key}/{segment}"

    def find(exchange: Exchange, name: str) -> Document:
        document = exchange.service.store.get(collection(exchange.workspace), name)
        if document is None:
            text = f"{PROVIDER} resource {name} not found."
            raise provider_error(404, text, detail=("NotFound", f"{name} not found."))
        return document

    def render(owner: Owner, name: str, document: Document) -> dict[str, Any]:
        own = {"id": f"{owner.id}/{segment}/{name}", "name": name, "type": f"{owner.type}/{segment}"}
        return {**document["body"], **own, "systemData": document["systemData"]}

    @route("GET", f"{{workspace}}/{segment}")
    def list_all(exchange: Exchange) -> Reply:
        size = exchange.service.config.page_size
        return page(exchange, collection(exchange.workspace), lambda *_: True, render, size=size)

    @route("GET", f"{{workspace}}/{segment}/{{name}}")
    def get(exchange: Exchange, name: str) -> Reply:
        return ok(render(exchange.workspace, name, find(exchange, name)))

    @route("PUT", f"{{workspace}}/{segment}/{{name}}")
    def put(exchange: Exchange, name: str) -> Reply:
        owner, sent, author = exchange.workspace, exchange.json(), exchange.author
        properties = {**(sent.get("properties") or {}), **added(exchange, name), "provisioningState": "Succeeded"}
        system = {**created(author, exchange.now), **modified(author, exchange.now)}
        document = {"body": {**sent, "properties": properties}, "systemData": system, "keys": [_key(), _key()]}
        exchange.service.store.put(collection(owner), name, document, exchange.now)
        return ok(render(owner, name, document))

    @route("DELETE", f"{{workspace}}/{segment}/{{name}}")
    def delete(exchange: Exchange, name: str) -> Reply:
        if not exchange.service.store.delete(collection(exchange.workspace), name):
            return Reply(204)
        seconds = exchange.service.config.operation_seconds
        identifier = f"{segment}:{uuid.uuid4()}"
        return Reply(202, headers={"Location": begin(exchange, "mfeOperationResults", identifier, seconds=seconds)})

    return find


def _key() -> str:
    return secrets.token_hex(16)


_register("marketplaceSubscriptions", _subscription)
_register("capabilityHosts", _nothing)
_find_endpoint = _register("serverlessEndpoints", _endpoint)


def _keys(document: Document) -> Reply:
    return ok(dict(zip(("primaryKey", "secondaryKey"), document["keys"], strict=True)))


@route("POST", "{workspace}/serverlessEndpoints/{name}/listKeys")
def list_keys(exchange: Exchange, name: str) -> Reply:
    """Hand out an endpoint's keys."""
    return _keys(_find_endpoint(exchange, name))


@route("POST", "{workspace}/serverlessEndpoints/{name}/regenerateKeys")
def regenerate_keys(exchange: Exchange, name: str) -> Reply:
    """Make one of an endpoint's keys anew."""
    document = _find_endpoint(exchange, name)
    document["keys"][str(exchange.json().get("keyType")).lower() == "secondary"] = _key()
    exchange.service.store.put(f"{exchange.workspace.key}/serverlessEndpoints", name, document)
    return _keys(document)


_TEMPLATES = (
    f"/genericasset/v2.0/subscriptions/{{subscription_}}/resourceGroups/{{group_}}/providers/{PROVIDER}"
    "/registries/{registry_}/deploymenttemplates"
)


def _template(owner: Owner, key: str, document: Document) -> dict[str, Any]:
    name, _, version = key.partition(":")
    own = {"name": name, "version": version}
    return {**document, **own, "id": f"{owner.asset_id}/deploymenttemplates/{name}/versions/{version}"}


@route("POST", f"{_TEMPLATES}/{{name}}/versions/{{version}}")
def put_template(exchange: Exchange, name: str, version: str) -> Reply:
    """Create or change a registry's template of deployments."""
    owner, key, sent = exchange.workspace, f"{name}:{version}", exchange.json()
    exchange.service.store.put(f"{owner.key}/deploymenttemplates", key, sent, exchange.now)
    return ok(_template(owner, key, sent))


@route("GET", f"{_TEMPLATES}/{{name}}/versions/{{version}}")
def get_template(exchange: Exchange, name: str, version: str) -> Reply:
    """Return one template of deployments."""
    owner, key = exchange.workspace, f"{name}:{version}"
    document = exchange.service.store.get(f"{owner.key}/deploymenttemplates", key)
    if document is None:
        raise provider_error(404, f"Deployment template {key} not found.", code="NotFound")
    return ok(_template(owner, key, document))


@route("GET", _TEMPLATES)
def list_templates(exchange: Exchange) -> Reply:
    """List a registry's templates of deployments."""
    size = exchange.service.config.page_size
    return page(exchange, f"{exchange.workspace.key}/deploymenttemplates", lambda *_: True, _template, size=size)


@route("DELETE", f"{_TEMPLATES}/{{name}}/versions/{{version}}")
def delete_template(exchange: Exchange, name: str, version: str) -> Reply:
    """Delete one template of deployments."""
    gone = exchange.service.store.delete(f"{exchange.workspace.key}/deploymenttemplates", f"{name}:{version}")
    return Reply(200 if gone else 204)
