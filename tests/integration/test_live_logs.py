"""The log of a job in the log of its task, against the emulator: real storage, real signatures, each way of waiting."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_azureml.provider.errors import JobFailedError, PermissionDeniedError, SpecError
from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator as CreateJob
from airflow_provider_azureml.provider.triggers import job as job_trigger
from airflow_provider_azureml.provider.triggers.job import AzureMachineLearningJobTrigger as JobTrigger
from airflow_provider_azureml.sensors import AzureMachineLearningJobSensor as JobSensor

ENVIRONMENT = "azureml://registries/azureml/environments/sklearn/versions/1"
COMMAND = {"type": "command", "command": "echo", "environment": ENVIRONMENT}
WAIT = {"waiting": True, "poll_interval": 0.2}
both_ways = pytest.mark.parametrize("deferrable", [False, True], ids=["in place", "deferred"])
each_answer = pytest.mark.parametrize("answer", ["signed", "unsigned", "none while it runs"])


@pytest.fixture
def shown(caplog: pytest.LogCaptureFixture) -> Any:
    """The lines of the job's log that the task shows: those that a test wrote."""
    caplog.set_level(logging.INFO)
    return lambda: [line for line in (record.getMessage() for record in caplog.records) if line.startswith(("~", "["))]


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.05)


