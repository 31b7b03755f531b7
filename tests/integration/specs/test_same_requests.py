"""Operators ask Azure for exactly what azure-ai-ml asks for, for specs of every kind; and look before they do."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_azureml.provider.errors import SpecError
from airflow_provider_azureml.provider.operators.endpoint import AzureMachineLearningDeployEndpointOperator
from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator
from airflow_provider_azureml.provider.references import references

from . import objects
from .objects import OBJECTS
from .same import NOUNS, PRESENT, load, plain
from .wire import Sent, recorded

pytestmark = pytest.mark.filterwarnings("ignore:This class is intended as a base class:UserWarning")  # the SDK's own
HERE = Path(__file__).parent
# Name -> noun and what to load: a file, or a function that makes an object. A folder holds the files of the noun that
# it is named after; `files` holds what they refer to.
CORPUS: dict[str, tuple[str, Any]] = {
    **{f"{path.parent.name}/{path.name}": (path.parent.name, path) for path in sorted(HERE.glob("*/*.yml"))},
    **OBJECTS,
}


@pytest.fixture(scope="module")
def spec_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Return a spec with files of its own, that no other spec has uploaded."""
    places = tmp_path_factory.mktemp("specs")

    def spec_of(name: str) -> Any:
        place = places / re.sub(r"\W", "_", name)
        if not place.exists():
            shutil.copytree(HERE, place, ignore=shutil.ignore_patterns("__pycache__"))
            for file in (place / "files").rglob("*"):
                if file.is_file() and file.parent.name != "components":
                    file.write_text(f"{file.read_text()}# {name}\n")
        objects.FILES = place / "files"
        _, spec = CORPUS[name]
        return place / spec.relative_to(HERE) if isinstance(spec, Path) else spec

    return spec_of


@pytest.fixture(scope="module")
def sdk(bench: Any, spec_of: Callable[[str], Any]) -> dict[str, Sent | Exception]:
    """What the SDK sent for each spec; afterwards the workspace is as it was before."""
    sent: dict[str, Sent | Exception] = {}
    for name, (noun, _) in CORPUS.items():
        try:
            sent[name] = bench.by_sdk(name, noun, spec_of(name))
        except Exception as error:  # noqa: BLE001 - shown by the test of this spec
            sent[name] = error
    bench.renew()
    return sent


def test_the_corpus_has_every_noun_as_a_file():
    assert {noun for noun, spec in CORPUS.values() if isinstance(spec, Path)} == set(NOUNS)


@pytest.mark.parametrize("name", CORPUS)
def test_an_operator_sends_what_the_sdk_sends(bench, run, sdk, spec_of, name):
    noun, _ = CORPUS[name]
    by_sdk = sdk[name]
    assert isinstance(by_sdk, Sent), f"the SDK itself refuses this spec: {by_sdk}"
    by_operator = bench.by_operator(run, name, noun, spec_of(name))
    assert plain(noun, by_operator) == plain(noun, by_sdk)


@pytest.mark.parametrize("name", [name for name, (noun, _) in CORPUS.items() if noun == "job" or "deployment" in noun])
def test_what_a_request_names_was_looked_for(sdk, name):
    """Of what the workspace has: its versions that were found by a label alone are the SDK's to find."""
    noun, spec = CORPUS[name]
    entity = load(noun, spec)
    text = json.dumps(sdk[name].calls)
    named = set(re.findall(r"/workspaces/[^/]+/(\w+)/([\w-]+)(?:/versions/(\w+))?(?=\")", text))
    plurals = {"compute": "computes", "environment": "environments", "component": "components", "model": "models"}
    present = {(plurals.get(kind, kind), spec["name"], spec.get("version", "")) for kind, spec in PRESENT}
    latest = {name for name in ("tools", "sales", "fraud", "ready") if f"{name}@latest" in _source(spec)}
    looked_for = {(path[0], path[1], path[3] if len(path) > 2 else "") for path in references(entity)}
    assert {found for found in named & present if found[1] not in latest} <= looked_for


def _source(spec: Any) -> str:
    return spec.read_text() if isinstance(spec, Path) else "tools@latest"


