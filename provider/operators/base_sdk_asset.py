"""Base of the environment and component operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ..links import push_studio_url, resource_url
from ..task_run import TaskRun
from .base import AzureMachineLearningBaseOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from ..connection import WorkspaceConnection
    from ..rest.client import WorkspaceClient


class CreateSdkVersionOperator(AzureMachineLearningBaseOperator):
    """Makes one version of what the SDK makes best, and returns it."""

    collection: ClassVar[Literal["environments", "components"]]
    takes_registry = True

    def _spec(self) -> Any:
        raise NotImplementedError

    def execute(self, context: Context) -> dict[str, Any]:
        """Make the version, or find the one that an earlier try made."""
        facts: dict[str, Any] = self.hook.ask(lambda client: self._make(context, client))
        return facts

    async def _make(self, context: Context, client: WorkspaceClient) -> dict[str, Any]:
        from ..versions.sdk_registration import SdkVersion

        def load() -> Any:
            return self._load_entity(context, self._spec(), self.collection[:-1])

        body = await SdkVersion(client, self.hook, TaskRun(context), self.collection, load).run()
        facts = definition_facts(client.connection, self.collection, body)
        push_studio_url(context, facts["studio_url"])
        return facts


def definition_facts(connection: WorkspaceConnection, collection: str, body: dict[str, Any]) -> dict[str, Any]:
    """
    Return what the operators return of a version of an environment or component.

    :param connection: to where it is.
    :param collection: ``environments`` or ``components``.
    :param body: the version, as ARM describes it.
    """
    properties, system = body["properties"], body.get("systemData") or {}
    name, version = body["id"].split("/")[-3], body["id"].split("/")[-1]
    return {
        "name": name,
        "version": version,
        "id": body["id"],
        "description": properties.get("description") or "",
        "tags": properties.get("tags") or {},
        "created_at": system.get("createdAt") or "",
        "created_by": system.get("createdBy") or "",
        "studio_url": resource_url(connection, f"{collection}/{name}/version/{version}"),
    }
