"""Base of all operators."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from ...datasets.events import announce
from ...datasets.uri import parse_asset_uri
from ...datasets.workspace import Kind
from .. import sdk
from ..arguments import check_conn_id, check_owner
from ..connection import DEFAULT_CONN_ID
from ..hook import AzureMachineLearningHook
from ..links import AzureMachineLearningStudioLink
from ..retries import retry_policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import BaseOperatorLink, Context
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

    from ...datasets.events import AssetVersion
    from ...datasets.workspace import Registry, Workspace
    from ..lineage import TaskLineage

# AzureML's ${{inputs.data}}, and the shell's ${#name}, whose {# Jinja takes for a comment.
_NOT_JINJA = re.compile(r"\$\{\{.*?\}\}|\$\{#", re.DOTALL)


class AzureMachineLearningBaseOperator(BaseOperator):
    """
    The base of the AzureML operators.

    :param conn_id: an Airflow connection of type ``azure_machine_learning``.
    :param workspace: the identity of the workspace (or registry, where AzureML has such a thing in registries), for
        asset events; the task refuses to run, before it changes anything, when the connection points to another one.
    """

    template_fields: Sequence[str] = ("conn_id",)
    template_fields_renderers: ClassVar[dict[str, str]] = {}
    operator_extra_links: Sequence[BaseOperatorLink] = (AzureMachineLearningStudioLink(),)
    ui_color = "#e6f2fb"
    announces: ClassVar[tuple[Kind, ...]] = ()
    """What the versions are of that it may announce."""

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """
        Map the operator, as Airflow's own ``partial`` does; with ``workspace=`` each mapped task announces.

        Airflow knows the outlets of a mapped task only from here, and not what the mapped arguments will name; so they
        are the workspace's aliases. A DAG scheduled on an asset starts for what is announced through them too.
        """
        check_owner(cls, kwargs.get("workspace"))
        if (workspace := kwargs.get("workspace")) is not None and cls.announces:
            aliases = [workspace.alias(kind) for kind in cls.announces]
            kwargs["outlets"] = [*(kwargs.get("outlets") or ()), *aliases]
        return super().partial(**kwargs)

    def __init__(
        self, *, conn_id: str = DEFAULT_CONN_ID, workspace: Workspace | Registry | None = None, **kwargs: Any
    ) -> None:
        check_conn_id(conn_id)
        check_owner(type(self), workspace)
        super().__init__(**kwargs)
        if self.retry_policy is None:
            self.retry_policy = retry_policy()
        self.conn_id = conn_id
        self.workspace = workspace
        self._lineage: TaskLineage | None = None

    @property
    def hook(self) -> AzureMachineLearningHook:
        """The hook for this task's connection."""
        return AzureMachineLearningHook(self.conn_id, workspace=self.workspace)

    @property
    def _dag_folder(self) -> Path:
        """The folder of the DAG file: what relative paths in a spec start from."""
        return Path(self.dag.fileloc).parent

    def _load_entity(self, context: Context, spec: Any, noun: str) -> Any:
        """Return a spec as the SDK's entity; see ``sdk.load_entity``."""
        return sdk.load_entity(
            spec, noun=noun, folder=self._dag_folder, render=lambda value: self.render_template(value, context)
        )

    def render_template(self, content: Any, *args: Any, **kwargs: Any) -> Any:
        """
        Render Jinja templates as Airflow does, but leave AzureML's own ``${{inputs.data}}`` alone.

        Line breaks at the end stay, where Jinja drops one: in ``command: |`` they are part of the command, and so of
        what AzureML knows a component by.
        """
        if not isinstance(content, str):
            return super().render_template(content, *args, **kwargs)
        text = content.rstrip("\n")
        masked = _NOT_JINJA.sub(lambda found: "{% raw %}" + found[0] + "{% endraw %}", text)
        rendered = super().render_template(masked, *args, **kwargs)
        return rendered + content[len(text) :] if isinstance(rendered, str) else rendered

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:  # noqa: ARG002
        """Return what the task read and made, if it knows; Airflow's OpenLineage provider asks when the task ends."""
        return self._lineage.for_openlineage() if self._lineage else None

    def _drop_silent_outlets(self, owner: Workspace | Registry, versions: Iterable[AssetVersion]) -> None:
        """Take out the owner's models and data that got no version: an outlet makes an event though it says nothing."""
        made = {(version.kind, version.name) for version in versions}

        def is_silent(outlet: Any) -> bool:
            parsed = parse_asset_uri(getattr(outlet, "uri", ""))
            if parsed is None or parsed[0] != owner or parsed[1] not in (Kind.MODEL, Kind.DATA):
                return False
            return (parsed[1].value, parsed[2]) not in made

        self.outlets = [outlet for outlet in self.outlets if not is_silent(outlet)]

    def _announce_to_outlets(
        self, context: Context, owner: Workspace | Registry, versions: Iterable[AssetVersion]
    ) -> None:
        """Announce versions on those of the task's outlets that stand for them: the asset, or its workspace's alias."""
        of_asset: dict[str, list[AssetVersion]] = {}
        for version in versions:
            of_asset.setdefault(f"{version.kind}/{version.name}", []).append(version)
        for same in of_asset.values():
            kind = Kind(same[0].kind)
            asset, alias = owner.asset(kind, same[0].name), owner.alias(kind)
            if asset in self.outlets:
                announce(context, asset, same)
            elif alias in self.outlets:
                announce(context, alias, same, asset=asset)
