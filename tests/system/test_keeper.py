"""No process outlives the program that started it, however it ends."""

import os
import subprocess
import sys
from pathlib import Path

import keeper
import psutil
import pytest
from airflow_rest import until
from keeper import Kept

FAMILY = "(setsid sleep 600 &); sleep 600 & "
"""A child, and an orphan in a session of its own, as tasks of Airflow may start them."""


def start(script: str, tmp_path: Path) -> tuple[Kept, list[psutil.Process]]:
    kept = Kept(["bash", "-c", script], environment=os.environ, directory=tmp_path, log=tmp_path / "log")
    until(lambda: "ready" in (tmp_path / "log").read_text(), 10, lambda: "the script did not start")
    return kept, kept.processes


def running(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if process.is_running()]


def test_killing_ends_the_command_and_all_that_it_has_started(tmp_path: Path) -> None:
    kept, processes = start(FAMILY + "trap '' TERM INT HUP; echo ready; while :; do wait; done", tmp_path)
    assert len(processes) == 3
    kept.kill()
    assert running(processes) == []


def test_what_a_command_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    kept, processes = start(FAMILY + "echo ready; sleep 0.5", tmp_path)
    kept.wait()
    assert kept.status == 0
    assert running(processes) == []
    kept.kill()  # nothing is left, and that is no error


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux only")
def test_nothing_outlives_a_program_that_is_killed(tmp_path: Path) -> None:
    program = f"""if True:
        import os, sys, pathlib
        sys.path.insert(0, {str(Path(keeper.__file__).parent)!r})
        from keeper import Kept
        here = pathlib.Path({str(tmp_path)!r})
        kept = Kept(["bash", "-c", {FAMILY + "echo ready; wait"!r}], environment=os.environ, directory=here,
                    log=here / "log")
        sys.stdin.read()
    """
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as parent:
        log = tmp_path / "log"
        until(lambda: log.exists() and "ready" in log.read_text(), 10, lambda: "the script did not start")
        processes = psutil.Process(parent.pid).children(recursive=True)
        assert len(processes) == 4  # the keeper and the family
        parent.kill()
    _, left = psutil.wait_procs(processes, timeout=5)
    assert left == []
