"""The clouds of China and the US Government: who signs in there, and works there, meets no host of another cloud."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import trustme

from airflow_provider_azureml.datasets import Registry
from airflow_provider_azureml.provider.connection import CLOUDS
from airflow_provider_azureml.provider.errors import JobFailedError
from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
from airflow_provider_azureml.provider.operators.batch import (
    AzureMachineLearningInvokeBatchEndpointOperator as InvokeBatch,
)
from airflow_provider_azureml.provider.operators.data import AzureMachineLearningCreateDataOperator as CreateData
from airflow_provider_azureml.provider.operators.download import AzureMachineLearningDownloadOperator as Download
from airflow_provider_azureml.provider.operators.endpoint import AzureMachineLearningCreateEndpointOperator as Create
from airflow_provider_azureml.provider.operators.endpoint import AzureMachineLearningDeployEndpointOperator as Deploy
from airflow_provider_azureml.provider.operators.invoke import (
    AzureMachineLearningInvokeOnlineEndpointOperator as Invoke,
)
from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator as CreateJob
from airflow_provider_azureml.provider.operators.model import AzureMachineLearningRegisterModelOperator as RegisterModel

from .test_check_command import check  # noqa: F401 - a fixture
from .test_sign_in import SIGN_IN_VARIABLES, SUBJECT, each_way_of_asking

# Host names that only one cloud has; Microsoft's pages on national clouds and private endpoints.
OWN = {
    "AzureChinaCloud": re.compile(r".*(\.chinacloudapi\.cn|\.ml\.azure\.cn)"),
    "AzureUSGovernment": re.compile(r".*(\.usgovcloudapi\.net|\.microsoftonline\.us|\.ml\.azure\.us)"),
}
STUDIO = {"AzureChinaCloud": "https://studio.ml.azure.cn/", "AzureUSGovernment": "https://ml.azure.us/"}
STORAGE = {"AzureChinaCloud": "core.chinacloudapi.cn", "AzureUSGovernment": "core.usgovcloudapi.net"}
FAST = {"poll_interval": 0.1}


@pytest.fixture(params=OWN)
def cloud(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in SIGN_IN_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZUREML_CURRENT_CLOUD", "")  # the SDK sets it for the process: it ends with the test
    monkeypatch.delenv("AZUREML_CURRENT_CLOUD")
    return str(request.param)


@pytest.fixture
def connect(cloud: str, ws: Any, azureml_emulator: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the connection `azureml` one of the cloud, and forget the calls so far."""

    def make(login: str | None = None, password: str | None = None, **extra: Any) -> None:
        found = dict(azureml_emulator.connection)
        fields = {**found["extra"], "cloud_environment": cloud, **extra}
        monkeypatch.setenv(
            "AIRFLOW_CONN_AZUREML", json.dumps({**found, "login": login, "password": password, "extra": fields})
        )
        azureml_emulator.clear_calls()

    return make


@pytest.fixture
def connected(connect: Any, azureml_emulator: Any) -> None:
    connect(azureml_emulator.client_id, azureml_emulator.client_secret)


@pytest.fixture
def hosts(cloud: str, azureml_emulator: Any) -> Callable[[], set[str]]:
    """The hosts that were spoken to so far, each of them one of the cloud's."""

    def found() -> set[str]:
        hosts = {call["host"] for call in azureml_emulator.calls(host=".")}
        assert [host for host in hosts if not OWN[cloud].fullmatch(host)] == []
        return hosts

    return found


