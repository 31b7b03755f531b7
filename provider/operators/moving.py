"""Operators that bring a version from one workspace or registry to another."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.sdk import Asset

from ...datasets.workspace import ASSET_NAME, Kind, Registry, Workspace
from ..arguments import check_choice, check_flag, check_name, is_template
from ..errors import SpecError
from ..hook import AzureMachineLearningHook
from ..interruptible import Interruptible
from ..links import push_studio_url, version_url
from ..specs import check_version
from ..task_run import TaskRun
from .base import AzureMachineLearningBaseOperator
from .base_sdk_asset import definition_facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import AssetAlias, Context

    from ..connection import WorkspaceConnection
    from ..versions.moving import Move, Moved

_KINDS = (Kind.MODEL.value, Kind.DATA.value)
"""Those that are Airflow assets, and so are announced."""
_COLLECTIONS = {"model": "models", "data": "data", "environment": "environments", "component": "components"}


class MoveVersionOperator(AzureMachineLearningBaseOperator):
    """Brings a version of an asset somewhere else, announces the copy of a model or data there, and returns it."""

    template_fields: Sequence[str] = ("asset_name", "version", "target_name", "target_version", "conn_id")
    kinds: ClassVar[tuple[str, ...]] = tuple(_COLLECTIONS)

    def __init__(
        self,
        *,
        kind: Kind | str,
        asset_name: str,
        version: str | int,
        target_owner: Workspace | Registry | None,
        target_name: str | None = None,
        target_version: str | int | None = None,
        if_exists: Literal["fail", "reuse"] = "fail",
        partition_by_version: bool = False,
        **kwargs: Any,
    ) -> None:
        check_choice("kind", str(kind), self.kinds)
        check_choice("if_exists", if_exists, ("fail", "reuse"))
        check_flag("partition_by_version", partition_by_version)
        outlets = kwargs.get("outlets") or ()
        announced = _outlet(str(kind), target_owner, target_name or asset_name, outlets)
        if partition_by_version and not isinstance(announced, Asset):
            raise SpecError(
                "partition_by_version is True, and the task has no asset that is known when the DAG is parsed: that "
                "takes a model or data, the workspace or registry where it goes, and a name without a template. "
                "Airflow's events through an alias have no partition key."
            )
        if announced is not None and announced not in outlets:
            kwargs["outlets"] = [*outlets, announced]
        super().__init__(**kwargs)
        self.kind = str(kind)
        self.asset_name = asset_name
        self.version = version
        self.target_name = target_name
        self.target_version = target_version
        self.if_exists = if_exists
        self.partition_by_version = partition_by_version
        self._running = Interruptible()

    @abstractmethod
    async def _move(self, task_run: TaskRun, move: Move) -> tuple[Moved, WorkspaceConnection]:
        """Return what came of it, and the connection to where the copy is."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Bring the version there, and return the copy."""
        from ..versions.moving import Move

        for argument, value in (("asset_name", self.asset_name), ("version", self.version)):
            if str(value) in ("", "None"):
                raise SpecError(f"{argument} is {value!r}: a template found no value, e.g. no XCom of an earlier task.")
        name, version = str(self.asset_name), str(self.version)
        move = Move(
            _COLLECTIONS[self.kind],
            name,
            version,
            check_name(self.kind, str(self.target_name or name)),
            self._checked_version(str(self.target_version or version)),
            self.if_exists,
        )
        moved, connection = self._running.run(self._move(TaskRun(context), move))
        if self.kind not in _KINDS:
            facts = definition_facts(connection, move.collection, moved.copy)
            push_studio_url(context, facts["studio_url"])
            return facts
        return self._announced(context, moved, connection)

    def _checked_version(self, version: str) -> str:
        if self.kind in _KINDS:
            return check_version(Kind(self.kind), version)
        if not ASSET_NAME.fullmatch(version):
            raise SpecError(
                f"target_version is {version!r}, which is invalid: use only the characters A-Z a-z 0-9 _ - . in it."
            )
        return version

    def _announced(self, context: Context, moved: Moved, connection: WorkspaceConnection) -> dict[str, Any]:
        """Announce a model or data asset, unless it was there, and return it as AssetVersion.to_dict gives it."""
        from ..lineage import TaskLineage
        from ..rest.bodies import asset_version

        kind = Kind(self.kind)
        copy = asset_version(kind, moved.copy)
        push_studio_url(context, version_url(connection, copy))
        self._lineage = TaskLineage(connection.owner, [(moved.source["id"], kind)], [(copy.id, kind)])
        asset = connection.owner.asset(kind, copy.name)
        if not moved.is_new:
            # An outlet makes an event when its task succeeds, also one that says nothing.
            own = (asset, connection.owner.alias(kind))
            self.outlets = [outlet for outlet in self.outlets if outlet not in own]
            return copy.to_dict()
        self._announce_to_outlets(context, connection.owner, [copy])
        if self.partition_by_version and asset in self.outlets:
            context["outlet_events"][asset].add_partitions(copy.version)
        return copy.to_dict()

    def on_kill(self) -> None:
        """Stop it; Airflow calls it when the task is ended. What AzureML copies by itself, it goes on copying."""
        self._running.cancel()


