"""From an Airflow connection to a workspace and a credential."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import Connection
from azure.identity import ClientSecretCredential, DefaultAzureCredential

from airflow_provider_azureml.provider.connection import WorkspaceConnection
from airflow_provider_azureml.provider.errors import ConnectionConfigurationError
from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
from airflow_provider_azureml.provider.sign_in import SignIn

EXTRA = {
    "tenantId": "8d2b5e3c-0000-4000-8000-000000000001",
    "subscriptionId": "12345678-1234-1234-1234-123456789abc",
    "resource_group_name": "ml",
    "workspace_name": "fraud-prod",
}
SECRET = "very-secret"


def connection(extra: Any = EXTRA, **fields: Any) -> Connection:
    fields = {"login": "app", "password": SECRET, **fields}
    text = extra if isinstance(extra, str) else json.dumps(extra)
    return Connection(conn_id="azureml", conn_type="azure_machine_learning", extra=text, **fields)


def test_login_and_password_are_client_id_and_secret():
    found = WorkspaceConnection.from_airflow(connection())
    assert found.sign_in == SignIn("client_secret", EXTRA["tenantId"], "app", SECRET)
    assert found.workspace.id.endswith(
        "/resourceGroups/ml/providers/Microsoft.MachineLearningServices/workspaces/fraud-prod"
    )
    with found.credential() as credential:
        assert isinstance(credential, ClientSecretCredential)


def test_a_connection_of_the_provider_that_this_one_succeeds_works_unchanged():
    old = {f"extra__azure_machine_learning__{key}": value for key, value in EXTRA.items()}
    assert WorkspaceConnection.from_airflow(connection(old)) == WorkspaceConnection.from_airflow(connection())


def test_a_plain_key_wins_over_an_old_one_unless_it_is_empty():
    both = {**EXTRA, "extra__azure_machine_learning__workspace_name": "old-one"}
    assert WorkspaceConnection.from_airflow(connection(both)).workspace.name == "fraud-prod"
    both["workspace_name"] = ""
    assert WorkspaceConnection.from_airflow(connection(both)).workspace.name == "old-one"


def test_without_a_client_id_the_default_credential_is_used_and_no_tenant_needed():
    extra = {key: value for key, value in EXTRA.items() if key != "tenantId"}
    found = WorkspaceConnection.from_airflow(connection(extra, login=None, password=None))
    with found.credential() as credential:
        assert isinstance(credential, DefaultAzureCredential)


@pytest.mark.parametrize("field", list(EXTRA))
def test_a_missing_field_is_named_with_the_connections_id(field):
    with pytest.raises(ConnectionConfigurationError, match=f"Connection 'azureml' has no '{field}'"):
        WorkspaceConnection.from_airflow(connection({**EXTRA, field: " "}))


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"extra": "{"}, "extra is not JSON"),
        ({"extra": "[1]"}, "not a JSON object"),
        ({"extra": {**EXTRA, "subscriptionId": "abc"}}, "Connection 'azureml': Workspace subscription_id 'abc'"),
        ({"extra": {**EXTRA, "cloud_environment": "Mars"}}, "'Mars' is not one of AzurePublicCloud"),
    ],
)
def test_a_wrong_field_is_a_clear_error_without_the_secret(broken, words):
    with pytest.raises(ConnectionConfigurationError, match=words.replace("(", r"\(")) as caught:
        WorkspaceConnection.from_airflow(connection(**broken))
    assert SECRET not in str(caught.value)


def test_making_a_hook_looks_nothing_up(monkeypatch):
    monkeypatch.setattr(AzureMachineLearningHook, "get_connection", lambda *_: pytest.fail("it was looked up"))
    AzureMachineLearningHook("not there")


def test_the_text_form_holds_no_secret():
    assert SECRET not in repr(WorkspaceConnection.from_airflow(connection()))


def test_a_sovereign_cloud_has_its_own_hosts():
    found = WorkspaceConnection.from_airflow(connection({**EXTRA, "cloud_environment": "AzureUSGovernment"}))
    assert found.cloud.arm_scope == "https://management.usgovcloudapi.net/.default"


def test_a_connection_of_another_type_is_refused(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_DB", "postgres://u:p@h/d")
    with pytest.raises(ConnectionConfigurationError, match="type 'postgres', not 'azure_machine_learning'"):
        AzureMachineLearningHook("db").get_workspace_connection()


def test_a_connection_in_uri_form_is_read_as_well(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_AZUREML", connection().get_uri())
    found = AzureMachineLearningHook("azureml").get_workspace_connection()
    assert found == WorkspaceConnection.from_airflow(connection())
