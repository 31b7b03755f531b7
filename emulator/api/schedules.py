"""Schedules (recorded_shapes/schedule.json): no id and no type anywhere, and Creating after every PUT.

They do not fire by the clock; `trigger` fires one.
"""

from __future__ import annotations

import base64
import re
import secrets
import uuid
from typing import Any

from ..core.arm import Reply, created, modified, provider_error
from ..core.clock import timestamp
from ..core.owners import Owner
from ..core.store import Document
from ..wire.exchange import Exchange
from ..wire.paging import page
from ..wire.routing import ok, route
from .job_bodies import definition
from .jobs import collection, submit
from .jobs import find as find_job
from .operations import begin

_PATH = "{workspace}/schedules/{name}"
_NO_ZONE = 19


def _collection(owner: Owner) -> str:
    return f"{owner.key}/schedules"


def _find(exchange: Exchange, name: str) -> Document:
    schedule = _read(exchange, name)
    if schedule is None:
        inner = {"code": "NotFound", "innerError": None}
        raise provider_error(404, f"Resource Trigger {name} not found", inner=inner)
    return schedule


def _read(exchange: Exchange, name: str) -> Document | None:
    schedule = exchange.service.store.get(_collection(exchange.workspace), name)
    return None if schedule is None or _gone(schedule, exchange.now) else schedule


def _gone(schedule: Document, now: float) -> bool:
    return schedule["gone"] is not None and schedule["gone"] <= now


def _properties(exchange: Exchange, schedule: Document) -> dict[str, Any]:
    sent, ready = schedule["sent"], schedule["ready"] <= exchange.now
    trigger = {"endTime": None, "startTime": None, **_spelt(sent["trigger"])}
    if ready and not trigger["startTime"]:
        trigger["startTime"] = schedule["start"]
    action = dict(sent["action"])
    if "jobDefinition" in action:
        action["jobDefinition"] = definition(exchange, action["jobDefinition"])
        if ready:
            empty = [key for key, value in action["jobDefinition"].items() if value in ({}, {"_source": value})]
            action["jobDefinition"] |= dict.fromkeys(empty)
    return {
        "description": sent.get("description") or "",
        "tags": sent.get("tags") or {},
        "properties": sent.get("properties") or {},
        "displayName": sent.get("displayName"),
        "isEnabled": sent.get("isEnabled", True),
        "trigger": trigger,
        "action": action,
        "provisioningState": _state(schedule, ready=ready),
    }


def _spelt(trigger: dict[str, Any]) -> dict[str, Any]:
    """Return a trigger with its words in the service's own case; source: azure-ai-ml's end-to-end tests."""
    pattern = trigger.get("schedule") or {}
    if not pattern.get("weekDays"):
        return trigger
    return {**trigger, "schedule": {**pattern, "weekDays": [str(day).capitalize() for day in pattern["weekDays"]]}}


def _state(schedule: Document, *, ready: bool) -> str:
    if schedule["gone"] is not None:
        return "Deleting"
    if not ready:
        return "Creating"
    return "Failed" if schedule["error"] else "Succeeded"


def _render(exchange: Exchange, name: str, schedule: Document) -> dict[str, Any]:
    return {"name": name, "properties": _properties(exchange, schedule), "systemData": schedule["systemData"]}


@route("GET", _PATH)
def get_schedule(exchange: Exchange, name: str) -> Reply:
    """Return one schedule."""
    return ok(_render(exchange, name, _find(exchange, name)))


@route("GET", "{workspace}/schedules")
def list_schedules(exchange: Exchange) -> Reply:
    """List schedules: enabled ones, disabled ones, or all."""
    view = exchange.query.get("listViewType", "EnabledOnly")

    def wanted(_: str, schedule: Document) -> bool:
        if _gone(schedule, exchange.now):
            return False
        return view == "All" or schedule["sent"].get("isEnabled", True) == (view == "EnabledOnly")

    def render(_: Owner, name: str, schedule: Document) -> dict[str, Any]:
        return _render(exchange, name, schedule)

    return page(exchange, _collection(exchange.workspace), wanted, render, size=exchange.service.config.page_size)


@route("PUT", _PATH)
def put_schedule(exchange: Exchange, name: str) -> Reply:
    """Create or update a schedule: 201 both times, with nothing but the properties."""
    owner, service = exchange.workspace, exchange.service
    before = _read(exchange, name)
    system = before["systemData"] if before else created(exchange.author, exchange.now)
    schedule: Document = {
        "sent": exchange.json()["properties"],
        "ready": exchange.now + service.config.operation_seconds,
        "gone": None,
        "error": exchange.operation_error,
        "start": timestamp(exchange.now)[:_NO_ZONE],
        "systemData": {**system, **modified(exchange.author, exchange.now)},
    }
    if before is None:
        service.store.delete(_collection(owner), name)
    service.store.put(_collection(owner), name, schedule, exchange.now)
    headers = {"Azure-AsyncOperation": _begin(exchange, "Creating"), "Location": exchange.url}
    headers["x-ms-async-operation-timeout"] = "PT30M"
    return Reply(201, {"properties": _properties(exchange, schedule)}, headers)


def _begin(exchange: Exchange, status: str) -> str:
    identifier = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    name, seconds = f"s:{exchange.workspace.guid}:{identifier}", exchange.service.config.operation_seconds
    return begin(exchange, "mfeOperationsStatus", name, seconds=seconds, status=status)


@route("DELETE", _PATH)
def delete_schedule(exchange: Exchange, name: str) -> Reply:
    """Delete a schedule; only the end of the operation was recorded, the rest is as with other nouns.

    Of one that is not there it is not known whether the answer is 204 or 404.
    """
    schedule = _read(exchange, name)
    if schedule is None:
        if exchange.service.turns.take("schedule to delete"):
            _find(exchange, name)
        return Reply(204)
    if schedule["sent"].get("isEnabled", True):  # the words are those that azure-ai-ml's end-to-end tests wait for
        raise provider_error(400, f"Cannot delete an active trigger {name}. Disable it before it is deleted.")
    url = _begin(exchange, "Deleting")
    ends = exchange.now + exchange.service.config.operation_seconds
    failed = {"error": exchange.operation_error, "ready": ends}
    schedule.update(failed if exchange.operation_error else {"gone": ends})
    exchange.service.store.put(_collection(exchange.workspace), name, schedule)
    return Reply(202, headers={"Azure-AsyncOperation": url, "x-ms-async-operation-timeout": "PT30M"})


@route("POST", f"{_PATH}/trigger")
def trigger_schedule(exchange: Exchange, name: str) -> Reply:
    """Submit a schedule's job now.

    That its display name ends with the time is documented for jobs that the clock submits; of triggered ones it is not
    known.
    """
    sent = _find(exchange, name)["sent"]["action"]["jobDefinition"]
    stamp = re.sub(r"[-:]|\.\d+|[+]00:00$", "", str(exchange.json().get("scheduleTime") or timestamp(exchange.now)))
    if sent.get("sourceJobId"):
        sent = find_job(exchange, sent["sourceJobId"].rpartition("/")[2])["properties"]
    job = f"{name}-{uuid.uuid4().hex[:12]}"
    more = {"displayName": f"{name}-{stamp}Z"}
    submit(exchange, job, {**{key: value for key, value in sent.items() if value is not None}, **more})
    exchange.service.store.update(collection(exchange.workspace), job, lambda made: made.update(schedule=name))
    return ok({"submissionId": job, "scheduleActionType": "CreateJob"})
