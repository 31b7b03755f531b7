"""Long-running operations: what an Azure-AsyncOperation or Location leads to.

Sources: recorded_shapes/README.md ("Long-running operations") and the records of .../mfeOperationsStatus/...,
.../mfeOperationResults/... and .../computeOperationsStatus/.... The service sends no Retry-After; the emulator does, as
the SDK would otherwise poll every 30 s.
"""

from __future__ import annotations

from typing import Any

from ..core.arm import Reply
from ..core.clock import timestamp
from ..wire.exchange import Exchange
from ..wire.routing import ok, route

_NEVER = "0001-01-01T00:00:00+00:00"


def begin(exchange: Exchange, kind: str, identifier: str, *, seconds: float, **options: Any) -> str:
    """Begin an operation for a call; return the URL at which it is polled."""
    return exchange.service.operations.begin(
        exchange.workspace,
        kind,
        identifier,
        now=exchange.now,
        seconds=seconds,
        api_version=exchange.api_version,
        error=exchange.operation_error,
        **options,
    )


def _find(exchange: Exchange, identifier: str) -> dict[str, Any]:
    kind = exchange.path.split("/")[-2]
    return exchange.service.operations.find(kind, identifier, exchange.query.get("s", ""), exchange.now)


def _soon(exchange: Exchange) -> dict[str, str]:
    return {"Retry-After": str(exchange.service.config.retry_after)}


@route("GET", "{location}/mfeOperationResults/{identifier}")
def operation_result(exchange: Exchange, identifier: str) -> Reply:
    """Answer 202 while an operation runs and 200 with nothing when it is done."""
    operation = _find(exchange, identifier)
    if operation["running"]:
        return Reply(202, {}, {"Location": exchange.url, **_soon(exchange)})
    return Reply(200)


@route("GET", "{location}/computeOperationsStatus/{identifier}")
@route("GET", "{location}/registryOperationsStatus/{identifier}")
@route("GET", "{location}/workspaceOperationsStatus/{identifier}")
def compute_operation(exchange: Exchange, identifier: str) -> Reply:
    """Answer how an operation of a compute or registry stands."""
    operation = _find(exchange, identifier)
    if operation["running"]:
        return ok({"status": "InProgress"}, _soon(exchange))
    if operation["error"]:
        return ok({"status": "Failed", "error": operation["error"]})
    return ok({"status": "Succeeded", "percentComplete": 100.0})


@route("GET", "{location}/mfeOperationsStatus/{identifier}")
def operation_status(exchange: Exchange, identifier: str) -> Reply:
    """Answer how an endpoint's, deployment's or schedule's operation stands; each kind has members of its own."""
    operation = _find(exchange, identifier)
    kind, running = identifier.partition(":")[0], operation["running"]
    path = operation["path"]
    if kind == "s":
        path = path.replace("mfeOperationsStatus", "mfeOperationResults")
    status = operation["status"] if running else "Failed" if operation["error"] else "Succeeded"
    body: dict[str, Any] = {"id": f"{path}/{identifier}", "name": identifier, "status": status}
    if kind in ("oeidp", "odidp"):
        end = _NEVER if running else timestamp(operation["due"])
        body |= {"startTime": timestamp(operation["start"]), "endTime": end, "percentComplete": 0.0}
    elif kind in ("oe", "od", "be", "bd"):
        body |= {"startTime": timestamp(operation["start"]), "percentComplete": 0.0 if running else 100.0}
        body |= {} if running else {"endTime": timestamp(operation["due"])}
    elif kind == "s" and not running:
        body |= {"startTime": timestamp(operation["start"]), "endTime": timestamp(int(operation["due"]))}
    if not running and operation["error"]:
        body["error"] = operation["error"]
    return ok(body, _soon(exchange) if running else None)
