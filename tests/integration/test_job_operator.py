"""Submitting jobs: one for one task run whatever dies, what is said of them, what is announced, who may cancel."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import threading
from pydoc import locate
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_azureml.datasets import Kind
from airflow_provider_azureml.provider.errors import JobFailedError, SpecError, WaitTimeoutError
from airflow_provider_azureml.provider.jobs import submission
from airflow_provider_azureml.provider.operators.data import AzureMachineLearningCreateDataOperator as CreateData
from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator as CreateJob

ENVIRONMENT = "azureml://registries/azureml/environments/sklearn/versions/1"
COMMAND = {"type": "command", "command": "echo", "environment": ENVIRONMENT}
OUTPUTS = {"model": {"type": "mlflow_model", "name": "fraud"}, "scores": {"type": "uri_folder", "name": "scores"}}
WAIT = {"waiting": True, "poll_interval": 0.1}
both_ways = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "in place"])


@pytest.fixture
def jobs(azureml_emulator: Any, ask: Any) -> Any:
    """All jobs of the workspace, as ARM describes them."""

    def read() -> list[dict[str, Any]]:
        return ask(lambda client: client._list("/jobs", {}))

    return read


@pytest.fixture
def at_deferral(azureml_emulator: Any) -> Any:
    """Do something with the only job once the task has deferred, or has looked at it twice."""
    threads: list[threading.Thread] = []

    def start(action: Any) -> None:
        def run() -> None:
            call = azureml_emulator.wait_for_call("GET", "/jobs/", count=3, timeout=30)[-1]
            action(azureml_emulator.job(call["path"].rpartition("/")[2]))

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()


class TestAJob:
    @both_ways
    def test_it_is_submitted_waited_for_and_its_facts_are_returned(
        self, ws, task, azureml_emulator, at_deferral, deferrable
    ):
        azureml_emulator.script_jobs(["Running"])
        at_deferral(lambda job: job.complete(metrics={"f1": 0.9}))
        runner = task(CreateJob, job=COMMAND, deferrable=deferrable, **WAIT)
        job = runner.run()
        assert (runner.deferral is not None) == deferrable
        assert (job["status"], job["type"], job["experiment_name"]) == ("Completed", "Command", "dag")
        assert job["metrics"] == {"f1": 0.9}
        assert job["name"].startswith("it-")
        assert job["outputs"]["default"]["uri"].startswith("azureml://")
        assert (job["tags"]["airflow.dag_id"], job["tags"]["airflow.task_id"]) == ("dag", "it")
        assert runner.ti.xcoms["azureml_studio_url"] == job["studio_url"]
        assert azureml_emulator.unknown_routes == []

    def test_without_waiting_the_task_ends_when_the_job_is_submitted(self, ws, task, azureml_emulator):
        azureml_emulator.script_jobs(["Running"])
        assert task(CreateJob, job=COMMAND, deferrable=True).run()["status"] == "Running"

    def test_the_button_works_while_the_job_runs(self, ws, task, azureml_emulator, jobs):
        azureml_emulator.script_jobs(["Running"])
        runner = task(CreateJob, job=COMMAND, deferrable=True, **WAIT)
        seen = []

        def look() -> None:
            seen.append(runner.ti.xcoms["azureml_studio_url"])
            azureml_emulator.job(jobs()[0]["name"]).complete()

        runner.while_deferred = look
        runner.run()
        assert seen[0].startswith("https://ml.azure.com/runs/it-")

    def test_code_is_uploaded_from_beside_the_yaml_and_its_templates_are_rendered(
        self, ws, task, folder, azureml_emulator, jobs
    ):
        task(CreateData, data_asset={"name": "sales", "path": str(folder)}).run()
        yaml = folder.parent / "job.yml"
        yaml.write_text(
            f"type: command\ncode: ./source\nenvironment: {ENVIRONMENT}\ndescription: of {{{{ ti.run_id }}}}\n"
            "command: cat a.txt ${{inputs.sales}}\n"
            "inputs: {sales: {type: uri_folder, path: 'azureml:sales:1'}}\n"
        )
        task(CreateJob, job=str(yaml)).run()
        (job,) = jobs()
        assert job["properties"]["description"] == "of manual__1"
        assert job["properties"]["command"] == "cat a.txt ${{inputs.sales}}"
        assert "/codes/" in job["properties"]["codeId"]

    def test_paths_of_an_automl_job_and_of_an_entity_start_there_too(
        self, ws, task, folder, azureml_emulator, jobs, monkeypatch
    ):
        """For these the SDK takes the folder that Airflow runs in."""
        from azure.ai.ml import Input, command

        (folder / "MLTable").write_text("paths: [{file: ./a.txt}]\n")
        yaml = folder.parent / "automl.yml"
        yaml.write_text(
            "type: automl\ntask: classification\nprimary_metric: accuracy\ntarget_column_name: kind\n"
            "training_data: {type: mltable, path: ./source}\n"
        )
        task(CreateJob, job=str(yaml)).run()
        entity = command(command="cat ${{inputs.a}}", environment=ENVIRONMENT, inputs={"a": Input(path="./source")})
        monkeypatch.setattr(CreateJob, "_dag_folder", folder.parent)
        task(CreateJob, job=entity).run()
        assert len(jobs()) == 2

    def test_azuremls_own_expressions_survive_airflows_templates(self, ws, task, azureml_emulator):
        runner = task(CreateJob, job={**COMMAND, "command": "echo ${{inputs.a}} {{ ti.run_id }}"})
        runner.ti = None
        rendered = runner.operator.render_template(runner.operator.job, {"ti": type("TI", (), {"run_id": "r"})})
        assert rendered["command"] == "echo ${{inputs.a}} r"

    def test_an_entity_is_a_spec_and_is_the_same_text_at_each_parse(self, ws, task, jobs):
        from airflow.serialization.helpers import serialize_template_field
        from azure.ai.ml import command

        def texts() -> str:
            entity = command(command="echo", environment=ENVIRONMENT)
            return serialize_template_field(task(CreateJob, job=entity).operator.job, "job")

        assert texts() == texts() == "azure-ai-ml Command"
        runner = task(CreateJob, job=command(command="echo", environment=ENVIRONMENT))
        runner.run()
        runner.clear()
        runner.run()
        assert len(jobs()) == 2

    def test_a_callable_may_return_an_entity_or_a_dict_with_templates(self, ws, task, jobs):
        from azure.ai.ml import command

        task(CreateJob, job=lambda: command(command="echo", environment=ENVIRONMENT)).run()
        task(CreateJob, job=lambda: {**COMMAND, "description": "{{ ti.run_id }}"}).run()
        assert [job["properties"]["description"] for job in jobs()] == ["manual__1", None]

    def test_nothing_of_git_is_told_and_nothing_is_printed(self, ws, task, tmp_path, monkeypatch, capfd, jobs):
        subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
        monkeypatch.chdir(tmp_path)
        capfd.readouterr()
        task(CreateJob, job=COMMAND).run()
        assert not [key for key in jobs()[0]["properties"]["properties"] if "git" in key]
        assert "GIT_DIR" not in os.environ
        assert capfd.readouterr().err == ""

    def test_git_is_told_where_the_environment_says_so(self, ws, task, monkeypatch, jobs):
        monkeypatch.setenv("AZUREML_GIT_COMMIT", "abc")
        task(CreateJob, job=COMMAND).run()
        assert jobs()[0]["properties"]["properties"]["mlflow.source.git.commit"] == "abc"


class Died(BaseException):
    """The worker is gone."""


class TestNothingTwice:
    def test_a_retry_finds_the_job_and_needs_no_sdk(self, ws, task, azureml_emulator, jobs, monkeypatch):
        azureml_emulator.script_jobs(["Completed"])
        runner = task(CreateJob, job=COMMAND, **WAIT)
        first = runner.run()
        monkeypatch.setattr(CreateJob, "_load", lambda *_: pytest.fail("the job is submitted again"))
        assert runner.run() == first
        assert len(jobs()) == 1

    def test_a_cleared_task_submits_anew(self, ws, task, jobs):
        runner = task(CreateJob, job=COMMAND)
        runner.run()
        runner.clear()
        runner.run()
        assert len({job["name"] for job in jobs()}) == 2

    @both_ways
    @pytest.mark.parametrize("status", ["Failed", "Canceled"])
    def test_a_retry_after_the_job_failed_submits_another(self, ws, task, azureml_emulator, jobs, deferrable, status):
        azureml_emulator.script_jobs([status])
        runner = task(CreateJob, job=COMMAND, deferrable=deferrable, **WAIT)
        with pytest.raises(JobFailedError, match=f"is {status}"):
            runner.run()
        azureml_emulator.script_jobs(None)
        azureml_emulator.script_jobs(["Completed"])
        second = runner.run()
        assert second["name"].endswith("-2")
        assert runner.run()["name"] == second["name"]
        assert len(jobs()) == 2

    @pytest.mark.parametrize("boundary", ["before", "after"])
    def test_a_worker_that_dies_as_it_submits_leaves_one_job(self, ws, task, jobs, monkeypatch, boundary):
        runner = task(CreateJob, job=COMMAND)
        real = submission.Submission._create

        def die(self: Any, *arguments: Any) -> Any:
            if boundary == "after":
                real(self, *arguments)
            raise Died

        with monkeypatch.context() as patch:
            patch.setattr(submission.Submission, "_create", die)
            with pytest.raises(Died):
                runner.run()
        again = runner.run()
        assert [job["name"] for job in jobs()] == [again["name"]]

    def test_a_lost_answer_does_not_make_two_jobs(self, ws, task, azureml_emulator, jobs):
        azureml_emulator.misbehave("PUT", "/jobs/", lose_answer=True, times=1)
        name = task(CreateJob, job=COMMAND).run()["name"]
        assert [job["name"] for job in jobs()] == [name]

    @both_ways
    def test_sigkill_after_any_call_leaves_one_job(
        self, ws, task, azureml_emulator, jobs, folder, kill_at_each_call, deferrable
    ):
        azureml_emulator.script_jobs([("Running", 0.2), "Completed"])
        killed = kill_at_each_call(task(CreateJob, job={**COMMAND, "code": str(folder)}, deferrable=deferrable, **WAIT))
        assert killed > 10
        assert [job["properties"]["status"] for job in jobs()] == ["Completed"]

    def test_a_name_that_is_somebody_elses_is_an_error(self, ws, task, submit, azureml_emulator, jobs):
        name = submit(["Completed"])
        azureml_emulator.clear_calls()
        with pytest.raises(SpecError, match=f"a job '{name}' already .Completed., and it is not this task run's"):
            task(CreateJob, job={**COMMAND, "name": name}).run()
        assert not azureml_emulator.calls("PUT")

    def test_a_name_of_the_specs_own_is_used_and_found_again(self, ws, task, jobs):
        runner = task(CreateJob, job={**COMMAND, "name": "nightly-1"})
        assert runner.run()["name"] == runner.run()["name"] == "nightly-1"
        runner.clear()
        with pytest.raises(SpecError, match="'nightly-1' already"):
            runner.run()


class TestAssetEvents:
    @both_ways
    def test_outputs_that_azureml_registers_are_announced(self, ws, task, azureml_emulator, ask, deferrable):
        azureml_emulator.script_jobs([("Running", 0.3), "Completed"])
        runner = task(CreateJob, workspace=ws, job={**COMMAND, "outputs": OUTPUTS}, deferrable=deferrable, **WAIT)
        assert runner.operator.outlets == [ws.model("fraud"), ws.data("scores")]
        job = runner.run()
        (model,) = runner.announced(ws.model("fraud"))
        (scores,) = runner.announced(ws.data("scores"))
        assert (model["version"], scores["version"]) == ("1", "1")
        assert job["name"] in (model["job_name"], *model["path"].split("/"))
        assert ask(lambda client: client.get_version(Kind.MODEL, "fraud", "1")).id == model["id"]

    def test_names_known_only_at_run_time_go_through_the_alias(self, ws, task, azureml_emulator):
        azureml_emulator.script_jobs(["Completed"])
        runner = task(CreateJob, workspace=ws, job=lambda: {**COMMAND, "outputs": OUTPUTS}, **WAIT)
        assert runner.operator.outlets == [ws.alias(Kind.MODEL), ws.alias(Kind.DATA)]
        runner.run()
        (event,) = runner.events[ws.alias(Kind.MODEL)].asset_alias_events
        assert event.dest_asset_key.uri == ws.model("fraud").uri

    def test_an_outlet_is_enough(self, ws, task, azureml_emulator):
        azureml_emulator.script_jobs(["Completed"])
        runner = task(CreateJob, outlets=[ws.model("fraud")], job={**COMMAND, "outputs": OUTPUTS}, **WAIT)
        runner.run()
        assert len(runner.announced(ws.model("fraud"))) == 1

    def test_nothing_is_declared_where_the_task_does_not_wait(self, ws, task):
        assert task(CreateJob, workspace=ws, job={**COMMAND, "outputs": OUTPUTS}).operator.outlets == []


class TestFailure:
    @both_ways
    def test_it_says_the_services_reason(self, ws, task, azureml_emulator, at_deferral, deferrable):
        azureml_emulator.script_jobs(["Running"])
        at_deferral(lambda job: job.fail("ScriptError", "no such column: amount"))
        with pytest.raises(JobFailedError, match=r"is Failed. ScriptError: no such column: amount"):
            task(CreateJob, job=COMMAND, deferrable=deferrable, **WAIT).run()

    @both_ways
    @pytest.mark.parametrize("status", ["Canceled", "Failed"])
    def test_canceled_is_never_success(self, ws, task, azureml_emulator, deferrable, status):
        azureml_emulator.script_jobs([status])
        with pytest.raises(JobFailedError, match=f"is {status}"):
            task(CreateJob, job=COMMAND, deferrable=deferrable, **WAIT).run()

    @both_ways
    def test_it_ends_with_the_end_of_the_jobs_log(self, ws, task, azureml_emulator, at_deferral, deferrable):
        azureml_emulator.script_jobs(["Running"])
        at_deferral(lambda job: job.fail("ScriptError", "no such column: amount"))
        with pytest.raises(
            JobFailedError, match=r"(?s)The end of its log:\n.*Running\n.*Failed\nno such column: amount$"
        ):
            task(CreateJob, job=COMMAND, deferrable=deferrable, **WAIT).run()

    def test_of_a_long_log_it_is_the_end(self, ws, submit, azureml_emulator, ask):
        name, log = submit(["Running"]), "".join(f"line {number}\n" for number in range(1000))
        azureml_emulator.job(name).fail(log=log)
        assert ask(lambda client: client.history.end_of_log(name, size=100)) == log[-100:].strip()

    def test_of_a_pipeline_it_names_the_parts_that_failed_and_shows_their_log(self, ws, task, cpu, azureml_emulator):
        azureml_emulator.script_jobs([{"status": "Failed", "error": {"code": "ScriptError", "message": "no column"}}])
        steps = {
            name: {"type": "command", "command": "x", "environment": ENVIRONMENT, "compute": "azureml:cpu"}
            for name in ("prepare", "train")
        }
        with pytest.raises(JobFailedError) as caught:
            task(CreateJob, job={"type": "pipeline", "jobs": steps}, **WAIT).run()
        message = str(caught.value)
        assert "Failed parts: prepare: ScriptError: no column." in message
        assert message.partition("The end of its log:")[2].endswith("Failed\nno column")

    def test_a_log_that_cannot_be_read_hides_nothing(self, ws, task, azureml_emulator):
        azureml_emulator.script_jobs([{"status": "Failed", "error": {"code": "ScriptError", "message": "no column"}}])
        azureml_emulator.misbehave("GET", "/details$", status=403)
        with pytest.raises(JobFailedError, match=r"is Failed. ScriptError: no column See https://ml.azure.com\S+$"):
            task(CreateJob, job=COMMAND, **WAIT).run()

    @both_ways
    def test_a_job_that_takes_too_long_is_canceled(self, ws, task, azureml_emulator, jobs, deferrable):
        azureml_emulator.script_jobs(["Running"])
        with pytest.raises(WaitTimeoutError, match=r"within 3 s \(timeout\); it was canceled.*Seen last: Running"):
            task(CreateJob, job=COMMAND, deferrable=deferrable, timeout=3, **WAIT).run()
        assert len(azureml_emulator.calls("POST", "/cancel")) == 1


class TestKill:
    def test_the_triggerer_cancels_our_job_once(self, ws, task, azureml_emulator, jobs):
        azureml_emulator.script_jobs(["Running"])
        runner = task(CreateJob, job=COMMAND, deferrable=True, **WAIT)
        trigger = self.deferred(runner)
        asyncio.run(self.kill_twice(trigger))
        assert len(azureml_emulator.calls("POST", "/cancel")) == 1
        assert jobs()[0]["properties"]["status"] in ("CancelRequested", "Canceled")

    def test_the_triggerer_cancels_our_job_though_airflow_interrupts_it_each_second(
        self, ws, task, azureml_emulator, jobs
    ):
        """Airflow's triggerer cancels a trigger's task in every round until it has ended, on_kill included."""
        azureml_emulator.script_jobs(["Running"])
        trigger = self.deferred(task(CreateJob, job=COMMAND, deferrable=True, **WAIT))
        azureml_emulator.misbehave("GET", "/jobs/", latency=0.5, times=1)

        async def kill() -> None:
            killing = asyncio.create_task(asyncio.wait_for(trigger.on_kill(), timeout=30))
            for _ in range(4):
                await asyncio.sleep(0.1)
                killing.cancel("__airflow_user_action__")
            await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)

        asyncio.run(kill())
        assert len(azureml_emulator.calls("POST", "/cancel")) == 1

    def test_a_trigger_of_somebody_elses_job_cancels_nothing(self, ws, task, azureml_emulator, submit):
        from airflow_provider_azureml.provider.triggers.job import AzureMachineLearningJobTrigger

        name = submit(["Running"])
        for owner in (None, "another"):
            trigger = AzureMachineLearningJobTrigger(
                conn_id="azureml", poll_interval=1, job_name=name, task_run_id=owner
            )
            asyncio.run(trigger.on_kill())
        assert not azureml_emulator.calls("POST", "/cancel")

    def test_the_worker_cancels_our_job_once_also_from_a_signal_handler(self, ws, task, azureml_emulator, jobs):
        """Airflow calls on_kill in its handler of SIGTERM, while the task's event loop runs, and the task goes on."""
        azureml_emulator.script_jobs(["Running"])
        runner = task(CreateJob, job=COMMAND, deferrable=False, **WAIT)
        before = signal.signal(signal.SIGTERM, lambda *_: (runner.operator.on_kill(), runner.operator.on_kill()))

        def kill() -> None:
            azureml_emulator.wait_for_call("GET", "/jobs/", count=3, timeout=30)
            os.kill(os.getpid(), signal.SIGTERM)

        thread = threading.Thread(target=kill)
        thread.start()
        try:
            with pytest.raises(JobFailedError, match="is Canceled"):
                runner.run()
        finally:
            signal.signal(signal.SIGTERM, before)
            thread.join()
        assert len(azureml_emulator.calls("POST", "/cancel")) == 1

    def test_a_task_killed_while_it_submits_leaves_no_job_running(self, ws, task, azureml_emulator, monkeypatch, jobs):
        azureml_emulator.script_jobs(["Running"])
        runner = task(CreateJob, job=COMMAND)
        real = submission.Submission._create

        def create(self: Any, entity: Any) -> None:
            real(self, entity)
            self.abandoned = True  # the signal came after the request left

        monkeypatch.setattr(submission.Submission, "_create", create)
        runner.run()
        assert jobs()[0]["properties"]["status"] in ("CancelRequested", "Canceled")

    def test_killing_a_task_that_has_submitted_nothing_does_nothing(self, ws, task, azureml_emulator):
        task(CreateJob, job=COMMAND).operator.on_kill()
        assert not azureml_emulator.calls()

    @staticmethod
    def deferred(runner: Any) -> Any:
        runner.while_deferred = lambda: (_ for _ in ()).throw(Died)
        with pytest.raises(Died):
            runner.run()
        assert isinstance(runner.deferral, TaskDeferred)
        path, fields = runner.deferral.trigger.serialize()
        return locate(path)(**json.loads(json.dumps(fields)))

    @staticmethod
    async def kill_twice(trigger: Any) -> None:
        await trigger.on_kill()
        await trigger.on_kill()


