"""A call on its way through the service: what every handler is given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from ..core.arm import Author, invalid
from ..core.directory import Principal
from ..core.owners import Owner
from ..core.service import Service
from ..processes.clouds import PUBLIC, Cloud


@dataclass(slots=True)
class Exchange:
    """One call on its way through the service."""

    service: Service
    method: str
    host: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes
    author: Author
    principal: str
    now: float
    cloud: Cloud = PUBLIC
    """The cloud that the caller means; `host` and `body` have the public one's names."""
    owner: Owner | None = None
    draws: str | None = None
    """The bucket of limits that the call draws from, where it is not that of its method."""
    operation_error: dict[str, str] | None = None
    """What the long-running operation that the call begins is to end with, if it is to fail."""

    @property
    def workspace(self) -> Owner:
        """The workspace (or registry) that the path names."""
        assert self.owner is not None
        return self.owner

    @property
    def api_version(self) -> str:
        """The api-version that the caller asked for."""
        return self.query.get("api-version", "")

    @property
    def url(self) -> str:
        """The URL of the call as Location repeats it: resource and the caller's query string."""
        return f"https://{self.host}{self.path}?{urlencode(self.query)}"

    def authenticate(self) -> Principal:
        """Return who asks, or answer 401."""
        manager, older, own = self.cloud.audiences
        audiences: tuple[str, ...] = (manager, older, own)
        if self.host == PUBLIC.resource_manager:
            audiences = (manager, older)
        elif self.host.endswith(PUBLIC.endpoints):
            audiences = (own,)
        return self.service.directory.authenticate(self.headers.get("authorization", ""), audiences)

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object."""
        try:
            body = json.loads(self.body)
        except ValueError:
            raise invalid("The request body is not valid JSON.") from None
        if not isinstance(body, dict):
            raise invalid("The request body is not a JSON object.")
        return body
