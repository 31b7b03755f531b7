"""Airflow as the tests meet it: a home of its own, no examples, nothing from the machine's configuration."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

# Before the first import of airflow, which reads its home then.
_home = tempfile.mkdtemp(prefix="azureml-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"


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
