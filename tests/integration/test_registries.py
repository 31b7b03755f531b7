"""Registries as owners: versions are made, found, changed and read there as they are in a workspace."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_azureml.datasets import AssetVersion, Kind, Registry
from airflow_provider_azureml.provider.errors import (
    ConnectionConfigurationError,
    NotFoundError,
    RequestRefusedError,
    SpecError,
)
from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
from airflow_provider_azureml.provider.operators.component import (
    AzureMachineLearningLoadAndRegisterComponentOperator as RegisterComponent,
)
from airflow_provider_azureml.provider.operators.data import AzureMachineLearningCreateDataOperator as CreateData
from airflow_provider_azureml.provider.operators.download import AzureMachineLearningDownloadOperator as Download
from airflow_provider_azureml.provider.operators.environment import (
    AzureMachineLearningCreateEnvironmentOperator as CreateEnvironment,
)
from airflow_provider_azureml.provider.operators.model import AzureMachineLearningRegisterModelOperator as RegisterModel
from airflow_provider_azureml.provider.operators.version import AzureMachineLearningArchiveAssetOperator as Archive
from airflow_provider_azureml.provider.operators.version import AzureMachineLearningSetTagsOperator as SetTags
from airflow_provider_azureml.sensors import AzureMachineLearningModelVersionSensor

NOUNS = [(RegisterModel, "model"), (CreateData, "data_asset")]


def content(folder: Any) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def versions(registry: Registry, kind: Kind, name: str, ask_registry: Any) -> list[str]:
    return [version.version for version in ask_registry(registry, lambda client: client.list_versions(kind, name))]


@pytest.fixture
def ask_registry(azureml_emulator: Any) -> Any:
    """Ask a registry something with the provider's own client."""
    import asyncio

    from airflow_provider_azureml.provider.rest.registry_client import client_for

    def run(registry: Registry, question: Any) -> Any:
        async def answer() -> Any:
            hook = AzureMachineLearningHook("azureml", workspace=registry)
            async with client_for(hook.get_workspace_connection()) as client:
                answer = question(client)
                return [item async for item in answer] if hasattr(answer, "__aiter__") else await answer

        azureml_emulator.configure(list_delay=0)
        return asyncio.run(answer())

    return run


@pytest.mark.parametrize(("operator", "key"), NOUNS)
def test_files_become_the_next_version_and_are_announced(task, registry, folder, operator, key, tmp_path, ask_registry):
    runner = task(operator, workspace=registry, **{key: {"name": "fraud", "path": str(folder)}})
    kind = runner.operator.kind
    assert runner.operator.outlets == [registry.asset(kind, "fraud")]
    first = runner.run()
    assert first["id"] == f"azureml://registries/{registry.name}/{kind.collection}/fraud/versions/1"
    assert runner.announced(registry.asset(kind, "fraud")) == [first]
    assert runner.ti.xcoms["azureml_studio_url"].startswith(
        f"https://ml.azure.com/registries/{registry.name}/{kind.collection}/fraud/version/1"
    )
    runner.clear()
    assert runner.run()["version"] == "2"
    for what in (first, AssetVersion.from_dict(first), first["id"]):
        to = tmp_path / f"to-{type(what).__name__}"
        AzureMachineLearningHook("azureml").download(what, to)
        assert content(to) == content(folder)


def test_a_connection_to_the_registry_alone_does_as_well(task, registry, folder, azureml_emulator, monkeypatch):
    connection = json.loads(azureml_emulator.connection_json)
    extra = {key: value for key, value in connection["extra"].items() if key != "workspace_name"}
    connection["extra"] = {**extra, "registry_name": registry.name}
    monkeypatch.setenv("AIRFLOW_CONN_AZUREML", json.dumps(connection))
    made = task(RegisterModel, model={"name": "fraud", "path": str(folder)}).run()
    assert made["id"].startswith(f"azureml://registries/{registry.name}/")
    tagged = task(SetTags, kind="model", asset_name="fraud", version="1", tags={"stage": "prod"}).run()
    assert tagged["tags"]["stage"] == "prod"
    with pytest.raises(ConnectionConfigurationError, match="registry 'other-registry'"):
        task(RegisterModel, workspace=Registry("other-registry"), model={"name": "m", "path": str(folder)}).run()


@pytest.mark.parametrize("again", ["conflict", "accepted"])
@pytest.mark.parametrize("place", ["same", "new"])
def test_sigkill_after_any_call_leaves_one_version_of_whole_files(
    task, registry, folder, azureml_emulator, kill_at_each_call, ask_registry, tmp_path, again, place
):
    azureml_emulator.configure(answers={"registry makes it already": again, "registry upload place": place})
    runner = task(CreateData, workspace=registry, data_asset={"name": "sales", "path": str(folder)})
    assert kill_at_each_call(runner) > 5
    made = runner.run()
    assert versions(registry, Kind.DATA, "sales", ask_registry) == ["1"]
    AzureMachineLearningHook("azureml").download(made, tmp_path / "to")
    assert content(tmp_path / "to") == content(folder)