@each_way_of_asking
class TestSignIn:
    def test_with_a_client_secret(self, side, connected, hosts):
        assert side.read()
        assert len(hosts()) == 2, "where one signs in, and Resource Manager"

    def test_with_a_certificate(self, side, connect, azureml_emulator, hosts):
        leaf = trustme.CA().issue_cert("app.example", key_type=trustme.KeyType.RSA)
        public, private = leaf.cert_chain_pems[0].bytes(), leaf.private_key_pem.bytes()
        app = azureml_emulator.create_principal(certificate=public.decode())["client_id"]
        connect(app, certificate_data=base64.b64encode(private + public).decode())
        assert side.read()
        assert len(hosts()) == 2

    def test_with_a_workload_identity(self, side, connect, azureml_emulator, hosts, tmp_path):
        (tmp_path / "token").write_text(azureml_emulator.federated_token(SUBJECT))
        app = azureml_emulator.create_principal(subject=SUBJECT)["client_id"]
        connect(app, federated_token_file=str(tmp_path / "token"))
        assert side.read()
        assert len(hosts()) == 2

    def test_with_a_managed_identity(self, side, connect, azureml_emulator, hosts, monkeypatch):
        for name, value in azureml_emulator.managed_identity_environment.items():
            monkeypatch.setenv(name, value)
        connect(auth="managed_identity")
        assert side.read()
        assert len(hosts()) == 1

    def test_with_what_the_environment_says(self, side, connect, azureml_emulator, hosts, monkeypatch):
        for name, value in azureml_emulator.credential_environment.items():
            monkeypatch.setenv(name, value)
        connect()
        assert side.read()
        assert len(hosts()) == 2

    def test_one_that_is_refused_names_the_clouds_own_host(self, side, connected, cloud, monkeypatch):
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
        with pytest.raises(Exception, match=re.escape(f"nobody answered at {CLOUDS[cloud].authority[8:]}")):
            side.read()


def test_what_is_uploaded_is_in_the_clouds_storage_and_comes_back(task, folder, connected, cloud, hosts, tmp_path):
    version = task(CreateData, data_asset={"name": "sales", "path": str(folder)}).run()
    task(Download, source=version, to=str(tmp_path / "to")).run()
    assert (tmp_path / "to" / "nested" / "b.txt").read_text() == "beta"
    assert f".dfs.{STORAGE[cloud]}/" in AzureMachineLearningHook("azureml").get_abfss_path(version)
    assert any(host.endswith(f".blob.{STORAGE[cloud]}") for host in hosts())


def test_a_job_is_submitted_with_its_code_and_its_failure_is_told_from_run_history(
    task, folder, cpu, connected, cloud, hosts, azureml_emulator
):
    azureml_emulator.script_jobs([{"status": "Failed", "error": {"code": "UserError", "message": "No column amount."}}])
    job = {
        "type": "command",
        "command": "ls",
        "code": str(folder),
        "environment": {"image": "busybox"},
        "compute": "azureml:cpu",
    }
    runner = task(CreateJob, job=job, waiting=True, **FAST)
    with pytest.raises(JobFailedError, match="No column amount"):
        runner.run()
    assert runner.ti.xcoms["azureml_studio_url"].startswith(STUDIO[cloud] + "runs/")
    assert any(host.endswith(f".blob.{STORAGE[cloud]}") for host in hosts()), "the SDK's upload of code"
    assert any(".api.ml.azure." in host for host in hosts()), "run history"


def test_endpoints_are_invoked_with_a_token_of_the_cloud(task, folder, cpu, connected, hosts, azureml_emulator):
    task(CreateData, data_asset={"name": "sales", "path": str(folder)}).run()
    task(RegisterModel, model={"name": "fraud", "path": str(folder)}).run()
    for kind, spec in (("online", {"auth_mode": "aad_token"}), ("batch", {})):
        task(Create, endpoint={"name": f"fraud-{kind}", **spec}, endpoint_type=kind, **FAST).run()
    place = {"instance_type": "Standard_DS3_v2", "instance_count": 1}
    blue = {"name": "blue", "model": "azureml:fraud:1"}
    task(Deploy, deployment={**blue, "endpoint_name": "fraud-online", **place}, **FAST).run()
    task(
        Deploy,
        deployment={**blue, "endpoint_name": "fraud-batch", "compute": "azureml:cpu"},
        endpoint_type="batch",
        **FAST,
    ).run()
    answer = task(Invoke, endpoint_name="fraud-online", request={}, deployment_name="blue").run()
    assert answer["status"] == 200
    azureml_emulator.script_jobs(["Completed"])
    inputs = {"sales": {"type": "uri_folder", "path": "azureml:sales:1"}}
    batch = task(InvokeBatch, endpoint_name="fraud-batch", deployment_name="blue", inputs=inputs, **FAST)
    assert batch.run()["status"] == "Completed"
    assert sum(".inference.ml.azure." in host for host in hosts()) == 2


