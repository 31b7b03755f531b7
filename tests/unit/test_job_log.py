"""Showing a growing log by offset: what is shown, once, in order, whatever the file does and wherever it is cut."""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_azureml.provider.errors import NotFoundError, PermissionDeniedError, TransientError
from airflow_provider_azureml.provider.jobs import log as job_log
from airflow_provider_azureml.provider.jobs import showing as showing_module
from airflow_provider_azureml.provider.jobs.log import JobLog, PipelineLog, show_rest, show_while_it_grows
from airflow_provider_azureml.provider.jobs.showing import Showing, Shown
from airflow_provider_azureml.provider.rest.blob_reader import Part
from airflow_provider_azureml.provider.rest.log_names import own_logs

STD = "user_logs/std_log.txt"


@dataclass
class Service:
    """Run history and storage: files by run, and what goes wrong."""

    files: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"j": {}})
    steps: list[dict[str, Any]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def history(self) -> Service:
        return self

    def _ask(self, what: str) -> None:
        self.requests.append(what)
        if self.errors:
            raise self.errors.pop(0)

    async def log_files(self, name: str) -> dict[str, str]:
        self._ask(f"files of {name}")
        return {file: f"{name}|{file}" for file in self.files.get(name, {})}

    async def parts(self, name: str) -> list[dict[str, Any]]:
        self._ask(f"parts of {name}")
        return self.steps

    async def read(self, url: str, *, start: int, length: int, reader: str = "") -> Part:
        self._ask(url)
        name, file = url.split("|")
        if file not in self.files[name]:
            raise NotFoundError("404")
        content = self.files[name][file]
        return Part(content[start : start + length], len(content))


class Memory:
    """What outlives a process: how far was shown."""

    def __init__(self) -> None:
        self.value: dict[str, Any] | None = None

    async def keep(self, value: dict[str, Any]) -> None:
        self.value = value


def showing(service: Service, memory: Memory, **options: Any) -> Showing:
    return Showing(service, service, Shown.from_dict("j", memory.value), memory.keep, "https://studio", **options)  # type: ignore[arg-type]


@pytest.fixture
def shown(caplog: pytest.LogCaptureFixture) -> Any:
    caplog.set_level(logging.INFO)

    def lines() -> list[str]:
        return [record.getMessage() for record in caplog.records if " of job " not in record.getMessage()]

    return lines


async def steps(log: Any, number: int) -> None:
    for _ in range(number):
        await log.step()


async def test_a_line_is_shown_once_it_is_whole_and_once(shown):
    service = Service()
    log = JobLog(showing(service, Memory()), "j")
    service.files["j"][STD] = b"one\ntw"
    await steps(log, 3)
    assert shown() == ["one"]
    service.files["j"][STD] += b"o\n"
    await steps(log, 3)
    assert shown() == ["one", "two"]


async def test_each_step_is_one_request(shown):
    service = Service()
    service.files["j"][STD] = b"one\n"
    log = JobLog(showing(service, Memory()), "j")
    for number in range(1, 30):
        await log.step()
        assert len(service.requests) == number


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(st.sampled_from("ab\n€𝄞é"), max_size=200),
    cuts=st.lists(st.integers(0, 40), max_size=12),
    part=st.integers(4, 20),
)
def test_whatever_the_pieces_and_however_often_it_starts_anew_all_is_shown_once_and_in_order(text, cuts, part):
    """Each cut is a moment at which the file is so long, and the process that reads it another."""
    content = text.encode()
    collected: list[str] = []

    async def run() -> None:
        service, memory, end = Service(), Memory(), 0
        for cut in cuts:
            end = min(len(content), end + cut)
            service.files["j"][STD] = content[:end]
            await steps(JobLog(showing(service, memory), "j"), 3)
        service.files["j"][STD] = content
        await show_rest(JobLog(showing(service, memory), "j"))

    handler = logging.Handler()
    handler.emit = lambda record: collected.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger(showing_module.__name__)
    level, logger.level = logger.level, logging.INFO
    logger.addHandler(handler)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(job_log, "_PART", part)
            asyncio.run(run())
    finally:
        logger.removeHandler(handler)
        logger.level = level
    lines = [line for line in collected if " of job " not in line]
    # A line that is longer than a read comes in pieces; nothing else is cut.
    assert "".join(lines).replace("\n", "") == text.replace("\n", "")
    if all(len(line.encode()) < part for line in text.split("\n")):
        assert lines == (text.removesuffix("\n").split("\n") if text else [])