def reads(kind: str, path: str) -> dict[str, Any]:
    return {"command": "cat ${{inputs.it}}", "inputs": {"it": {"type": kind, "path": path}}}


def pipeline(**node: Any) -> dict[str, Any]:
    return {"type": "pipeline", "jobs": {"train": {"type": "command", "compute": "azureml:cpu", **node}}}


SWEEP = {
    "type": "sweep",
    "sampling_algorithm": "random",
    "search_space": {"depth": {"type": "choice", "values": [1, 2]}},
    "objective": {"goal": "maximize", "primary_metric": "f1"},
    "limits": {"max_total_trials": 2},
    "compute": "azureml:cpu",
}


@pytest.mark.usefixtures("cpu")
class TestBadInput:
    @pytest.mark.parametrize(
        ("spec", "words"),
        [
            ({"type": "command", "environment": ENVIRONMENT}, ["command", "Missing data for required field"]),
            ({**COMMAND, "comand": "x"}, ["comand", "Unknown field"]),
            ({**COMMAND, "code": "./nowhere"}, ["code", "nowhere"]),
            ({**COMMAND, "type": "magic"}, ["Unsupported job type: magic"]),
            ({**COMMAND, "compute": "azureml:nowhere"}, ["compute 'nowhere' does not exist"]),
            ({**COMMAND, "environment": "azureml:none:1"}, ["environment 'none' version 1 does not exist"]),
            ({**COMMAND, **reads("uri_folder", "azureml:none:2")}, ["data asset 'none' version 2 does not exist"]),
            ({**COMMAND, **reads("mlflow_model", "azureml:none:2")}, ["model 'none' version 2 does not exist"]),
            ({**COMMAND, **reads("uri_folder", "azureml:none@latest")}, ["data asset 'none' does not exist"]),
            ({**SWEEP, "trial": {"command": "x", "environment": "azureml:none:1"}}, ["environment 'none' version 1"]),
            (pipeline(component="azureml:none:1"), ["component 'none' version 1 does not exist"]),
            (pipeline(command="x", environment="azureml:none:1"), ["environment 'none' version 1 does not exist"]),
            (pipeline(**{**COMMAND, "compute": "azureml:nowhere"}), ["compute 'nowhere' does not exist"]),
            ("no.yml", ["no.yml", "No such file"]),
            (7, ["given as int"]),
        ],
    )
    def test_a_spec_that_cannot_be(self, ws, task, azureml_emulator, spec, words):
        with pytest.raises(SpecError) as caught:
            task(CreateJob, job=spec).run()
        for word in words:
            assert word in str(caught.value)
        assert len(str(caught.value)) < 600, "readable"
        assert not azureml_emulator.calls("PUT")

    def test_what_the_service_refuses_is_said_in_its_words(self, ws, task, azureml_emulator, jobs):
        azureml_emulator.misbehave("PUT", "/jobs/", status=400, code="UserError", message="Quota exceeded for A100.")
        with pytest.raises(Exception, match="400 UserError: Quota exceeded for A100") as caught:
            task(CreateJob, job=COMMAND).run()
        assert type(caught.value).__name__ == "RequestRefusedError"
        assert azureml_emulator.client_secret not in str(caught.value)

    def test_an_identity_without_a_role(self, ws, task, azureml_emulator, monkeypatch):
        nobody = azureml_emulator.create_principal(role=None)
        connection = {
            **azureml_emulator.connection,
            "login": nobody["client_id"],
            "password": nobody["client_secret"],
        }
        monkeypatch.setenv("AIRFLOW_CONN_AZUREML", json.dumps(connection))
        with pytest.raises(Exception, match="role on the workspace"):
            task(CreateJob, job=COMMAND).run()