@pytest.mark.parametrize("told", ["told", "untold"])
def test_versions_that_race_for_a_number_all_get_one(task, registry, folder, azureml_emulator, ask_registry, told):
    from concurrent.futures import ThreadPoolExecutor

    azureml_emulator.configure(answers={"registry next data version": told})
    runners = [
        task(CreateData, workspace=registry, data_asset={"name": "sales", "path": str(folder)}) for _ in range(3)
    ]
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda runner: runner.run()["version"], runners))
    assert sorted(made) == ["1", "2", "3"]


def test_a_number_whose_version_was_deleted_is_passed_over(task, registry, folder, ask_registry):
    spec = {"name": "fraud", "path": str(folder)}
    task(RegisterModel, workspace=registry, model=spec).run()
    path = ("models", "fraud", "versions", "1")
    ask_registry(registry, lambda client: client.change_resource("DELETE", *path))
    assert task(RegisterModel, workspace=registry, model=spec).run()["version"] == "2"
    with pytest.raises(RequestRefusedError, match="cannot be recreated"):
        task(RegisterModel, workspace=registry, model={**spec, "version": "1"}).run()


@pytest.mark.parametrize("path", ["azureml://jobs/j/outputs/m", "azureml://datastores/d/paths/x"])
def test_what_is_of_a_workspace_is_shared_not_registered(task, registry, azureml_emulator, path):
    with pytest.raises(SpecError, match="ShareAsset"):
        task(RegisterModel, workspace=registry, model={"name": "fraud", "path": path}).run()
    assert not azureml_emulator.calls("PUT")


@pytest.mark.parametrize("way", ["done", "accepted"])
def test_tags_and_the_archive(task, registry, folder, azureml_emulator, ask_registry, way):
    azureml_emulator.configure(answers={"registry update": way})
    task(RegisterModel, workspace=registry, model={"name": "fraud", "path": str(folder)}).run()
    fraud = {"kind": "model", "asset_name": "fraud", "version": 1, "workspace": registry}
    tagging = task(SetTags, tags={"stage": "prod"}, **fraud)
    tagged = tagging.run()
    assert tagged["tags"]["stage"] == "prod"
    assert tagging.announced(registry.model("fraud")) == [tagged]
    task(Archive, **fraud).run()
    assert versions(registry, Kind.MODEL, "fraud", ask_registry) == []


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_sensor_waits_for_a_version(task, registry, folder, deferrable):
    def register() -> None:
        task(RegisterModel, workspace=registry, model={"name": "fraud", "path": str(folder)}).run()

    runner = task(
        AzureMachineLearningModelVersionSensor,
        workspace=registry,
        model_name="fraud",
        deferrable=deferrable,
        poke_interval=0.2,
        after_version="0",
    )
    if deferrable:
        runner.while_deferred = register
    else:
        register()
    found = runner.run()
    assert found["id"] == f"azureml://registries/{registry.name}/models/fraud/versions/1"
    assert runner.announced(registry.model("fraud")) == [found]


@pytest.mark.parametrize("noun", ["environment", "component"])
def test_environments_and_components(task, registry, azureml_emulator, kill_at_each_call, noun):
    made = {
        "environment": lambda: task(
            CreateEnvironment, workspace=registry, environment={"name": "sklearn", "image": "python:3.11"}
        ),
        "component": lambda: task(
            RegisterComponent,
            workspace=registry,
            source={
                "name": "train",
                "type": "command",
                "command": "echo",
                "environment": f"azureml://registries/{registry.name}/environments/sklearn/versions/1",
            },
        ),
    }[noun]()
    assert kill_at_each_call(made) > 3
    result = made.run()
    assert result["id"].startswith(f"azureml://registries/{registry.name}/{noun}s/")
    assert result["version"] == "1"
    assert result["studio_url"].startswith(f"https://ml.azure.com/registries/{registry.name}/{noun}s/")


def test_a_registry_that_does_not_exist(ws, task, folder):
    with pytest.raises(ConnectionConfigurationError, match="no registry 'nowhere'"):
        task(RegisterModel, workspace=Registry("nowhere"), model={"name": "fraud", "path": str(folder)}).run()


def test_a_version_that_does_not_exist_there(task, registry, tmp_path):
    with pytest.raises(NotFoundError, match="fraud"):
        task(Download, source=f"azureml://registries/{registry.name}/models/fraud/versions/9", to=str(tmp_path)).run()


def test_a_registry_has_no_path_to_read_in_place(task, registry, folder):
    made = task(RegisterModel, workspace=registry, model={"name": "fraud", "path": str(folder)}).run()
    with pytest.raises(SpecError, match="download"):
        AzureMachineLearningHook("azureml").get_abfss_path(made)
