"""Environments and components on their way between workspaces and registries: once, with all that is part of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_azureml.datasets import Registry
from airflow_provider_azureml.provider.errors import NotFoundError, SpecError
from airflow_provider_azureml.provider.operators.component import (
    AzureMachineLearningLoadAndRegisterComponentOperator as RegisterComponent,
)
from airflow_provider_azureml.provider.operators.environment import (
    AzureMachineLearningCreateEnvironmentOperator as CreateEnvironment,
)
from airflow_provider_azureml.provider.operators.moving import AzureMachineLearningCopyAssetOperator as Copy
from airflow_provider_azureml.provider.operators.moving import AzureMachineLearningShareAssetOperator as Share

SKLEARN = {"kind": "environment", "asset_name": "sklearn", "version": "1"}
TRAIN = {"kind": "component", "asset_name": "train", "version": "1"}


@pytest.fixture
def task() -> Any:
    """Make a task whose connection can be named."""
    from .conftest import TaskRunner

    def make(operator: type, *, conn_id: str = "azureml", **arguments: Any) -> TaskRunner:
        return TaskRunner(lambda: operator(task_id="it", conn_id=conn_id, **arguments))

    return make


@pytest.fixture
def environment(task: Any, ws: Any) -> dict[str, Any]:
    spec = {
        "name": "sklearn",
        "version": "1",
        "image": "python:3.11",
        "conda_file": {"dependencies": ["python=3.11"]},
        "description": "it",
        "tags": {"team": "risk"},
    }
    made: dict[str, Any] = task(CreateEnvironment, environment=spec).run()
    return made


@pytest.fixture
def component(task: Any, ws: Any, environment: Any, tmp_path: Path) -> dict[str, Any]:
    """A component with code and an environment of the workspace."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text("print(1)")
    spec = {
        "name": "train",
        "version": "1",
        "type": "command",
        "command": "python train.py",
        "code": str(tmp_path / "code"),
        "environment": "azureml:sklearn:1",
        "tags": {"team": "risk"},
    }
    made: dict[str, Any] = task(RegisterComponent, source=spec).run()
    return made


@pytest.fixture
def look(azureml_emulator: Any) -> Any:
    """Return what is at a target, as ARM describes it: `look(owner, collection, name, version)`."""
    import asyncio

    from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
    from airflow_provider_azureml.provider.rest.registry_client import client_for

    def run(owner: Any, *path: str) -> dict[str, Any]:
        async def ask() -> Any:
            hook = AzureMachineLearningHook("azureml" if isinstance(owner, Registry) else "prod", workspace=owner)
            async with client_for(hook.get_workspace_connection()) as client:
                return await client.get_resource(path[0], path[1], "versions", path[2])

        return asyncio.run(ask())["properties"]

    return run


class TestSharing:
    @pytest.mark.parametrize("way", ["done", "accepted"])
    def test_an_environment(self, task, ws, registry, environment, look, azureml_emulator, way):
        azureml_emulator.configure(answers={"registry import": way})
        runner = task(Share, workspace=ws, registry=registry, **SKLEARN)
        assert runner.operator.outlets == [], "environments are no Airflow assets"
        copy = runner.run()
        assert copy["id"] == f"azureml://registries/{registry.name}/environments/sklearn/versions/1"
        assert copy["studio_url"].startswith(f"https://ml.azure.com/registries/{registry.name}/environments/sklearn")
        assert runner.ti.xcoms["azureml_studio_url"] == copy["studio_url"]
        assert look(registry, "environments", "sklearn", "1")["image"] == "python:3.11"

    def test_sigkill_after_any_call_shares_an_environment_once(
        self, task, registry, environment, azureml_emulator, kill_at_each_call
    ):
        runner = task(Share, registry=registry, **SKLEARN)
        assert kill_at_each_call(runner) > 3
        assert len([call for call in azureml_emulator.calls("POST", "/import") if call["status"] in (200, 202)]) == 1

    def test_one_that_exists_fails_the_task_or_is_reused(self, task, registry, environment, azureml_emulator):
        first = task(Share, registry=registry, **SKLEARN).run()
        with pytest.raises(SpecError, match=r"exists already.*Nothing was changed"):
            task(Share, registry=registry, **SKLEARN).run()
        assert task(Share, registry=registry, if_exists="reuse", **SKLEARN).run() == first

    def test_a_component_is_an_error_at_parse_that_says_how_else(self, registry):
        with pytest.raises(SpecError, match=r"shares no components.*CopyAsset"):
            Share(task_id="it", registry=registry, **TRAIN)


