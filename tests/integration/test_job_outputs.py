"""What became of a job's named outputs: learned from run history, checked, announced; or not announced at all."""

from __future__ import annotations

from typing import Any

import pytest
from freezegun import freeze_time

from airflow_provider_azureml.datasets import Kind
from airflow_provider_azureml.provider.errors import JobFailedError, PermissionDeniedError, SpecError
from airflow_provider_azureml.provider.jobs import outputs
from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator as CreateJob
from airflow_provider_azureml.sensors import AzureMachineLearningJobSensor as JobSensor

ENVIRONMENT = "azureml://registries/azureml/environments/sklearn/versions/1"
COMMAND = {"type": "command", "command": "echo", "environment": ENVIRONMENT}
FIXED = "azureml://datastores/workspaceblobstore/paths/models/fraud"
WAIT = {"waiting": True, "poll_interval": 0.1}
told = pytest.mark.parametrize("told", ["run", "definition", "both", "neither"])


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch, azureml_emulator: Any) -> None:
    """Between the looks for a version; together they are as long as lists lag."""
    monkeypatch.setattr(outputs, "_PAUSE", azureml_emulator.emulator.settings["list_delay"] / (outputs._LOOKS - 1))


class TestWhatIsAnnounced:
    @told
    @pytest.mark.parametrize("path", [None, FIXED], ids=["its own place", "a fixed path"])
    def test_wherever_run_history_tells_it(self, ws, task, azureml_emulator, told, path):
        """No recording shows how a registered output is told; api-version 2024-04-01 of ARM does not tell its name."""
        azureml_emulator.script_jobs(["Completed"])
        azureml_emulator.configure(answers={"registered outputs": told})
        spec = {**COMMAND, "outputs": {"model": {"type": "mlflow_model", "name": "fraud", "path": path}}}
        if path is None:
            del spec["outputs"]["model"]["path"]
        runner = task(CreateJob, workspace=ws, job=spec, **WAIT)
        job = runner.run()
        (version,) = runner.announced(ws.model("fraud"))
        assert version["version"] == "1"
        assert (job["outputs"]["model"]["asset_name"], job["outputs"]["model"]["asset_version"]) == ("fraud", "1")

    @told
    def test_each_job_announces_its_own_version_though_all_write_to_one_place(self, ws, task, azureml_emulator, told):
        azureml_emulator.script_jobs(["Completed"])
        azureml_emulator.configure(answers={"registered outputs": told})
        spec = {**COMMAND, "outputs": {"rows": {"type": "uri_folder", "name": "rows", "path": FIXED}}}
        for number in ("1", "2"):
            runner = task(CreateJob, workspace=ws, job=spec, **WAIT)
            runner.run()
            assert [version["version"] for version in runner.announced(ws.data("rows"))] == [number]

    def test_of_a_pipeline_its_own_outputs_and_those_that_its_steps_name(self, ws, task, cpu, azureml_emulator):
        azureml_emulator.script_jobs(["Completed"])
        step = {
            "type": "command",
            "command": "echo ${{outputs.model}} ${{outputs.rows}}",
            "environment": ENVIRONMENT,
            "compute": "azureml:cpu",
            "outputs": {
                "model": "${{parent.outputs.best}}",
                "rows": {
                    "type": "uri_folder",
                    "name": "rows",
                    "path": "azureml://datastores/workspaceblobstore/paths/rows/${{name}}/",
                },
            },
        }
        spec = {
            "type": "pipeline",
            "jobs": {"train": step},
            "outputs": {"best": {"type": "mlflow_model", "name": "fraud"}},
        }
        runner = task(CreateJob, workspace=ws, job=spec, outlets=[ws.data("rows")], **WAIT)
        job = runner.run()
        (model,) = runner.announced(ws.model("fraud"))
        (rows,) = runner.announced(ws.data("rows"))
        assert "${{" not in rows["path"]
        assert job["name"] not in rows["path"], "the name is the step's"
        assert (model["version"], rows["version"]) == ("1", "1")

    def test_of_a_sweep_the_best_trials(self, ws, task, cpu, azureml_emulator):
        azureml_emulator.script_jobs(["Completed"])
        spec = {
            "type": "sweep",
            "sampling_algorithm": "random",
            "search_space": {"depth": {"type": "choice", "values": [1, 2]}},
            "objective": {"goal": "maximize", "primary_metric": "f1"},
            "limits": {"max_total_trials": 2},
            "compute": "azureml:cpu",
            "trial": {"command": "echo ${{search_space.depth}} ${{outputs.model}}", "environment": ENVIRONMENT},
            "outputs": {"model": {"type": "mlflow_model", "name": "fraud"}},
        }
        runner = task(CreateJob, workspace=ws, job=spec, **WAIT)
        runner.run()
        assert [version["version"] for version in runner.announced(ws.model("fraud"))] == ["1"]

    def test_an_outlet_for_which_nothing_was_made_says_nothing(self, ws, task, azureml_emulator, caplog):
        azureml_emulator.script_jobs(["Completed"])
        azureml_emulator.misbehave("GET", "/data/scores/versions", status=404)
        names = {"model": {"type": "mlflow_model", "name": "fraud"}, "s": {"type": "uri_folder", "name": "scores"}}
        elsewhere = [ws.data("others")]
        runner = task(CreateJob, workspace=ws, job={**COMMAND, "outputs": names}, outlets=elsewhere, **WAIT)
        assert len(runner.operator.outlets) == 3
        runner.run()
        assert runner.operator.outlets == [ws.model("fraud")]
        assert "No version of data 'scores' is known that is output 's' of this job" in caplog.text

    @pytest.mark.parametrize("kind", ["mlflow_model", "uri_folder"])
    def test_what_the_dag_says_of_them_is_set_before_they_are_announced(self, ws, task, azureml_emulator, kind):
        azureml_emulator.script_jobs(["Completed"])
        spec = {**COMMAND, "outputs": {"made": {"type": kind, "name": "made"}}}
        said = {"made": {"tags": {"stage": "candidate"}, "description": "of a run"}}
        runner = task(CreateJob, workspace=ws, job=spec, describe_outputs=said, **WAIT)
        runner.run()
        asset = ws.model("made") if kind == "mlflow_model" else ws.data("made")
        (version,) = runner.announced(asset)
        assert (version["tags"]["stage"], version["description"]) == ("candidate", "of a run")
        azureml_emulator.clear_calls()
        runner.run()
        assert not azureml_emulator.calls("PUT"), "it has them already"

    def test_a_step_of_a_pipeline_is_meant_by_its_name(self, ws, task, cpu, azureml_emulator):
        azureml_emulator.script_jobs(["Completed"])
        output = {"type": "uri_folder", "name": "rows", "path": f"{FIXED}/${{{{name}}}}/"}
        step = {**COMMAND, "command": "echo ${{outputs.rows}}", "compute": "azureml:cpu", "outputs": {"rows": output}}
        spec = {"type": "pipeline", "jobs": {"prepare": step}}
        said = {"prepare.rows": {"tags": {"clean": True}}}
        runner = task(CreateJob, job=spec, outlets=[ws.data("rows")], describe_outputs=said, **WAIT)
        runner.run()
        (version,) = runner.announced(ws.data("rows"))
        assert version["tags"]["clean"] == "True"

    def test_a_worker_killed_at_each_call_announces_a_described_version(
        self, ws, task, azureml_emulator, kill_at_each_call, ask
    ):
        azureml_emulator.script_jobs(["Completed"])
        spec = {**COMMAND, "outputs": {"model": {"type": "mlflow_model", "name": "fraud"}}}
        said = {"model": {"tags": {"stage": "candidate"}, "description": "new"}}
        runner = task(CreateJob, workspace=ws, job=spec, describe_outputs=said, retries=40, **WAIT)
        assert kill_at_each_call(runner) > 5
        (version,) = ask(lambda client: client.list_versions(Kind.MODEL, "fraud"))
        assert (version.tags["stage"], version.description) == ("candidate", "new")

    def test_a_version_that_may_not_be_described_is_not_announced(self, ws, task, azureml_emulator):
        azureml_emulator.script_jobs(["Completed"])
        azureml_emulator.misbehave("PUT", "/models/fraud/versions/", status=403)
        spec = {**COMMAND, "outputs": {"model": {"type": "mlflow_model", "name": "fraud"}}}
        runner = task(CreateJob, workspace=ws, job=spec, describe_outputs={"model": {"tags": {"a": "b"}}}, **WAIT)
        with pytest.raises(PermissionDeniedError):
            runner.run()
        assert not runner.announced(ws.model("fraud"))

    @pytest.mark.parametrize(
        ("said", "what"),
        [
            (["model"], "maps outputs to"),
            ({"model": {"label": "x"}}, "it can have 'tags' and 'description'"),
            ({"model": {}}, "it can have 'tags' and 'description'"),
            ({"model": {"tags": ["x"]}}, "tags must be a mapping"),
            ({"model": {"description": 5}}, "which is no text"),
        ],
    )
    def test_what_it_cannot_say_of_them_is_said_in_the_dag_file(self, said, what):
        with pytest.raises(SpecError, match=what):
            CreateJob(task_id="it", job=COMMAND, describe_outputs=said, **WAIT)

    def test_without_waiting_nobody_would_describe_them(self):
        with pytest.raises(SpecError, match="With waiting=False"):
            CreateJob(task_id="it", job=COMMAND, describe_outputs={"m": {"tags": {"a": "b"}}}, waiting=False)

    def test_an_output_that_the_job_does_not_have_is_refused_before_it_is_submitted(self, ws, task, azureml_emulator):
        spec = {**COMMAND, "outputs": {"model": {"type": "mlflow_model", "name": "fraud"}, "x": {"type": "uri_file"}}}
        for output in ("unmade", "x"):
            with pytest.raises(SpecError, match=r"Those that do: model\. Nothing was submitted"):
                task(CreateJob, job=spec, describe_outputs={output: {"description": "d"}}, **WAIT).run()
        assert not azureml_emulator.calls("PUT", "/jobs/")

    def test_outlets_that_are_not_azuremls_stay(self, ws, task, azureml_emulator):
        from airflow.sdk import Asset

        azureml_emulator.script_jobs(["Completed"])
        runner = task(CreateJob, workspace=ws, job=COMMAND, outlets=[Asset("report")], **WAIT)
        runner.run()
        assert runner.operator.outlets == [Asset("report")]

    def test_the_sensor_tells_them_too(self, ws, task, azureml_emulator):
        azureml_emulator.script_jobs(["Completed"])
        spec = {**COMMAND, "outputs": {"model": {"type": "mlflow_model", "name": "fraud"}}}
        name = task(CreateJob, job=spec).run()["name"]
        found = task(JobSensor, job_name=name, deferrable=True).run()
        assert found["outputs"]["model"]["asset_name"] == "fraud"
        assert found["outputs"]["model"]["asset_version"] == "1"

    def test_run_history_that_does_not_answer_costs_no_announcement(self, ws, task, azureml_emulator):
        azureml_emulator.script_jobs(["Completed"])
        azureml_emulator.misbehave("POST", "/rundata$", status=403)
        spec = {**COMMAND, "outputs": {"model": {"type": "mlflow_model", "name": "fraud"}}}
        runner = task(CreateJob, workspace=ws, job=spec, **WAIT)
        runner.run()
        assert [version["version"] for version in runner.announced(ws.model("fraud"))] == ["1"]


