"""Waiting for jobs and versions that somebody else makes, deferred and poked."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException, AirflowTaskTimeout, TaskDeferred

from airflow_provider_azureml.datasets import Kind
from airflow_provider_azureml.provider.errors import (
    AuthenticationError,
    ConnectionConfigurationError,
    JobFailedError,
    NotFoundError,
    SpecError,
)
from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
from airflow_provider_azureml.provider.operators.data import AzureMachineLearningCreateDataOperator as CreateData
from airflow_provider_azureml.provider.operators.model import AzureMachineLearningRegisterModelOperator as RegisterModel
from airflow_provider_azureml.sensors import AzureMachineLearningDataVersionSensor as DataSensor
from airflow_provider_azureml.sensors import AzureMachineLearningJobSensor as JobSensor
from airflow_provider_azureml.sensors import AzureMachineLearningModelVersionSensor as ModelSensor

from .conftest import TaskInstance

both_ways = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "poked"])
FAST = {"poke_interval": 0.2, "timeout": 30}


@pytest.fixture
def later(azureml_emulator: Any) -> Any:
    """Do something once the sensor has looked `looks` times: `later(action, "/jobs/", looks=2)`."""
    threads = []

    def start(action: Any, path: str, looks: int = 2) -> None:
        after = azureml_emulator.calls()[-1]["number"] if azureml_emulator.calls() else 0

        def run() -> None:
            azureml_emulator.wait_for_call("GET", path, count=looks, after=after)
            action()

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()


@pytest.fixture
def register(task: Any, folder: Any) -> Any:
    """Register a version as somebody else: another task."""

    def make(name: str = "fraud", kind: type = RegisterModel, **spec: Any) -> dict[str, Any]:
        argument = "model" if kind is RegisterModel else "data_asset"
        return task(kind, **{argument: {"name": name, "path": str(folder), **spec}}).run()

    return make


class TestJobSensor:
    @both_ways
    def test_it_returns_the_facts_of_a_job_that_completes(self, ws, task, submit, azureml_emulator, later, deferrable):
        name = submit(["Running"])
        later(lambda: azureml_emulator.job(name).complete(), f"/jobs/{name}")
        runner = task(JobSensor, job_name=name, deferrable=deferrable, **FAST)
        job = runner.run()
        assert (runner.deferral is not None) == deferrable
        assert (job["name"], job["status"], job["type"]) == (name, "Completed", "Command")
        assert job["outputs"]["default"]["uri"].startswith("azureml://")
        assert runner.ti.xcoms["azureml_studio_url"] == job["studio_url"]

    def test_a_job_that_has_ended_is_not_deferred_for(self, ws, task, submit):
        runner = task(JobSensor, job_name=submit(["Completed"]), deferrable=True, **FAST)
        assert runner.run()["status"] == "Completed"
        assert runner.deferral is None

    @both_ways
    def test_a_failed_job_fails_the_task_with_the_services_reason(
        self, ws, task, submit, azureml_emulator, later, deferrable
    ):
        name = submit(["Running"])
        later(lambda: azureml_emulator.job(name).fail("ScriptError", "no such column: amount"), f"/jobs/{name}")
        with pytest.raises(JobFailedError, match=f"'{name}' is Failed. ScriptError: no such column: amount See https"):
            task(JobSensor, job_name=name, deferrable=deferrable, **FAST).run()

    @both_ways
    @pytest.mark.parametrize("status", ["Canceled", "Failed"])
    def test_a_canceled_or_lost_job_is_a_failure_too(self, ws, task, submit, deferrable, status):
        with pytest.raises(JobFailedError, match=f"is {status}"):
            task(JobSensor, job_name=submit([status]), deferrable=deferrable, **FAST).run()

    @both_ways
    def test_soft_fail_skips_the_task_when_the_job_fails(
        self, ws, task, submit, azureml_emulator, later, deferrable, capsys
    ):
        name = submit(["Running"])
        later(lambda: azureml_emulator.job(name).fail("ScriptError", "oh"), f"/jobs/{name}")
        with pytest.raises(AirflowSkipException):
            task(JobSensor, job_name=name, deferrable=deferrable, soft_fail=True, **FAST).run()
        assert "ScriptError: oh" in capsys.readouterr().out

    @both_ways
    def test_a_paused_job_is_waited_for(self, ws, task, submit, azureml_emulator, later, deferrable):
        name = submit(["Paused"])
        later(lambda: azureml_emulator.job(name).complete(), f"/jobs/{name}")
        assert task(JobSensor, job_name=name, deferrable=deferrable, **FAST).run()["status"] == "Completed"

    def test_a_paused_job_is_a_failure_where_that_is_wanted(self, ws, task, submit):
        with pytest.raises(JobFailedError, match="is Paused"):
            task(JobSensor, job_name=submit(["Paused"]), fail_on_paused=True, **FAST).run()

    def test_an_unknown_status_is_waited_out_and_logged_once(self, ws, task, submit, azureml_emulator, later, caplog):
        name = submit(["Hibernating"])
        later(lambda: azureml_emulator.job(name).complete(), f"/jobs/{name}", looks=5)
        assert task(JobSensor, job_name=name, deferrable=False, **FAST).run()["status"] == "Completed"
        assert [r.message for r in caplog.records if r.levelname == "WARNING" and name in r.message] == [
            f"Job {name} has status Hibernating, which this provider does not know: still waiting."
        ]

    @both_ways
    def test_blips_and_throttling_are_waited_out(self, ws, task, submit, azureml_emulator, later, deferrable):
        name = submit(["Running"])
        runner = task(JobSensor, job_name=name, deferrable=deferrable, **FAST)
        azureml_emulator.misbehave("GET", f"/jobs/{name}", after=1, times=1, status=429, retry_after=1)
        azureml_emulator.misbehave("GET", f"/jobs/{name}", after=1, times=1, status=503)
        azureml_emulator.misbehave("GET", f"/jobs/{name}", after=1, times=1, reset=True)
        azureml_emulator.misbehave("GET", f"/jobs/{name}", after=1, times=1, truncate=True)
        later(lambda: azureml_emulator.job(name).complete(), f"/jobs/{name}", looks=7)
        assert runner.run()["status"] == "Completed"

    def test_watching_never_cancels(self, ws, task, submit, azureml_emulator):
        name = submit(["Running"])
        runner = task(JobSensor, job_name=name, deferrable=True, **FAST)
        runner.while_deferred = lambda: (runner.operator.on_kill(), azureml_emulator.job(name).complete())
        runner.run()
        assert not azureml_emulator.calls("POST", "/cancel")

    def test_a_job_that_does_not_exist_is_an_error(self, ws, task):
        with pytest.raises(NotFoundError, match="nobody"):
            task(JobSensor, job_name="nobody", **FAST).run()

    @both_ways
    def test_a_timeout_says_what_was_waited_for_how_often_it_was_checked_and_what_was_seen(
        self, ws, task, submit, deferrable
    ):
        name = submit(["Running"])
        runner = task(JobSensor, job_name=name, deferrable=deferrable, poke_interval=0.1, timeout=4)
        with pytest.raises(AirflowSensorTimeout) as caught:
            runner.run()
        said = re.search(
            rf"Waiting for job '{name}' to complete: checked (\d+) times. Seen last: Running.", str(caught.value)
        )
        assert said
        assert int(said[1]) > 1
        assert caught.value.__cause__ is None

    @both_ways
    def test_a_timeout_that_is_a_skip_says_it_in_the_log(self, ws, task, submit, caplog, deferrable):
        runner = task(
            JobSensor,
            job_name=submit(["Running"]),
            deferrable=deferrable,
            poke_interval=0.1,
            timeout=4,
            soft_fail=True,
        )
        with pytest.raises(AirflowSkipException):
            runner.run()
        assert "Seen last: Running." in caplog.text

    def test_the_execution_timeout_holds_in_the_triggerer_too(self, ws, task, submit):
        runner = task(
            JobSensor,
            job_name=submit(["Running"]),
            deferrable=True,
            poke_interval=0.1,
            timeout=3600,
            execution_timeout=timedelta(seconds=4),
        )
        TaskInstance.start_date = datetime.now(UTC)
        try:
            with pytest.raises(AirflowTaskTimeout, match=r"execution_timeout.*Seen last: Running"):
                runner.run()
        finally:
            del TaskInstance.start_date

    def test_where_airflow_ends_the_deferral_it_is_said_what_was_waited_for(self, ws, task, submit):
        """As it does where no triggerer runs: a while after the trigger would have said more."""
        name = submit(["Running"])
        runner = task(JobSensor, job_name=name, deferrable=True, **FAST)
        with pytest.raises(TaskDeferred) as deferred:
            runner.operator.execute(runner.begin())
        assert deferred.value.timeout.total_seconds() > FAST["timeout"]
        assert deferred.value.trigger.deadline == pytest.approx(time.time() + FAST["timeout"], abs=5)
        with pytest.raises(AirflowSensorTimeout, match=f"Trigger timeout. Waiting for job '{name}' to complete"):
            runner.operator.resume_execution("__fail__", {"error": "Trigger timeout"}, runner.context)

    @both_ways
    def test_the_log_says_at_once_what_is_waited_for(
        self, ws, task, submit, azureml_emulator, later, deferrable, caplog
    ):
        name = submit(["Running"])
        later(lambda: azureml_emulator.job(name).complete(), f"/jobs/{name}")
        task(JobSensor, job_name=name, deferrable=deferrable, **FAST).run()
        assert f"Waiting for job '{name}' to complete" in caplog.text
        assert caplog.text.count("checked once. Seen last: Running.") == 1

    def test_the_checks_of_a_sensor_that_reschedules_add_up(self, ws, task, submit, caplog):
        runner = task(JobSensor, job_name=submit(["Running"]), mode="reschedule", **FAST)
        for _ in range(3):
            runner.operator._sightings = None  # each is in a process of its own
            runner.poke()
        assert "checked 3 times" in caplog.text

    def test_a_secret_that_is_revoked_while_waiting_ends_the_wait(
        self, ws, task, submit, azureml_emulator, monkeypatch
    ):
        runner = task(JobSensor, job_name=submit(["Running"]), deferrable=True, **FAST)
        wrong = azureml_emulator.connection_json.replace(azureml_emulator.client_secret, "wrong")
        runner.while_deferred = lambda: monkeypatch.setenv("AIRFLOW_CONN_AZUREML", wrong)
        with pytest.raises(AuthenticationError, match="AADSTS7000215"):
            runner.run()

    def test_the_triggers_of_one_triggerer_share_one_token(self, ws, task, submit, azureml_emulator):
        names = [submit(["Completed"]) for _ in range(5)]
        azureml_emulator.clear_calls()

        async def wait_for_all() -> list[Any]:
            from airflow_provider_azureml.provider.triggers.job import AzureMachineLearningJobTrigger

            async def first(name: str) -> Any:
                trigger = AzureMachineLearningJobTrigger(conn_id="azureml", poll_interval=0.1, job_name=name)
                return [event.payload async for event in trigger.run()]

            return await asyncio.gather(*map(first, names))

        events = asyncio.run(wait_for_all())
        assert [event["found"]["name"] for (event,) in events] == names
        assert len(azureml_emulator.calls("POST", "/oauth2/v2.0/token")) == 1


@pytest.mark.parametrize(
    ("sensor", "kind", "argument"), [(ModelSensor, RegisterModel, "model_name"), (DataSensor, CreateData, "data_name")]
)
class TestVersionSensors:
    @both_ways
    def test_a_version_made_after_the_task_began_ends_the_wait(
        self, ws, task, register, later, sensor, kind, argument, deferrable
    ):
        register(kind=kind)
        later(lambda: register(kind=kind), "/fraud/versions")
        runner = task(sensor, **{argument: "fraud"}, workspace=ws, deferrable=deferrable, **FAST)
        found = runner.run()
        assert found["version"] == "2"
        asset = ws.asset(Kind(found["kind"]), "fraud")
        assert runner.operator.outlets == [asset]
        assert runner.announced(asset) == [found]

    def test_a_name_that_does_not_exist_yet_is_waited_for(self, ws, task, register, later, sensor, kind, argument):
        later(lambda: register(kind=kind), "/fraud/versions")
        assert task(sensor, **{argument: "fraud"}, deferrable=True, **FAST).run()["version"] == "1"

    def test_versions_newer_than_one_that_is_named_are_there_at_once(
        self, ws, task, register, lists_caught_up, sensor, kind, argument
    ):
        for _ in range(3):
            register(kind=kind)
        lists_caught_up()
        runner = task(sensor, **{argument: "fraud"}, workspace=ws, after_version="1", deferrable=True, **FAST)
        found = runner.run()
        assert found["version"] == "3"
        assert [v["version"] for v in runner.announced(ws.asset(Kind(found["kind"]), "fraud"))] == ["2", "3"]

    def test_a_number_that_does_not_exist_is_compared_as_a_number(self, ws, task, register, sensor, kind, argument):
        register(kind=kind, version="9")
        register(kind=kind, version="10")
        assert task(sensor, **{argument: "fraud"}, after_version=9, **FAST).run()["version"] == "10"
        assert task(sensor, **{argument: "fraud"}, after_version=0, **FAST).run()["version"] == "10"

    def test_tags_that_come_later_count(self, ws, task, register, later, sensor, kind, argument, ask):
        """Promotion: the version is there, and is tagged a while after."""
        first = register(kind=kind)

        def promote() -> None:
            k = Kind(first["kind"])
            uri = {"modelUri": first["path"]} if k is Kind.MODEL else {"dataUri": first["path"]}
            body = {"properties": {f"{k}Type": first["type"], "tags": {"stage": "production", "x": "y"}, **uri}}
            ask(lambda client: client.put_version(k, "fraud", "1", body))

        later(promote, "/fraud/versions", looks=4)
        tags = {"stage": "production"}
        found = task(sensor, **{argument: "fraud"}, tags=tags, after_version=0, deferrable=True, **FAST).run()
        assert found["tags"]["x"] == "y"

    def test_a_retry_misses_nothing_that_was_made_meanwhile(self, ws, task, register, sensor, kind, argument):
        register(kind=kind)
        runner = task(sensor, **{argument: "fraud"}, deferrable=True, **FAST)

        def die() -> None:
            raise KeyboardInterrupt

        runner.while_deferred = die
        with pytest.raises(KeyboardInterrupt):
            runner.run()
        runner.while_deferred = lambda: None
        register(kind=kind)
        assert runner.run()["version"] == "2"
        runner.clear()
        runner.while_deferred = lambda: register(kind=kind)
        assert runner.run()["version"] == "3", "a cleared task begins anew"

    def test_a_wrong_connection_is_not_waited_for(
        self, ws, task, sensor, kind, argument, monkeypatch, azureml_emulator
    ):
        wrong = azureml_emulator.connection_json.replace(ws.name, "elsewhere")
        monkeypatch.setenv("AIRFLOW_CONN_AZUREML", wrong)
        with pytest.raises(ConnectionConfigurationError, match="there is no workspace"):
            task(sensor, **{argument: "fraud"}, **FAST).run()


def test_nothing_can_be_newer_than_a_data_version_that_is_neither_there_nor_a_number(ws, task):
    with pytest.raises(SpecError, match="'2026-01' of data 'sales' does not exist"):
        task(DataSensor, data_name="sales", after_version="2026-01", **FAST).run()


def test_data_versions_are_compared_by_the_time_they_were_made(ws, task, register):
    register(name="sales", kind=CreateData, version="b")
    register(name="sales", kind=CreateData, version="a")
    assert task(DataSensor, data_name="sales", after_version="b", **FAST).run()["version"] == "a"


def test_the_connection_can_be_tested(ws, azureml_emulator, monkeypatch):
    assert AzureMachineLearningHook("azureml").test_connection() == (
        True,
        f"Workspace {ws.name} in westeurope can be read.",
    )
    monkeypatch.setenv("AIRFLOW_CONN_AZUREML", azureml_emulator.connection_json.replace(ws.name, "elsewhere"))
    worked, message = AzureMachineLearningHook("azureml").test_connection()
    assert not worked
    assert "there is no workspace" in message
