"""The operator for AzureML jobs."""

from __future__ import annotations

import asyncio
import threading
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from ...datasets.workspace import Kind, kind_of_type
from .. import sdk
from ..arguments import check_get_logs, check_name, check_owner, check_seconds
from ..errors import AzureMachineLearningError, JobFailedError, SpecError, WaitTimeoutError
from ..jobs.check import NOT_RESPONDING_GRACE
from ..jobs.outputs import check_described, check_descriptions
from ..links import push_studio_url
from ..rest.states import job_outcome
from ..task_run import TaskRun
from ..triggers.job import AzureMachineLearningJobTrigger
from ..versions.limits import check_tag_limits
from .base_waiting import WaitingOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow.sdk import Asset, AssetAlias, Context

    from ...datasets.events import AssetVersion
    from ...datasets.workspace import Workspace
    from ..jobs.batch_invocation import BatchInvocation
    from ..jobs.submission import Submission
    from ..jobs.task_log import TaskLog
    from ..rest.bodies import Job
    from ..rest.client import WorkspaceClient


class JobOperator(WaitingOperator):
    """
    Makes Azure run a job of its own, and waits for its end if that is wanted.

    :param not_responding_grace: for how many seconds in a row the job may be NotResponding before it is canceled and
        the task fails.
    :param get_logs: show the job's log in the task's while it is waited for: ``True``: of the first node;
        ``"all_nodes"``; ``False``: not.
    """

    def __init__(
        self,
        *,
        not_responding_grace: float = NOT_RESPONDING_GRACE,
        get_logs: bool | str = True,
        **kwargs: Any,
    ) -> None:
        check_seconds("not_responding_grace", not_responding_grace, zero=True)
        super().__init__(**kwargs)
        check_get_logs(get_logs)
        self.get_logs = get_logs
        self.not_responding_grace = not_responding_grace
        self.describe_outputs: Any = {}
        self._submission: Submission | BatchInvocation | None = None
        self._killed = False

    @abstractmethod
    def _submission_for(self, context: Context, client: WorkspaceClient) -> Submission | BatchInvocation:
        """Return what submits the job."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Submit the job, or find the one that an earlier try submitted; wait for it if that is wanted."""
        job: Job = self.hook.ask(lambda client: self._submit(context, client))
        if not self.waiting:
            return job.to_dict()
        memory = TaskRun(context).remember(job_type=job.type)
        job_log = self._log(context, job.name)
        trigger = AzureMachineLearningJobTrigger(
            job_name=job.name,
            task_run_id=memory["id"],
            not_responding_grace=self.not_responding_grace,
            log=job_log.for_trigger() if self.get_logs else None,
            **self._waiting_fields(context),
        )
        trigger.keep_shown = job_log.keep  # as long as it waits here
        return self._finish(context, lambda: self._wait(trigger))

    async def _submit(self, context: Context, client: WorkspaceClient) -> Job:
        from ..lineage import TaskLineage

        self._submission = self._submission_for(context, client)
        job = await self._submission.run()
        push_studio_url(context, job.studio_url)
        self._lineage = TaskLineage.of_job(client.connection.workspace, job.to_dict(), [])
        return job

    def _log(self, context: Context, name: str) -> TaskLog:
        from ..jobs.task_log import TaskLog

        task_run = TaskRun(context)
        return TaskLog(task_run, name, task_run.remember().get("job_type", ""), self.get_logs == "all_nodes")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Finish after the trigger fired; asset events are written here, where Airflow takes them."""
        self._log(context, "").keep_shown(event.get("shown"))
        return super().execute_complete(context, event)

    def _show_rest_of_log(self, context: Context, name: str) -> None:
        if not self.get_logs:
            return
        try:
            self.hook.ask(self._log(context, name).show_rest)
        except AzureMachineLearningError as error:
            self.log.warning("The end of the job's log may be missing here: %s", error)

    def _finish(self, context: Context, found: Callable[[], Any]) -> dict[str, Any]:
        from ..lineage import TaskLineage

        memory = TaskRun(context).remember()
        name = memory["job"]
        try:
            try:
                job: dict[str, Any] = found()
            finally:
                self._show_rest_of_log(context, name)
        except JobFailedError as error:
            if not job_outcome(str(error.job.get("status"))).is_end:
                # The retry submits another, and two must not run.
                TaskRun(context).remember(given_up=name)
                self._cancel(name, memory["id"])
            end = self.hook.ask(lambda client: client.history.end_of_log(name))
            raise JobFailedError(
                f"{error}{f' The end of its log:{chr(10)}{end}' if end else ''}", job=error.job
            ) from None
        except WaitTimeoutError as seen:
            what = "it was canceled" if self._cancel(name, memory["id"]) else "it could not be canceled, see the log"
            raise WaitTimeoutError(f"Job {name!r} did not end within {self._patience}; {what}. {seen}") from None
        metrics, versions = self.hook.ask(lambda client: self._results(client, job, memory.get("outputs")))
        workspace = self.hook.get_workspace_connection().workspace
        self._lineage = TaskLineage.of_job(workspace, job, [version.id for version in versions])
        self._announce_to_outlets(context, workspace, versions)
        self._drop_silent_outlets(workspace, versions)
        return {**job, "metrics": metrics}

    async def _results(
        self, client: WorkspaceClient, job: dict[str, Any], asked: dict[str, dict[str, Any]] | None
    ) -> tuple[dict[str, float | None], list[AssetVersion]]:
        """Return what a completed job logged and registered; its versions carry what the DAG says of them."""
        from ..jobs.outputs import describe, registered_versions
        from ..rest.made_by import with_metrics

        said = check_descriptions(self.describe_outputs)
        found: dict[str, AssetVersion] = {}
        for output, version in (await registered_versions(client, job, asked)).items():
            found[version.id] = await describe(client, found.get(version.id, version), *said.get(output, ({}, None)))
        metrics = await client.history.metrics(job["name"])
        return metrics, await with_metrics(client, list(found.values()), {job["name"]: metrics}, maker=job["name"])

    def _cancel(self, name: str, task_run_id: str) -> bool:
        from ..jobs.submission import cancel_own_job

        canceled: bool = self.hook.ask(lambda client: cancel_own_job(client, name, task_run_id))
        return canceled

    def on_kill(self) -> None:
        """Cancel the job that this task run submitted, once."""
        submission = self._submission
        if submission is None or self._killed:
            return
        self._killed = submission.abandoned = True
        if not submission.name:
            return
        from ..jobs.submission import KILL_SECONDS, cancel_at_once

        # Airflow calls this in a signal handler, possibly within a running event loop: another needs its own thread.
        canceling = cancel_at_once(submission.client.connection, submission.name)
        thread = threading.Thread(target=lambda: asyncio.run(canceling), daemon=True)
        thread.start()
        thread.join(timeout=KILL_SECONDS + 0.2)


class AzureMachineLearningCreateJobOperator(JobOperator):
    """
    Submit an AzureML job (command, sweep, AutoML, pipeline, spark), and wait for its end if that is wanted.

    ::

        AzureMachineLearningCreateJobOperator(
            task_id="train",
            conn_id="azureml",
            workspace=ws,
            waiting=True,
            deferrable=True,
            job={
                "type": "command",
                "command": "python train.py --data ${{inputs.sales}} --model ${{outputs.model}}",
                "code": "./src",
                "environment": "azureml:sklearn@latest",
                "compute": "azureml:cpu",
                "inputs": {"sales": {"type": "uri_folder", "path": "azureml:sales:{{ params.version }}"}},
                "outputs": {"model": {"type": "mlflow_model", "name": "fraud"}},
            },
        )

    **One job.** A retry after the worker or Airflow died finds the job that the earlier try submitted, and goes on
    waiting for it. A retry after the job failed or was canceled, and a cleared task, submit another. The job's name is
    the task id and an id of this task run, unless the spec names it; its tags tell DAG, run and task; its experiment is
    the DAG's id unless the spec names one.

    **Ending the task** (mark failed, clear, execution_timeout, ``timeout``) cancels the job, in the worker and in the
    triggerer, and only a job that this task run submitted. With ``waiting=False`` the job goes on by itself. One gap is
    Airflow's: it tells no trigger that its task was ended before the triggerer had taken it up, in the first second or
    two of waiting, or while no triggerer runs.

    **Asset events.** Outputs with a ``name``, of a pipeline also its steps', become versions of models or data assets
    when the job completes. Run history tells which; each is read, so it exists when it is announced: with
    ``workspace=``, and also where ``outlets`` has ``ws.model(name)`` or ``ws.data(name)``. An outlet of the workspace
    for which no version was found makes no event.

    **NotResponding** is not an end: such a job may go on, and is waited for (``not_responding_grace``).

    Git's repository, branch and commit are not sent to AzureML unless the environment variables ``AZUREML_GIT_*`` of
    azure-ai-ml say them.

    :param job: a dict with the keys of AzureML's CLI v2 YAML for jobs; or a path to such YAML; or an azure-ai-ml job
        (also what ``command()`` or a pipeline function returns); or a callable that returns one of them. Relative paths
        start at the DAG file's folder, or the YAML's. Templated; ``${{...}}`` is AzureML's and left alone.
    :param waiting: wait until the job has ended; otherwise the task succeeds once it is submitted.
    :param deferrable: wait in the triggerer; Airflow's ``[operators] default_deferrable`` if None.
    :param poll_interval: seconds between two checks of the job.
    :param not_responding_grace: for how many seconds in a row the job may be NotResponding before it is canceled and
        the task fails.
    :param get_logs: show the job's log in the task's log while it is waited for, in the worker and in the triggerer:
        ``True``, that of the first node and of a pipeline's steps; ``"all_nodes"``, that of each node; ``False``: not.
        One request a job and ``poll_interval`` at most; 4 MiB of a job at most, the rest is in studio.
    :param describe_outputs: what the versions are to carry that the job's outputs become, as AzureML does not let the
        job say it: output -> ``{"tags": {...}, "description": ...}``; of a pipeline's step ``STEP.OUTPUT``. They are
        set before the versions are announced; other tags stay. Templated.
    :param timeout: how many seconds one try waits for the job at most, before it cancels it; None: for ever. Give
        ``limits: {timeout: ...}`` in the job for a limit that AzureML keeps.
    :param conn_id: an Airflow connection of type ``azure_machine_learning``. Templated.
    :param workspace: the identity of the workspace, for asset events.
    :return: the job's facts as a dict: name, id, status, type, display_name, experiment_name, studio_url, tags, inputs
        (name -> type, uri), outputs (name -> type, uri, asset_name, asset_version), created_at, created_by; after
        waiting also metrics (name -> last value that the job logged with MLflow; None for one that is no finite
        number).
    :raises SpecError: the SDK does not accept the spec, a compute, environment, component, data or model version that
        it names does not exist, or the job's name is taken by another's job; no job was submitted.
    :raises RequestRefusedError: AzureML does not accept it.
    :raises JobFailedError: the job ended in Failed or Canceled, or did not respond; with the service's own reason, the
        failed parts of a pipeline, and the end of the log.
    :raises WaitTimeoutError: it did not end within ``timeout``; it was canceled.
    """

    template_fields: Sequence[str] = ("job", "describe_outputs", "conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"job": "json"}
    announces: ClassVar[tuple[Kind, ...]] = (Kind.MODEL, Kind.DATA)

    def __init__(
        self,
        *,
        job: Any,
        waiting: bool = False,
        workspace: Workspace | None = None,
        describe_outputs: dict[str, dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        check_owner(type(self), workspace)
        if check_descriptions(describe_outputs or {}, parsing=True) and not waiting:
            raise SpecError("With waiting=False nobody would describe the job's outputs: leave describe_outputs out.")
        # Without waiting nothing is known of its outputs, and an outlet would say that they are there.
        if workspace is not None and waiting:
            outlets = kwargs.get("outlets") or ()
            if workspace.alias(Kind.DATA) not in outlets:  # it is there in a mapped task
                kwargs["outlets"] = [*outlets, *_outlets(workspace, job)]
        super().__init__(waiting=waiting, workspace=workspace, **kwargs)
        self.job = sdk.field(job)
        self.describe_outputs = describe_outputs or {}

    def _submission_for(self, context: Context, client: WorkspaceClient) -> Submission:
        from ..jobs.submission import Submission

        return Submission(client, self.hook, TaskRun(context), lambda: self._load(context))

    def _load(self, context: Context) -> Any:
        entity = self._load_entity(context, self.job, "job")
        if entity.name:
            check_name("job", entity.name)
        check_tag_limits("This job", entity.tags or {})
        check_described(entity, check_descriptions(self.describe_outputs))
        sdk.check_command(entity)
        return entity


def _outlets(workspace: Workspace, spec: Any) -> list[Asset | AssetAlias]:
    """Return the assets that a job's named outputs become; aliases where the names are only known when it runs."""
    if not isinstance(spec, dict):
        return [workspace.alias(Kind.MODEL), workspace.alias(Kind.DATA)]
    found: list[Asset | AssetAlias] = []
    outputs = spec.get("outputs")
    for output in outputs.values() if isinstance(outputs, dict) else ():  # the SDK says what is wrong
        if isinstance(output, dict) and isinstance(name := output.get("name"), str):
            kind = kind_of_type(output.get("type"))
            found.append(workspace.alias(kind) if "{{" in name or "{%" in name else workspace.asset(kind, name))
    return found
