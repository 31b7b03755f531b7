"""Airflow as the tests meet it: a home of its own, no examples, nothing from the machine's configuration."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

# Before the first import of airflow, which reads its home then.
_home = tempfile.mkdtemp(prefix="azureml-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"
