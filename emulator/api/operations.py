"""Long-running operations: what an Azure-AsyncOperation or Location leads to.

Sources: recorded_shapes/README.md ("Long-running operations") and the records of .../mfeOperationsStatus/...,
.../mfeOperationResults/... and .../computeOperationsStatus/.... The service sends no Retry-After; the emulator does, as
the SDK would otherwise poll every 30 s.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Any
from urllib.parse import urlencode

from .arm import MANAGEMENT, PROVIDER, Reply, gateway_error, provider_error
from .clock import timestamp
from .routing import Exchange, ok, route
from .state import Store

_COLLECTION = "operations"
_CERTIFICATE_SIZE = 2000
_NEVER = "0001-01-01T00:00:00+00:00"


class Operations:
    """The operations under way and those that are done."""

    def __init__(self, store: Store, key: str) -> None:
        self._store, self._key = store, key.encode()

    def begin(
        self, exchange: Exchange, kind: str, identifier: str, *, seconds: float, status: str = "", signed: bool = True
    ) -> str:
        """Begin an operation that takes `seconds`; return the URL at which it is polled.

        Since 2024 ARM signs such URLs, which makes them some 3 kB long; they only work as they were handed out.
        """
        location = exchange.workspace.location
        path = f"/subscriptions/{exchange.workspace.subscription}/providers/{PROVIDER}/locations/{location}/{kind}"
        document = {"start": exchange.now, "due": exchange.now + seconds, "status": status, "path": path}
        document["error"] = exchange.operation_error
        self._store.put(_COLLECTION, identifier, {**document, "signed": signed}, exchange.now)
        query = {"api-version": exchange.api_version}
        if kind == "computeOperationsStatus":
            query["service"] = "new"
        if signed:
            query |= {"t": str(int(exchange.now * 1e7)), "c": _certificate(), "s": self._signature(identifier)}
            query["h"] = secrets.token_urlsafe(32)
        return f"{MANAGEMENT}{path}/{identifier}?{urlencode(query)}"

    def unsigned(self, url: str) -> str:
        """Return a URL without its signature, as it stands in the body of an endpoint."""
        return url.partition("&t=")[0]

    def find(self, exchange: Exchange, identifier: str) -> dict[str, Any]:
        """Return an operation, or answer 404, or 403 if the URL is not as it was handed out."""
        document = self._store.get(_COLLECTION, identifier)
        if document is None:
            raise provider_error(404, f"Operation {identifier} not found.", code="NotFound")
        if document["signed"] and not hmac.compare_digest(exchange.query.get("s", ""), self._signature(identifier)):
            raise gateway_error(403, "InvalidSignature", "The URL of the operation is not the one that was handed out.")
        return document

    def _signature(self, identifier: str) -> str:
        return hmac.new(self._key, identifier.encode(), hashlib.sha256).hexdigest()


def _certificate() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(_CERTIFICATE_SIZE)).decode().rstrip("=")


def _soon(exchange: Exchange) -> dict[str, str]:
    return {"Retry-After": str(exchange.service.config.retry_after)}


@route("GET", "{location}/mfeOperationResults/{identifier}")
def operation_result(exchange: Exchange, identifier: str) -> Reply:
    """Answer 202 while an operation runs and 200 with nothing when it is done."""
    operation = exchange.service.operations.find(exchange, identifier)
    if exchange.now < operation["due"]:
        return Reply(202, {}, {"Location": exchange.url, **_soon(exchange)})
    return Reply(200)


@route("GET", "{location}/computeOperationsStatus/{identifier}")
def compute_operation(exchange: Exchange, identifier: str) -> Reply:
    """Answer how a compute operation stands."""
    operation = exchange.service.operations.find(exchange, identifier)
    if exchange.now < operation["due"]:
        return ok({"status": "InProgress"}, _soon(exchange))
    if operation["error"]:
        return ok({"status": "Failed", "error": operation["error"]})
    return ok({"status": "Succeeded", "percentComplete": 100.0})


@route("GET", "{location}/mfeOperationsStatus/{identifier}")
def operation_status(exchange: Exchange, identifier: str) -> Reply:
    """Answer how an endpoint's, deployment's or schedule's operation stands; each kind has members of its own."""
    operation = exchange.service.operations.find(exchange, identifier)
    kind, running = identifier.partition(":")[0], exchange.now < operation["due"]
    path = operation["path"]
    if kind == "s":
        path = path.replace("mfeOperationsStatus", "mfeOperationResults")
    status = operation["status"] if running else "Failed" if operation["error"] else "Succeeded"
    body: dict[str, Any] = {"id": f"{path}/{identifier}", "name": identifier, "status": status}
    if kind in ("oe", "oeidp", "od", "odidp"):
        end = _NEVER if running else timestamp(operation["due"])
        body |= {"startTime": timestamp(operation["start"]), "endTime": end, "percentComplete": 0.0}
    elif kind == "s" and not running:
        start, end = (timestamp(int(operation[key])) for key in ("start", "due"))
        body |= {"startTime": start, "endTime": end}
    if not running and operation["error"]:
        body["error"] = operation["error"]
    return ok(body, _soon(exchange) if running else None)