def test_a_registry_is_found_in_the_clouds_own_discovery(task, folder, connected, hosts, azureml_emulator, tmp_path):
    registry = Registry(azureml_emulator.create_registry())
    version = task(
        RegisterModel, workspace=registry, model={"name": "fraud", "version": "1", "path": str(folder)}
    ).run()
    task(Download, source=version, to=str(tmp_path / "to")).run()
    assert (tmp_path / "to" / "a.txt").read_text() == "alpha"
    assert any(host.endswith((".api.ml.azure.cn", ".api.ml.azure.us")) for host in hosts())


def test_an_api_version_in_the_connection_is_that_of_all_that_this_provider_asks_of_the_workspace(
    task, connect, azureml_emulator, hosts
):
    connect(azureml_emulator.client_id, azureml_emulator.client_secret, api_version="2023-04-01")
    AzureMachineLearningHook("azureml").test_connection()
    task(Create, endpoint={"name": "fraud", "auth_mode": "key"}, **FAST).run()
    asked = azureml_emulator.calls(host="management", path_contains="/Microsoft.MachineLearningServices/")
    own = [call for call in asked if call["user_agent"].startswith("airflow-provider-azureml")]
    assert {call["method"] for call in own} >= {"GET", "PUT"}
    assert {call["api_version"] for call in own} == {"2023-04-01"}
    hosts()


def test_an_api_version_in_the_connection_is_not_that_of_registries(connect, azureml_emulator, hosts):
    """Registries answer at an api-version of their own, and workspaces at none of that name."""
    registry = Registry(azureml_emulator.create_registry())
    connect(azureml_emulator.client_id, azureml_emulator.client_secret, api_version="2023-04-01")
    assert AzureMachineLearningHook("azureml", workspace=registry).find_version("model", "nobody") is None
    calls = azureml_emulator.calls(path_contains=f"/registries/{registry.name}/models")
    assert {call["api_version"] for call in calls} == {"2021-10-01-dataplanepreview"}
    hosts()


def test_the_check_command_finds_all_that_works(check, azureml_emulator, cloud, hosts, monkeypatch):  # noqa: F811
    found = azureml_emulator.connection_for()
    found["extra"]["cloud_environment"] = cloud
    monkeypatch.setattr(azureml_emulator.emulator, "connection_for", lambda *_, **__: found)
    azureml_emulator.clear_calls()
    status, findings = check(None, "sensor")
    assert status == 0, findings
    assert cloud_of_sign_in(findings) == CLOUDS[cloud].authority
    assert any(host.endswith(f".blob.{STORAGE[cloud]}") for host in hosts())


def cloud_of_sign_in(findings: dict[str, Any]) -> str:
    return str(findings["sign-in"][1].split()[-1])


def test_the_hosts_are_those_of_the_sdk():
    from azure.ai.ml._azure_environments import _environments

    for cloud in CLOUDS.values():
        theirs = {name: str(value).rstrip("/") for name, value in _environments[cloud.sdk_name].items()}
        assert theirs["active_directory"] == cloud.authority
        assert theirs["resource_manager"] == cloud.resource_manager
        assert f"{theirs['aml_resource_id']}/.default" == cloud.ml_scope
        assert theirs["storage_endpoint"] == cloud.storage
        assert theirs["registry_discovery_endpoint"] == cloud.registry_discovery
