"""What OpenLineage is told of what AzureML reads and writes."""

from __future__ import annotations

import pytest

from airflow_provider_azureml.datasets import Kind, Registry, Workspace
from airflow_provider_azureml.datasets.uri import convert_asset_to_openlineage
from airflow_provider_azureml.provider.lineage import dataset

WS = Workspace("12345678-1234-1234-1234-123456789abc", "ml", "fraud-prod")
OTHER = Workspace("12345678-1234-1234-1234-123456789abc", "ml", "other")
LONG = "azureml://subscriptions/12345678-1234-1234-1234-123456789abc/resourcegroups/ml/workspaces/fraud-prod"


@pytest.mark.parametrize(
    ("uri", "namespace", "name", "version"),
    [
        ("azureml:sales:3", WS.uri, "data/sales", "3"),
        (f"{WS.id}/data/sales/versions/3", WS.uri, "data/sales", "3"),
        (f"azureml:{OTHER.id}/models/fraud/versions/7", OTHER.uri, "models/fraud", "7"),
        ("azureml://registries/shared/models/fraud/versions/7", Registry("shared").uri, "models/fraud", "7"),
        (f"{LONG}/datastores/lake/paths/sales/", WS.uri, "datastores/lake/sales", None),
        ("azureml://datastores/lake/paths/sales/2026", WS.uri, "datastores/lake/sales/2026", None),
        ("azureml://jobs/keen_gold/outputs/model", WS.uri, "jobs/keen_gold/outputs/model", None),
        ("s3://lake/sales/", "s3://lake", "sales", None),
        ("https://a.blob.core.windows.net/c/p?sig=x", "https://a.blob.core.windows.net", "c/p", None),
        ("file:///data/sales", "file", "/data/sales", None),
        ("/data/sales/", "file", "/data/sales", None),
    ],
)
def test_what_a_uri_is_called(uri, namespace, name, version):
    found = dataset(WS, uri)
    assert (found.namespace, found.name) == (namespace, name)
    assert (found.facets["version"].datasetVersion if version else found.facets) == (version or {})


def test_a_version_belongs_to_the_dataset_that_its_asset_is():
    """So that a graph of lineage joins tasks that announce the asset and jobs that read a version of it."""
    asset = convert_asset_to_openlineage(WS.model("fraud"), None)
    version = dataset(WS, "azureml:fraud:7", Kind.MODEL)
    assert (version.namespace, version.name) == (asset.namespace, asset.name)
