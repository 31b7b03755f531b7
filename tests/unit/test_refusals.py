"""What an answer of 400 or more means, in the forms in which it was recorded or seen."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_azureml.datasets import Workspace
from airflow_provider_azureml.provider.connection import WorkspaceConnection
from airflow_provider_azureml.provider.errors import (
    AuthenticationError,
    ConnectionConfigurationError,
    NotFoundError,
    PermissionDeniedError,
    RequestRefusedError,
)
from airflow_provider_azureml.provider.rest.refusals import lacks_workspace, refusal, role_for

WS = Workspace("12345678-1234-1234-1234-123456789abc", "ml", "fraud")
CONNECTION = WorkspaceConnection("azureml", WS)
ENDPOINT = f"{WS.id}/onlineEndpoints/e"
PROVIDER = "Microsoft.MachineLearningServices"


def gateway(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def missing(path: str) -> dict[str, Any]:
    text = f"The Resource '{PROVIDER}/{path}' under resource group 'ml' was not found. For more details please go to x"
    return gateway("ResourceNotFound", text)


def provider(code: str, message: str, *, detail: str = "", inner: dict[str, Any] | None = None) -> dict[str, Any]:
    details = [{"code": detail, "message": message}] if detail else []
    more = [{"type": "Location", "info": {"value": "westeurope"}}]
    more += [{"type": "InnerError", "info": {"value": inner}}] if inner else []
    return {"error": {"code": code, "message": message, "details": details, "additionalInfo": more}}


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("ExpiredAuthenticationToken", "Check the clock of the machine that this runs on."),
        ("InvalidAuthenticationTokenTenant", "the subscription is in another tenant than who asks."),
        ("InvalidAuthenticationTokenAudience", "Correct the connection's Azure cloud (cloud_environment)."),
        ("AuthenticationFailed", "is meant, and only that one is tried."),
    ],
)
def test_a_token_that_is_refused_is_told_with_what_to_do_about_it(code, advice):
    error = refusal(CONNECTION, "GET", WS.id, 401, gateway(code, "As ARM words it."), {})
    assert isinstance(error, AuthenticationError)
    assert "As ARM words it. " in str(error)
    assert str(error).endswith(advice)


NO_WORKSPACE = {"code": "NotFound", "innerError": {"code": "WorkspaceNotFound", "innerError": None}}
PARENT = "Failed to perform 'write' on resource(s) of type 'x', because the parent resource '{}' could not be found."


@pytest.mark.parametrize(
    ("body", "url", "wrong_workspace"),
    [
        (missing("workspaces/fraud"), WS.id, True),
        (missing("workspaces/fraud"), f"{WS.id}/jobs/j", True),
        (missing("workspaces/FRAUD"), f"{WS.id}/jobs/j", True),
        (missing("workspaces/fraud/onlineEndpoints/e"), ENDPOINT, False),
        (missing("workspaces/fraud/onlineEndpoints/e/deployments/blue"), f"{ENDPOINT}/deployments/blue", False),
        (missing("workspaces/another"), f"{WS.id}/data/d/versions/1", False),
        (gateway("ParentResourceNotFound", PARENT.format(WS.id)), f"{WS.id}/jobs/j", True),
        (gateway("ParentResourceNotFound", PARENT.format(ENDPOINT)), f"{ENDPOINT}/deployments/blue", False),
        (gateway("ParentResourceNotFound", "Parent resource 'fraud' not found."), f"{WS.id}/jobs/j", True),
        (gateway("ParentResourceNotFound", "Parent resource 'fraud/e' not found."), ENDPOINT, False),
        (gateway("ResourceNotFound", "Not found."), ENDPOINT, False),
        (gateway("ResourceNotFound", "Not found."), WS.id, True),
        (gateway("ResourceGroupNotFound", "Resource group 'ml' could not be found."), ENDPOINT, True),
        (gateway("SubscriptionNotFound", "The subscription could not be found."), ENDPOINT, True),
        (provider("UserError", "Workspace not found.", inner=NO_WORKSPACE), ENDPOINT, True),
        (provider("NotFound", "There is no endpoint with name: e", detail="NoSuchEndpoint"), ENDPOINT, False),
        (provider("UserError", "Job j not found.", inner={"code": "NotFound"}), f"{WS.id}/jobs/j", False),
        (None, f"{WS.id}/computes/c", False),
    ],
)
def test_a_404_is_about_what_it_names(body, url, wrong_workspace):
    assert lacks_workspace(body, url) is wrong_workspace
    error = refusal(CONNECTION, "GET", f"https://management.azure.com{url}?api-version=1", 404, body, {})
    assert type(error) is (ConnectionConfigurationError if wrong_workspace else NotFoundError)


def test_a_404_of_the_service_behind_is_neither():
    """Seen where an endpoint's name was used before, or its Kubernetes cluster is gone."""
    body = provider("NotFound", '{{"title":"Not Found"}}', detail="InferencingClientCallFailed")
    error = refusal(CONNECTION, "PUT", f"https://management.azure.com{ENDPOINT}", 404, body, {})
    assert isinstance(error, RequestRefusedError)
    assert error.status == 404


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("PUT", "/computes/c", "AzureML Compute Operator"),
        ("DELETE", "/computes/c", "AzureML Compute Operator"),
        ("POST", "/computes/c/start", "e.g. AzureML Data Scientist"),
        ("PUT", "/onlineEndpoints/e", "e.g. AzureML Data Scientist"),
        ("POST", "/datastores/d/listSecrets", "e.g. AzureML Data Scientist"),
        ("GET", "/jobs/j", "Reader"),
        ("GET", "/computes/c", "Reader"),
        ("PUT", "", "Contributor on the workspace's resource group"),
    ],
)
def test_the_advice_of_a_403_names_the_role_for_what_was_asked(method, path, role):
    assert role in role_for(method, f"{WS.id}{path}")
    body = gateway("AuthorizationFailed", "The client does not have authorization.")
    error = refusal(CONNECTION, method, f"https://management.azure.com{WS.id}{path}?x=1", 403, body, {})
    assert isinstance(error, PermissionDeniedError)
    assert role in str(error)


def test_the_advice_names_the_role_for_an_identity_and_for_a_registry():
    assert "Managed Identity Operator" in role_for("PUT", ENDPOINT, "LinkedAuthorizationFailed")
    registry = f"/subscriptions/s/resourceGroups/g/providers/{PROVIDER}/registries/r/models/m/versions/1"
    assert "AzureML Registry User" in role_for("PUT", registry)