def kinds(folder: Any) -> dict[str, dict[str, Any]]:
    """A job of each kind that AzureML runs."""
    step = {"command": "x", "environment": ENVIRONMENT}
    rows = {"type": "mltable", "path": "azureml://datastores/workspaceblobstore/paths/rows/"}
    (folder / "main.py").write_text("")
    return {
        "Command": COMMAND,
        "Sweep": {**SWEEP, "trial": step},
        "AutoML": {
            "type": "automl",
            "task": "classification",
            "primary_metric": "accuracy",
            "target_column_name": "kind",
            "training_data": rows,
            "compute": "azureml:cpu",
        },
        "Pipeline": {
            "type": "pipeline",
            "jobs": {
                "one": {"type": "command", "compute": "azureml:cpu", **step},
                "many": {
                    "type": "parallel",
                    "compute": "azureml:cpu",
                    "mini_batch_size": "1",
                    "input_data": "${{inputs.rows}}",
                    "inputs": {"rows": {**rows, "mode": "direct"}},
                    "resources": {"instance_count": 2},
                    "task": {
                        "type": "run_function",
                        "code": str(folder),
                        "entry_script": "main.py",
                        "environment": ENVIRONMENT,
                    },
                },
            },
        },
        "Spark": {
            "type": "spark",
            "code": str(folder),
            "entry": {"file": "main.py"},
            "resources": {"instance_type": "standard_e4s_v3", "runtime_version": "3.4"},
            "conf": {
                "spark.driver.cores": 1,
                "spark.driver.memory": "2g",
                "spark.executor.cores": 2,
                "spark.executor.memory": "2g",
                "spark.executor.instances": 2,
            },
            "identity": {"type": "managed"},
        },
    }


@pytest.mark.parametrize("kind", ["Command", "Sweep", "AutoML", "Pipeline", "Spark"])
def test_every_kind_of_job_is_submitted_and_waited_for(ws, task, folder, cpu, azureml_emulator, kind):
    azureml_emulator.script_jobs([("Running", 0.2), "Completed"])
    job = task(CreateJob, job=kinds(folder)[kind], deferrable=True, **WAIT).run()
    assert (job["type"], job["status"]) == (kind, "Completed")
    assert azureml_emulator.unknown_routes == []
