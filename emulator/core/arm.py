"""What every answer of Azure Resource Manager and of the AzureML resource provider has in common.

Sources: recorded_shapes/README.md ("Errors", "Headers, time, ids"), recorded_shapes/errors.json, and Microsoft's
documentation of ARM's own errors (authorization, missing parents, throttling), which were not recorded.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .clock import timestamp

MANAGEMENT = "https://management.azure.com"
PROVIDER = "Microsoft.MachineLearningServices"
NOTHING: Any = object()
"""A body of no bytes at all, which is not the same as the JSON value null."""

_GATEWAY = {"x-ms-failure-cause": "gateway"}


@dataclass(slots=True)
class Reply:
    """An answer before it is put on the wire."""

    status: int = 200
    body: Any = NOTHING
    headers: dict[str, str] = field(default_factory=dict)
    by_gateway: bool = False
    """Whether ARM answered by itself, without asking the resource provider."""

    def encode(self) -> bytes:
        """Return the body's bytes."""
        if self.body is NOTHING:
            return b""
        if isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body, separators=(",", ":")).encode()


class ServiceError(Exception):
    """An answer that is an error; raised anywhere below a route."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"{reply.status}: {reply.encode().decode()}")
        self.reply = reply


def provider_error(
    status: int,
    message: str,
    *,
    code: str = "UserError",
    detail: tuple[str, str] | None = None,
    inner: Mapping[str, Any] | None = None,
    message_format: str | None = None,
    parameters: Mapping[str, str] | None = None,
    location: str = "westeurope",
) -> ServiceError:
    """Return an error as AzureML's resource provider words it (recorded_shapes/errors.json).

    The code that tells what went wrong is in `details` for some nouns and in `InnerError` for others.
    """
    information: list[tuple[str, Any]] = [
        ("ComponentName", "managementfrontend"),
        ("Correlation", {"operation": uuid.uuid4().hex, "request": uuid.uuid4().hex[:16]}),
        ("Environment", location),
        ("Location", location),
        ("Time", "2026-01-01T00:00:00+00:00"),
    ]
    if inner is not None:
        information.append(("InnerError", dict(inner)))
    if message_format is not None:
        information.append(("MessageFormat", message_format))
    if parameters is not None:
        information.append(("MessageParameters", dict(parameters)))
    error = {
        "code": code,
        "message": message,
        "details": [{"code": detail[0], "message": detail[1], "details": [], "additionalInfo": []}] if detail else [],
        "additionalInfo": [{"type": kind, "info": {"value": value}} for kind, value in sorted(information)],
    }
    return ServiceError(Reply(status, {"error": error}, {"x-ms-response-type": "error"}))


def gateway_error(status: int, code: str, message: str, **headers: str) -> ServiceError:
    """Return an error that ARM itself answers: code and message only (recorded_shapes/workspace.json, missing)."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ServiceError(Reply(status, {"error": {"code": code, "message": message}}, _GATEWAY | named))


def invalid(message: str, **more: Any) -> ServiceError:
    """Return the error for a request that the resource provider cannot accept."""
    return provider_error(400, "Request is invalid and/or missing fields.", detail=("RequestInvalid", message), **more)


def not_found_error(message: str, code: str) -> ServiceError:
    """Return a 404 whose code is in InnerError (recorded_shapes/errors.json, "job missing")."""
    return provider_error(404, message, inner=nested("NotFound", code))


def nested(*codes: str) -> dict[str, Any]:
    """Return an InnerError of codes, the outermost first."""
    inner: dict[str, Any] | None = None
    for code in reversed(codes):
        inner = {"code": code, "innerError": inner}
    assert inner is not None
    return inner


@dataclass(frozen=True, slots=True)
class Author:
    """Who made a call, as systemData tells it: a service principal's guid, or a person's display name."""

    name: str
    kind: str = "Application"


def created(author: Author, now: float) -> dict[str, str]:
    """Return the systemData of something that was just made and cannot be updated (jobs)."""
    return {"createdAt": timestamp(now), "createdBy": author.name, "createdByType": author.kind}


def modified(author: Author, now: float) -> dict[str, str]:
    """Return the half of systemData that an update moves."""
    return {
        "lastModifiedAt": timestamp(now),
        "lastModifiedBy": author.name,
        "lastModifiedByType": author.kind,
    }
