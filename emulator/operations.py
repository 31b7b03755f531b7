"""Long-running operations: what an Azure-AsyncOperation or Location leads to.

Sources: recorded_shapes/README.md ("Long-running operations") and the records named ".../mfeOperationsStatus/..." and
".../computeOperationsStatus/...". The service sends no Retry-After; the emulator does, as the SDK would otherwise
poll every 30 s.
"""

from __future__ import annotations

from typing import Any

from .arm import MANAGEMENT, PROVIDER, Reply, provider_error
from .clock import timestamp
from .routing import Exchange, ok, route
from .state import Store

_COLLECTION = "operations"


class Operations:
    """The operations under way and those that are done."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, exchange: Exchange, kind: str, identifier: str, *, seconds: float, status: str = "") -> str:
        """Begin an operation that takes `seconds`; return the URL at which it is polled."""
        location = exchange.workspace.location
        path = f"/subscriptions/{exchange.workspace.subscription}/providers/{PROVIDER}/locations/{location}/{kind}"
        document = {"start": exchange.now, "due": exchange.now + seconds, "status": status, "path": path}
        self._store.put(_COLLECTION, identifier, document, exchange.now)
        extra = "&service=new" if kind == "computeOperationsStatus" else ""
        return f"{MANAGEMENT}{path}/{identifier}?api-version={exchange.api_version}{extra}"

    def find(self, identifier: str) -> dict[str, Any]:
        """Return an operation, or answer 404."""
        document = self._store.get(_COLLECTION, identifier)
        if document is None:
            raise provider_error(404, f"Operation {identifier} not found.", code="NotFound")
        return document


@route("GET", "{location}/mfeOperationResults/{identifier}")
def operation_result(exchange: Exchange, identifier: str) -> Reply:
    """Answer 202 while an operation runs and 200 with nothing when it is done."""
    service = exchange.service
    operation = service.operations.find(identifier)
    if exchange.now < operation["due"]:
        headers = {"Location": exchange.url, "Retry-After": str(service.config.retry_after)}
        return Reply(202, {}, headers)
    return Reply(200)


@route("GET", "{location}/computeOperationsStatus/{identifier}")
def compute_operation(exchange: Exchange, identifier: str) -> Reply:
    """Answer how a compute operation stands."""
    operation = exchange.service.operations.find(identifier)
    if exchange.now < operation["due"]:
        return ok({"status": "InProgress"}, {"Retry-After": str(exchange.service.config.retry_after)})
    return ok({"status": "Succeeded", "percentComplete": 100.0})


@route("GET", "{location}/mfeOperationsStatus/{identifier}")
def operation_status(exchange: Exchange, identifier: str) -> Reply:
    """Answer how an endpoint's, deployment's or schedule's operation stands; each kind has members of its own."""
    service = exchange.service
    operation = service.operations.find(identifier)
    kind = identifier.partition(":")[0]
    running = exchange.now < operation["due"]
    body: dict[str, Any] = {
        "id": f"{operation['path'].replace('mfeOperationsStatus', 'mfeOperationResults')}/{identifier}"
        if kind == "s"
        else f"{operation['path']}/{identifier}",
        "name": identifier,
        "status": operation["status"] if running else "Succeeded",
    }
    if kind in ("oe", "oeidp", "od", "odidp"):
        body["startTime"] = timestamp(operation["start"])
        body["endTime"] = "0001-01-01T00:00:00+00:00" if running else timestamp(operation["due"])
        body["percentComplete"] = 0.0
    elif kind == "s" and not running:
        body["startTime"] = timestamp(int(operation["start"]))
        body["endTime"] = timestamp(int(operation["due"]))
    return ok(body, {"Retry-After": str(service.config.retry_after)} if running else None)
