"""A killed worker has five seconds: its job is canceled by then, though the service answers 429."""

from __future__ import annotations

import time
from typing import Any

import pytest

from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator as CreateJob

COMMAND = {
    "type": "command",
    "command": "echo",
    "environment": "azureml://registries/azureml/environments/sklearn/versions/1",
}


def test_though_the_service_is_busy_and_asks_for_a_minute(ws: Any, task: Any, azureml_emulator: Any) -> None:
    azureml_emulator.script_jobs(["Running"])
    runner = task(CreateJob, job=COMMAND)
    name = runner.run()["name"]
    azureml_emulator.misbehave("POST", "/cancel$", status=429, retry_after=60, times=3)
    azureml_emulator.misbehave("GET", "/jobs/", status=429, retry_after=60)
    before = time.monotonic()
    runner.operator.on_kill()
    assert time.monotonic() - before < 4.5
    azureml_emulator.behave()
    assert azureml_emulator.job(name).status in ("CancelRequested", "Canceled")


def test_a_service_that_is_away_does_not_hold_up_the_end(ws: Any, task: Any, azureml_emulator: Any) -> None:
    azureml_emulator.script_jobs(["Running"])
    runner = task(CreateJob, job=COMMAND)
    runner.run()
    azureml_emulator.misbehave("POST", "/cancel$", status=503)
    before = time.monotonic()
    runner.operator.on_kill()
    assert time.monotonic() - before < 5.0


@pytest.mark.parametrize("when", ["once", "twice"])
def test_one_request_is_enough(ws: Any, task: Any, azureml_emulator: Any, when: str) -> None:
    azureml_emulator.script_jobs(["Running"])
    runner = task(CreateJob, job=COMMAND)
    runner.run()
    for _ in range(1 if when == "once" else 2):
        runner.operator.on_kill()
    assert len(azureml_emulator.calls("POST", "/cancel")) == 1
