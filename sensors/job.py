"""Waiting for AzureML jobs, whoever started them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..provider.links import push_studio_url
from ..provider.triggers.job import AzureMachineLearningJobTrigger
from .base import AzureMachineLearningBaseSensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from ..provider.rest.client import WorkspaceClient


class AzureMachineLearningJobSensor(AzureMachineLearningBaseSensor):
    """
    Wait until an AzureML job has completed: one of a notebook, a pipeline, another team, or of an operator upstream.

    ::

        AzureMachineLearningJobSensor(task_id="trained", conn_id="azureml", job_name="{{ params.job }}", timeout=6 *
        3600)

    The task succeeds on Completed and fails on Failed, Canceled and NotResponding, with the service's own reason. It
    only watches: ending the task never cancels the job.

    :param job_name: the job's name (its id in studio's address, not its display name). Templated.
    :param fail_on_paused: fail when the job is paused; otherwise it is waited for until it goes on.
    :param conn_id: an Airflow connection of type ``azure_machine_learning``. Templated.
    :param poke_interval: seconds between two looks, 60 if not given; also when deferred.
    :return: the job's facts as a dict: name, id, status, type, display_name, experiment_name, studio_url, tags, inputs
        (name -> type, uri), outputs (name -> type, uri, asset_name, asset_version), created_at, created_by.
    :raises JobFailedError: it ended in another way. With ``soft_fail`` or ``never_fail`` the task is skipped instead.
    :raises NotFoundError: there is no such job.
    :raises AirflowSensorTimeout: it did not end within ``timeout`` seconds.
    """

    template_fields: Sequence[str] = ("job_name", "conn_id")

    def __init__(self, *, job_name: str, fail_on_paused: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job_name = job_name
        self.fail_on_paused = fail_on_paused
        self._seen: set[str] = set()

    async def _look(self, context: Context, client: WorkspaceClient) -> dict[str, Any] | None:
        from ..provider.jobs.check import check_job
        from ..provider.links import job_url

        push_studio_url(context, job_url(client.connection, self.job_name))
        job = await check_job(client, self.job_name, fail_on_paused=self.fail_on_paused, seen=self._seen)
        return job.to_dict() if job else None

    def _trigger(self, context: Context) -> AzureMachineLearningJobTrigger:  # noqa: ARG002
        return AzureMachineLearningJobTrigger(
            conn_id=self.conn_id,
            job_name=self.job_name,
            fail_on_paused=self.fail_on_paused,
            poll_interval=self.poke_interval,
        )

    def _finish(self, context: Context, found: dict[str, Any]) -> dict[str, Any]:
        push_studio_url(context, found["studio_url"])
        self.log.info("Job %s is %s.", found["name"], found["status"])
        return found
