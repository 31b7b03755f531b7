"""The outbound rules of a workspace's own network. Source: Microsoft's published models; nothing here was recorded."""

from __future__ import annotations

import uuid
from typing import Any

from ..core.arm import Reply, provider_error
from ..wire.exchange import Exchange
from ..wire.routing import ok, route
from .operations import begin
from .workspaces import NETWORK


def _rules(exchange: Exchange) -> dict[str, dict[str, Any]]:
    """Return the outbound rules of a workspace's own network."""
    known = exchange.service.store.get("workspacechanges", exchange.workspace.key) or {"properties": {}}
    return (known["properties"].get("managedNetwork") or {}).get("outboundRules") or {}


def _rule(exchange: Exchange, name: str, rule: dict[str, Any]) -> dict[str, Any]:
    owner = exchange.workspace
    shown = {"category": "UserDefined", "status": "Inactive", **{k: v for k, v in rule.items() if v is not None}}
    return {
        "id": f"{owner.id}/outboundRules/{name}",
        "name": name,
        "type": f"{owner.type}/outboundRules",
        "properties": shown,
    }


def _put_rules(exchange: Exchange, rules: dict[str, Any]) -> None:
    owner, store = exchange.workspace, exchange.service.store
    known = store.get("workspacechanges", owner.key) or {"properties": {}, "tags": {}}
    network = known["properties"].get("managedNetwork") or NETWORK
    known["properties"]["managedNetwork"] = {**network, "outboundRules": rules}
    store.put("workspacechanges", owner.key, known)


@route("GET", "{workspace}/outboundRules")
def list_rules(exchange: Exchange) -> Reply:
    """List the outbound rules."""
    return ok({"value": [_rule(exchange, name, rule) for name, rule in _rules(exchange).items()]})


@route("GET", "{workspace}/outboundRules/{name}")
def get_rule(exchange: Exchange, name: str) -> Reply:
    """Return one outbound rule."""
    rules = _rules(exchange)
    if name not in rules:
        raise provider_error(404, f"The outbound rule {name} was not found.", code="NotFound")
    return ok(_rule(exchange, name, rules[name]))


@route("PUT", "{workspace}/outboundRules/{name}")
def put_rule(exchange: Exchange, name: str) -> Reply:
    """Create or replace an outbound rule."""
    rule = exchange.json().get("properties") or {}
    _put_rules(exchange, {**_rules(exchange), name: rule})
    return ok(_rule(exchange, name, rule))


@route("DELETE", "{workspace}/outboundRules/{name}")
def delete_rule(exchange: Exchange, name: str) -> Reply:
    """Delete an outbound rule."""
    rules = _rules(exchange)
    gone = rules.pop(name, None)
    _put_rules(exchange, rules)
    return Reply(204 if gone is None else 202, headers={} if gone is None else _deleting(exchange))


def _deleting(exchange: Exchange) -> dict[str, str]:
    kind = "workspaceOperationsStatus"
    return {
        "Azure-AsyncOperation": begin(
            exchange, kind, str(uuid.uuid4()), seconds=exchange.service.config.operation_seconds, signed=False
        )
    }


@route("POST", "{workspace}/provisionManagedNetwork")
def provision_network(exchange: Exchange) -> Reply:
    """Provision the workspace's own network."""
    store, owner = exchange.service.store, exchange.workspace
    known = store.get("workspacechanges", owner.key) or {"properties": {}, "tags": {}}
    ready = {"status": "Active", "sparkReady": bool(exchange.json().get("includeSpark"))}
    known["properties"]["managedNetwork"] = {
        **NETWORK,
        **known["properties"].get("managedNetwork", {}),
        "status": ready,
    }
    store.put("workspacechanges", owner.key, known)
    return ok(ready)
