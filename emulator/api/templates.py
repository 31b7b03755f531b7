"""ARM template deployments, as azure-ai-ml makes workspaces: of what a template holds, workspaces are made.

Expressions are resolved as far as `[parameters('name')]`; of the other resources (storage, key vaults) it is taken that
they are there. A failed operation's shape: recorded_shapes/errors.json, "ARM template deployment".
"""

from __future__ import annotations

import json
import re
import secrets
import uuid
from typing import Any

from ..core.arm import MANAGEMENT, PROVIDER, Reply, gateway_error, nested, provider_error
from ..core.clock import timestamp
from ..wire.exchange import Exchange
from ..wire.routing import ok, route
from .feature_stores import furnish
from .workspaces import apply_changes, create_workspace

_PATH = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Resources/deployments/{name}"
_PARAMETER = re.compile(r"\[parameters\('(\w+)'\)\]")
_WORKSPACE = f"{PROVIDER}/workspaces"
_SIGNATURE = ("t", "c", "s", "h")


def _collection(subscription: str, group: str) -> str:
    return f"/subscriptions/{subscription}/resourcegroups/{group}/deployments".lower()


def _resolve(value: Any, parameters: dict[str, Any]) -> Any:
    """Return a template's value with the parameters that it names; an expression that says more is None."""
    if isinstance(value, dict):
        return {key: _resolve(item, parameters) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item, parameters) for item in value]
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        known = _PARAMETER.fullmatch(value)
        return parameters.get(known[1]) if known else None
    return value


def _parameters(template: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    defaults = {name: one.get("defaultValue") for name, one in (template.get("parameters") or {}).items()}
    return {**defaults, **{name: one.get("value") for name, one in given.items()}}


@route("PUT", _PATH)
async def put_deployment(exchange: Exchange, subscription: str, group: str, name: str) -> Reply:
    """Deploy a template: 201, and an operation that ends when all is there."""
    sent = exchange.json().get("properties") or {}
    template = sent.get("template") or {}
    parameters = _parameters(template, sent.get("parameters") or {})
    error, made = None, []
    for resource in template.get("resources") or []:
        own = _resolve(resource, parameters)
        kind, resource_name = str(own.get("type")), str(own.get("name"))
        if kind == _WORKSPACE:
            place = str(own.get("location") or exchange.service.config.location)
            owner = await create_workspace(exchange.service, subscription, group, resource_name, location=place)
            apply_changes(exchange.service, owner, own)
            if str(own.get("kind")).lower() == "featurestore":
                furnish(exchange.service, owner, parameters, exchange.author, exchange.now)
            made.append((kind, resource_name, owner.id))
        elif kind.startswith(f"{_WORKSPACE}/"):
            error = error or _missing_workspace(exchange, subscription, group, resource_name.partition("/")[0])
    document = {
        "uuid": str(uuid.uuid4()),
        "template": template,
        "made": made,
        "error": error,
        "polls": 0,
        "start": exchange.now,
        "due": exchange.now + exchange.service.config.operation_seconds,
    }
    exchange.service.store.put(_collection(subscription, group), name, document, exchange.now)
    signature = "&".join(f"{key}={secrets.token_urlsafe(16)}" for key in _SIGNATURE)
    url = f"{MANAGEMENT}{exchange.path}/operationStatuses/{document['uuid']}?api-version={exchange.api_version}"
    return Reply(201, _render(exchange, name, document), {"Azure-AsyncOperation": f"{url}&{signature}"})


@route("POST", f"{_PATH}/validate")
def validate_deployment(exchange: Exchange, subscription: str, group: str, name: str) -> Reply:
    """Find nothing wrong with a template, as azure-ai-ml has a component looked at before it is made.

    What AzureML would find is not known: the SDK's own tests of it wait for the service to be ready.
    """
    kind = "Microsoft.Resources/deployments"
    properties = {"provisioningState": "Succeeded", "mode": "Incremental", "correlationId": str(uuid.uuid4())}
    return ok({"id": exchange.path.rpartition("/")[0], "name": name, "type": kind, "properties": properties})


def _missing_workspace(exchange: Exchange, subscription: str, group: str, workspace: str) -> dict[str, Any] | None:
    """Return the error of what a template puts into a workspace that there is not, in the provider's words."""
    identifier = f"/subscriptions/{subscription}/resourceGroups/{group}/providers/{PROVIDER}/workspaces/{workspace}"
    if exchange.service.owners.find(identifier) is not None:
        return None
    refusal = provider_error(404, "Workspace not found.", inner=nested("NotFound", "WorkspaceNotFound"))
    message = json.dumps({**refusal.reply.body, "statusCode": 404})
    text = "At least one resource deployment operation failed. Please list deployment operations for details."
    return {"code": "DeploymentFailed", "message": text, "details": [{"code": "NotFound", "message": message}]}


def _find(exchange: Exchange, subscription: str, group: str, name: str) -> dict[str, Any]:
    document = exchange.service.store.get(_collection(subscription, group), name)
    if document is None:
        raise gateway_error(404, "DeploymentNotFound", f"Deployment '{name}' could not be found.")
    return document


def _state(exchange: Exchange, document: dict[str, Any]) -> str:
    if exchange.now < document["due"] or document["polls"] < exchange.service.config.operation_polls:
        return "Running"
    return "Failed" if document["error"] else "Succeeded"


def _render(exchange: Exchange, name: str, document: dict[str, Any]) -> dict[str, Any]:
    state = _state(exchange, document)
    return {
        "id": exchange.path,
        "name": name,
        "type": "Microsoft.Resources/deployments",
        "properties": {
            "provisioningState": "Accepted" if state == "Running" else state,
            "mode": "Incremental",
            "timestamp": timestamp(exchange.now),
            "duration": f"PT{max(0.0, exchange.now - document['start']):.3f}S",
            "correlationId": document["uuid"],
            "parameters": {},
            "outputs": {},
            **({"error": document["error"]} if state == "Failed" else {}),
        },
    }


@route("GET", _PATH)
def get_deployment(exchange: Exchange, subscription: str, group: str, name: str) -> Reply:
    """Return a deployment."""
    return ok(_render(exchange, name, _find(exchange, subscription, group, name)))


@route("GET", f"{_PATH}/operationStatuses/{{identifier}}")
def operation(exchange: Exchange, subscription: str, group: str, name: str, identifier: str) -> Reply:
    """Tell how a deployment stands."""
    document = _find(exchange, subscription, group, name)
    state = _state(exchange, document)
    document["polls"] += 1
    exchange.service.store.put(_collection(subscription, group), name, document)
    retry = {"Retry-After": str(exchange.service.config.retry_after)} if state == "Running" else {}
    return ok({"status": state, **({"error": document["error"]} if state == "Failed" else {})}, retry)


@route("GET", f"{_PATH}/operations")
@route("GET", "/subscriptions/{subscription}/resourceGroups/{group}/deployments/{name}/operations")
def list_operations(exchange: Exchange, subscription: str, group: str, name: str) -> Reply:
    """List what a deployment has done: one operation for each workspace."""
    document = _find(exchange, subscription, group, name)
    found = [
        {
            "id": f"{exchange.path}/{number}",
            "operationId": str(number),
            "properties": {
                "provisioningOperation": "Create",
                "provisioningState": _state(exchange, document),
                "duration": "PT1.0S",
                "statusCode": "OK",
                "targetResource": {"id": identifier, "resourceType": kind, "resourceName": resource},
            },
        }
        for number, (kind, resource, identifier) in enumerate(document["made"])
    ]
    return ok({"value": found})
