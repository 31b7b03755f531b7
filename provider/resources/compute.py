"""Computes: clusters and instances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..links import resource_url
from .base import DELETED, PROVISIONED, Resource, error_text

if TYPE_CHECKING:
    from ..connection import WorkspaceConnection
    from ..rest.client import WorkspaceClient


@dataclass(frozen=True, slots=True)
class Compute(Resource):
    """A compute. Only instances are Running or Stopped: that is their own state, beside the provisioning state."""

    name: str

    states: ClassVar[tuple[str, ...]] = (PROVISIONED, "Running", "Stopped", DELETED)
    delete_params: ClassVar[dict[str, str] | None] = {"underlyingResourceAction": "Delete"}

    def __str__(self) -> str:
        return f"compute {self.name!r}"

    @property
    def path(self) -> tuple[str, ...]:
        """Where it is below the workspace."""
        return ("computes", self.name)

    @property
    def api_version(self) -> str:
        """The api-version of the bodies that azure-ai-ml writes for it."""
        return "2023-08-01-preview"

    def url(self, connection: WorkspaceConnection) -> str:
        """Return its page in studio."""
        return resource_url(connection, f"compute/{self.name}/details")

    def standing(self, body: dict[str, Any]) -> list[str]:
        """Return the states that it is in: the provisioning state, and of an instance its own."""
        properties = body["properties"]
        state = (properties.get("properties") or {}).get("state")
        return [str(properties.get("provisioningState")), *([state] if state else [])]

    def facts(self, connection: WorkspaceConnection, body: dict[str, Any]) -> dict[str, Any]:
        """Return what operators and sensors say of it."""
        properties = body["properties"]
        own = properties.get("properties") or {}
        return {
            "name": body["name"],
            "id": body["id"],
            "type": properties.get("computeType") or "",
            "status": properties.get("provisioningState") or "",
            "state": own.get("state"),
            "size": own.get("vmSize"),
            "tags": body.get("tags") or {},
            "studio_url": self.url(connection),
        }

    async def reason(self, client: WorkspaceClient, body: dict[str, Any]) -> str:  # noqa: ARG002
        """Return why Azure failed, if it says so."""
        properties = body["properties"]
        reasons = [properties.get("provisioningErrors"), (properties.get("properties") or {}).get("errors")]
        errors = [reason if reason.get("error") else {"error": reason} for some in reasons for reason in some or ()]
        return " ".join(error_text(error) for error in errors)
