"""``azureml:`` URIs: what Airflow's asset machinery asks of a provider, registered in the provider info."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from .workspace import Kind, Registry, Workspace, check_asset_name

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset as OpenLineageDataset
    from airflow.sdk import Asset

_ASSET_URI = re.compile(
    r"azureml://(?:subscriptions/(?P<subscription>[^/?#]+)/resourcegroups/(?P<group>[^/?#]+)"
    r"/workspaces/(?P<workspace>[^/?#]+)|registries/(?P<registry>[^/?#]+))"
    r"/(?P<collection>models|data|experiments)/(?P<name>[^/?#]+)/?(?:\?.*)?",
    re.IGNORECASE,
)


def parse_asset_uri(uri: str) -> tuple[Workspace | Registry, Kind, str] | None:
    """
    Return owner, kind and name of the asset that a URI identifies, or None for every other URI.

    None also for AzureML's native forms that are no asset's identity: ``azureml:NAME:VERSION``,
    ``azureml://datastores/...``, ``azureml://jobs/...``, an id with ``/versions/N``, MLflow tracking URIs.

    :raises ValueError: it has the form of an asset's identity, but a part of it cannot exist.
    """
    match = _ASSET_URI.fullmatch(uri)
    if match is None:
        return None
    kind = Kind.of_collection(match["collection"])
    assert kind is not None
    name = check_asset_name(kind, unquote(match["name"]))
    if match["registry"]:
        return Registry(match["registry"]), kind, name
    return Workspace(match["subscription"], unquote(match["group"]), match["workspace"]), kind, name


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """
    Normalise the URI of an asset, and let AzureML's other forms through untouched.

    Airflow calls this for each asset whose URI has the scheme ``azureml`` (provider info, ``asset-uris``).

    :raises ValueError: it has the form of an asset's identity, but a part of it cannot exist. Airflow shows it as the
        DAG's import error.
    """
    if (parsed := parse_asset_uri(uri.geturl())) is None:
        return uri
    owner, kind, name = parsed
    return urlsplit(f"{owner.uri}/{kind.collection}/{name}")._replace(query=uri.query)


def create_asset(
    *, workspace: Workspace | Registry | str, kind: str, name: str, extra: dict[str, Any] | None = None
) -> Asset:
    """
    Return an asset; Airflow's hook lineage calls it with the ``asset_kwargs`` that a hook reported.

    :param workspace: the identity, or a workspace's ARM id.
    :param kind: ``model``, ``data`` or ``experiment``.
    :param name: the AzureML name without a version.
    :param extra: the asset's extra, as Airflow hands it on.
    """
    owner = Workspace.from_id(workspace) if isinstance(workspace, str) else workspace
    asset = owner.asset(Kind(kind), name)
    asset.extra = extra or {}
    return asset


def convert_asset_to_openlineage(asset: Asset, lineage_context: object) -> OpenLineageDataset | None:  # noqa: ARG001
    """
    Return the OpenLineage dataset of an asset: the workspace or registry is its namespace. None for other URIs.

    Source: OpenLineage's naming rules, namespace = the data's host, name = its path in there.
    """
    from airflow.providers.common.compat.openlineage.facet import Dataset

    if (parsed := parse_asset_uri(asset.uri)) is None:
        return None
    owner, kind, name = parsed
    return Dataset(namespace=owner.uri, name=f"{kind.collection}/{name}")
