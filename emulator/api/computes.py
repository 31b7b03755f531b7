"""Computes: clusters and instances (recorded_shapes/compute.json).

A compute is Creating until its operation is done, and then shows more members than before. One that is missing answers
404 with no body at all.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

from ..core.arm import Reply
from ..core.clock import timestamp
from ..core.owners import Owner
from ..core.published import known
from ..core.store import Document
from ..core.versions import STABLE
from ..wire.exchange import Exchange
from ..wire.paging import page
from ..wire.routing import route
from .operations import begin

Properties = dict[str, Any]

_PATH = "{workspace}/computes/{name}"


def _collection(owner: Owner) -> str:
    return f"{owner.key}/computes"


def _begin(exchange: Exchange) -> dict[str, str]:
    """Begin an operation; return the header that leads to it (there is no Location)."""
    service = exchange.service
    url = begin(exchange, "computeOperationsStatus", str(uuid.uuid4()), seconds=service.config.operation_seconds)
    return {"Azure-AsyncOperation": url}


def _find(exchange: Exchange, name: str) -> Document | None:
    """Return a compute that is not deleted yet."""
    compute = exchange.service.store.get(_collection(exchange.workspace), name)
    return None if compute is None or _gone(compute, exchange.now) else compute


def compute_type(exchange: Exchange, name: str) -> str | None:
    """Return what a compute is (AmlCompute, ComputeInstance), or None if there is none of that name."""
    compute = _find(exchange, name)
    return None if compute is None else str(compute["sent"]["properties"]["computeType"])


def _gone(compute: Document, now: float) -> bool:
    return compute["gone"] is not None and compute["gone"] <= now


def _common(compute: Document, state: str, errors: list[Properties] | None) -> Properties:
    sent = compute["sent"]["properties"]
    return {
        "createdOn": timestamp(compute["created"]),
        "modifiedOn": timestamp(compute["modified"]),
        "disableLocalAuth": bool(sent.get("disableLocalAuth")),
        "description": sent.get("description"),
        "resourceId": None,
        "computeType": sent["computeType"],
        "computeLocation": compute["sent"].get("location"),
        "provisioningState": state,
        "provisioningErrors": errors,
        "isAttachedCompute": False,
    }


def _render(owner: Owner, name: str, compute: Document, now: float, *, stable: bool) -> dict[str, Any]:
    ready = compute["ready"] <= now
    sent = compute["sent"]
    created = ready or compute["operation"] != "Create"
    state = "Succeeded" if created else "Creating"
    if compute["gone"] is not None or (compute["operation"] == "Delete" and not ready):
        state = "Deleting"
    errors = [{"error": compute["error"]}] if ready and compute["error"] else None
    if errors:
        state = "Failed"
    particular = _instance if sent["properties"]["computeType"] == "ComputeInstance" else _cluster
    body: dict[str, Any] = {
        "id": f"{owner.id}/computes/{name}",
        "name": name,
        "type": f"{owner.type}/computes",
        "location": sent.get("location") or owner.location,
        "tags": sent.get("tags") or {},
    }
    if compute["sent"]["properties"]["computeType"] == "ComputeInstance" or sent.get("identity"):
        identity = {"principalId": _guid(name), "tenantId": _guid(owner.guid)}
        body["identity"] = {"type": "SystemAssigned", **identity, **(sent.get("identity") or {})}
    body["properties"] = {**_common(compute, state, errors), **particular(compute, now, ready=ready)}
    return {**body, "properties": known("Compute", body["properties"])} if stable else body


def _guid(seed: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, seed))


def _cluster(compute: Document, now: float, *, ready: bool) -> Properties:
    sent = compute["sent"]["properties"].get("properties") or {}
    scale = {"maxNodeCount": 4, "minNodeCount": 0, "nodeIdleTimeBeforeScaleDown": "PT2M"}
    least = int((sent.get("scaleSettings") or {}).get("minNodeCount") or 0)
    states = ("preparing", "running", "idle", "unusable", "leaving", "preempted")
    account = sent.get("userAccountCredentials")
    nodes = {
        "currentNodeCount": least,
        "targetNodeCount": least,
        "nodeStateCounts": {f"{state}NodeCount": least if state == "idle" else 0 for state in states},
        "allocationState": "Steady",
        "allocationStateTransitionTime": timestamp(compute["ready"]),
    }
    properties: Properties = {
        "vmSize": str(sent.get("vmSize") or "").upper(),
        "vmPriority": sent.get("vmPriority") or "Dedicated",
        "scaleSettings": {**scale, **(sent.get("scaleSettings") or {})},
        "subnet": sent.get("subnet"),
        **(nodes if ready else dict.fromkeys(key for key in nodes if key != "allocationStateTransitionTime")),
        "errors": None,
        "remoteLoginPortPublicAccess": sent.get("remoteLoginPortPublicAccess") or "NotSpecified",
        "osType": sent.get("osType") or "Linux",
        "virtualMachineImage": None,
        "isolatedNetwork": False,
        "enableNodePublicIp": sent.get("enableNodePublicIp", True),
        "enableBatchPrivateLink": False,
    }
    if ready:
        properties["propertyBag"] = {}
        if account:
            properties["userAccountCredentials"] = {**account, "adminUserPassword": None}
    return {"provisioningWarnings": {} if compute["updated"] else None, "properties": properties}


def _instance(compute: Document, now: float, *, ready: bool) -> Properties:
    sent = compute["sent"]["properties"].get("properties") or {}
    settings = sent.get("sshSettings") or {}
    state = compute["state"]
    moving = {"Running": "Creating", "Stopped": "Stopping"}
    name, at = compute["operation"], timestamp(compute["modified"])
    others = {"Start": "Starting", "Restart": "Restarting", "Delete": "Deleting"}
    schedules = sent.get("schedules") or {}
    properties = {
        "vmSize": str(sent.get("vmSize") or "").upper(),
        "subnet": sent.get("subnet"),
        "sshSettings": {
            "sshPublicAccess": settings.get("sshPublicAccess") or "Disabled",
            "adminUserName": "azureuser",
            "sshPort": 50000,
            "adminPublicKey": settings.get("adminPublicKey"),
        },
        "autologgerSettings": None,
        "errors": [],
        "connectivityEndpoints": {"publicIpAddress": "127.0.0.1", "privateIpAddress": "127.0.0.1"},
        "applications": [{"displayName": "Jupyter", "endpointUri": "https://localhost/tree"}] if ready else [],
        "state": state if ready else others.get(name, moving[state]),
        "lastOperation": {
            "operationName": name,
            "operationTime": at,
            "operationStatus": "Succeeded" if ready else "InProgress",
            "operationTrigger": "User",
        },
        "createdBy": {"userOrgId": _guid("organisation"), "userId": _guid(str(compute["created"]))},
        "applicationSharingPolicy": sent.get("applicationSharingPolicy") or "Shared",
        "computeInstanceAuthorizationType": "personal",
        "personalComputeInstanceSettings": sent.get("personalComputeInstanceSettings"),
        "setupScripts": sent.get("setupScripts"),
        "schedules": {"computeStartStop": schedules.get("computeStartStop") or []},
        "dataMounts": None,
        "dataDisks": None,
        "containers": None,
        "updateStatus": None,
        "versions": {"runtime": "1.0.0"},
        "customServices": sent.get("customServices") or [],
        "osImageMetadata": {
            "currentImageVersion": "26.01.01",
            "latestImageVersion": "26.01.01",
            "isLatestOsImageVersion": True,
        },
    }
    return {"properties": properties}


@route("GET", _PATH)
def get_compute(exchange: Exchange, name: str) -> Reply:
    """Return one compute."""
    compute = _find(exchange, name)
    if compute is None:
        return Reply(404)
    return Reply(200, _render(exchange.workspace, name, compute, exchange.now, stable=exchange.api_version in STABLE))


@route("GET", "{workspace}/computes")
def list_computes(exchange: Exchange) -> Reply:
    """List computes."""

    def wanted(_: str, compute: Document) -> bool:
        return not _gone(compute, exchange.now)

    def render(owner: Owner, name: str, compute: Document) -> dict[str, Any]:
        return _render(owner, name, compute, exchange.now, stable=exchange.api_version in STABLE)

    return page(exchange, _collection(exchange.workspace), wanted, render, size=exchange.service.config.page_size)


@route("PUT", _PATH)
def put_compute(exchange: Exchange, name: str) -> Reply:
    """Create or update a compute: 201 and Creating, both times."""
    owner, service, sent = exchange.workspace, exchange.service, exchange.json()
    before = _find(exchange, name)
    compute: Document = {
        "sent": {**sent, "location": sent.get("location") or owner.location},
        "created": before["created"] if before else exchange.now,
        "modified": exchange.now,
        "ready": exchange.now + service.config.operation_seconds,
        "gone": None,
        "updated": before is not None,
        "state": "Running",
        "operation": "Create",
        "error": exchange.operation_error,
    }
    if before is None:
        service.store.delete(_collection(owner), name)
    service.store.put(_collection(owner), name, compute, exchange.now)
    body = _render(owner, name, compute, exchange.now, stable=exchange.api_version in STABLE)
    if before is None:
        body["tags"] = sent.get("tags")
        body["properties"].pop("computeLocation", None)
    elif sent["properties"]["computeType"] == "AmlCompute":
        digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
        group = f"/subscriptions/{owner.subscription}/resourceGroups/{owner.group}"
        body["properties"]["resourceId"] = f"{group}/providers/Microsoft.BatchAI/clusters/{digest}"
    return Reply(201, body, _begin(exchange))


@route("DELETE", _PATH)
def delete_compute(exchange: Exchange, name: str) -> Reply:
    """Delete a compute: 202 with no body."""
    compute = _find(exchange, name)
    if compute is None:
        return Reply(404)
    ends, error = exchange.now + exchange.service.config.operation_seconds, exchange.operation_error
    compute.update({"operation": "Delete", "error": error, "ready": ends} if error else {"gone": ends})
    exchange.service.store.put(_collection(exchange.workspace), name, compute)
    return Reply(202, headers=_begin(exchange))


@route("POST", f"{_PATH}/start")
def start_compute(exchange: Exchange, name: str) -> Reply:
    """Start an instance."""
    return _switch(exchange, name, "Start", "Running")


@route("POST", f"{_PATH}/stop")
def stop_compute(exchange: Exchange, name: str) -> Reply:
    """Stop an instance."""
    return _switch(exchange, name, "Stop", "Stopped")


@route("POST", f"{_PATH}/restart")
def restart_compute(exchange: Exchange, name: str) -> Reply:
    """Restart an instance."""
    return _switch(exchange, name, "Restart", "Running")


def _switch(exchange: Exchange, name: str, operation: str, state: str) -> Reply:
    compute = _find(exchange, name)
    if compute is None:
        return Reply(404)
    ready = exchange.now + exchange.service.config.operation_seconds
    compute.update(operation=operation, state=state, modified=exchange.now, ready=ready)
    compute["error"] = exchange.operation_error
    exchange.service.store.put(_collection(exchange.workspace), name, compute)
    return Reply(202, headers=_begin(exchange))


@route("POST", f"{_PATH}/listNodes")
def list_nodes(exchange: Exchange, name: str) -> Reply:
    """List a cluster's nodes: none of them is ever busy."""
    return Reply(404) if _find(exchange, name) is None else Reply(200, {"nodes": []})


@route("POST", f"{_PATH}/enableSso")
def enable_single_sign_on(exchange: Exchange, name: str) -> Reply:
    """Switch single sign-on of an instance, of which nothing is seen here."""
    return Reply(404) if _find(exchange, name) is None else Reply(200, {})
