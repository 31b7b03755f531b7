"""docs/azure-calls.md is current in what can be told without running anything."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import airflow_provider_azureml

ROOT = Path(airflow_provider_azureml.__file__).parent
CALLS = runpy.run_path(str(ROOT / "tests" / "integration" / "azure_calls.py"))
PAGE = CALLS["PAGE"].read_text()
ROWS = [CALLS["Asked"](*row) for row in re.findall(r"^\| `(\w+) ([^`]+)` \| ([^|]*?) ?\|", PAGE, re.MULTILINE)]


def test_each_operator_and_sensor_has_its_calls() -> None:
    source = "".join(
        path.read_text() for folder in ("provider/operators", "sensors") for path in (ROOT / folder).glob("*.py")
    )
    classes = set(re.findall(r"^class (AzureMachineLearning(?!Base)\w+(?:Operator|Sensor))\b", source, re.MULTILINE))

    assert set(re.findall(r"^## (\S+)$", PAGE, re.MULTILINE)) == {*classes, CALLS["WATCHERS"]}


def test_records_actions_and_roles_are_as_they_are_told_today() -> None:
    assert ROWS
    written = {line for line in PAGE.splitlines() if line.startswith("| `")}
    assert written == {CALLS["row"](asked) for asked in ROWS}


def test_calls_without_a_record_are_named_as_such() -> None:
    gaps = {
        f"- `{one.method} {one.path}` {one.api_version}".rstrip() for one in ROWS if CALLS["record"](one) == "**no**"
    }
    section = PAGE.partition("## Calls without a record\n")[2]
    assert {line for line in section.splitlines() if line.startswith("- ")} == gaps