class TestCopying:
    @pytest.fixture(params=["registry", "workspace"])
    def target(self, request: pytest.FixtureRequest) -> dict[str, Any]:
        """What to give the operator, for a target of each kind."""
        owner = request.getfixturevalue("registry" if request.param == "registry" else "prod")
        ws = request.getfixturevalue("ws")
        conn_id = "azureml" if request.param == "registry" else "prod"
        return {"workspace": owner, "conn_id": conn_id, "source": ws, "source_conn_id": "azureml"}

    def test_an_environment(self, task, environment, look, target):
        runner = task(Copy, **target, **SKLEARN)
        assert runner.operator.outlets == []
        copy = runner.run()
        made = look(target["workspace"], "environments", "sklearn", "1")
        assert json.loads(made["condaFile"]) == {"dependencies": ["python=3.11"]}
        assert (made["image"], made["description"], made["tags"]["team"]) == ("python:3.11", "it", "risk")
        assert made["properties"]["airflow.copied_from"] == environment["id"]
        assert (copy["name"], copy["version"]) == ("sklearn", "1")

    def test_an_environment_with_its_build_context(self, task, ws, look, target, tmp_path):
        (tmp_path / "context").mkdir()
        (tmp_path / "context" / "Dockerfile").write_text("FROM python")
        task(CreateEnvironment, environment={"name": "sklearn", "build": {"path": str(tmp_path / "context")}}).run()
        task(Copy, **target, **SKLEARN).run()
        made = look(target["workspace"], "environments", "sklearn", "1")
        assert made["build"]["contextUri"].startswith("https://")
        assert made["build"]["dockerfilePath"] == "Dockerfile"

    def test_a_component_with_its_code_and_environment(self, task, component, look, target):
        copy = task(Copy, **target, **TRAIN).run()
        made = look(target["workspace"], "components", "train", "1")
        assert made["componentSpec"]["command"] == "python train.py"
        assert made["tags"]["team"] == "risk"
        assert made["properties"]["airflow.copied_from"] == component["id"]
        owner = target["workspace"]
        for part in ("code", "environment"):
            assert owner.name in made["componentSpec"][part], f"the {part} is where the copy is"
        assert (copy["name"], copy["version"]) == ("train", "1")

    def test_another_name_and_version(self, task, component, target):
        copy = task(Copy, **target, **TRAIN, target_name="fit", target_version="2026.1").run()
        assert (copy["name"], copy["version"]) == ("fit", "2026.1")

    @pytest.mark.parametrize("what", [SKLEARN, TRAIN], ids=["environment", "component"])
    def test_sigkill_after_any_call_leaves_one_copy(
        self, task, registry, component, ws, kill_at_each_call, what, tmp_path, monkeypatch
    ):
        (tmp_path / "scratch").mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
        runner = task(Copy, workspace=registry, source=ws, source_conn_id="azureml", **what)
        assert kill_at_each_call(runner) > 4
        assert runner.run()["version"] == "1"
        assert not list((tmp_path / "scratch").glob("azureml-copy-*")), "nothing stays on the worker"

    def test_one_that_exists_and_is_no_copy_is_not_taken_for_one(self, task, environment, prod, ws, registry):
        task(CreateEnvironment, conn_id="prod", environment={"name": "sklearn", "version": "1", "image": "x"}).run()
        into_prod = {"conn_id": "prod", "workspace": prod, "source": ws, "source_conn_id": "azureml", **SKLEARN}
        with pytest.raises(SpecError, match="exists already"):
            task(Copy, **into_prod).run()
        copied = task(Copy, **into_prod, target_version="2").run()
        assert task(Copy, **into_prod, target_version="2", if_exists="reuse").run() == copied
        task(CreateEnvironment, environment={"name": "other", "version": "1", "image": "x"}).run()
        other = {**into_prod, "asset_name": "other", "target_name": "sklearn", "target_version": "2"}
        with pytest.raises(SpecError, match="as a copy of"):
            task(Copy, **other, if_exists="reuse").run()

    def test_a_pipeline_component_is_refused_with_the_reason(self, task, component, target):
        step = {"type": "command", "component": "azureml:train:1"}
        spec = {"name": "whole", "version": "1", "type": "pipeline", "jobs": {"step": step}}
        task(RegisterComponent, source=spec).run()
        with pytest.raises(SpecError, match="pipeline component, which names other components"):
            task(Copy, **target, kind="component", asset_name="whole", version="1").run()

    def test_one_that_is_not_there(self, task, target):
        with pytest.raises(NotFoundError, match="train"):
            task(Copy, **target, **TRAIN).run()
