"""The reference lists what there is. That links, files and names exist is held by `make docs`, which is strict."""

from __future__ import annotations

import ast
import importlib
import json
import re
import textwrap
from pathlib import Path

import pytest

import airflow_provider_azureml

ROOT = Path(airflow_provider_azureml.__file__).parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SNIPPET = re.compile(r'^ *--8<-- "([^"]+)"$')


@pytest.mark.parametrize(("folder", "page"), [("provider/operators", "operators"), ("sensors", "sensors")])
def test_every_operator_and_sensor_has_its_place_in_the_reference(folder, page):
    listed = (ROOT / "docs" / "reference" / f"{page}.md").read_text().split()
    for path in sorted((ROOT / folder).glob("*.py")):
        module = ".".join(["airflow_provider_azureml", *path.relative_to(ROOT).with_suffix("").parts])
        for node in ast.parse(path.read_text()).body:
            name = getattr(node, "name", "")
            if name.startswith("AzureMachineLearning") and "Base" not in name:
                assert f"{module}.{name}" in listed, "add it to the page"


def test_the_pages_show_the_examples_as_they_are():
    """A snippet that is spelt otherwise is not replaced, and no tool says so: the reader sees the line itself."""
    shown = set()
    for page in PAGES:
        for line in page.read_text().splitlines():
            if "8<" in line.replace(" ", ""):
                found = SNIPPET.match(line)
                assert found, f"{page.relative_to(ROOT)}: {line}"
                assert (ROOT / found[1]).is_file(), f"{page.relative_to(ROOT)}: {line}"
                shown.add(found[1])
    examples = {f"examples/{path.name}" for path in (ROOT / "examples").glob("*.py")}
    assert examples <= shown, "each of these is for people to copy, from the page that explains it"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_code_on_a_page_is_python_and_its_imports_are_there(page):
    for block in re.findall(r"^ *```python[^\n]*\n(.*?)^ *```", page.read_text(), re.DOTALL | re.MULTILINE):
        if SNIPPET.match(block.strip("\n")):
            continue
        for node in ast.walk(ast.parse(textwrap.dedent(block))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("airflow_provider_azureml"):
                module = importlib.import_module(node.module)
                assert [name.name for name in node.names if not hasattr(module, name.name)] == []


def test_metrics_are_on_the_pages_and_the_dashboard_asks_for_no_others():
    code = "".join(path.read_text() for path in (ROOT / "provider").rglob("*.py"))
    sent = set(re.findall(r'metrics\.(?:count|gauge|duration)\(\s*"([^"]+)"', code))
    pages = "".join((ROOT / "docs" / page).read_text() for page in ("watchers.md", "how-to/scale.md"))
    assert set(re.findall(r"`(azureml\.(?:watch|reads|waits)[a-z_.]*)`", pages)) == sent
    board = json.loads((ROOT / "docs" / "grafana-watchers.json").read_text())
    asked = {
        name
        for panel in board["panels"]
        for target in panel["targets"]
        for name in re.findall(r"airflow_(azureml_[a-z_]+?)(?:_total|_milliseconds_bucket)?(?=[^a-z_])", target["expr"])
    }
    assert asked, "it asks for something"
    assert asked <= {name.replace(".", "_") for name in sent}