@pytest.fixture
def while_it_waits(azureml_emulator: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Do something beside the wait for the job, with the job: `while_it_waits(async function)`."""

    def run(act: Any) -> None:
        original = JobTrigger._show_log

        def beside(self: Any, client: Any) -> Any:
            import contextlib

            @contextlib.asynccontextmanager
            async def both() -> Any:
                acting = asyncio.create_task(act(azureml_emulator.job(self.job_name)))
                async with original(self, client):
                    yield
                await acting

            return both()

        monkeypatch.setattr(JobTrigger, "_show_log", beside)

    return run


@each_answer
@both_ways
def test_lines_are_shown_while_the_job_runs_and_the_rest_when_it_has_ended(
    ws, task, azureml_emulator, while_it_waits, shown, deferrable, answer
):
    azureml_emulator.script_jobs(["Running"])
    azureml_emulator.configure(answers={"log files": answer})
    live = answer != "none while it runs"

    async def act(job: Any) -> None:
        await asyncio.to_thread(job.write_log, "~ epoch 1\n~ epo")
        if live:
            await until(lambda: shown() == ["~ epoch 1"])
        await asyncio.to_thread(job.write_log, "ch 2 €\n")
        if live:
            await until(lambda: shown() == ["~ epoch 1", "~ epoch 2 €"])
        await asyncio.to_thread(job.write_log, "~ done")
        await asyncio.to_thread(job.complete)

    while_it_waits(act)
    task(CreateJob, job=COMMAND, deferrable=deferrable, **WAIT).run()
    assert shown() == ["~ epoch 1", "~ epoch 2 €", "~ done"]


@both_ways
def test_a_job_that_fails_has_shown_its_log_to_the_end(ws, task, azureml_emulator, while_it_waits, shown, deferrable):
    azureml_emulator.script_jobs(["Running"])

    async def act(job: Any) -> None:
        await asyncio.to_thread(job.write_log, "~ one\n~ two\n")
        await asyncio.to_thread(job.fail)

    while_it_waits(act)
    with pytest.raises(JobFailedError):
        task(CreateJob, job=COMMAND, deferrable=deferrable, **WAIT).run()
    assert shown() == ["~ one", "~ two"]


def test_off_it_costs_no_request(ws, task, azureml_emulator, shown):
    azureml_emulator.script_jobs([("Running", 1), "Completed"])
    task(CreateJob, job=COMMAND, deferrable=True, get_logs=False, **WAIT).run()
    assert not azureml_emulator.calls("GET", "/details$")
    assert not azureml_emulator.calls("GET", "std_log", host="blob")


@both_ways
def test_another_try_goes_on_where_the_first_was(ws, task, azureml_emulator, while_it_waits, shown, deferrable):
    azureml_emulator.script_jobs(["Running"])

    tries = []

    async def act(job: Any) -> None:
        tries.append(job.name)
        if len(tries) == 1:
            await asyncio.to_thread(job.write_log, "~ one\n")
            await until(shown)
            azureml_emulator.misbehave("GET", f"/jobs/{job.name}$", status=403, times=1)
        else:
            await asyncio.to_thread(job.write_log, "~ two\n")
            await asyncio.to_thread(job.complete)

    while_it_waits(act)
    runner = task(CreateJob, job=COMMAND, deferrable=deferrable, retries=1, retry_delay=timedelta(0), **WAIT)
    with pytest.raises(PermissionDeniedError):
        runner.run()
    runner.run()
    assert len(tries) == 2
    assert shown() == ["~ one", "~ two"]


async def test_a_triggerer_that_dies_goes_on_where_it_was(ws, submit, azureml_emulator, monkeypatch, shown):
    """Airflow gives triggers no store but XCom; here a dict stands for it, in the system tests Airflow itself."""
    store: dict[str, Any] = {}

    async def aget(ti: Any, key: str) -> Any:
        return store.get(key)

    async def aset(ti: Any, key: str, value: Any) -> None:
        store[key] = value

    monkeypatch.setattr(job_trigger, "aget_xcom", aget)
    monkeypatch.setattr(job_trigger, "aset_xcom", aset)
    name = await asyncio.to_thread(submit, ["Running"])
    job = azureml_emulator.job(name)
    log = {"type": "Command", "all_nodes": False, "shown": None}

    def trigger() -> Any:
        made = JobTrigger(job_name=name, conn_id="azureml", poll_interval=0.2, log=log)
        made._task_instance = SimpleNamespace(task_id="it")
        return made

    async def fire(made: Any) -> Any:
        async for event in made.run():
            return event.payload

    await asyncio.to_thread(job.write_log, "~ one\n")
    first = asyncio.create_task(fire(trigger()))
    await until(lambda: store)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await asyncio.to_thread(job.write_log, "~ two\n")
    second = asyncio.create_task(fire(trigger()))
    await until(lambda: len(shown()) >= 2)
    await asyncio.to_thread(job.complete)
    event = await second
    assert shown() == ["~ one", "~ two"]
    assert event["shown"] == store["azureml_log_shown"]


def test_a_worker_killed_at_each_call_shows_all(ws, task, azureml_emulator, kill_at_each_call, capfd, caplog):
    caplog.set_level(logging.INFO)
    azureml_emulator.script_jobs([("Running", 1.0), "Completed"])
    runner = task(CreateJob, job=COMMAND, retries=30, retry_delay=timedelta(0), **WAIT)
    handler = logging.StreamHandler()  # to stderr, which outlives the process
    logging.getLogger("airflow_provider_azureml").addHandler(handler)
    try:
        assert kill_at_each_call(runner) > 5
    finally:
        logging.getLogger("airflow_provider_azureml").removeHandler(handler)
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("20") and " " in line]
    statuses = [line.split(" ")[1] for line in lines]
    assert statuses == ["Starting", "Running", "Completed"][-len(statuses) :]
    assert statuses.count("Completed") == 1


@pytest.mark.parametrize("status", [500, 403, 429])
def test_storage_or_run_history_that_fails_now_and_then_loses_nothing(
    ws, task, azureml_emulator, while_it_waits, shown, status
):
    azureml_emulator.script_jobs(["Running"])
    azureml_emulator.misbehave("GET", "/details$", status=status, times=1)
    azureml_emulator.misbehave("GET", "std_log", status=status, times=1, host="blob")

    async def act(job: Any) -> None:
        for number in range(4):
            await asyncio.to_thread(job.write_log, f"~ {number}\n")
            await asyncio.sleep(0.3)
        await asyncio.to_thread(job.complete)

    while_it_waits(act)
    task(CreateJob, job=COMMAND, **WAIT).run()
    assert shown() == [f"~ {number}" for number in range(4)]


def test_of_a_pipeline_its_steps_are_shown(ws, task, cpu, azureml_emulator, while_it_waits, shown):
    azureml_emulator.script_jobs(["Running"])
    steps = {name: {**COMMAND, "compute": "azureml:cpu"} for name in ("prepare", "train")}

    async def act(job: Any) -> None:
        for child in await asyncio.to_thread(lambda: job.children):
            await asyncio.to_thread(azureml_emulator.job(child).write_log, "~ working\n")
        await until(lambda: {"[prepare] ~ working", "[train] ~ working"} <= set(shown()))
        await asyncio.to_thread(job.complete)

    while_it_waits(act)
    task(CreateJob, job={"type": "pipeline", "jobs": steps}, deferrable=True, **WAIT).run()
    assert [line for line in shown() if "~" in line].count("[train] ~ working") == 1


def test_all_nodes_are_shown_if_asked(ws, task, azureml_emulator, while_it_waits, shown):
    azureml_emulator.script_jobs(["Running"])

    async def act(job: Any) -> None:
        for node in (0, 1):
            await asyncio.to_thread(job.write_log, f"~ of {node}\n", f"user_logs/std_log_process_{node:02d}.txt")
        await asyncio.to_thread(job.complete)

    while_it_waits(act)
    spec = {**COMMAND, "resources": {"instance_count": 2}}
    task(CreateJob, job=spec, get_logs="all_nodes", **WAIT).run()
    assert [line for line in shown() if "~" in line] == [
        "[std_log_process_00] ~ of 0",
        "[std_log_process_01] ~ of 1",
    ]


@both_ways
def test_a_sensor_shows_the_log_of_a_job_of_others_if_asked(
    ws, task, submit, azureml_emulator, while_it_waits, shown, deferrable
):
    name = submit([("Running", 1.5), "Completed"])
    azureml_emulator.job(name).write_log("~ one\n")
    task(JobSensor, job_name=name, deferrable=deferrable, poke_interval=0.3, get_logs=True).run()
    assert shown() == ["~ one"]
    azureml_emulator.clear_calls()
    task(JobSensor, job_name=name, deferrable=deferrable, poke_interval=0.3).run()
    assert shown() == ["~ one"]
    assert not azureml_emulator.calls("GET", "/details$")


def test_a_sensor_that_reschedules_repeats_nothing(ws, task, submit, azureml_emulator, shown):
    name = submit(["Running"])
    runner = task(JobSensor, job_name=name, mode="reschedule", poke_interval=60, get_logs=True)
    for number in range(3):
        azureml_emulator.job(name).write_log(f"~ {number}\n")
        assert not runner.poke()
        runner.operator = type(runner.operator)(
            task_id=f"it{number}", conn_id="azureml", job_name=name, mode="reschedule", get_logs=True
        )
    azureml_emulator.job(name).write_log("~ end")
    azureml_emulator.job(name).fail()
    with pytest.raises(JobFailedError):
        runner.poke()
    assert shown() == ["~ 0", "~ 1", "~ 2", "~ end"]


@pytest.mark.parametrize("kind", [CreateJob, JobSensor])
def test_what_get_logs_cannot_be_is_said_in_the_dag_file(kind):
    spec = {"job": COMMAND} if kind is CreateJob else {"job_name": "j"}
    with pytest.raises(SpecError, match="get_logs is 'yes'; it can be True, False or 'all_nodes'"):
        kind(task_id="it", get_logs="yes", **spec)


async def test_a_wait_with_its_log_costs_one_more_request_an_interval_at_most(ws, azureml_emulator, submit):
    name = await asyncio.to_thread(submit, ["Running"])
    log = {"type": "Command", "all_nodes": False, "shown": None}

    async def fire(made: Any) -> Any:
        async for event in made.run():
            return event.payload

    await asyncio.to_thread(azureml_emulator.clear_calls)
    triggers = [JobTrigger(job_name=name, conn_id="azureml", poll_interval=1, log=log) for _ in range(5)]
    running = [asyncio.create_task(fire(trigger)) for trigger in triggers]
    await asyncio.sleep(5.5)
    for each in running:
        each.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    asked = azureml_emulator.calls("GET", "/details$")
    read = azureml_emulator.calls("GET", "std_log", host="blob")
    assert len(read) + len(asked) <= 5 * 6
    assert len(azureml_emulator.calls("GET", "/discovery")) == 1, "where run history is, is asked once for all"
