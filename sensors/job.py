"""Waiting for AzureML jobs, whoever started them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..provider.arguments import check_flag, check_get_logs, check_name, check_seconds
from ..provider.errors import AzureMachineLearningError, JobFailedError
from ..provider.jobs.check import NOT_RESPONDING_GRACE, Wait, check_job
from ..provider.links import job_url, push_studio_url
from ..provider.task_run import TaskRun
from ..provider.triggers.job import AzureMachineLearningJobTrigger
from .base import AzureMachineLearningBaseSensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from ..provider.jobs.task_log import TaskLog
    from ..provider.rest.client import WorkspaceClient


class AzureMachineLearningJobSensor(AzureMachineLearningBaseSensor):
    """
    Wait until an AzureML job has completed: one of a notebook, a pipeline, another team, or of an operator upstream.

    ::

        AzureMachineLearningJobSensor(
            task_id="trained", conn_id="azureml", job_name="{{ params.job }}", timeout=6 * 3600
        )

    The task succeeds on Completed and fails on Failed and Canceled, with the service's own reason. NotResponding is
    waited out for a while, as such a job may come back. The task only watches: ending it never cancels the job. The
    step of a pipeline can be waited for like any job.

    :param job_name: the job's name (its id in studio's address, not its display name). Templated.
    :param fail_on_paused: fail when the job is paused; otherwise it is waited for until it goes on.
    :param not_responding_grace: for how many seconds in a row the job may be NotResponding before the task fails.
    :param get_logs: show the job's log in the task's log while it runs: ``True``, that of the first node and of a
        pipeline's steps; ``"all_nodes"``, that of each node. One request a job and ``poke_interval`` at most when
        deferred; a few when not.
    :param conn_id: an Airflow connection of type ``azure_machine_learning``. Templated.
    :param poke_interval: seconds between two checks, 60 if not given; also when deferred.
    :return: the job's facts as a dict: name, id, status, type, display_name, experiment_name, studio_url, tags, inputs
        (name -> type, uri), outputs (name -> type, uri, asset_name, asset_version), created_at, created_by.
    :raises JobFailedError: it ended in another way. With ``soft_fail`` or ``never_fail`` the task is skipped instead.
    :raises NotFoundError: there is no such job.
    :raises AirflowSensorTimeout: it did not end within ``timeout`` seconds.
    """

    template_fields: Sequence[str] = ("job_name", "conn_id")

    def __init__(
        self,
        *,
        job_name: str,
        fail_on_paused: bool = False,
        not_responding_grace: float = NOT_RESPONDING_GRACE,
        get_logs: bool | str = False,
        **kwargs: Any,
    ) -> None:
        check_name("job", job_name, parsing=True)
        check_seconds("not_responding_grace", not_responding_grace, zero=True)
        check_flag("fail_on_paused", fail_on_paused)
        super().__init__(**kwargs)
        self.job_name = job_name
        self.fail_on_paused = fail_on_paused
        self.not_responding_grace = not_responding_grace
        check_get_logs(get_logs)
        self.get_logs = get_logs
        self._seen = Wait(fail_on_paused, not_responding_grace)

    @property
    def _saw(self) -> str:
        return self._seen.status

    async def _check(self, context: Context, client: WorkspaceClient) -> dict[str, Any] | None:
        check_name("job", self.job_name)
        push_studio_url(context, job_url(client.connection, self.job_name))
        remembered = TaskRun(context).remember().get("silent_since") if self.reschedule else None
        self._seen.silent_since = self._seen.silent_since or remembered
        try:
            job = await check_job(client, self.job_name, self._seen)
        except JobFailedError:
            if self.get_logs:
                await self._log(context).show_rest(client)
            raise
        finally:
            if self.reschedule and self._seen.silent_since != remembered:
                TaskRun(context).remember(silent_since=self._seen.silent_since)
        if job is None and self.get_logs and not self.deferrable:
            await self._log(context).show_once(client)
        return job.to_dict() if job else None

    def _log(self, context: Context) -> TaskLog:
        from ..provider.jobs.task_log import TaskLog

        return TaskLog(TaskRun(context), self.job_name, self._seen.type, self.get_logs == "all_nodes")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Finish after the trigger fired."""
        if self.get_logs:
            self._log(context).keep_shown(event.get("shown"))
            if failed := (event.get("facts") or {}).get("job"):
                self._seen.type = failed["type"]
                self._show_rest_of_log(context)
        return super().execute_complete(context, event)

    def _show_rest_of_log(self, context: Context) -> None:
        try:
            self.hook.ask(self._log(context).show_rest)
        except AzureMachineLearningError as error:
            self.log.warning("The end of the job's log may be missing here: %s", error)

    def _trigger(self, context: Context) -> AzureMachineLearningJobTrigger:
        return AzureMachineLearningJobTrigger(
            conn_id=self.conn_id,
            job_name=self.job_name,
            fail_on_paused=self.fail_on_paused,
            not_responding_grace=self.not_responding_grace,
            poll_interval=self.poke_interval,
            log=self._log(context).for_trigger() if self.get_logs else None,
        )

    def _finish(self, context: Context, found: dict[str, Any]) -> dict[str, Any]:
        push_studio_url(context, found["studio_url"])
        if self.get_logs:
            self._seen.type = found["type"]
            self._show_rest_of_log(context)
        if found["outputs"].keys() - {"default"}:
            from ..provider.jobs.outputs import registered_versions

            self.hook.ask(lambda client: registered_versions(client, found))  # fills in what they became
        return found