STEP = {"type": "command", "command": "echo", "environment": "azureml:tools:2", "compute": "azureml:cpu-cluster"}
AUTOML = {
    "type": "automl",
    "task": "classification",
    "primary_metric": "accuracy",
    "target_column_name": "y",
    "compute": "azureml:cpu-cluster",
    "training_data": {"type": "mltable", "path": "azureml:table:2"},
}
SWEEP = {
    "type": "sweep",
    "trial": {"command": "echo ${{search_space.x}}", "environment": "azureml:tools:2"},
    "compute": "azureml:cpu-cluster",
    "sampling_algorithm": "random",
    "search_space": {"x": {"type": "choice", "values": [1]}},
    "objective": {"goal": "minimize", "primary_metric": "loss"},
    "limits": {"max_total_trials": 1},
}
PARALLEL = {
    "type": "parallel",
    "mini_batch_size": "1",
    "input_data": "${{inputs.x}}",
    "inputs": {"x": {"type": "mltable", "path": "azureml:table:2"}},
    "task": {"type": "run_function", "entry_script": "x.py", "environment": "azureml:nowhere:2"},
}


def pipeline(**step: Any) -> dict[str, Any]:
    return {"type": "pipeline", "settings": {"default_compute": "azureml:cpu-cluster"}, "jobs": {"step": step}}


@pytest.mark.parametrize(
    ("job", "what"),
    [
        (STEP | {"compute": "azureml:nowhere"}, "compute 'nowhere'"),
        (STEP | {"environment": "azureml:nowhere:2"}, "environment 'nowhere' version 2"),
        (STEP | {"environment": "azureml:tools:3"}, "environment 'tools' version 3"),
        (STEP | {"inputs": {"x": {"path": "azureml:nowhere:1"}}}, "data asset 'nowhere' version 1"),
        (STEP | {"inputs": {"x": {"type": "custom_model", "path": "azureml:nowhere:1"}}}, "model 'nowhere' version 1"),
        (SWEEP | {"compute": "azureml:nowhere"}, "compute 'nowhere'"),
        (SWEEP | {"trial": {**SWEEP["trial"], "environment": "azureml:nowhere:1"}}, "environment 'nowhere' version 1"),
        (AUTOML | {"validation_data": {"type": "mltable", "path": "azureml:nowhere:1"}}, "data asset 'nowhere'"),
        ({**pipeline(**STEP), "settings": {"default_compute": "azureml:nowhere"}}, "compute 'nowhere'"),
        (pipeline(type="command", component="azureml:nowhere:1"), "component 'nowhere' version 1"),
        (pipeline(**STEP) | {"inputs": {"x": {"type": "uri_file", "path": "azureml:sales:7"}}}, "data asset 'sales'"),
        (pipeline(**{**STEP, "environment": "azureml:nowhere:1"}), "environment 'nowhere' version 1"),
        (pipeline(**PARALLEL), "environment 'nowhere' version 2"),
    ],
)
def test_a_job_that_names_what_does_not_exist_is_refused_before_anything_is_sent(bench, run, job, what):
    with recorded() as sent, pytest.raises(SpecError, match=f"The job's {what}.*does not exist in workspace"):
        run(AzureMachineLearningCreateJobOperator, conn_id="bench", job=job)
    assert sent.calls == []


def test_so_is_a_deployment(bench, run):
    deployment = {"name": "a", "endpoint_name": "online", "model": "azureml:nowhere:1"}
    deployment |= {"instance_type": "s", "instance_count": 1}
    with recorded() as sent, pytest.raises(SpecError, match="deployment's model 'nowhere' version 1 does not"):
        run(AzureMachineLearningDeployEndpointOperator, conn_id="bench", deployment=deployment)
    assert sent.calls == []


def test_what_the_identity_may_not_read_is_left_to_azure(bench, run, azureml_emulator_session):
    azureml_emulator_session.misbehave("GET", "/(computes|environments)/", status=403)
    try:
        with recorded() as sent:
            run(AzureMachineLearningCreateJobOperator, conn_id="bench", job=STEP)
    finally:
        azureml_emulator_session.behave()
    assert [method for method, path, _, _ in sent.calls if "/jobs/" in path] == ["PUT"]


def test_what_the_sdk_cannot_print_is_left_to_azure(caplog):
    class Entity:
        def _to_dict(self) -> Any:
            return self._to_dict()

    with caplog.at_level("INFO"):
        assert references(Entity()) == []
    assert "cannot print it" in caplog.text


@pytest.mark.parametrize(
    "free", ["tags", "properties", "environment_variables", "search_space", "services", "identity"]
)
def test_words_below_keys_that_users_name_are_no_references(free):
    class Entity:
        def _to_dict(self) -> Any:
            return {free: {"compute": "azureml:a", "model": "azureml:a:1", "jobs": {"x": {"compute": "b"}}}}

    assert references(Entity()) == []
