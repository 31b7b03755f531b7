"""Base of the operators that make a version of a model or data asset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.sdk import Asset

from ...datasets.events import announce
from ..arguments import check_choice, check_metrics, check_owner
from ..interruptible import Interruptible
from ..links import push_studio_url, version_url
from ..specs import check_asset_spec, load_spec
from ..versions.limits import check_limits
from .base import AzureMachineLearningBaseOperator

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.sdk import AssetAlias, Context

    from ...datasets.events import AssetVersion
    from ...datasets.workspace import Kind, Registry, Workspace


class CreateAssetVersionOperator(AzureMachineLearningBaseOperator):
    """
    Makes one version of a model or data asset, announces it as an asset event and returns it.

    Run again for the same task run (a retry after a crash at any point) it makes no second version; a cleared task
    does.

    :param spec: what to make.
    :param storage_conn_id: the Airflow connection of the object store that the spec's path is in.
    :param partition_by_version: give the event the version as partition key.
    :param metrics: give the version the metrics of the job that made it.
    :param if_unchanged: what to do where the content is that of the newest version: make a ``new`` version all the
        same, or ``reuse`` that one, with no upload and no event.
    """

    kind: ClassVar[Kind]
    takes_registry = True

    def __init__(
        self,
        *,
        spec: Any,
        workspace: Workspace | Registry | None = None,
        storage_conn_id: str | None = None,
        partition_by_version: bool = False,
        if_unchanged: Literal["new", "reuse"] = "new",
        metrics: bool = False,
        **kwargs: Any,
    ) -> None:
        check_choice("if_unchanged", if_unchanged, ("new", "reuse"))
        check_owner(type(self), workspace)
        # The whole asset as outlet, at parse: only so does Airflow's asset graph show this task as its producer.
        self._announced = _outlet(self.kind, spec, workspace)
        if workspace is not None and workspace.alias(self.kind) in (kwargs.get("outlets") or ()):
            self._announced = workspace.alias(self.kind)  # a mapped task: partial() has declared it
        if partition_by_version and not isinstance(self._announced, Asset):
            raise ValueError(
                "partition_by_version needs workspace= and a name that is known when the DAG is parsed: "
                "Airflow's events through an alias have no partition key."
            )
        if self._announced is not None and self._announced not in (kwargs.get("outlets") or ()):
            kwargs["outlets"] = [*(kwargs.get("outlets") or ()), self._announced]
        super().__init__(workspace=workspace, **kwargs)
        self.storage_conn_id = storage_conn_id
        self.partition_by_version = partition_by_version
        self.if_unchanged = if_unchanged
        check_metrics(metrics, workspace)
        self.metrics = metrics
        self._running = Interruptible()

    def _spec(self) -> Any:
        raise NotImplementedError

    def execute(self, context: Context) -> dict[str, Any]:
        """Make the version; returns it as :meth:`AssetVersion.to_dict` gives it."""
        spec, folder = load_spec(
            self._spec(),
            noun=self.kind.noun,
            folder=self._dag_folder,
            render=lambda value: self.render_template(value, context),
        )
        checked = check_asset_spec(self.kind, spec)
        check_limits(checked)
        version, to_announce, owner = self._running.run(self._register(context, checked, folder))
        from ..lineage import TaskLineage
        from ..storage.sources import is_remote

        path = str(checked["path"])
        path = path if "://" in path or is_remote(path) else str(folder / path)
        self._lineage = TaskLineage(owner, [(path, self.kind)], [(version.id, self.kind)])
        if to_announce:
            self._announce(context, version)
        else:
            # An outlet makes an event when its task succeeds, also one that says nothing.
            self.outlets = [outlet for outlet in self.outlets if outlet != self._announced]
        return version.to_dict()

    def on_kill(self) -> None:
        """Stop the upload; Airflow calls it when the task is ended."""
        self._running.cancel()

    async def _register(
        self, context: Context, spec: dict[str, Any], folder: Path
    ) -> tuple[AssetVersion, bool, Workspace | Registry]:
        """Return the version, whether it is to be announced, and whose it is."""
        from ..task_run import TaskRun
        from ..versions.registry_registration import registration_for

        async with self.hook.client() as client:
            version, to_announce = await registration_for(
                client,
                TaskRun(context),
                self.kind,
                spec,
                folder,
                conn_id=self.storage_conn_id,
                reuse_unchanged=self.if_unchanged == "reuse",
            ).run()
            push_studio_url(context, version_url(client.connection, version))
            if self.metrics:
                from ..rest.made_by import with_metrics

                check_metrics(self.metrics, client.connection.owner)
                (version,) = await with_metrics(client, [version], {})
            return version, to_announce, client.connection.owner

    def _announce(self, context: Context, version: AssetVersion) -> None:
        if self.workspace is None or self._announced is None:
            return
        asset = self.workspace.asset(self.kind, version.name)
        announce(context, self._announced, [version], asset=None if isinstance(self._announced, Asset) else asset)
        if self.partition_by_version:
            context["outlet_events"][self._announced].add_partitions(version.version)


def _outlet(kind: Kind, spec: Any, workspace: Workspace | Registry | None) -> Asset | AssetAlias | None:
    """Return the asset that a task will announce; the workspace's alias if its name is only known when it runs."""
    if workspace is None:
        return None
    name = spec.get("name") if isinstance(spec, dict) else None
    if isinstance(name, str) and "{{" not in name and "{%" not in name:
        return workspace.asset(kind, name)
    return workspace.alias(kind)
