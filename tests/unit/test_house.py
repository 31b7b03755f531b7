"""The house keeps its order: floors, imports, packages, what Airflow is told."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import airflow
import jsonschema
import pytest
from rooms import MODULES, PACKAGE, ROOT, SHIPPED, imports, modules, name_of, room_of

import airflow_provider_azureml

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# Each line may import from the lines above it, and modules of one line from each other as long as there is no circle.
ORDER = {
    "product": [
        {"datasets"},
        {
            "provider",
            "provider.arguments",
            "provider.capabilities",
            "provider.configuration",
            "provider.errors",
            "provider.metrics",
            "provider.shared",
            "provider.specs",
        },
        {"provider.sign_in", "provider.connection", "provider.links", "provider.task_run", "provider.interruptible"},
        {"provider.masking", "provider.retries"},
        {"provider.rest"},
        {"provider.storage"},
        {"provider.hook", "provider.sdk", "provider.references", "provider.lineage"},
        {"provider.resources", "provider.versions", "provider.waiting", "provider.watching"},
        {"provider.jobs"},
        {"provider.triggers"},
        {"provider.operators"},
        {"provider.cli", "sensors"},
    ],
    "emulator": [
        {"emulator.processes"},
        {"emulator.core"},
        {"emulator.wire"},
        {"emulator.api"},
        {"emulator.control", "emulator.server"},
    ],
    "emulator, as its users start it": [
        {"emulator.processes"},
        {"emulator.emulator"},
        {"emulator", "emulator.cli", "emulator.pytest_plugin"},
    ],
}


@pytest.mark.parametrize("path", modules(*SHIPPED), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_from_itself_and_from_rooms_below(path):
    room = room_of(name_of(path))
    order = next(lines for lines in ORDER.values() if any(room in line for line in lines))
    at = next(number for number, line in enumerate(order) if room in line)
    allowed = set().union(*order[: at + 1])
    assert {room_of(name) for name in imports(path)} <= allowed


def test_no_modules_import_each_other_in_a_circle():
    TopologicalSorter({name: imports(path) for name, path in MODULES.items()}).prepare()


def test_pyproject_names_exactly_the_packages_that_there_are():
    folders = {path.parent for path in modules(*SHIPPED) if path.name == "__init__.py"}
    expected = {PACKAGE} | {".".join([PACKAGE, *folder.relative_to(ROOT).parts]) for folder in folders}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == expected
    assert {path.parent for path in modules(*SHIPPED)} == folders, "a folder with modules but no __init__.py"


def test_what_an_asset_is_needs_of_airflow_its_task_sdk_alone():
    trees = [ast.parse(path.read_text()) for path in modules("datasets")]
    named = [node.module for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    named += [
        one.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names
    ]
    assert {name for name in named if name and name.split(".")[0] == "airflow"} == {
        "airflow.sdk",
        "airflow.providers.common.compat.openlineage.facet",  # in the function that OpenLineage calls
    }


def test_bare_datasets_or_sensors_cannot_be_imported():
    code = "import importlib.util as u; assert not any(map(u.find_spec, ['datasets', 'sensors', 'provider']))"
    subprocess.run([sys.executable, "-P", "-c", code], check=True, cwd=ROOT.parent)


def test_what_dag_files_and_the_triggerer_import_loads_no_azure_package():
    """Each would cost every DAG parse: azure-ai-ml alone 3 to 4 seconds."""
    public = [
        ".".join([PACKAGE, *path.relative_to(ROOT).with_suffix("").parts])
        for path in modules("datasets", "provider/operators", "provider/triggers", "sensors")
    ]
    public += [f"{PACKAGE}.provider.hook", f"{PACKAGE}.provider.links"]
    code = f"import sys, importlib; [importlib.import_module(m) for m in {public!r}]; " + (
        "print([m for m in sys.modules if m.split('.')[0] in ('azure', 'aiohttp', 'msrest')])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_what_airflow_is_told_fits_its_schema_and_can_be_imported():
    info = airflow_provider_azureml.get_provider_info()
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(info, schema)
    (uris,) = info["asset-uris"]
    paths = [
        info["connection-types"][0]["hook-class-name"],
        *info["extra-links"],
        *(uris[key] for key in ("handler", "factory", "to_openlineage_converter")),
    ]
    for path in paths:
        module, _, name = path.rpartition(".")
        assert hasattr(__import__(module, fromlist=[name]), name), path


def test_airflow_is_told_of_every_operator_sensor_trigger_and_hook_there_is():
    from airflow.sdk import BaseHook, BaseOperator, BaseSensorOperator
    from airflow.triggers.base import BaseTrigger

    info = airflow_provider_azureml.get_provider_info()
    (integration,) = info["integrations"]
    bases = {"operators": BaseOperator, "sensors": BaseSensorOperator, "triggers": BaseTrigger, "hooks": BaseHook}
    told = {}
    for key, base in bases.items():
        (entry,) = info[key]
        assert entry["integration-name"] == integration["integration-name"]
        for name in entry["python-modules"]:
            module = vars(importlib.import_module(name))
            own = [value for value in module.values() if getattr(value, "__module__", "") == name]
            told[name] = key
            if key == "sensors" and name.endswith(".watchers"):
                assert module["watch"] in own
            else:
                assert any(isinstance(value, type) and issubclass(value, base) for value in own), name
    assert len(told) > 20


def test_the_logo_and_the_pages_that_airflow_is_told_of_are_there():
    (integration,) = airflow_provider_azureml.get_provider_info()["integrations"]
    for path in (integration["logo"], *integration["how-to-guide"]):
        assert (ROOT / path.removeprefix("/")).is_file(), path


def test_airflow_lists_the_provider_with_its_form():
    from airflow.providers_manager import ProvidersManager
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

    assert "airflow-provider-azureml" in ProvidersManager().providers
    assert ProvidersManagerTaskRuntime().hooks["azure_machine_learning"].hook_name == "Azure Machine Learning"


def test_the_exceptions_are_as_the_tree_in_their_module_draws_them():
    from airflow_provider_azureml.provider import errors

    drawn = {
        word
        for line in errors.__doc__.splitlines()
        for word in line.split()
        if word.endswith("Error") and word[0] != "`"
    }
    real = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert drawn == real


def test_no_file_names_a_package_registry_or_a_path_of_a_machine():
    words = ["pypi" + ".org", "registry.npmjs" + ".org", "--index" + "-url", "/work" + "/main"]
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, tracked.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and path.suffix not in (".png",):
            text = path.read_text(errors="replace")
            assert not [word for word in words if word in text], name