@pytest.mark.parametrize("new", [b"x\n", b"another beginning, and longer than the first was\nand more\n"])
async def test_a_file_that_was_replaced_is_shown_from_its_beginning(shown, new):
    service = Service()
    service.files["j"][STD] = b"first line\nsecond line\n"
    log = JobLog(showing(service, Memory()), "j")
    await steps(log, 2)
    service.files["j"][STD] = new
    await steps(log, 2)
    lines = shown()
    assert lines[:2] == ["first line", "second line"]
    assert "was replaced" in lines[2]
    assert lines[3:] == new.decode().splitlines()


async def test_of_a_progress_bar_the_last_state_is_shown(shown):
    service = Service()
    service.files["j"][STD] = b"1%\r50%\r100%\nwindows\r\n"
    await steps(JobLog(showing(service, Memory()), "j"), 2)
    assert shown() == ["100%", "windows"]


async def test_an_address_that_has_run_out_is_asked_for_anew(shown):
    service = Service()
    service.files["j"][STD] = b"one\n"
    log = JobLog(showing(service, Memory()), "j")
    await steps(log, 2)
    service.files["j"][STD] += b"two\n"
    service.errors = [PermissionDeniedError("403 AuthenticationFailed")]
    await steps(log, 3)
    assert shown() == ["one", "two"]


async def test_storage_that_refuses_each_address_is_given_up_with_a_link(shown):
    service = Service()
    service.files["j"][STD] = b"one\n"
    log = JobLog(showing(service, Memory()), "j")
    for _ in range(3):
        await log.step()
        service.errors = [PermissionDeniedError("account.blob answered 403 AuthorizationFailure.")]
        await log.step()
    assert log.done
    (line,) = shown()
    assert "AuthorizationFailure" in line
    assert "https://studio" in line


async def test_a_node_that_appears_later_is_shown_too_and_no_other_if_not_asked(shown):
    service = Service()
    node0, node1 = "user_logs/std_log_process_00.txt", "user_logs/std_log_process_01.txt"
    service.files["j"][node0] = b"zero\n"
    log = JobLog(showing(service, Memory(), all_nodes=True), "j")
    await steps(log, 5)
    service.files["j"][node1] = b"one\n"
    await steps(log, 20)
    assert shown() == ["[std_log_process_00] zero", "[std_log_process_01] one"]
    await steps(JobLog(showing(service, Memory()), "j"), 20)
    assert shown()[2:] == ["zero"]


async def test_more_than_the_limit_is_not_shown_and_there_is_a_link(shown, monkeypatch):
    assert showing_module.MOST_BYTES == 4 * 2**20, "as the page says"
    monkeypatch.setattr(showing_module, "MOST_BYTES", 1000)
    monkeypatch.setattr(job_log, "_PART", 300)
    service, memory = Service(), Memory()
    service.files["j"][STD] = b"0123456789\n" * 1000
    await show_rest(JobLog(showing(service, memory), "j"))
    lines = shown()
    assert lines[-1].endswith("The rest: https://studio")
    assert 1000 <= sum(len(line) + 1 for line in lines[:-1]) < 1300
    asked = len(service.requests)
    await show_rest(JobLog(showing(service, memory), "j"))
    assert len(service.requests) == asked, "nor by another process"


async def test_what_run_history_names_and_storage_has_not_yet_is_waited_for(shown, monkeypatch):
    monkeypatch.setattr(job_log, "_PAUSES", (0, 0, 0))
    service = Service()
    service.files["j"][STD] = b"one\n"
    service.errors = []
    log = JobLog(showing(service, Memory()), "j")
    await log.step()
    service.errors = [NotFoundError("404"), NotFoundError("404")]
    await steps(log, 2)
    log.end()
    service.errors = [NotFoundError("404"), TransientError("busy")]
    await show_rest(log)
    assert shown() == ["one"]


async def test_a_file_that_never_comes_is_given_up(shown, monkeypatch):
    monkeypatch.setattr(job_log, "_PAUSES", (0, 0))
    service = Service(errors=[NotFoundError("there is no such run")] * 10)
    await show_rest(JobLog(showing(service, Memory()), "j"))
    assert shown() == ["The end of the log may be missing here: there is no such run"]
    assert len(service.requests) == 3


def run_of(name: str, status: str, **more: Any) -> dict[str, Any]:
    return {"runId": f"run-{name}", "displayName": name, "status": status, "runType": "azureml.StepRun", **more}


