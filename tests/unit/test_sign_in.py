"""Which way of signing in the fields of a connection mean."""

from __future__ import annotations

import pytest

from airflow_provider_azureml.provider.errors import ConnectionConfigurationError
from airflow_provider_azureml.provider.sign_in import METHODS, SignIn, reasons

TENANT = {"tenantId": "t"}


def sign_in(login: str | None = None, password: str | None = None, **extra: str) -> SignIn:
    return SignIn.from_fields("c", login=login, password=password, extra=extra)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"login": "app", "password": "s", **TENANT}, SignIn("client_secret", "t", "app", "s")),
        (
            {"login": "app", "certificate_path": "/c.pem", **TENANT},
            SignIn("client_certificate", "t", "app", certificate_path="/c.pem"),
        ),
        ({"login": "app", **TENANT}, SignIn("workload_identity", "t", "app")),
        (
            {"managed_identity_client_id": "id", "workload_identity_tenant_id": "w"},
            SignIn("workload_identity", "w", "id"),
        ),
        ({"managed_identity_client_id": "id"}, SignIn("managed_identity", None, "id")),
        ({}, SignIn("default")),
        ({"auth": "managed_identity"}, SignIn("managed_identity")),
        ({"auth": "managed_identity", "login": "id"}, SignIn("managed_identity", None, "id")),
        ({"auth": "azure_cli", **TENANT}, SignIn("azure_cli", "t")),
        (
            {"auth": "default", "managed_identity_client_id": "id", "workload_identity_tenant_id": "w"},
            SignIn("default", None, "id", workload_identity_tenant_id="w"),
        ),
        # `auth` decides, whatever else is filled in.
        ({"auth": "client_secret", "login": "a", "password": "s", "certificate_path": "/c", **TENANT}, None),
    ],
)
def test_what_is_filled_in_says_how_to_sign_in(fields, expected):
    found = sign_in(**fields)
    assert found == (expected or SignIn("client_secret", "t", "a", "s"))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"login": "app", "password": "s"}, "Connection 'c' has no 'tenantId' in its extra"),
        ({"password": "s", **TENANT}, "has no client ID as login"),
        ({"auth": "client_secret", "login": "app", **TENANT}, "has no client secret as password"),
        ({"login": "a", "password": "s", "certificate_data": "x", **TENANT}, "a client secret and a certificate"),
        ({"login": "a", "certificate_path": "/c", "certificate_data": "x", **TENANT}, "one of them"),
        ({"auth": "client_certificate", "login": "a", **TENANT}, "'certificate_path' or 'certificate_data'"),
        ({"login": "app", "password": "s", "tenantId": "my tenant"}, "tenant 'my tenant' is not valid: it is the GUID"),
        ({"auth": "kerberos"}, "auth is 'kerberos'; it is one of client_secret, "),
    ],
)
def test_fields_that_contradict_each_other_or_lack_something_are_a_clear_error(fields, words):
    with pytest.raises(ConnectionConfigurationError, match=words) as caught:
        sign_in(**fields)
    assert "'c'" in str(caught.value)


def test_each_way_says_what_to_check_and_who_asks():
    for method in METHODS:
        assert SignIn(method, "t", "app").principal
        assert METHODS[method].endswith(".")


def test_no_secret_is_in_the_text_form():
    secret = SignIn("client_certificate", "t", "a", "hush", None, "hush", "hush")
    assert "hush" not in repr(secret)


def test_of_several_ways_that_were_tried_each_has_its_reason():
    text = (
        "DefaultAzureCredential failed to retrieve a token from the included credentials.\n"
        "Attempted credentials:\n"
        "\tEnvironmentCredential: Environment variables are not\n fully configured.\n"
        "\tAzureCliCredential: Azure CLI not found on path\n"
        "To mitigate this issue, please refer to the troubleshooting guidelines here at https://aka.ms/x."
    )
    assert reasons(text) == (
        "(1) EnvironmentCredential: Environment variables are not fully configured. "
        "(2) AzureCliCredential: Azure CLI not found on path."
    )
