"""Operators that change what is said of a version: archived or not, and its tags."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from ...datasets.workspace import Kind
from ..arguments import check_choice, check_name, check_owner, check_tags, is_template
from ..links import push_studio_url, version_url
from ..specs import check_version
from ..task_run import TaskRun
from ..versions.limits import check_tag_limits
from .base import AzureMachineLearningBaseOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from ...datasets.events import AssetVersion
    from ...datasets.workspace import Registry, Workspace
    from ..rest.client import WorkspaceClient


class ChangeVersionOperator(AzureMachineLearningBaseOperator):
    """
    Changes what AzureML says of one version of a model or data asset.

    :param kind: ``model`` or ``data``.
    :param name: the asset's name. Templated.
    :param version: the version. Templated.
    """

    template_fields: Sequence[str] = ("asset_name", "version", "conn_id")
    takes_registry = True
    # Nothing, where a consumer of the asset does not want to be started by the change.
    announces: ClassVar[tuple[Kind, ...]] = (Kind.MODEL, Kind.DATA)

    def __init__(
        self,
        *,
        kind: Kind | str,
        asset_name: str,
        version: str | int,
        workspace: Workspace | Registry | None = None,
        **kwargs: Any,
    ) -> None:
        check_choice("kind", kind, (Kind.MODEL.value, Kind.DATA.value))
        check_owner(type(self), workspace)
        check_name(Kind(kind).noun, asset_name, parsing=True)
        if not is_template(version):
            check_version(Kind(kind), version)
        if workspace is not None and self.announces:
            outlet = workspace.alias(Kind(kind)) if is_template(asset_name) else workspace.asset(Kind(kind), asset_name)
            outlets = kwargs.get("outlets") or ()
            if workspace.alias(Kind(kind)) not in outlets:  # it is there in a mapped task
                kwargs["outlets"] = [*outlets, outlet]
        super().__init__(workspace=workspace, **kwargs)
        self.kind = str(kind)
        self.asset_name = asset_name
        self.version = version

    @abstractmethod
    def _change(self, properties: dict[str, Any]) -> dict[str, Any]:
        """Return those of a version's properties that are to be different."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Change the version; returns it as :meth:`AssetVersion.to_dict` gives it."""
        check_name(Kind(self.kind).noun, self.asset_name)
        check_version(Kind(self.kind), self.version)
        version, owner = self.hook.ask(lambda client: self._run(context, client))
        if TaskRun(context).remember().get("changed"):
            self._announce_to_outlets(context, owner, [version])
        else:
            # An outlet makes an event when its task succeeds, also one that says nothing.
            kind = Kind(self.kind)
            own = (owner.asset(kind, self.asset_name), owner.alias(kind))
            self.outlets = [outlet for outlet in self.outlets if outlet not in own]
        return dict(version.to_dict())

    async def _run(self, context: Context, client: WorkspaceClient) -> tuple[AssetVersion, Workspace | Registry]:
        """Return the version as it is then, and whose it is."""
        version = await self._changed(client, TaskRun(context))
        push_studio_url(context, version_url(client.connection, version))
        return version, client.connection.owner

    async def _changed(self, client: WorkspaceClient, task_run: TaskRun) -> AssetVersion:
        from ..rest.bodies import asset_version

        kind = Kind(self.kind)
        path = (kind.collection, self.asset_name, "versions", str(self.version))
        body = await client.get_resource(*path)
        now = body["properties"]
        wanted = self._change(now)
        if all(now.get(key) == value for key, value in wanted.items()):
            self.log.info("%s %s:%s is so already.", kind, self.asset_name, self.version)
            return asset_version(kind, body)
        # Remembered before: if the worker dies after the change, the retry must still announce it.
        task_run.remember(changed=True)
        # A stage beside a changed isArchived may contradict it; which counts is not known, so the SDK sends none.
        unsent = {"provisioningState", "stage"} if "isArchived" in wanted else {"provisioningState"}
        properties = {key: value for key, value in {**now, **wanted}.items() if key not in unsent}
        version = await client.update_version(kind, self.asset_name, str(self.version), properties)
        self.log.info("Changed %s of %s %s:%s.", ", ".join(wanted), kind, self.asset_name, self.version)
        return version