async def test_a_pipelines_steps_are_shown_as_they_begin(shown):
    service = Service(files={"j": {}, "run-prepare": {STD: b"rows\n"}, "run-train": {STD: b"loss\n"}})
    service.steps = [run_of("prepare", "Running"), run_of("train", "NotStarted")]
    log = PipelineLog(showing(service, Memory()), "j")
    await steps(log, 4)
    assert shown() == ["[prepare] rows"]
    assert not [request for request in service.requests if "train" in request]
    service.steps = [run_of("prepare", "Completed"), run_of("train", "Running")]
    await steps(log, 6)
    assert shown() == ["[prepare] rows", "[train] loss"]
    asked = len(service.requests)
    await steps(log, 10)
    asked_now = service.requests[asked:]
    assert len([request for request in asked_now if "run-prepare" in request]) == 0, "it was read to its end"
    await show_rest(log)
    assert shown() == ["[prepare] rows", "[train] loss"]


async def test_the_steps_of_a_pipeline_in_a_pipeline_are_shown_and_reused_ones_named(shown):
    class Nested(Service):
        async def parts(self, name: str) -> list[dict[str, Any]]:
            inner = run_of("inner", "Completed", runType="azureml.PipelineRun")
            reused = run_of("cached", "Completed", properties={"azureml.isreused": "true"})
            return {"j": [inner, reused], "run-inner": [run_of("leaf", "Completed")]}[name]

    service, memory = Nested(files={"run-leaf": {STD: b"deep\n"}}), Memory()
    await show_rest(PipelineLog(showing(service, memory), "j"))
    assert sorted(shown()) == ["[cached] An earlier run's result is used; there is no new log.", "[inner/leaf] deep"]


async def test_a_busy_service_is_asked_less_often_and_never_ends_the_log(monkeypatch, shown):
    pauses: list[float] = []

    async def pause(stop: Any, seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(job_log, "_pause", pause)
    service = Service(errors=[TransientError("busy")] * 5)
    service.files["j"][STD] = b"one\n"
    log = JobLog(showing(service, Memory()), "j")

    async def keep(value: dict[str, Any]) -> None:
        log.done = True

    log._showing.keep = keep
    await show_while_it_grows(log, interval=1, stop=asyncio.Event())
    assert pauses[:6] == [1, 2, 4, 8, 8, 8]
    assert shown() == ["one"]


async def test_what_goes_wrong_in_its_own_code_leaves_the_wait_alone(shown):
    service = Service(errors=[ValueError("a mistake")])
    await show_while_it_grows(JobLog(showing(service, Memory()), "j"), interval=0, stop=asyncio.Event())
    assert shown() == ["The log is not shown any more: ValueError"]


@pytest.mark.parametrize(
    ("names", "first", "every"),
    [
        (["user_logs/std_log.txt", "system_logs/x.log"], ["user_logs/std_log.txt"], ["user_logs/std_log.txt"]),
        (
            ["user_logs/std_log_process_01.txt", "user_logs/std_log_process_00.txt"],
            ["user_logs/std_log_process_00.txt"],
            ["user_logs/std_log_process_00.txt", "user_logs/std_log_process_01.txt"],
        ),
        (["user_logs/std_log_0.txt", "user_logs/std_log_0_ps.txt"], ["user_logs/std_log_0.txt"], None),
        (["azureml-logs/20_image_build_log.txt"], ["azureml-logs/20_image_build_log.txt"], None),
        (["azureml-logs/20_i.txt", "azureml-logs/70_driver_log.txt"], ["azureml-logs/70_driver_log.txt"], None),
        (["azureml-logs/hyperdrive.txt"], ["azureml-logs/hyperdrive.txt"], None),
        (["logs/azureml/executionlogs.txt", "logs/azureml/stderrlogs.txt"], ["logs/azureml/executionlogs.txt"], None),
        (["logs/else.txt"], [], []),
    ],
)
def test_which_files_are_the_jobs_own_log(names, first, every):
    assert own_logs(names) == first
    if every is not None:
        assert own_logs(names, all_nodes=True) == every


def test_what_was_kept_of_another_job_or_is_no_memory_at_all_is_not_taken():
    assert Shown.from_dict("j", {"job": "other", "size": 5}) == Shown("j")
    assert Shown.from_dict("j", "5") == Shown("j")
    assert Shown.from_dict("j", None) == Shown("j")
    assert re.fullmatch("[0-9a-f]{12}", job_log._checksum(b""))