def _outlet(
    kind: str, owner: Workspace | Registry | None, name: str, outlets: Sequence[Any]
) -> Asset | AssetAlias | None:
    """Return what a task announces: the asset, or the owner's alias if its name is only known when it runs."""
    if owner is None or kind not in _KINDS:
        return None
    alias = owner.alias(Kind(kind))  # it is there already in a mapped task
    return alias if is_template(name) or alias in outlets else owner.asset(Kind(kind), name)


class AzureMachineLearningShareAssetOperator(MoveVersionOperator):
    """
    Share a version of a workspace's model, data asset or environment with a registry.

    AzureML copies it, and no byte passes over the worker.

    ::

        AzureMachineLearningShareAssetOperator(
            task_id="share",
            conn_id="azureml_dev",
            workspace=dev,
            registry=Registry("company"),
            kind="model",
            asset_name="fraud",
            version="{{ ti.xcom_pull('register')['version'] }}",
        )

    A retry finds what an earlier try asked for; a cleared task meets the copy as a version that exists. The copy can be
    used in other workspaces by its id, ``azureml://registries/company/models/fraud/versions/3``, without a copy there.
    Source: the ``share`` of azure-ai-ml, whose calls no recording shows: whether the copy keeps tags and properties is
    not known. It has none for components: :class:`AzureMachineLearningCopyAssetOperator` brings them to a registry.

    :param kind: ``model``, ``data`` or ``environment``.
    :param asset_name: the asset's name. Templated.
    :param version: the version. Templated.
    :param registry: where to share it; of a model or data the task announces ``registry.model(name)``, or
        ``registry.alias(...)`` where the name is only known when the task runs.
    :param target_name: the copy's name; the same if None. Templated.
    :param target_version: the copy's version; the same if None. Templated.
    :param if_exists: what a version of that number in the registry means, unless this task run made it: ``"fail"``,
        before anything is changed, or ``"reuse"``: it is returned, and not announced.
    :param partition_by_version: give the event the version as partition key. It then starts partitioned DAGs (and only
        those).
    :param conn_id: an Airflow connection of type ``azure_machine_learning`` to the workspace; its identity needs the
        role AzureML Registry User on the registry. Templated.
    :param workspace: the identity of the workspace; the task refuses to run when the connection points to another one.
    :return: the copy, an :class:`~airflow_provider_azureml.datasets.AssetVersion` as a dict; of an environment what
        :class:`.AzureMachineLearningCreateEnvironmentOperator` returns.
    :raises SpecError: it exists there already, or an argument is wrong; nothing was changed.
    :raises NotFoundError: there is no such version in the workspace.
    :raises AzureMachineLearningError: Azure refused.
    """

    announces: ClassVar[tuple[Kind, ...]] = ()
    kinds: ClassVar[tuple[str, ...]] = ("model", "data", "environment")

    def __init__(self, *, registry: Registry, **kwargs: Any) -> None:
        if kwargs.get("kind") == "component":
            raise SpecError(
                "kind is 'component', and AzureML shares no components (its SDK has no call for it). Use "
                "AzureMachineLearningCopyAssetOperator, which brings a component with its code and environment to a "
                "registry, or register it there from its YAML."
            )
        if not isinstance(registry, Registry):
            raise SpecError(f"registry is {registry!r}; it is a Registry, such as Registry('company').")
        super().__init__(target_owner=registry, **kwargs)
        self._registry = registry

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Declare what mapped tasks announce: Airflow knows their outlets only from here."""
        if isinstance(registry := kwargs.get("registry"), Registry):
            aliases = [registry.alias(Kind(kind)) for kind in _KINDS]
            kwargs["outlets"] = [*(kwargs.get("outlets") or ()), *aliases]
        return super().partial(**kwargs)

    async def _move(self, task_run: TaskRun, move: Move) -> tuple[Moved, WorkspaceConnection]:
        from ..rest.client import WorkspaceClient
        from ..versions.moving import share

        connection = await self.hook.aget_workspace_connection()
        connection.workspace  # noqa: B018 - a registry shares nothing
        async with WorkspaceClient(connection) as client:
            return await share(client, self._registry, task_run, move), connection.for_owner(self._registry)


class AzureMachineLearningCopyAssetOperator(MoveVersionOperator):
    """
    Copy a version of a model, data asset, environment or component to a workspace or registry, files and all.

    ::

        AzureMachineLearningCopyAssetOperator(
            task_id="fetch",
            conn_id="azureml_prod",
            workspace=prod,
            source=Registry("company"),
            kind="model",
            asset_name="fraud",
            version="{{ ti.xcom_pull('newest')['version'] }}",
        )

    AzureML has no call for this, so the files pass over the worker: it downloads them to its temporary folder, uploads
    and registers them. A job or deployment that reads from a registry needs no copy: it takes the version's id. From a
    workspace to a registry, :class:`AzureMachineLearningShareAssetOperator` lets AzureML do it.

    The copy has the type, description, tags, properties and flavors of its source, and a property
    ``airflow.copied_from`` with its id. A retry makes no second copy, and on the same worker fetches only what is
    missing.

    Environments and components are read and made with azure-ai-ml: with their build context, and code. What a component
    names in its workspace, its environment, is made anew at the target; pipeline components are refused, as the
    components that they name are elsewhere.

    :param kind: ``model``, ``data``, ``environment`` or ``component``.
    :param asset_name: the asset's name. Templated.
    :param version: the version. Templated.
    :param source: the registry or workspace that has it.
    :param source_conn_id: the Airflow connection to ``source``; that of ``conn_id`` if None, which does for a registry
        that its identity may read. Templated.
    :param target_name: the copy's name; the same if None. Templated.
    :param target_version: the copy's version; the same if None. Templated.
    :param if_exists: what a version of that number at the target means, unless this task run made it: ``"fail"``,
        before anything is changed, or ``"reuse"``: it is returned, and not announced. One that is known to be the copy
        of another version fails the task in any case.
    :param partition_by_version: give the event the version as partition key. It then starts partitioned DAGs (and only
        those).
    :param conn_id: an Airflow connection of type ``azure_machine_learning`` to where the copy goes. Templated.
    :param workspace: the identity of the workspace or registry where the copy goes; with it, the task announces the
        copy.
    :return: the copy, an :class:`~airflow_provider_azureml.datasets.AssetVersion` as a dict; of an environment or
        component what the operators that create them return.
    :raises SpecError: it exists there already, its files are where they cannot be read, or an argument is wrong;
        nothing was registered.
    :raises NotFoundError: there is no such version.
    :raises AzureMachineLearningError: Azure refused; nothing was registered.
    """

    template_fields: Sequence[str] = (*MoveVersionOperator.template_fields, "source_conn_id")
    takes_registry = True
    announces: ClassVar[tuple[Kind, ...]] = (Kind.MODEL, Kind.DATA)

    def __init__(
        self,
        *,
        source: Workspace | Registry,
        source_conn_id: str | None = None,
        workspace: Workspace | Registry | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(source, (Workspace, Registry)):
            raise SpecError(f"source is {source!r}; it is a Registry or a Workspace.")
        if isinstance(source, Workspace) and source_conn_id is None and source != workspace:
            raise SpecError(f"source is workspace {source.label}: give the connection to it as source_conn_id.")
        super().__init__(target_owner=workspace, workspace=workspace, **kwargs)
        self._source = source
        self.source_conn_id = source_conn_id

    async def _move(self, task_run: TaskRun, move: Move) -> tuple[Moved, WorkspaceConnection]:
        from ..rest.registry_client import client_for
        from ..versions.moving import copy

        connection = await self.hook.aget_workspace_connection()
        from_hook = AzureMachineLearningHook(self.source_conn_id or self.conn_id, workspace=self._source)
        source = await from_hook.aget_workspace_connection()
        if (source.owner, move.name, move.version) == (connection.owner, move.target_name, move.target_version):
            raise SpecError(f"{self.kind} {move.name}:{move.version} would be copied onto itself.")
        async with client_for(source) as source_client, client_for(connection) as client:
            make = None
            if self.kind not in _KINDS:
                from ..versions.definitions import DefinitionCopy

                make = DefinitionCopy(from_hook, source_client, self.hook, client, task_run, move).make
            return await copy(source_client, client, task_run, move, make), connection
