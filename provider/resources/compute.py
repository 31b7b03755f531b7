"""Computes: clusters and instances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .. import sdk
from ..arguments import check_name
from ..links import resource_url
from .base import DELETED, PROVISIONED, Resource
from .operations import error_text

if TYPE_CHECKING:
    from ..connection import WorkspaceConnection
    from ..hook import AzureMachineLearningHook
    from ..rest.client import WorkspaceClient


@dataclass(frozen=True, slots=True)
class Compute(Resource):
    """A compute. Only instances are Running or Stopped: that is their own state, beside the provisioning state."""

    name: str

    states: ClassVar[tuple[str, ...]] = (PROVISIONED, "Running", "Stopped", DELETED)
    delete_params: ClassVar[dict[str, str] | None] = {"underlyingResourceAction": "Delete"}
    # Source: azure-ai-ml's models of clusters and instances, and what the service was recorded to answer without them.
    defaults: ClassVar[dict[str, Any]] = {
        "properties.description": "",
        "properties.properties.vmPriority": "Dedicated",
        "properties.properties.subnet": None,
        "properties.properties.userAccountCredentials.adminUserName": None,
        "properties.properties.sshSettings.adminPublicKey": None,
        "properties.properties.sshSettings.sshPublicAccess": "Disabled",
        "properties.properties.idleTimeBeforeShutdown": None,
        "properties.properties.schedules.computeStartStop": None,
        "properties.properties.setupScripts": None,
        "properties.properties.customServices": None,
        "properties.properties.personalComputeInstanceSettings": None,
    }

    def __post_init__(self) -> None:
        check_name("compute", self.name)

    def __str__(self) -> str:
        return f"compute {self.name!r}"

    @classmethod
    def at(cls, collection: str, name: str) -> Compute:  # noqa: ARG003
        """Return what is at a ``path``."""
        return cls(name)

    @property
    def path(self) -> tuple[str, ...]:
        """Where it is below the workspace."""
        return ("computes", self.name)

    @property
    def api_version(self) -> str:
        """The api-version of the bodies that azure-ai-ml writes for it."""
        return "2023-08-01-preview"

    @property
    def noun(self) -> str:
        """What it is, for messages."""
        return "compute"

    def write(self, hook: AzureMachineLearningHook, entity: Any) -> dict[str, Any]:
        """Return the body that ARM wants."""
        workspace = hook.get_workspace_connection().workspace
        with sdk.quietly(), sdk.sdk_errors("compute"):
            entity._set_full_subnet_name(workspace.subscription_id, workspace.resource_group)
            return sdk.compute_body(entity)

    async def created(self, client: WorkspaceClient, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body of a first PUT: with a location, which Kubernetes has in two places."""
        body = await Resource.created(self, client, body)
        if body["properties"].get("computeType") == "Kubernetes":
            body["properties"]["computeLocation"] = body["location"]
        return body

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
