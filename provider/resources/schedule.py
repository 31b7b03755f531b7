"""Schedules: AzureML's own clock for jobs and monitors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .. import sdk
from ..links import resource_url
from ..references import check_references
from .base import Resource

if TYPE_CHECKING:
    from ..connection import WorkspaceConnection
    from ..hook import AzureMachineLearningHook
    from ..rest.client import WorkspaceClient


@dataclass(frozen=True, slots=True)
class Schedule(Resource):
    """A schedule. It is no tracked resource of ARM: no location, its tags are among its properties."""

    name: str

    list_params: ClassVar[tuple[tuple[str, str], ...]] = (("listViewType", "All"),)

    def __str__(self) -> str:
        return f"schedule {self.name!r}"

    @classmethod
    def at(cls, collection: str, name: str) -> Schedule:  # noqa: ARG003
        """Return what is at a ``path``."""
        return cls(name)

    @property
    def path(self) -> tuple[str, ...]:
        """Where it is below the workspace."""
        return ("schedules", self.name)

    @property
    def api_version(self) -> str:
        """The api-version of the bodies that azure-ai-ml writes for it."""
        return "2023-06-01-preview"

    @property
    def noun(self) -> str:
        """What it is, for messages."""
        return "schedule"

    def url(self, connection: WorkspaceConnection) -> str:
        """Return its page in studio. Source: the addresses that studio itself shows."""
        return resource_url(connection, f"schedules/{self.name}/details")

    async def check_spec(self, client: WorkspaceClient, entity: Any) -> None:
        """Look for what the job that it submits names."""
        if (job := getattr(entity, "create_job", None)) is not None:
            await check_references(client, job, noun="schedule's job")

    def write(self, hook: AzureMachineLearningHook, entity: Any) -> dict[str, Any]:
        """Return the body that ARM wants; the job's code is uploaded."""
        connection = hook.get_workspace_connection()
        with sdk.quietly(), sdk.sdk_errors("schedule", connection), hook.ml_client() as ml:
            return sdk.arm_body(ml.schedules, entity)

    def updated(self, found: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Return the body of an update: the spec's, whole."""
        return body

    async def created(self, client: WorkspaceClient, body: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Return the body of a first PUT: the same, as schedules have no location."""
        return body

    def tags(self, body: dict[str, Any]) -> dict[str, str]:
        """Return its tags."""
        return body["properties"].get("tags") or {}

    def facts(self, connection: WorkspaceConnection, body: dict[str, Any]) -> dict[str, Any]:
        """Return what operators say of it."""
        properties = body["properties"]
        action = properties.get("action") or {}
        return {
            "name": self.name,
            "id": f"{connection.workspace.id}/schedules/{self.name}",  # ARM's body has none
            "status": properties.get("provisioningState") or "",
            "enabled": bool(properties.get("isEnabled")),
            "trigger": properties.get("trigger") or {},
            "action": action.get("actionType") or "",
            "tags": self.tags(body),
            "studio_url": self.url(connection),
        }
