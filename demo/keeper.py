"""Run a command so that no process of it outlives whoever started it.

`Kept(command)` runs `python keeper.py command...`. The keeper holds the read end of a pipe from its parent: when the
parent closes it, or dies of any cause, the keeper ends the command and everything that it has started.

A process group would not do: Airflow gives each task a group of its own, and a task may start a session of its own.
On Linux the keeper adopts such orphans (PR_SET_CHILD_SUBREAPER), so that all of them stay below it.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

PR_SET_CHILD_SUBREAPER = 36


class Kept:
    """A command whose processes all end with this object, or with the process that holds it."""

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str], directory: Path, log: Path) -> None:
        self.log = log
        with log.open("ab") as output:
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", __file__, *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=directory,
                start_new_session=True,  # Ctrl-C is for the parent alone, which then stops things in order
            )

    @property
    def status(self) -> int | None:
        """Exit status of the command, None while it runs."""
        return self._keeper.poll()

    @property
    def processes(self) -> list[psutil.Process]:
        """Every process of the command."""
        return psutil.Process(self._keeper.pid).children(recursive=True)

    def kill(self) -> None:
        """End all of it at once (SIGKILL), as when a machine is lost, and wait until no process is left."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        self._keeper.wait()

    def wait(self) -> None:
        """Wait until the command has ended and no process is left."""
        self._keeper.wait()


def keep(command: list[str]) -> int:
    """Run the command until it ends or the parent lets go; return its exit status."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = os.posix_spawnp(
        command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
    )
    while (status := _bury(child)) is None:
        released, _, _ = select.select([sys.stdin], [], [], 0.2)
        if released:
            status = 128 + signal.SIGKILL
            break
    _kill_all()
    return status


def _bury(child: int) -> int | None:
    """Collect what has ended, adopted orphans too; return the exit status of the command if that is among it."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if pid == 0:
            return None
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _kill_all() -> None:
    while remaining := psutil.Process().children(recursive=True):
        for process in remaining:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(remaining, timeout=1)
        time.sleep(0.01)  # orphans arrive here a moment after their parent's end


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:]))
