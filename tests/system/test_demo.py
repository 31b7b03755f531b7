"""`make demo` itself: it ends well, leaves nothing behind, and says why if it cannot start."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from airflow_rest import until
from standalone import COMPONENTS

DEMO = Path(__file__).parents[2] / "demo"


def test_the_demo_ends_well_and_leaves_neither_processes_nor_files(tmp_path: Path) -> None:
    demo, processes = start_demo(tmp_path)
    output, errors = demo.communicate(timeout=400)
    assert demo.returncode == 0, f"{output}\n{errors}"
    assert errors == ""
    assert output.endswith("demo: ok\n")
    assert not [process for process in processes if process.is_running()]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux only")
def test_no_process_of_the_demo_outlives_it_when_it_is_killed(tmp_path: Path) -> None:
    demo, processes = start_demo(tmp_path)
    demo.kill()
    demo.communicate()
    _, left = psutil.wait_procs(processes, timeout=10)
    assert left == []


def test_a_demo_that_cannot_start_says_why_and_fails(tmp_path: Path) -> None:
    missing = {"AZUREML_EMULATOR_AZURITE": str(tmp_path / "azurite.js")}
    demo = run_demo(tmp_path, missing)
    _, errors = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert "Azurite is not installed" in errors
    assert errors.endswith("demo: failed\n")


def start_demo(folder: Path) -> tuple["subprocess.Popen[str]", list[psutil.Process]]:
    """Start `make demo` and wait until all parts of its Airflow run; return it and all its processes."""
    demo = run_demo(folder)

    def all_there() -> list[psutil.Process]:
        assert demo.poll() is None, demo.communicate()
        processes = psutil.Process(demo.pid).children(recursive=True)
        commands = " ".join(word for process in processes for word in command_of(process))
        return processes if len(processes) > 10 and all(name in commands for name in COMPONENTS) else []

    processes = until(all_there, 120, lambda: "the demo does not start Airflow")
    return demo, processes


def command_of(process: psutil.Process) -> list[str]:
    """The command of a process, nothing if it has just ended."""
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


def run_demo(folder: Path, environment: dict[str, str] | None = None) -> "subprocess.Popen[str]":
    """Run `make demo` with its temporary files in a folder."""
    return subprocess.Popen(
        [sys.executable, str(DEMO)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder), **(environment or {})},
    )
