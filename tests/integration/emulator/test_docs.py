"""What the documentation shows, run as it stands there: a user's own project, with a DAG and its tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

DOCUMENT = Path(__file__).parents[3] / "docs" / "emulator.md"


def test_a_users_own_dag_under_test(tmp_path: Path) -> None:
    blocks = dict(re.findall(r'```python title="([^"]+)"\n(.*?)```', DOCUMENT.read_text(), re.DOTALL))
    assert set(blocks) == {"dags/publish.py", "test_publish.py"}
    assert len([line for line in blocks["test_publish.py"].splitlines() if line.strip()]) <= 30
    for name, text in blocks.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", "."],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout[-5000:] + done.stderr[-2000:]
