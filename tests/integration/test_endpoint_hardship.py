"""Endpoints and deployments in hard times: SIGKILL after any call, task state wiped, XCom gone, a clock moved back."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_azureml.provider.operators.endpoint import (
    AzureMachineLearningCreateEndpointOperator as Create,
)
from airflow_provider_azureml.provider.operators.endpoint import (
    AzureMachineLearningDeleteEndpointOperator as Delete,
)
from airflow_provider_azureml.provider.operators.endpoint import (
    AzureMachineLearningDeployEndpointOperator as Deploy,
)
from airflow_provider_azureml.provider.operators.model import AzureMachineLearningRegisterModelOperator as RegisterModel
from airflow_provider_azureml.provider.operators.traffic import (
    AzureMachineLearningSetEndpointTrafficOperator as SetTraffic,
)
from airflow_provider_azureml.provider.resources.endpoint import Endpoint

from .conftest import FileStateStore, TaskRunner, _try_and_die

FAST = {"poll_interval": 0.1}
DEPLOYMENT = {
    "name": "blue",
    "endpoint_name": "fraud",
    "model": "azureml:fraud:1",
    "instance_type": "Standard_DS3_v2",
    "instance_count": 1,
}
_MOST_TRIES = 30


def _an_hour_ago(now: Callable[[], float]) -> float:
    return now() - 3600


@pytest.fixture
def through_hardship(tmp_path: Path) -> Callable[[TaskRunner, random.Random, Counter[str]], None]:
    """Try a task until one try comes through: each is its own process, with no XCom of the one before it."""

    def run(runner: TaskRunner, chance: random.Random, counts: Counter[str]) -> None:
        import azure.ai.ml.entities
        import azure.storage.blob  # noqa: F401 - once, not in each process

        state = tmp_path / f"{time.monotonic_ns()}.json"
        runner.store = FileStateStore(state)
        for _ in range(_MOST_TRIES):
            last_call, back = chance.randrange(1, 14), chance.random() < 0.3
            counts["tries"] += 1
            counts["tries with the clock an hour back"] += back
            if (pid := os.fork()) == 0:
                if back:
                    time.time = partial(_an_hour_ago, time.time)
                _try_and_die(runner, last_call)
            status = os.waitpid(pid, 0)[1]
            assert status in (0, signal.SIGKILL), "a try failed: see its output"
            if status == 0:
                return
            counts["killed"] += 1
            if chance.random() < 0.3:
                state.unlink(missing_ok=True)
                counts["wiped"] += 1
        raise AssertionError("no try came through")

    return run


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_each_act_is_done_and_done_once_unless_its_memory_was_wiped(
    ws, task, ask, folder, cpu, azureml_emulator, through_hardship, seed
):
    task(RegisterModel, model={"name": "fraud", "path": str(folder)}).run()
    azureml_emulator.configure(operation_seconds=0.3)
    chance, counts = random.Random(seed), Counter[str]()
    endpoint, blue = Endpoint(endpoint_name="fraud"), Endpoint(endpoint_name="fraud", deployment_name="blue")

    def acts(operator: type, method: str, path: str, **arguments: Any) -> int:
        """Return how often the service was made to act, and wiped memories must account for more than once."""
        azureml_emulator.clear_calls()
        before = counts["wiped"]
        through_hardship(task(operator, **arguments, **FAST), chance, counts)
        done = [call for call in azureml_emulator.calls(method, path) if call["status"] < 300]
        counts["acts"] += 1
        counts["acts done again"] += len(done) - 1
        assert 1 <= len(done) <= 1 + counts["wiped"] - before
        return len(done)

    try:
        assert acts(Create, "PUT", "/onlineEndpoints/fraud", endpoint={"name": "fraud"}) == 1
        acts(Deploy, "PUT", "/deployments/blue", deployment=DEPLOYMENT)
        assert ask(blue.find)["properties"]["provisioningState"] == "Succeeded"
        assert acts(SetTraffic, "PUT", "/onlineEndpoints/fraud", endpoint_name="fraud", traffic={"blue": 100}) == 1
        assert ask(endpoint.find)["properties"]["traffic"] == {"blue": 100}
        assert acts(SetTraffic, "PUT", "/onlineEndpoints/fraud", endpoint_name="fraud", traffic={}) == 1
        where = {"endpoint_name": "fraud", "deployment_name": "blue"}
        assert acts(Delete, "DELETE", "/deployments/blue", **where) == 1
        assert acts(Delete, "DELETE", "/onlineEndpoints/fraud", endpoint_name="fraud") == 1
        assert ask(endpoint.find) is None
    finally:
        azureml_emulator.configure(operation_seconds=0.5)
    print(dict(counts))  # what was tried; shown with -s
    assert counts["killed"] >= 6
