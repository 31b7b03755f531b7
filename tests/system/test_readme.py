"""What the README tells people to write is what Airflow reads."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from standalone import StandaloneAirflow

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)

READ_DAGS = """
import json, sys
from airflow.dag_processing.dagbag import DagBag

bag = DagBag(sys.argv[1])
schedules = {
    dag_id: [asset.name for asset in getattr(getattr(dag.timetable, "asset_condition", None), "objects", [])]
    for dag_id, dag in bag.dags.items()
}
print(json.dumps({"errors": bag.import_errors, "schedules": schedules}))
"""


@pytest.mark.parametrize(
    ("block", "schedules"),
    [
        (
            0,
            {
                "publish": [],
                "train": ["data/sales@fraud-prod/ml/12345678"],
                "deploy": ["models/fraud@fraud-prod/ml/12345678 (watched: stage=production)"],
            },
        ),
        (1, {"wait": []}),
    ],
)
def test_the_dags_of_the_readme_can_be_copied(
    airflow: StandaloneAirflow, tmp_path: Path, block: int, schedules: dict[str, list[str]]
) -> None:
    (tmp_path / "copied.py").write_text(BLOCKS[block])
    read = run(airflow, READ_DAGS, str(tmp_path))
    assert read == {"errors": {}, "schedules": schedules}


def test_there_is_no_other_code_in_the_readme() -> None:
    assert len(BLOCKS) == 2


def run(airflow: StandaloneAirflow, code: str, *arguments: str) -> Any:
    """Run Python in Airflow's environment and return the JSON of its last line."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=airflow.environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])
