"""Schedules: made, switched, triggered and deleted once, whatever dies; what is refused beforehand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_azureml.provider.errors import NotFoundError, ProvisioningFailedError, SpecError, WaitTimeoutError
from airflow_provider_azureml.provider.operators.schedule import AzureMachineLearningCreateScheduleOperator as Create
from airflow_provider_azureml.provider.operators.schedule import AzureMachineLearningDeleteScheduleOperator as Delete
from airflow_provider_azureml.provider.operators.schedule import AzureMachineLearningDisableScheduleOperator as Disable
from airflow_provider_azureml.provider.operators.schedule import AzureMachineLearningEnableScheduleOperator as Enable
from airflow_provider_azureml.provider.operators.schedule import AzureMachineLearningTriggerScheduleOperator as Trigger
from airflow_provider_azureml.provider.resources.schedule import Schedule

FAST = {"poll_interval": 0.1}
both_ways = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "in place"])
IMAGE = "azureml://registries/azureml/environments/e/versions/1"


@pytest.fixture
def spec(tmp_path: Path) -> Any:
    """A schedule; the SDK takes its job as a file, or as the name of a job."""

    def make(compute: str = "cpu", **keys: Any) -> dict[str, Any]:
        job = tmp_path / "job.yml"
        step = {"type": "command", "command": "echo", "environment": IMAGE, "compute": f"azureml:{compute}"}
        job.write_text(yaml.safe_dump({"type": "pipeline", "jobs": {"step": step}}))
        trigger = {"type": "cron", "expression": "0 2 * * *"}
        return {"name": "nightly", "trigger": trigger, "create_job": str(job), **keys}

    return make


@pytest.fixture(autouse=True)
def with_cluster(cpu: None) -> None:
    """The cluster that the job names."""


@pytest.fixture
def found(ask: Any) -> Any:
    """The schedule as ARM describes it; None if there is none."""
    return lambda: ask(lambda client: Schedule("nightly").find(client))


@pytest.fixture
def nightly(task: Any, spec: Any) -> None:
    """The schedule."""
    task(Create, schedule=spec(), **FAST).run()


@both_ways
def test_a_schedule_is_made_and_waited_for(ws, task, spec, azureml_emulator, found, deferrable, long_operations):
    runner = task(Create, schedule=spec(tags={"team": "a"}), deferrable=deferrable, **FAST)
    runner.while_deferred = long_operations(deferrable)
    made = runner.run()
    assert (made["name"], made["status"], made["enabled"], made["action"]) == (
        "nightly",
        "Succeeded",
        True,
        "CreateJob",
    )
    assert made["tags"]["team"] == "a"
    assert made["tags"]["airflow.dag_id"] == "dag"
    assert (runner.deferral is not None) == deferrable
    assert runner.ti.xcoms["azureml_studio_url"] == made["studio_url"]
    assert "/schedules/nightly/" in made["studio_url"]
    assert found()["properties"]["trigger"]["expression"] == "0 2 * * *"
    assert azureml_emulator.unknown_routes == []


@pytest.mark.parametrize("form", ["path", "entity", "callable"])
def test_a_spec_has_any_form(ws, task, spec, tmp_path, form):
    import yaml
    from azure.ai.ml.entities import CronTrigger, JobSchedule

    (tmp_path / "schedule.yml").write_text(yaml.safe_dump(spec(create_job="./job.yml")))
    entity = JobSchedule(name="nightly", trigger=CronTrigger(expression="0 2 * * *"), create_job="azureml:a-job")
    given = {"path": str(tmp_path / "schedule.yml"), "entity": entity, "callable": spec}[form]
    if form == "entity":
        with pytest.raises(SpecError, match="The schedule's job 'a-job' does not exist in workspace"):
            task(Create, schedule=given, **FAST).run()
    else:
        assert task(Create, schedule=given, **FAST).run()["status"] == "Succeeded"


def test_a_pipeline_with_a_default_compute_and_components_in_files(ws, task, spec, found):
    file = Path(__file__).parents[2] / "examples" / "operators" / "files" / "pipeline.yml"
    task(Create, schedule=spec(create_job=str(file)), **FAST).run()
    assert set(found()["properties"]["action"]["jobDefinition"]["jobs"]) == {"slow", "fast"}


def test_a_cleared_task_replaces_it_and_a_retry_does_not(ws, task, spec, azureml_emulator, found):
    runner = task(Create, schedule=spec(), **FAST)
    runner.run()
    azureml_emulator.clear_calls()
    runner.run()
    assert not azureml_emulator.calls("PUT", "/schedules/")
    runner.clear()
    runner.run()
    assert len(azureml_emulator.calls("PUT", "/schedules/nightly")) == 1


def test_one_that_is_disabled_stays_disabled_when_it_is_replaced(ws, task, spec, nightly):
    task(Disable, schedule_name="nightly", **FAST).run()
    made = task(Create, schedule=spec(description="new"), **FAST).run()
    assert (made["enabled"], made["status"]) == (False, "Succeeded")


@both_ways
def test_it_is_disabled_and_enabled(ws, task, nightly, azureml_emulator, found, deferrable):
    before = found()["properties"]
    how = {"schedule_name": "nightly", "deferrable": deferrable, **FAST}
    assert task(Disable, **how).run()["enabled"] is False
    assert task(Enable, **how).run()["enabled"] is True
    after = found()["properties"]
    assert (after["trigger"], after["tags"]) == (before["trigger"], before["tags"])
    azureml_emulator.clear_calls()
    task(Enable, **how).run()
    assert not azureml_emulator.calls("PUT"), "it is enabled already"


@both_ways
def test_it_is_deleted_and_waited_for_once_it_is_disabled(ws, task, nightly, azureml_emulator, found, deferrable):
    runner = task(Delete, schedule_name="nightly", if_missing="fail", deferrable=deferrable, **FAST)
    assert runner.run() == {"name": "nightly", "status": "Deleted"}
    assert found() is None
    assert runner.run()["status"] == "Deleted", "a retry after the worker died, deleted by an earlier try"
    assert [call["status"] for call in azureml_emulator.calls("DELETE")] == [202]


class TestTrigger:
    def test_it_submits_the_job(self, ws, task, nightly, ask, azureml_emulator):
        runner = task(Trigger, schedule_name="nightly")
        result = runner.run()
        job = ask(lambda client: client.get_job(result["job_name"]))
        assert job.type == "Pipeline"
        assert runner.ti.xcoms["azureml_studio_url"] == result["studio_url"]
        assert runner.run() == result, "a retry"
        assert len(azureml_emulator.calls("POST", "/trigger")) == 1

    def test_a_lost_answer_is_no_second_job(self, ws, task, nightly, azureml_emulator, ask):
        azureml_emulator.misbehave("POST", "/trigger", lose_answer=True, times=1)
        result = task(Trigger, schedule_name="nightly").run()
        assert len(ask(lambda client: client.list_jobs())) == 1
        assert ask(lambda client: client.get_job(result["job_name"])).display_name.startswith("nightly-20")

    def test_one_that_does_not_exist(self, ws, task, azureml_emulator):
        with pytest.raises(NotFoundError, match="no schedule 'nightly' in workspace"):
            task(Trigger, schedule_name="nightly").run()
        assert not azureml_emulator.calls("POST", "/trigger")


@pytest.mark.parametrize("operator", ["create", "disable", "delete", "trigger"])
def test_sigkill_after_any_call_acts_once(ws, task, spec, request, azureml_emulator, kill_at_each_call, operator):
    if operator != "create":
        request.getfixturevalue("nightly")
    azureml_emulator.clear_calls()
    runner = {
        "create": lambda: task(Create, schedule=spec(), **FAST),
        "disable": lambda: task(Disable, schedule_name="nightly", **FAST),
        "delete": lambda: task(Delete, schedule_name="nightly", if_missing="fail", **FAST),
        "trigger": lambda: task(Trigger, schedule_name="nightly"),
    }[operator]()
    assert kill_at_each_call(runner) >= 2
    calls = azureml_emulator.calls(None, "/schedules/")
    acts = [call["method"] for call in calls if call["method"] != "GET" and call["status"] < 300]
    assert acts == {"delete": ["PUT", "DELETE"], "trigger": ["POST"]}.get(operator, ["PUT"])


class TestBadInput:
    @pytest.mark.parametrize(
        ("keys", "words"),
        [
            ({"trigger": {"type": "cron"}}, "expression"),
            ({"name": None}, "name"),
            ({"compute": "none"}, "compute 'none' does not exist"),
            ({"create_job": "azureml:no-such-job"}, "The schedule's job 'no-such-job' does not exist in workspace"),
            ({"trigge": {}}, "trigge"),
        ],
    )
    def test_what_is_invalid_is_refused_before_anything_is_made(self, ws, task, spec, azureml_emulator, keys, words):
        with pytest.raises(SpecError, match=words):
            task(Create, schedule=spec(**keys), **FAST).run()
        assert not azureml_emulator.calls("PUT", "/schedules/")

    @pytest.mark.parametrize("operator", [Enable, Disable])
    def test_switching_one_that_does_not_exist(self, ws, task, operator):
        with pytest.raises(NotFoundError, match="no schedule 'nightly' in workspace"):
            task(operator, schedule_name="nightly", **FAST).run()

    def test_deleting_one_that_does_not_exist_is_a_warning_or_an_error(self, ws, task, capsys):
        assert task(Delete, schedule_name="nightly", **FAST).run()["status"] == "Deleted"
        assert "nothing to delete" in capsys.readouterr().out
        with pytest.raises(NotFoundError, match="no schedule 'nightly'"):
            task(Delete, schedule_name="nightly", if_missing="fail", **FAST).run()

    @both_ways
    def test_azures_reason_and_a_timeout(self, ws, task, spec, azureml_emulator, deferrable):
        azureml_emulator.misbehave("PUT", "/schedules/", operation_fails=True, code="Bad", message="No.", times=1)
        with pytest.raises(ProvisioningFailedError, match=r"Bad: No. The schedule 'nightly' is Failed"):
            task(Create, schedule=spec(), deferrable=deferrable, **FAST).run()
        azureml_emulator.configure(operation_seconds=30)
        try:
            with pytest.raises(WaitTimeoutError, match=r"within 0.3 s \(timeout\)"):
                task(Create, schedule=spec(), deferrable=deferrable, timeout=0.3, **FAST).run()
        finally:
            azureml_emulator.configure(operation_seconds=0.5)
