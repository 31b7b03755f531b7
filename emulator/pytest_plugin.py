"""
pytest fixtures for testing your own DAGs; installed with the `emulator` extra, and found by pytest by themselves.

::

    def test_it(azureml_emulator):  # a clean workspace for each test, one emulator for the session
        run_my_dag(azureml_emulator.connection)
        assert azureml_emulator.calls("PUT", "/models/")
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from .emulator import Emulator, Job


class WorkspaceEmulator:
    """The session's emulator as one test sees it: with a workspace of its own."""

    def __init__(self, emulator: Emulator, workspace_name: str) -> None:
        self.emulator, self.workspace_name = emulator, workspace_name

    def __getattr__(self, name: str) -> Any:
        return getattr(self.emulator, name)

    @property
    def connection(self) -> dict[str, Any]:
        """An Airflow connection to this test's workspace."""
        return self.emulator.connection_for(self.workspace_name)

    @property
    def connection_json(self) -> str:
        """The same as text."""
        import json

        return json.dumps(self.connection)

    def job(self, name: str, workspace: str | None = None) -> Job:
        """Return a job of this test's workspace."""
        return self.emulator.job(name, workspace or self.workspace_name)


@pytest.fixture(scope="session")
def azureml_emulator_session() -> Iterator[Emulator]:
    """One emulator for the session; override it to start one with other settings."""
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def azureml_emulator(
    azureml_emulator_session: Emulator, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WorkspaceEmulator]:
    """Give a clean workspace, with this process's environment set up for it; what a test configures ends with it."""
    emulator = azureml_emulator_session
    for name, value in emulator.environment.items():
        monkeypatch.setitem(os.environ, name, value)
    _trust_in_aiohttp(emulator.environment["SSL_CERT_FILE"])
    emulator.restore()
    yield WorkspaceEmulator(emulator, emulator.create_workspace())
    emulator.restore()


def _trust_in_aiohttp(certificates: str) -> None:
    """Let an aiohttp that was imported before now trust the emulator: it reads SSL_CERT_FILE once, at its import."""
    context = getattr(sys.modules.get("aiohttp.connector"), "_SSL_CONTEXT_VERIFIED", None)
    if context is not None:
        context.load_verify_locations(cafile=certificates)
