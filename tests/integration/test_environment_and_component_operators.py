"""Making versions of environments and components: one for one task run, whatever dies."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_azureml.provider.errors import SpecError
from airflow_provider_azureml.provider.operators.component import (
    AzureMachineLearningLoadAndRegisterComponentOperator as RegisterComponent,
)
from airflow_provider_azureml.provider.operators.environment import (
    AzureMachineLearningCreateEnvironmentOperator as CreateEnvironment,
)

IMAGE = "mcr.microsoft.com/azureml/base:1"
COMPONENT = (
    "type: command\nname: train\ndescription: of {{ ti.run_id }}\ncode: ./source\n"
    "command: python a.py ${{inputs.rate}}\ninputs: {rate: {type: number, default: 0.1}}\n"
    "environment: azureml:sklearn:1\n"
)


@pytest.fixture(params=["environments", "components"])
def kind(request: Any) -> str:
    return str(request.param)


@pytest.fixture
def make(task: Any, folder: Any, kind: str) -> Any:
    """A runner of the operator, with more keys for the spec."""

    def run(**keys: Any) -> Any:
        if kind == "environments":
            return task(CreateEnvironment, environment={"name": "train", "image": IMAGE, **keys})
        yaml = folder.parent / "component.yml"
        extra = "".join(f"{key}: '{value}'\n" for key, value in keys.items())
        yaml.write_text(COMPONENT + extra)
        return task(RegisterComponent, source=str(yaml))

    return run


@pytest.fixture
def versions(ask: Any, kind: str) -> Any:
    def read() -> list[str]:
        return sorted(body["name"] for body in ask(lambda client: client._list(f"/{kind}/train/versions", {})))

    return read


def test_a_cleared_task_makes_a_version_and_a_retry_does_not(ws, make, versions, azureml_emulator):
    runner = make()
    first = runner.run()
    azureml_emulator.clear_calls()
    assert runner.run() == first
    assert not azureml_emulator.calls("PUT")
    runner.clear()
    second = runner.run()
    assert versions() == sorted([first["version"], second["version"]])
    assert (first["name"], first["version"], first["tags"]["airflow.dag_id"]) == ("train", "1", "dag")
    assert runner.ti.xcoms["azureml_studio_url"] == second["studio_url"]
    assert azureml_emulator.unknown_routes == []


def test_a_version_that_the_spec_names_is_made_once_and_used_as_it_is(ws, make, versions, azureml_emulator):
    assert make(version="7").run()["version"] == "7"
    azureml_emulator.clear_calls()
    assert make(version="7").run()["version"] == "7"
    assert versions() == ["7"]
    assert not azureml_emulator.calls("PUT")


def test_a_lost_answer_does_not_make_two(ws, make, versions, azureml_emulator, kind):
    azureml_emulator.misbehave("PUT", f"/{kind}/", lose_answer=True, times=1)
    make().run()
    assert versions() == ["1"]


def test_sigkill_after_any_call_leaves_one_version(ws, make, versions, kill_at_each_call):
    assert kill_at_each_call(make()) > 4
    assert versions() == ["1"]


def test_a_components_yaml_is_rendered_and_azuremls_own_expressions_survive(ws, task, folder, ask):
    yaml = folder.parent / "component.yml"
    yaml.write_text(COMPONENT)
    assert task(RegisterComponent, source=str(yaml)).run()["description"] == "of manual__1"
    body = ask(lambda client: client.get_resource("components", "train", "versions", "1"))
    assert body["properties"]["componentSpec"]["command"] == "python a.py ${{inputs.rate}}"


def test_a_conda_file_is_read_from_beside_the_yaml(ws, task, folder, ask):
    (folder / "conda.yml").write_text("dependencies: [python=3.12]\n")
    (folder / "environment.yml").write_text(f"name: e\nimage: {IMAGE}\nconda_file: ./conda.yml\n")
    task(CreateEnvironment, environment=str(folder / "environment.yml")).run()
    body = ask(lambda client: client.get_resource("environments", "e", "versions", "1"))
    assert "python=3.12" in body["properties"]["condaFile"]


def test_an_entity_is_a_spec(ws, task):
    from azure.ai.ml.entities import Environment

    assert task(CreateEnvironment, environment=Environment(name="e", image=IMAGE)).run()["version"] == "1"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"image": IMAGE}, ["name"]),
        ({"name": "e", "image": IMAGE, "imag": "x"}, ["imag", "Unknown field"]),
        ({"name": "e", "image": IMAGE, "conda_file": "./nowhere.yml"}, ["nowhere.yml"]),
    ],
)
def test_an_environment_that_cannot_be(ws, task, azureml_emulator, spec, words):
    with pytest.raises(SpecError) as caught:
        task(CreateEnvironment, environment=spec).run()
    for word in words:
        assert word in str(caught.value)
    assert not azureml_emulator.calls("PUT")


def test_a_component_that_cannot_be(ws, task, azureml_emulator):
    with pytest.raises(SpecError, match="command: Missing data"):
        task(RegisterComponent, source={"name": "c", "type": "command", "environment": "azureml:e:1"}).run()
    assert not azureml_emulator.calls("PUT")
