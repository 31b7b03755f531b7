"""OpenLineage: what a task read and made. It is told where Airflow's OpenLineage provider is installed and asks."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..datasets.workspace import Kind, Registry, Workspace, kind_of_type

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import Dataset

_IN_WORKSPACE = re.compile(
    r"(?:azureml:/*)?/?subscriptions/([^/]+)/resourcegroups/([^/]+)/(?:providers/[^/]+/)?workspaces/([^/]+)/(.+)", re.I
)
_IN_REGISTRY = re.compile(r"azureml://registries/([^/]+)/(.+)", re.I)
_VERSION = re.compile(r"(models|data)/([^/]+)/versions/([^/]+)/?", re.I)
_SHORT = re.compile(r"azureml:([A-Za-z0-9_.-]+):([A-Za-z0-9_.-]+)")


@dataclass(slots=True)
class TaskLineage:
    """
    What one task run read and made.

    :param workspace: where, in which workspace or registry; it is the namespace of the datasets.
    :param inputs: URIs, or ids of versions, with the kind of asset that ``azureml:NAME:VERSION`` means there.
    :param outputs: the same.
    :param job: name and studio address of the AzureML job that did it, if one did.
    """

    workspace: Workspace | Registry
    inputs: list[tuple[str, Kind]] = field(default_factory=list)
    outputs: list[tuple[str, Kind]] = field(default_factory=list)
    job: tuple[str, str] | None = None

    @classmethod
    def of_job(cls, workspace: Workspace, job: dict[str, Any], versions: list[str]) -> TaskLineage:
        """
        Return the lineage of a job.

        :param job: its facts, as :meth:`Job.to_dict` gives them.
        :param versions: ids of the versions that AzureML made of its outputs.
        """
        inputs = [(each["uri"], kind_of_type(each["type"])) for each in job["inputs"].values()]
        # What the job wrote has its uri only; "default" is its logs.
        plain = [
            (each["uri"], Kind.DATA)
            for name, each in job["outputs"].items()
            if name != "default" and not each["asset_name"]
        ]
        outputs = [*((version, Kind.DATA) for version in versions), *plain]
        return cls(workspace, inputs, outputs, (job["name"], job["studio_url"]))

    def for_openlineage(self) -> OperatorLineage[Any, Any]:
        """Return it as Airflow's OpenLineage provider wants it from an operator."""
        from airflow.providers.openlineage.extractors import OperatorLineage
        from openlineage.client.facet_v2 import external_query_run

        facets = {}
        if self.job:
            name, url = self.job
            facets["externalQuery"] = external_query_run.ExternalQueryRunFacet(externalQueryId=name, source=url)
        return OperatorLineage(
            inputs=[dataset(self.workspace, uri, kind) for uri, kind in self.inputs],
            outputs=[dataset(self.workspace, uri, kind) for uri, kind in self.outputs],
            run_facets=facets,
        )


def dataset(workspace: Workspace | Registry, uri: str, kind: Kind = Kind.DATA) -> Dataset:
    """
    Return the OpenLineage dataset for what AzureML reads or writes.

    A version of an asset is its asset, as the asset's own URI is translated, with the version as a facet. What is in a
    datastore is named by its path in there. Source of the names elsewhere: OpenLineage's naming rules.

    :param kind: what ``azureml:NAME:VERSION`` is a version of.
    """
    from openlineage.client.event_v2 import Dataset

    owner = workspace
    if match := _SHORT.fullmatch(uri):
        rest = f"{kind.collection}/{match[1]}/versions/{match[2]}"
    elif match := _IN_WORKSPACE.fullmatch(uri):
        owner, rest = Workspace(match[1], match[2], match[3]), match[4]
    elif match := _IN_REGISTRY.fullmatch(uri):
        owner, rest = Registry(match[1]), match[2]
    elif uri.startswith("azureml://"):
        rest = uri.removeprefix("azureml://")
    else:
        return _elsewhere(uri)
    if match := _VERSION.fullmatch(rest):
        return _version(owner.uri, f"{match[1].lower()}/{match[2]}", match[3])
    return Dataset(namespace=owner.uri, name=rest.replace("/paths/", "/", 1).rstrip("/"))


def _version(namespace: str, name: str, version: str) -> Dataset:
    from openlineage.client.event_v2 import Dataset
    from openlineage.client.facet_v2 import dataset_version_dataset

    facet = dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=version)
    return Dataset(namespace=namespace, name=name, facets={"version": facet})


def _elsewhere(uri: str) -> Dataset:
    from openlineage.client.event_v2 import Dataset

    scheme, separator, path = uri.partition("://")
    if not separator or scheme == "file":
        return Dataset(namespace="file", name=(path if separator else uri).rstrip("/"))
    path = path.partition("?")[0]  # it may hold a signature
    authority, _, name = path.partition("/")
    return Dataset(namespace=f"{scheme}://{authority}", name=name.rstrip("/") or "/")
