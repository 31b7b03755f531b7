"""What a registry makes is an operation that goes on after the answer: it may fail, never end, or be forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_azureml.datasets import Registry
from airflow_provider_azureml.provider.errors import (
    AzureMachineLearningError,
    ConnectionConfigurationError,
    PermissionDeniedError,
    SpecError,
    TransientError,
)
from airflow_provider_azureml.provider.operators.data import AzureMachineLearningCreateDataOperator as CreateData
from airflow_provider_azureml.provider.operators.model import AzureMachineLearningRegisterModelOperator as RegisterModel
from airflow_provider_azureml.provider.operators.moving import AzureMachineLearningShareAssetOperator as Share
from airflow_provider_azureml.provider.rest import registry_client
from airflow_provider_azureml.provider.rest.client import WorkspaceClient

SALES = {"kind": "data", "asset_name": "sales", "version": "1"}


@pytest.fixture
def registry(ws: Any, azureml_emulator: Any) -> Registry:
    azureml_emulator.configure(answers={"registry import": "accepted"})
    return Registry(azureml_emulator.create_registry())


@pytest.fixture
def making(task: Any, registry: Registry, folder: Any) -> Any:
    """A task that makes a version in the registry: `making(share=True)` by sharing one, else by uploading files."""

    def make(*, share: bool) -> Any:
        spec = {"name": "sales", "path": str(folder)}
        if not share:
            return task(CreateData, workspace=registry, data_asset=spec)
        task(CreateData, data_asset=spec).run()
        return task(Share, registry=registry, **SALES)

    return make


both = pytest.mark.parametrize("share", [True, False], ids=["share", "upload"])


@both
@pytest.mark.parametrize("how", ["status", "error", "refusal"])
def test_one_that_fails_fails_the_task_with_its_reason_and_a_retry_makes_the_version(
    making, registry, azureml_emulator, share, how
):
    azureml_emulator.configure(answers={"registry import": "accepted", "registry operation fails": how})
    runner = making(share=share)
    method, path = ("POST", "/import") if share else ("PUT", "/registries/.*/data/sales/versions/1")
    azureml_emulator.misbehave(method, path, operation_fails=True, message="The storage is closed.", times=1)
    with pytest.raises(AzureMachineLearningError, match=r"The storage is closed\."):
        runner.run()
    made = runner.run()
    assert made["id"] == f"azureml://registries/{registry.name}/data/sales/versions/1"
    assert runner.announced(registry.data("sales")) == [made]


@both
def test_one_that_is_not_known_any_more_is_judged_by_what_it_made(making, registry, azureml_emulator, share):
    azureml_emulator.misbehave("GET", "/operations/", status=404, times=1)
    runner = making(share=share)
    made = runner.run()
    assert runner.announced(registry.data("sales")) == [made]


@both
def test_one_that_never_ends_is_given_up_after_an_hour_and_said(making, azureml_emulator, share, monkeypatch):
    monkeypatch.setattr(registry_client, "_LONGEST_OPERATION", 1.0)
    monkeypatch.setattr("airflow_provider_azureml.provider.versions.moving._PATIENCE", 0.0)
    monkeypatch.setattr("airflow_provider_azureml.provider.versions.registration._PATIENCE", 0.0)
    runner = making(share=share)
    azureml_emulator.configure(operation_seconds=3600)
    try:
        with pytest.raises(TransientError, match="has not made the version within an hour"):
            runner.run()
    finally:
        azureml_emulator.configure(operation_seconds=0)


def test_a_registry_that_holds_the_version_with_other_content_keeps_it(task, registry, folder, azureml_emulator):
    first = task(
        CreateData, workspace=registry, data_asset={"name": "sales", "path": str(folder), "version": "1"}
    ).run()
    (folder / "a.txt").write_text("other")
    runner = task(CreateData, workspace=registry, data_asset={"name": "sales", "path": str(folder), "version": "1"})
    with pytest.raises(SpecError, match=r"exists already with other content.*Give another version"):
        runner.run()
    azureml_emulator.configure(list_delay=0)
    assert (
        task(CreateData, workspace=registry, data_asset={"name": "sales", "path": str(folder)}).run()["version"] == "2"
    )
    assert first["version"] == "1"


def test_discovery_that_is_refused_names_the_role(task, registry, folder, azureml_emulator):
    azureml_emulator.misbehave("GET", "/discovery$", status=403, code="AuthorizationFailed", times=3)
    with pytest.raises(PermissionDeniedError, match="AzureML Registry User"):
        task(RegisterModel, workspace=registry, model={"name": "m", "path": str(folder)}).run()


def test_a_registry_without_a_region_is_said(task, registry, folder, monkeypatch):
    request = WorkspaceClient.request

    async def without(self: Any, method: str, url: str, **more: Any) -> Any:
        found = await request(self, method, url, **more)
        return {**found, "primaryRegionResourceProviderUri": None} if url.endswith("/discovery") else found

    monkeypatch.setattr(WorkspaceClient, "request", without)
    with pytest.raises(TransientError, match="does not tell its primaryRegionResourceProviderUri"):
        task(RegisterModel, workspace=registry, model={"name": "m", "path": str(folder)}).run()


def test_sharing_needs_a_workspace(task, registry, azureml_emulator, monkeypatch):
    import json

    connection = json.loads(azureml_emulator.connection_json)
    extra = {key: value for key, value in connection["extra"].items() if key != "workspace_name"}
    connection["extra"] = {**extra, "registry_name": registry.name}
    monkeypatch.setenv("AIRFLOW_CONN_AZUREML", json.dumps(connection))
    with pytest.raises(ConnectionConfigurationError, match="alone, and this needs a workspace"):
        task(Share, registry=registry, **SALES).run()


def test_the_version_can_be_the_partition_key_of_the_event(task, registry, folder):
    task(CreateData, data_asset={"name": "sales", "path": str(folder)}).run()
    runner = task(Share, registry=registry, partition_by_version=True, **SALES)
    made = runner.run()
    assert runner.events[registry.data("sales")].partition_keys == {made["version"]}


@pytest.mark.parametrize("wrong", [{"asset_name": "{{ x }}"}, {"kind": "environment"}])
def test_a_partition_key_needs_an_asset_that_is_known(registry, wrong):
    with pytest.raises(SpecError, match="partition_by_version is True"):
        Share(task_id="it", registry=registry, partition_by_version=True, **{**SALES, **wrong})
