"""Base of the model and data sensors: waiting for new versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..datasets.events import AssetVersion, announce
from ..datasets.workspace import Registry
from ..provider.arguments import check_metrics, check_name, check_owner, check_tags, is_template
from ..provider.errors import TransientError
from ..provider.links import push_studio_url, version_url
from ..provider.task_run import TaskRun
from ..provider.triggers.version import AzureMachineLearningVersionTrigger
from .base import AzureMachineLearningBaseSensor

if TYPE_CHECKING:
    from airflow.sdk import Context

    from ..datasets.workspace import Kind, Workspace
    from ..provider.rest.client import WorkspaceClient
    from ..provider.versions.newer import NewVersions


class VersionSensor(AzureMachineLearningBaseSensor):
    """
    Waits for new versions of one model or data asset.

    :param asset_name: the asset's name, as the subclass calls it.
    """

    kind: ClassVar[Kind]
    takes_registry = True

    def __init__(
        self,
        *,
        asset_name: str,
        after_version: str | int | None = None,
        tags: dict[str, str] | None = None,
        metrics: bool = False,
        workspace: Workspace | Registry | None = None,
        **kwargs: Any,
    ) -> None:
        check_owner(type(self), workspace)
        check_name(self.kind.noun, asset_name, parsing=True)
        if tags is not None:
            check_tags(tags, parsing=True)
        if workspace is not None and not is_template(asset_name):
            kwargs["outlets"] = [*(kwargs.get("outlets") or ()), workspace.asset(self.kind, asset_name)]
        super().__init__(workspace=workspace, **kwargs)
        self.after_version = after_version
        self.tags = tags
        check_metrics(metrics, workspace)
        self.metrics = metrics
        self._there = ""

    @property
    def _name(self) -> str:
        raise NotImplementedError

    async def _wanted(self, context: Context, client: WorkspaceClient) -> NewVersions:
        """Return what is waited for; decided once for all tries of this task run, so that a retry misses nothing."""
        from ..provider.versions.newer import NewVersions

        check_name(self.kind.noun, self._name)
        task_run = TaskRun(context)
        if kept := task_run.remember().get("wanted"):
            return NewVersions(**kept)
        after = None if self.after_version in (None, "", "None") else str(self.after_version)
        tags = check_tags(self.tags or {})
        wanted = await NewVersions.after(client, after, kind=self.kind.value, name=self._name, tags=tags)
        task_run.remember(wanted=wanted.to_dict())
        return wanted

    async def _check(self, context: Context, client: WorkspaceClient) -> list[dict[str, Any]] | None:
        from ..provider.versions.newer import sight

        wanted = await self._wanted(context, client)
        newest, new = await wanted.examine(client)
        self._there = sight(newest, new)
        return [version.to_dict() for version in wanted.matching(new)] or None

    @property
    def _saw(self) -> str:
        return self._there

    def _trigger(self, context: Context) -> AzureMachineLearningVersionTrigger:
        if (wanted := TaskRun(context).remember().get("wanted")) is None:
            raise TransientError(f"The service did not tell which versions of {self.kind} {self._name!r} there are.")
        return AzureMachineLearningVersionTrigger(
            conn_id=self.conn_id,
            wanted=wanted,
            registry=self.workspace.name if isinstance(self.workspace, Registry) else None,
            poll_interval=self.poke_interval,
        )

    def _finish(self, context: Context, found: list[dict[str, Any]]) -> dict[str, Any]:
        versions = [AssetVersion.from_dict(item) for item in found]
        if self.metrics:
            from ..provider.rest.made_by import with_metrics

            versions = self.hook.ask(lambda client: with_metrics(client, versions, {}))
        newest = versions[-1]
        self.log.info("New: %s.", ", ".join(f"{version.name}:{version.version}" for version in versions))
        push_studio_url(context, version_url(self.hook.get_workspace_connection(), newest))
        if self.workspace is not None:
            announce(context, self.workspace.asset(self.kind, newest.name), versions)
        return newest.to_dict()