class TestAStepOfAPipeline:
    @pytest.mark.parametrize("bodies", ["absent", "null"])
    @pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "in place"])
    def test_is_waited_for_though_arm_tells_nothing_of_it(
        self, ws, task, cpu, azureml_emulator, ask, bodies, deferrable
    ):
        azureml_emulator.configure(answers={"step bodies": bodies})
        azureml_emulator.script_jobs([("Running", 0.5), "Completed"])
        step = {"type": "command", "command": "x", "environment": ENVIRONMENT, "compute": "azureml:cpu"}
        name = task(CreateJob, job={"type": "pipeline", "jobs": {"prepare": step}}).run()["name"]
        (child,) = azureml_emulator.job(name).children
        found = task(JobSensor, job_name=child, deferrable=deferrable, poke_interval=0.1).run()
        assert (found["name"], found["status"], found["display_name"]) == (child, "Completed", "prepare")
        assert child in found["studio_url"]


class TestNotResponding:
    @pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "in place"])
    def test_a_job_that_comes_back_is_waited_for(self, ws, task, azureml_emulator, deferrable, caplog):
        azureml_emulator.script_jobs([("NotResponding", 1.5), ("Running", 0.2), "Completed"])
        assert task(CreateJob, job=COMMAND, deferrable=deferrable, **WAIT).run()["status"] == "Completed"
        assert "is NotResponding: waiting for 1800 s whether it comes back" in caplog.text

    @pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "in place"])
    def test_one_that_does_not_is_canceled_before_another_is_submitted(self, ws, task, azureml_emulator, deferrable):
        azureml_emulator.script_jobs(["NotResponding"])
        runner = task(CreateJob, job=COMMAND, deferrable=deferrable, not_responding_grace=0.3, **WAIT)
        with pytest.raises(JobFailedError, match=r"is NotResponding. It has not responded for 0.3 s"):
            runner.run()
        azureml_emulator.script_jobs(None)
        azureml_emulator.script_jobs(["Completed"])
        assert runner.run()["name"].endswith("-2")
        changes = [call["method"] for call in azureml_emulator.calls() if call["path"].find("/jobs/") > 0]
        assert [method for method in changes if method in ("PUT", "POST")] == ["PUT", "POST", "PUT"]

    def test_one_that_could_not_be_canceled_then_is_canceled_by_the_retry(self, ws, task, azureml_emulator, ask):
        azureml_emulator.script_jobs(["NotResponding"])
        azureml_emulator.misbehave("POST", "/cancel$", status=403, times=1)
        runner = task(CreateJob, job=COMMAND, deferrable=False, not_responding_grace=0.0, **WAIT)
        with pytest.raises(JobFailedError) as caught:
            runner.run()
        first = caught.value.job["name"]
        azureml_emulator.script_jobs(None)
        azureml_emulator.script_jobs(["Completed"])
        assert runner.run()["name"].endswith("-2")
        assert ask(lambda client: client.get_job(first)).status in ("CancelRequested", "Canceled")

    def test_a_sensor_that_reschedules_remembers_since_when(self, ws, task, azureml_emulator, submit):
        fields = {"deferrable": False, "mode": "reschedule", "not_responding_grace": 60}
        name = submit(["NotResponding"])
        with freeze_time(real_asyncio=True) as clock:
            first = task(JobSensor, job_name=name, **fields)
            assert not first.poke().is_done
            clock.tick(61)
            again = task(JobSensor, job_name=name, **fields)  # each look is a process of its own
            again.store = first.store
            with pytest.raises(JobFailedError, match="has not responded for 60 s"):
                again.poke()


class TestErrorsFromTheTriggerer:
    def test_come_back_whole(self, ws, task, azureml_emulator):
        azureml_emulator.script_jobs([("Running", 0.3), {"status": "Failed", "error": {"message": "no column"}}])
        with pytest.raises(JobFailedError) as caught:
            task(CreateJob, job=COMMAND, deferrable=True, **WAIT).run()
        assert caught.value.job["status"] == "Failed"
        assert caught.value.job["name"].startswith("it-")


class TestAnAnswerThatTheSdkDoesNotUnderstand:
    def test_the_job_is_there_and_is_watched(self, ws, task, azureml_emulator, monkeypatch, caplog):
        from azure.ai.ml.entities import Job

        def misunderstood(*_: Any) -> Any:
            raise TypeError("unknown early termination")

        azureml_emulator.script_jobs(["Completed"])
        monkeypatch.setattr(Job, "_from_rest_object", misunderstood)
        job = task(CreateJob, job=COMMAND, **WAIT).run()
        assert job["status"] == "Completed"
        assert len(azureml_emulator.calls("PUT", "/jobs/")) == 1
        assert "was submitted, though not without complaint" in caplog.text
