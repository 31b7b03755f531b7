"""Schedules: AzureML's own clock for jobs and monitors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .. import sdk
from ..arguments import check_name
from ..errors import SpecError
from ..links import resource_url
from ..references import check_references
from .base import Resource

if TYPE_CHECKING:
    from datetime import datetime

    from ..connection import WorkspaceConnection
    from ..hook import AzureMachineLearningHook
    from ..rest.client import WorkspaceClient


_API_VERSION = "2023-06-01-preview"


@dataclass(frozen=True, slots=True)
class Schedule(Resource):
    """A schedule. It is no tracked resource of ARM: no location, its tags are among its properties."""

    name: str

    list_params: ClassVar[tuple[tuple[str, str], ...]] = (("listViewType", "All"), ("api-version", _API_VERSION))

    def __post_init__(self) -> None:
        check_name("schedule", self.name)

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
        """The api-version of the bodies that azure-ai-ml writes for it, and at which its answers were recorded."""
        return _API_VERSION

    @property
    def noun(self) -> str:
        """What it is, for messages."""
        return "schedule"

    def url(self, connection: WorkspaceConnection) -> str:
        """Return its page in studio. Source: the addresses that studio itself shows."""
        return resource_url(connection, f"schedules/{self.name}/details")

    async def check_spec(self, client: WorkspaceClient, entity: Any) -> None:
        """Look for the job that it submits, or for what that names. Of monitors nothing is looked for."""
        job = getattr(entity, "_create_job", None)
        if isinstance(job, str):
            name = job.removeprefix("azureml:").rpartition("/")[2]
            if await client.find_resource("jobs", name) is None:
                where = client.connection.workspace.label
                raise SpecError(f"The schedule's job {name!r} does not exist in workspace {where}. Nothing was made.")
        elif job is not None:
            await check_references(client, job, noun="schedule's job")

    def write(self, hook: AzureMachineLearningHook, entity: Any) -> dict[str, Any]:
        """Return the body that ARM wants; the job's code is uploaded."""
        connection = hook.get_workspace_connection()
        with sdk.quietly(), sdk.sdk_errors("schedule", connection), hook.ml_client() as ml:
            return sdk.arm_body(ml.schedules, entity)

    def switched(self, hook: AzureMachineLearningHook, *, enabled: bool) -> dict[str, Any]:
        """Return the body that switches it, as the SDK writes it: whole, as ARM has no PATCH for schedules."""
        connection = hook.get_workspace_connection()
        with sdk.quietly(), sdk.sdk_errors("schedule", connection), hook.ml_client() as ml:
            entity = ml.schedules.get(self.name)
            entity._is_enabled = enabled
            return sdk.arm_body(ml.schedules, entity)

    def updated(self, found: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        """Return the body of an update: the spec's, but a schedule that is disabled stays so."""
        return {**body, "properties": {**body["properties"], "isEnabled": bool(found["properties"].get("isEnabled"))}}

    async def created(self, client: WorkspaceClient, body: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Return the body of a first PUT: the same, as schedules have no location."""
        return body

    async def find(self, client: WorkspaceClient) -> dict[str, Any] | None:
        """Return it as ARM describes it, or None if there is none."""
        return await client.find_resource(*self.path, params={"api-version": self.api_version})

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


# The SDK asks at this one too: the api-version that it writes schedules at has no trigger.
_TRIGGER_API_VERSION = "2024-01-01-preview"
_NEWEST = 200  # jobs among which one that was just submitted is


async def trigger_once(client: WorkspaceClient, name: str, at: datetime) -> str:
    """
    Let a schedule submit its job, and return the job's name. Never repeated here, as each request submits one.

    :param name: the schedule's name.
    :param at: the time that the job is for, in UTC; its seconds are part of the job's display name.
    """
    answer = await client.change_resource(
        "POST",
        *Schedule(name).path,
        "trigger",
        json={"scheduleTime": at.replace(microsecond=0).isoformat()},
        params={"api-version": _TRIGGER_API_VERSION},
        retry=False,
    )
    return str(answer.body["submissionId"])


async def find_triggered_job(client: WorkspaceClient, name: str, at: datetime) -> str | None:
    """
    Return the name of the job that a schedule submitted for a time; None if there is none among the newest.

    Source: "The display name of jobs triggered by schedule" in Microsoft's page on schedules.
    """
    display_name, left = f"{name}-{at:%Y%m%dT%H%M%SZ}", _NEWEST
    async for job in client.list_jobs():
        if job.display_name == display_name:
            return job.name
        if (left := left - 1) == 0:
            break
    return None
