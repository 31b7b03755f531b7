"""constraints.txt is whole: with it, on each Python, everything that is installed has the version that was tested."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import airflow_provider_azureml

ROOT = Path(airflow_provider_azureml.__file__).parent
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_the_constraints_pin_all_that_is_installed(python, tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "pyproject.toml", "--all-extras"),
            *("--constraints", "constraints.txt", "--python-version", python, "--no-header", "--no-annotate"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pinned = set(PIN.findall((ROOT / "constraints.txt").read_text()))
    resolved = set(PIN.findall(done.stdout))
    assert len(resolved) > 100
    assert resolved - pinned == set()
