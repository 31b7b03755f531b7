"""The workspace in which SDK and operators are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_azureml.emulator import Emulator
from airflow_provider_azureml.emulator.pytest_plugin import _trust_in_aiohttp

from .same import Bench


@pytest.fixture(scope="module")
def bench(azureml_emulator_session: Emulator) -> Iterator[Bench]:
    emulator = azureml_emulator_session
    with pytest.MonkeyPatch.context() as patch:
        for name, value in emulator.environment.items():
            patch.setenv(name, value)
        _trust_in_aiohttp(emulator.environment["SSL_CERT_FILE"])
        yield Bench(emulator, patch.setenv)
        # Not held against the contract: the emulator gives enumerations back in the case that a spec has them in, and
        # numbers as numbers, where the service may not (docs/emulator.md, "How faithful it is").
        emulator.take_answers()


@pytest.fixture
def run() -> Callable[..., Any]:
    """Run an operator as Airflow does."""
    from ..conftest import TaskRunner

    def run(operator: type, **arguments: Any) -> Any:
        return TaskRunner(lambda: operator(task_id="it", **arguments)).run()

    return run
