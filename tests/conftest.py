"""Airflow as the tests meet it: a home of its own, no examples, nothing from the machine's configuration."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

# Before the first import of airflow, which reads its home then.
_home = tempfile.mkdtemp(prefix="azureml-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"


OWN_AIRFLOW = ("tests/system/test_topology.py", "tests/system/test_hardship.py", "tests/system/test_demo.py")
"""Files whose tests start an Airflow of their own: one after the other, beside those that share one."""

NO_AIRFLOW = ("tests/system/test_keeper.py", "tests/system/test_servers.py")

SHARED_SET_UP = ("tests/integration/specs/", "tests/integration/test_release.py", "tests/integration/test_sign_in.py")
"""What has fixtures for a whole file."""

LONGEST = (
    "tests/integration/specs/",
    "tests/integration/test_watchers.py::test_two_hundred_tagged_models",
    "tests/integration/test_moving.py::TestCopying::test_sigkill",
    "tests/integration/test_registries.py::test_sigkill",
    "tests/integration/emulator/test_docs.py",
)
"""What must not be the last to begin, by `--durations`."""


def scope_of(nodeid: str) -> str:
    """
    Return what a worker takes at once: all system tests that share an Airflow, a file, or a test with its parameters.

    A test of the integration floor goes by itself, as it needs no more than its worker's emulator, and files differ too
    much in length. Unit tests are too short for that.
    """
    file = nodeid.split("::")[0]
    if file in OWN_AIRFLOW:
        return "tests/system: an Airflow each"
    if file.startswith("tests/system/") and file not in NO_AIRFLOW:
        return "tests/system: one Airflow"
    if file.startswith("tests/integration/") and not file.startswith(SHARED_SET_UP):
        return nodeid.split("[")[0]
    return file


def order_of(nodeid: str) -> int:
    """Return when to begin: with what takes longest."""
    if nodeid.startswith("tests/system/") and not nodeid.startswith(NO_AIRFLOW):
        return 1 if nodeid.startswith(OWN_AIRFLOW) else 0
    if nodeid.startswith(LONGEST):
        return 2
    return 3 if nodeid.startswith("tests/integration/") else 4


class _ByScope(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Give each worker a scope at a time, in the order in which they are collected."""
    config.option.loadscopereorder = False
    return _ByScope(config, log)


def pytest_xdist_auto_num_workers() -> int:
    """Have two workers more than there are cores: two of them mostly wait for an Airflow."""
    return (os.cpu_count() or 1) + 2


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected stays to the end: nobody looks again and again whether it is garbage."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=lambda item: order_of(item.nodeid))


@pytest.fixture(scope="session")
def own_authority_only(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], AbstractContextManager[None]]:
    """Where an emulator starts within this, its clients trust its authority and no other.

    Otherwise each client of each test would load the machine's 150 too: 30 ms of CPU each time.
    """
    none = tmp_path_factory.mktemp("authorities") / "none.pem"
    none.touch()

    @contextlib.contextmanager
    def only() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", str(none))
            yield

    return only
