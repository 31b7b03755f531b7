"""Signing in to Microsoft Entra: each way through the real azure-identity, from worker (SDK) and triggerer (REST)."""

from __future__ import annotations

import asyncio
import base64
import datetime
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key, pkcs12
from cryptography.x509 import load_pem_x509_certificate
from freezegun import freeze_time

from airflow_provider_azureml.provider import sdk
from airflow_provider_azureml.provider.errors import (
    AuthenticationError,
    AzureMachineLearningError,
    ConnectionConfigurationError,
    TransientError,
)
from airflow_provider_azureml.provider.hook import AzureMachineLearningHook

SUBJECT = "system:serviceaccount:airflow:worker"
SIGN_IN_VARIABLES = (
    *("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE"),
    *("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "AZURE_POD_IDENTITY_AUTHORITY_HOST"),
)


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SIGN_IN_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def connect(azureml_emulator: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the Airflow connection `azureml`, with the workspace of this test and nobody signed in but as told."""

    def make(login: str | None = None, password: str | None = None, **extra: Any) -> None:
        found = dict(azureml_emulator.connection)
        fields = {key: value for key, value in {**found["extra"], **extra}.items() if value is not None}
        monkeypatch.setenv(
            "AIRFLOW_CONN_AZUREML", json.dumps({**found, "login": login, "password": password, "extra": fields})
        )

    return make


class Rest:
    """As triggers, sensors and the asset operators sign in."""

    @staticmethod
    def read() -> str:
        async def get() -> dict[str, Any]:
            async with AzureMachineLearningHook("azureml").client() as client:
                return await client.get_workspace()

        return str(asyncio.run(get())["name"])


class Sdk:
    """As the operators do that let the SDK read a spec."""

    @staticmethod
    def read() -> str:
        hook = AzureMachineLearningHook("azureml")
        with sdk.sdk_errors("job", hook.get_workspace_connection()), hook.ml_client() as ml:
            return str(ml.workspaces.get(ml.workspace_name).name)


each_way_of_asking = pytest.mark.parametrize("side", [Rest, Sdk], ids=["REST", "SDK"])


def _rsa(name: str) -> trustme.LeafCert:
    return trustme.CA().issue_cert(name, key_type=trustme.KeyType.RSA)


@pytest.fixture(scope="module")
def certificate() -> dict[str, Any]:
    leaf = _rsa("app.example")
    public, private = leaf.cert_chain_pems[0].bytes().decode(), leaf.private_key_pem.bytes().decode()
    return {"public": public, "private": private, "pem": private + public}


@each_way_of_asking
class TestCertificate:
    @pytest.fixture
    def app(self, azureml_emulator: Any, certificate: dict[str, Any]) -> str:
        return str(azureml_emulator.create_principal(certificate=certificate["public"])["client_id"])

    def test_in_a_file(self, side, app, connect, certificate, tmp_path: Path):
        (tmp_path / "app.pem").write_text(certificate["pem"])
        connect(app, certificate_path=str(tmp_path / "app.pem"))
        assert side.read()

    @pytest.mark.parametrize(
        "flattened",
        [
            lambda pem: pem,
            lambda pem: pem.replace("\n", "\\n"),
            lambda pem: pem.replace("\n", " "),
            lambda pem: pem.replace("\n", "\r\n"),
            lambda pem: base64.b64encode(pem.encode()).decode(),
        ],
        ids=["as it is", "with backslash n", "on one line", "from Windows", "in base64"],
    )
    def test_in_the_connection_however_a_form_or_secrets_backend_keeps_it(
        self, side, app, connect, certificate, flattened
    ):
        connect(app, certificate_data=flattened(certificate["pem"]))
        assert side.read()

    def test_as_pkcs12_with_a_password(self, side, app, connect, certificate):
        packed = pkcs12.serialize_key_and_certificates(
            b"app",
            load_pem_private_key(certificate["private"].encode(), None),
            load_pem_x509_certificate(certificate["public"].encode()),
            None,
            BestAvailableEncryption(b"opensesame"),
        )
        connect(app, certificate_data=base64.b64encode(packed).decode(), certificate_password="opensesame")
        assert side.read()

    def test_that_the_app_registration_does_not_know_is_refused(self, side, connect, azureml_emulator, certificate):
        other = _rsa("other.example").cert_chain_pems[0].bytes().decode()
        connect(azureml_emulator.create_principal(certificate=other)["client_id"], certificate_data=certificate["pem"])
        with pytest.raises(AuthenticationError, match=r"'azureml'.*AADSTS700027.*has this certificate"):
            side.read()

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"certificate_path": "/nowhere/app.pem"}, "/nowhere/app.pem is of no use: .*No such file"),
            ({"certificate_data": "-----BEGIN NONSENSE-----"}, "certificate_data is of no use"),
            ({"certificate_data": "hunter2!"}, "neither PEM nor base64"),
        ],
    )
    def test_that_cannot_be_read_is_a_clear_error_without_its_text(self, side, app, connect, fields, words):
        connect(app, **fields)
        with pytest.raises(ConnectionConfigurationError, match=words) as caught:
            side.read()
        assert "'azureml'" in str(caught.value)
        assert "hunter2" not in str(caught.value)

    def test_that_has_expired_is_said_to_have(self, side, connect, azureml_emulator):
        begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=400)
        leaf = trustme.CA().issue_cert(
            "old.example",
            key_type=trustme.KeyType.RSA,
            not_before=begin,
            not_after=begin + datetime.timedelta(days=365),
        )
        public, private = leaf.cert_chain_pems[0].bytes().decode(), leaf.private_key_pem.bytes().decode()
        connect(azureml_emulator.create_principal(certificate=public)["client_id"], certificate_data=private + public)
        with pytest.raises(
            AuthenticationError, match=r"AADSTS700027.*The key used is expired.*that it has not expired"
        ):
            side.read()

    def test_on_a_machine_whose_clock_is_wrong_the_clock_is_named(self, side, app, connect, certificate):
        connect(app, certificate_data=certificate["pem"])
        with (
            freeze_time(
                datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=3), real_asyncio=True, tick=True
            ),
            pytest.raises(AuthenticationError, match=r"AADSTS700024.*Set the clock of the machine"),
        ):
            side.read()


@each_way_of_asking
class TestWorkloadIdentity:
    @pytest.fixture
    def app(self, azureml_emulator: Any) -> str:
        return str(azureml_emulator.create_principal(subject=SUBJECT)["client_id"])

    @pytest.fixture
    def token_file(self, azureml_emulator: Any, tmp_path: Path) -> Path:
        path = tmp_path / "token"
        path.write_text(azureml_emulator.federated_token(SUBJECT))
        return path

    def test_a_login_without_a_password_is_a_workload_identity(self, side, app, connect, token_file, monkeypatch):
        monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(token_file))
        connect(app)
        assert side.read()

    def test_the_connection_can_name_the_token_file(self, side, app, connect, token_file):
        connect(app, federated_token_file=str(token_file))
        assert side.read()

    def test_client_and_tenant_can_be_the_machines(self, side, app, connect, token_file, monkeypatch, azureml_emulator):
        monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(token_file))
        monkeypatch.setenv("AZURE_CLIENT_ID", app)
        monkeypatch.setenv("AZURE_TENANT_ID", azureml_emulator.tenant_id)
        connect(auth="workload_identity", tenantId=None)
        assert side.read()

    def test_without_a_token_file_it_says_what_is_missing(self, side, app, connect):
        connect(app)
        with pytest.raises(ConnectionConfigurationError, match=r"no secret and no certificate.*AZURE_FEDERATED_TOKEN"):
            side.read()

    def test_a_token_for_somebody_else_is_refused(self, side, app, connect, token_file, azureml_emulator):
        token_file.write_text(azureml_emulator.federated_token("system:serviceaccount:other:pod"))
        connect(app, federated_token_file=str(token_file))
        with pytest.raises(AuthenticationError, match=r"AADSTS700213.*federated credential"):
            side.read()


@each_way_of_asking
class TestManagedIdentity:
    @pytest.fixture(autouse=True)
    def machine(self, azureml_emulator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in azureml_emulator.managed_identity_environment.items():
            monkeypatch.setenv(name, value)

    def test_of_the_machine(self, side, connect):
        connect(auth="managed_identity")
        assert side.read()

    def test_of_the_users_choice(self, side, connect, azureml_emulator):
        identity = azureml_emulator.create_principal(kind="ManagedIdentity")["client_id"]
        connect(managed_identity_client_id=identity)
        assert side.read()

    def test_a_secret_in_the_environment_does_not_win_silently(self, side, connect, monkeypatch, azureml_emulator):
        wrong = {"CLIENT_ID": "somebody-else", "CLIENT_SECRET": "s", "TENANT_ID": azureml_emulator.tenant_id}
        for name, value in wrong.items():
            monkeypatch.setenv(f"AZURE_{name}", value)
        connect(auth="managed_identity")
        assert side.read()

    def test_that_the_machine_does_not_have(self, side, connect):
        connect(managed_identity_client_id="11111111-0000-4000-8000-000000000000")
        with pytest.raises(
            AuthenticationError, match=r"managed identity with client id 1111.*has the identity"
        ) as caught:
            side.read()
        assert "'azureml'" in str(caught.value)


@each_way_of_asking
class TestAzureConnection:
    """The connection of apache-airflow-providers-microsoft-azure says who signs in."""

    def test_its_secret_need_not_be_repeated(self, side, connect, azureml_emulator, monkeypatch):
        found = azureml_emulator.connection
        azure = {
            "conn_type": "azure",
            "login": found["login"],
            "password": found["password"],
            "extra": {"tenantId": found["extra"]["tenantId"], "subscriptionId": found["extra"]["subscriptionId"]},
        }
        monkeypatch.setenv("AIRFLOW_CONN_AZURE_DEFAULT", json.dumps(azure))
        connect(azure_conn_id="azure_default", tenantId=None, subscriptionId=None)
        assert side.read()

    def test_that_does_not_exist_is_named(self, side, connect):
        connect(azure_conn_id="azure_nowhere")
        with pytest.raises(ConnectionConfigurationError, match="could not give connection 'azure_nowhere'"):
            side.read()


@each_way_of_asking
def test_a_wrong_secret_is_not_something_to_try_again(side, connect, azureml_emulator):
    connect(azureml_emulator.client_id, "wrong")
    with pytest.raises(AuthenticationError, match=r"'azureml'.*AADSTS7000215.*Check client id, client secret"):
        side.read()


@each_way_of_asking
@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (7000222, "Make a new secret"),
        (90002, "Correct the tenant, or the Azure cloud"),
        (5000225, "The tenant is disabled"),
        (53003, "A Conditional Access"),
    ],
)
def test_what_to_do_is_told_by_the_number_of_entras_refusal(side, connect, azureml_emulator, number, advice):
    connect(azureml_emulator.client_id, azureml_emulator.client_secret)
    azureml_emulator.misbehave(
        "POST", "/oauth2/v2.0/token", host="login", status=401, code=f"AADSTS{number}", message="As Entra words it."
    )
    with pytest.raises(AuthenticationError, match=rf"AADSTS{number}: As Entra words it\. {advice}"):
        side.read()


@each_way_of_asking
def test_the_default_credential_says_of_each_way_why_it_failed(side, connect, monkeypatch, azureml_emulator):
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9")
    connect()
    with pytest.raises(AuthenticationError) as caught:
        side.read()
    text = str(caught.value)
    for way in ("EnvironmentCredential: ", "WorkloadIdentityCredential: ", "ManagedIdentityCredential: ", "AzureCli"):
        assert way in text
    assert "'Sign in with'" in text
    assert "\n" not in text


@each_way_of_asking
def test_a_login_host_that_is_silent_is_named_in_seconds(side, connect, azureml_emulator, monkeypatch):
    connect(azureml_emulator.client_id, azureml_emulator.client_secret)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(TransientError) as caught:
        side.read()
    assert time.monotonic() - began < 30
    assert "login.microsoftonline.com" in str(caught.value)
    assert "HTTPS_PROXY" in str(caught.value)


def test_a_wait_of_three_days_renews_its_token_each_hour(connect, azureml_emulator):
    connect(azureml_emulator.client_id, azureml_emulator.client_secret)

    def tokens() -> int:
        return len(azureml_emulator.calls(method="POST", path_contains="/oauth2/v2.0/token"))

    async def wait(clock: Any) -> None:
        async with AzureMachineLearningHook("azureml").shared_client() as client:
            for _ in range(72 * 2):
                await client.get_workspace()
                clock.tick(1800)

    before = tokens()
    with freeze_time(real_asyncio=True) as clock:
        asyncio.run(wait(clock))
    assert 71 <= tokens() - before <= 73 * 2


def test_a_connection_to_a_registry_alone(azureml_emulator, monkeypatch):
    registry = azureml_emulator.create_registry()
    found = azureml_emulator.connection
    extra = {"tenantId": found["extra"]["tenantId"], "registry_name": registry}
    monkeypatch.setenv("AIRFLOW_CONN_AZUREML", json.dumps({**found, "extra": extra}))
    hook = AzureMachineLearningHook("azureml")
    assert hook.test_connection() == (True, f"Registry {registry} in westeurope can be read.")
    with pytest.raises(AzureMachineLearningError, match=r"registry .* alone, and this needs a workspace"):
        Rest.read()
