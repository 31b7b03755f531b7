"""Airflow as the tests meet it: a home of its own, no examples, nothing from the machine's configuration."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
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


LONGEST = ("tests/integration/test_watchers.py", "tests/integration/specs/")
"""Files that must not be the last to begin, by `--durations`."""

OWN_AIRFLOW = {"tests/system/test_topology.py"}


class _ByFile(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return "tests/system" if file.startswith("tests/system/") and file not in OWN_AIRFLOW else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Give a file's tests to one worker, in their order, and all system tests to one, which has the one Airflow."""
    config.option.loadscopereorder = False  # as they are collected
    return _ByFile(config, log)


def pytest_xdist_auto_num_workers() -> int:
    """Have one worker more than there are cores: most tests wait now and then."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=lambda item: (not item.nodeid.startswith("tests/system/"), not item.nodeid.startswith(LONGEST)))


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
