"""What an asset is: one identity, told the same way everywhere."""

from __future__ import annotations

import re

import pytest
from airflow.sdk import Asset
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_azureml.datasets import Kind, Registry, Workspace
from airflow_provider_azureml.datasets.uri import convert_asset_to_openlineage, create_asset, parse_asset_uri
from airflow_provider_azureml.datasets.workspace import owner_of

SUBSCRIPTION = "12345678-1234-1234-1234-123456789abc"
WS = Workspace(subscription_id=SUBSCRIPTION, resource_group="ml", name="fraud-prod")

ids = st.uuids().map(str)
groups = st.from_regex(r"[A-Za-z0-9_.()-]{0,20}[A-Za-z0-9_()-]", fullmatch=True)
workspaces = st.builds(Workspace, ids, groups, st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{1,32}", fullmatch=True))
names = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,60}", fullmatch=True)


def test_an_asset_is_named_for_people_and_has_azuremls_own_long_id_as_uri():
    assert WS.model("Fraud") == Asset(
        name="models/Fraud@fraud-prod/ml/12345678",
        uri=f"azureml://subscriptions/{SUBSCRIPTION}/resourcegroups/ml/workspaces/fraud-prod/models/Fraud",
        group="azureml-model",
    )
    assert WS.data("sales").group == "azureml-data"
    assert WS.experiment("night").uri.endswith("/experiments/night")
    assert Registry("azureml").model("phi").uri == "azureml://registries/azureml/models/phi"
    assert Registry("azureml").model("phi").name == "models/phi@registries/azureml"


@given(workspaces, st.sampled_from(Kind), names)
def test_identity_and_uri_tell_each_other_whatever_the_names(workspace, kind, name):
    asset = workspace.asset(kind, name)
    assert parse_asset_uri(asset.uri) == (workspace, kind, name)
    assert asset.uri.isascii()
    assert asset.name.isascii()


@given(workspaces)
def test_case_does_not_matter_to_azure_nor_to_a_workspace(workspace):
    assert Workspace(workspace.subscription_id.upper(), workspace.resource_group.upper(), workspace.name.upper()) == (
        workspace
    )
    assert Workspace.from_id(workspace.id) == owner_of(workspace.uri) == workspace


def test_any_spelling_of_a_uri_is_the_same_asset_to_airflow():
    """Airflow calls the handler that the provider registered."""
    spelled = f"azureml://subscriptions/{SUBSCRIPTION.upper()}/resourceGroups/ML/workspaces/Fraud-Prod/models/Fraud/"
    assert Asset(name="x", uri=spelled).uri == WS.model("Fraud").uri


@pytest.mark.parametrize(
    "uri",
    [
        "azureml:fraud:3",
        "azureml:fraud@latest",
        "azureml://datastores/workspaceblobstore/paths/a/B",
        "azureml://jobs/keen_gold/outputs/model/paths/m",
        f"azureml://subscriptions/{SUBSCRIPTION}/resourceGroups/ML/workspaces/W1/models/Fraud/versions/3",
        "azureml://locations/westeurope/workspaces/0000/models/fraud/versions/1",
        f"azureml://westeurope.api.azureml.ms/mlflow/v1.0/subscriptions/{SUBSCRIPTION}/resourceGroups/ML",
    ],
)
def test_azuremls_other_uris_pass_through_untouched(uri):
    assert Asset(name="x", uri=uri).uri == uri
    assert parse_asset_uri(uri) is None


def test_a_uri_of_an_asset_that_cannot_be_is_an_error_at_parse():
    with pytest.raises(ValueError, match="subscription_id 'not-a-guid'"):
        Asset(name="x", uri="azureml://subscriptions/not-a-guid/resourcegroups/g/workspaces/ws1/models/m")


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("1234", "ml", "prod"), "subscription_id '1234'"),
        ((SUBSCRIPTION, "", "prod"), "resource_group ''"),
        ((SUBSCRIPTION, "ends.", "prod"), "resource_group 'ends.'"),
        ((SUBSCRIPTION, "ml", "a b"), "name 'a b'"),
        ((SUBSCRIPTION, "ml", None), "name None"),
    ],
)
def test_a_workspace_that_cannot_be_names_the_part_that_is_wrong(arguments, field):
    with pytest.raises(ValueError, match=f"Workspace {field}"):
        Workspace(*arguments)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a:1", "-a", "é", "a" * 256, None])
def test_a_name_that_azureml_refuses_is_an_error_that_says_which_characters(name):
    with pytest.raises(ValueError, match=re.escape("A-Z a-z 0-9 _ - .")):
        WS.model(name)


def test_an_id_of_something_else_is_no_workspace():
    with pytest.raises(ValueError, match="is not the id of an AzureML workspace"):
        Workspace.from_id(f"/subscriptions/{SUBSCRIPTION}/resourceGroups/ml")


def test_hook_lineage_makes_the_same_asset():
    assert create_asset(workspace=WS, kind="model", name="fraud") == WS.model("fraud")
    assert create_asset(workspace=WS.id, kind="data", name="s", extra={"a": 1}).extra == {"a": 1}


def test_openlineage_sees_the_workspace_as_namespace():
    dataset = convert_asset_to_openlineage(WS.data("sales"), None)
    assert (dataset.namespace, dataset.name) == (WS.uri, "data/sales")
    assert convert_asset_to_openlineage(Asset(name="x", uri="azureml:fraud:3"), None) is None


def test_a_registry_has_no_experiments():
    with pytest.raises(ValueError, match="jobs run in workspaces"):
        Registry("azureml").asset(Kind.EXPERIMENT, "churn")