class AzureMachineLearningSetTagsOperator(ChangeVersionOperator):
    """
    Set tags on a version of a model or data asset: to promote it, say, to what a deployment DAG waits for.

    ::

        AzureMachineLearningSetTagsOperator(
            task_id="promote",
            conn_id="azureml",
            workspace=ws,
            kind="model",
            asset_name="fraud",
            version="{{ ti.xcom_pull('register')['version'] }}",
            tags={"stage": "production"},
        )

    Other tags stay. AzureML has no conditional update: of two tasks that set tags on one version at the same instant,
    the later one wins.

    :param kind: ``model`` or ``data``.
    :param asset_name: the asset's name. Templated.
    :param version: the version. Templated.
    :param tags: name -> value; None removes the tag. Templated.
    :param conn_id: an Airflow connection of type ``azure_machine_learning``. Templated.
    :param workspace: the identity of the workspace or registry; with it, the task announces the version if its tags
        changed.
    :return: the :class:`~airflow_provider_azureml.datasets.AssetVersion` as a dict.
    :raises SpecError: the tags are no mapping, or more or longer than AzureML takes; nothing was changed.
    :raises NotFoundError: there is no such version.
    :raises AzureMachineLearningError: Azure refused.
    """

    template_fields: Sequence[str] = ("asset_name", "version", "tags", "conn_id")

    def __init__(self, *, tags: dict[str, Any], **kwargs: Any) -> None:
        check_tags(tags, removable=True, parsing=True)
        super().__init__(**kwargs)
        self.tags = tags

    def _change(self, properties: dict[str, Any]) -> dict[str, Any]:
        there = properties.get("tags") or {}
        given = check_tags(self.tags, removable=True)
        merged = {**there, **given}
        tags = {key: str(value) for key, value in merged.items() if value is not None}
        changed = {key: value for key, value in tags.items() if key in given}
        what = f"{self.kind} {self.asset_name}:{self.version}"
        check_tag_limits(what, changed, total=len(tags), there=len(there))
        return {"tags": tags}

    def execute(self, context: Context) -> dict[str, Any]:
        """Set the tags; returns the version as :meth:`AssetVersion.to_dict` gives it."""
        check_tags(self.tags, removable=True)
        return super().execute(context)


class AzureMachineLearningArchiveAssetOperator(ChangeVersionOperator):
    """
    Archive a version of a model or data asset: it no longer appears in lists, and sensors pass it over.

    It is not deleted; jobs and deployments that name it go on working. The asset is not announced: a DAG that deploys
    what it is told would deploy what was just withdrawn.

    :param kind: ``model`` or ``data``.
    :param asset_name: the asset's name. Templated.
    :param version: the version. Templated.
    :param conn_id: an Airflow connection of type ``azure_machine_learning``. Templated.
    :param workspace: the identity of the workspace or registry; the task refuses to run when the connection points to
        another one.
    :return: the :class:`~airflow_provider_azureml.datasets.AssetVersion` as a dict; a model's ``stage`` is Archived.
    :raises NotFoundError: there is no such version.
    :raises AzureMachineLearningError: Azure refused.
    """

    announces = ()

    def _change(self, properties: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        return {"isArchived": True}


class AzureMachineLearningRestoreAssetOperator(ChangeVersionOperator):
    """
    Restore an archived version of a model or data asset.

    AzureML does not keep the stage that an archived model had: it comes back as Development.

    :param kind: ``model`` or ``data``.
    :param asset_name: the asset's name. Templated.
    :param version: the version. Templated.
    :param conn_id: an Airflow connection of type ``azure_machine_learning``. Templated.
    :param workspace: the identity of the workspace or registry; with it, the task announces the version if it was
        archived.
    :return: the :class:`~airflow_provider_azureml.datasets.AssetVersion` as a dict.
    :raises NotFoundError: there is no such version.
    :raises AzureMachineLearningError: Azure refused.
    """

    def _change(self, properties: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        return {"isArchived": False}
