"""The reference lists what there is. That links, files and names exist is held by `make docs`, which is strict."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import airflow_provider_azureml

ROOT = Path(airflow_provider_azureml.__file__).parent


@pytest.mark.parametrize(("folder", "page"), [("provider/operators", "operators"), ("sensors", "sensors")])
def test_every_operator_and_sensor_has_its_place_in_the_reference(folder, page):
    listed = (ROOT / "docs" / "reference" / f"{page}.md").read_text().split()
    for path in sorted((ROOT / folder).glob("*.py")):
        module = ".".join(["airflow_provider_azureml", *path.relative_to(ROOT).with_suffix("").parts])
        for node in ast.parse(path.read_text()).body:
            name = getattr(node, "name", "")
            if name.startswith("AzureMachineLearning") and "Base" not in name:
                assert f"{module}.{name}" in listed, "add it to the page"
