"""A whole Airflow on this machine: scheduler, triggerer, DAG processor and API server, in a home of its own.

It is what `airflow standalone` starts, component by component, so that a test can kill and restart each of them.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import psutil
from airflow_rest import AirflowRest, until
from keeper import Kept

from airflow_provider_azureml.emulator.processes.children import free_port

JOBS = {"scheduler": "SchedulerJob", "triggerer": "TriggererJob", "dag-processor": "DagProcessorJob"}

COMPONENTS = {
    # Logs are on this machine's disk, where the API server reads them: no log servers.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "triggerer": ("triggerer", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "api-server": ("api-server", "--workers", "1"),
}

_PRELOADED = """
import importlib, sys
at = sys.argv.index("scheduler")
for module in sys.argv[1:at]:
    importlib.import_module(module)
sys.argv[:at] = ["airflow"]
from airflow.__main__ import main
main()
"""


class StandaloneAirflow:
    """Airflow with the DAG files of some folders; use as a context manager.

    - dags: the folders, read where they are; each is a DAG bundle of its own.
    - environment: more environment variables for all components, `AIRFLOW__...` settings included.
    - connections: Airflow connections by id, each a dict as in Airflow's JSON form.
    - preload: modules that the scheduler imports at its start, so that no task, being a fork of it, need do so.
    - components: what to start, by name: the words of each command after `airflow`.
    """

    def __init__(
        self,
        *dags: Path,
        environment: Mapping[str, str] | None = None,
        connections: Mapping[str, Mapping[str, Any]] | None = None,
        start_timeout: float = 300,
        preload: Sequence[str] = (),
        components: Mapping[str, Sequence[str]] = COMPONENTS,
    ) -> None:
        self.dags = [folder.resolve(strict=True) for folder in dags]
        self.start_timeout = start_timeout
        self.start_seconds = 0.0
        self._preload = tuple(preload)
        self._components = components
        self._given = {**(environment or {}), **_connection_variables(connections or {})}
        self._running: dict[str, Kept] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start all components and wait until they are healthy."""
        begin = time.monotonic()
        self.home = Path(tempfile.mkdtemp(prefix="airflow-"))
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.environment = self._environment()
        self.rest = AirflowRest(self.url)
        try:
            self._create_database()
            for component in self._components:
                self.start_component(component)
            self.wait_until_healthy()
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.monotonic() - begin

    def stop(self) -> None:
        """Stop all components and remove the home."""
        self.rest.close()
        for name in list(self._running):
            self.kill_component(name)  # its home is thrown away, so nothing needs to be put in order
        shutil.rmtree(self.home)

    def start_component(self, name: str) -> None:
        """Start one of the components, which must not be running."""
        assert name not in self._running, f"{name} is running"
        program = ["-c", _PRELOADED, *self._preload] if self._preload and name == "scheduler" else ["-m", "airflow"]
        self._running[name] = Kept(
            [sys.executable, *program, *self._components[name]],
            environment=self.environment,
            directory=self.home,
            log=self.component_log(name),
        )

    def kill_component(self, name: str) -> None:
        """End a component and all its processes with SIGKILL, as when its machine is lost."""
        self._running.pop(name).kill()

    def restart_component(self, name: str) -> None:
        """Kill the scheduler, the triggerer or the DAG processor, start another and wait until it works."""

        def newest() -> int:
            return max(int(job["id"]) for job in self.rest.get("jobs", job_type=JOBS[name])["jobs"])

        before = newest()
        self.kill_component(name)
        self.start_component(name)
        until(lambda: newest() > before, self.start_timeout, lambda: self.log_ends(name))

    def revive(self) -> list[str]:
        """Start what has ended by itself, as whoever supervises them does, and return its names."""
        ended = [name for name, kept in self._running.items() if kept.status is not None]
        for name in ended:
            self.kill_component(name)
            self.start_component(name)
        return ended

    def component_log(self, name: str) -> Path:
        """Return the file that a component's output goes to."""
        return self.home / f"{name}.log"

    def component(self, name: str) -> Kept:
        """Return a running component."""
        return self._running[name]

    @property
    def processes(self) -> list[psutil.Process]:
        """Every process that belongs to this Airflow, tasks included."""
        return [process for kept in self._running.values() for process in kept.processes]

    def wait_until_healthy(self) -> None:
        """Wait for all components; if one ends or the time is over, fail with the end of its log."""
        deadline = time.monotonic() + self.start_timeout
        while not self.rest.healthy():
            ended = [name for name, kept in self._running.items() if kept.status is not None]
            if ended or time.monotonic() > deadline:
                reason = f"ended: {', '.join(ended)}" if ended else f"not healthy within {self.start_timeout:.0f} s"
                raise RuntimeError(f"Airflow did not start: {reason}\n{self.log_ends(*ended)}")
            time.sleep(0.2)

    def log_ends(self, *components: str) -> str:
        """Return the last lines of the components' logs."""
        return "\n".join(
            "\n".join([f"--- {name}", *self.component_log(name).read_text(errors="replace").splitlines()[-40:]])
            for name in components or self._running
        )

    def complaints(self) -> str:
        """Return what the components logged as errors, with the few lines after each."""
        lines = [line for name in self._components for line in self.component_log(name).read_text().splitlines()]
        near = {n + after for n, line in enumerate(lines) if "[error " in line for after in range(4)}
        return "\n".join(lines[n] for n in sorted(near) if n < len(lines))

    def command(self, *arguments: str) -> str:
        """Run `airflow ...` in this Airflow's environment and return what it prints."""
        result = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=self.environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise RuntimeError(f"airflow {' '.join(arguments)}\n{result.stdout}\n{result.stderr}")
        return result.stdout

    def _create_database(self) -> None:
        initdb = "from airflow.utils.db import initdb; initdb()"  # 7 s less than `airflow db migrate`
        result = subprocess.run(
            [sys.executable, "-c", initdb], env=self.environment, cwd=self.home, capture_output=True, text=True
        )
        if result.returncode:
            raise RuntimeError(f"Airflow's database could not be made\n{result.stdout}\n{result.stderr}")

    def _environment(self) -> dict[str, str]:
        # An Airflow that this machine's user has configured is not this one.
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "_AIRFLOW_"))}
        bundles = [
            {
                "name": folder.name,
                "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
                "kwargs": {"path": str(folder)},
            }
            for folder in self.dags
        ]
        settings = {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",  # REST and UI without a login
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__FERNET_KEY": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "AIRFLOW__API__HOST": "localhost",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            # The end of a task's process is noticed within this time. If a trigger fires before that, Airflow takes the
            # resumed task for a killed one and fails it (apache/airflow#67287).
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            # A file that changes, or is asked for (AirflowRest.parse), is parsed at once; the others need not be.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        }
        return {**outside, **settings, **self._given}


def _connection_variables(connections: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {f"AIRFLOW_CONN_{name.upper()}": json.dumps(connection) for name, connection in connections.items()}
