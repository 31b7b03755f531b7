"""Operators for AzureML schedules: AzureML's own clock, which submits a job or runs a monitor."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from .. import sdk
from ..arguments import check_name
from ..errors import SpecError, TransientError
from ..links import job_url, push_studio_url
from ..resources.base import PROVISIONED
from ..resources.schedule import Schedule, find_triggered_job, trigger_once
from ..task_run import TaskRun
from .base import AzureMachineLearningBaseOperator
from .base_resource import DeleteResourceOperator, DeployResourceOperator, ResourceOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from ..resources.base import Resource
    from ..rest.client import WorkspaceClient

_LOOKS = 5  # for a job of an earlier attempt, in a list that may lag
_BETWEEN_LOOKS = 2.0


class AzureMachineLearningCreateScheduleOperator(DeployResourceOperator):
    """
    Create an AzureML schedule, or replace one of that name, and wait until it is in force.

    ::

        AzureMachineLearningCreateScheduleOperator(
            task_id="nightly",
            conn_id="azureml",
            schedule={
                "name": "nightly",
                "trigger": {"type": "cron", "expression": "0 2 * * *"},
                "create_job": "pipeline.yml",
            },
        )

    Each run of the task replaces it once; a retry waits for what an earlier try began. One that is disabled stays so.

    Further parameters: ``waiting``, ``deferrable``, ``poll_interval`` and ``timeout`` of :class:`.WaitingOperator`,
    ``conn_id`` (templated) of :class:`.AzureMachineLearningBaseOperator`.

    :param schedule: a dict with the keys of AzureML's CLI v2 YAML for schedules; or a path to such YAML; or an
        azure-ai-ml schedule; or a callable that returns one of them. The SDK schedules pipelines and monitors;
        ``create_job`` is a path to a job's YAML, or the name of a job (``azureml:...``). Relative paths start at the
        DAG file's folder, or the YAML's. Templated.
    :return: a dict: name, id, status (provisioning state), enabled, trigger, action, tags, studio_url.
    :raises SpecError: the SDK does not accept the spec, what it names does not exist, or the schedule is being deleted;
        nothing was changed.
    :raises ProvisioningFailedError: Azure could not make it; with its reason.
    :raises WaitTimeoutError: it was not in force in time.
    """

    template_fields: Sequence[str] = ("schedule", "conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"schedule": "json"}

    def __init__(self, *, schedule: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.schedule = sdk.field(schedule)

    def _entity(self, context: Context) -> Any:
        entity = self._load_entity(context, self.schedule, "schedule")
        if not entity.name:
            raise SpecError("The schedule needs a 'name'.")
        return entity

    def _resource(self, entity: Any) -> Schedule:
        return Schedule(entity.name)


async def _switch(
    operator: ResourceOperator, context: Context, client: WorkspaceClient, schedule: Schedule, *, enabled: bool
) -> None:
    body = await asyncio.to_thread(schedule.switched, operator.hook, enabled=enabled)
    await operator._change(context, client, schedule, "PUT", json=body, params={"api-version": schedule.api_version})


class SwitchScheduleOperator(ResourceOperator):
    """Enables or disables a schedule."""

    template_fields: Sequence[str] = ("schedule_name", "conn_id")
    enabled: ClassVar[bool]

    def __init__(self, *, schedule_name: str, **kwargs: Any) -> None:
        check_name("schedule", schedule_name, parsing=True)
        super().__init__(**kwargs)
        self.schedule_name = schedule_name

    async def _begin(self, context: Context, client: WorkspaceClient) -> tuple[Resource, str]:
        schedule = Schedule(self.schedule_name)
        body = await schedule.existing(client)
        if bool(body["properties"].get("isEnabled")) == self.enabled:
            self.log.info("The %s is %s already.", schedule, "enabled" if self.enabled else "disabled")
        else:
            await _switch(self, context, client, schedule, enabled=self.enabled)
            self.log.info("%s %s.", "Enabling" if self.enabled else "Disabling", schedule)
        return schedule, self.wanted


class AzureMachineLearningEnableScheduleOperator(SwitchScheduleOperator):
    """
    Enable an AzureML schedule, and wait until that is in force. One that is enabled is left alone.

    Further parameters: ``waiting``, ``deferrable``, ``poll_interval`` and ``timeout`` of :class:`.WaitingOperator`,
    ``conn_id`` (templated) of :class:`.AzureMachineLearningBaseOperator`.

    :param schedule_name: the schedule's name. Templated.
    :return: a dict: name, id, status (provisioning state), enabled, trigger, action, tags, studio_url.
    :raises NotFoundError: there is no such schedule.
    :raises SpecError: it is being deleted.
    :raises ProvisioningFailedError: Azure could not do it; with its reason.
    :raises WaitTimeoutError: it was not in force in time.
    """

    enabled = True


class AzureMachineLearningDisableScheduleOperator(SwitchScheduleOperator):
    """
    Disable an AzureML schedule, and wait until that is in force. One that is disabled is left alone.

    Further parameters: ``waiting``, ``deferrable``, ``poll_interval`` and ``timeout`` of :class:`.WaitingOperator`,
    ``conn_id`` (templated) of :class:`.AzureMachineLearningBaseOperator`.

    :param schedule_name: the schedule's name. Templated.
    :return: a dict: name, id, status (provisioning state), enabled, trigger, action, tags, studio_url.
    :raises NotFoundError: there is no such schedule.
    :raises SpecError: it is being deleted.
    :raises ProvisioningFailedError: Azure could not do it; with its reason.
    :raises WaitTimeoutError: it was not in force in time.
    """

    enabled = False


class AzureMachineLearningDeleteScheduleOperator(DeleteResourceOperator):
    """
    Delete an AzureML schedule, and wait until it is gone. One that is enabled is disabled first, as AzureML demands.

    Further parameters: ``waiting``, ``deferrable``, ``poll_interval`` and ``timeout`` of :class:`.WaitingOperator`,
    ``conn_id`` (templated) of :class:`.AzureMachineLearningBaseOperator`.

    :param schedule_name: the schedule's name. Templated.
    :param if_missing: what to do if there is none: ``ignore`` (with a warning in the log) or ``fail``.
    :return: a dict: name, and status ``Deleted`` once it is gone.
    :raises NotFoundError: there is none, and ``if_missing`` is ``fail``.
    :raises ProvisioningFailedError: Azure could not delete it.
    :raises WaitTimeoutError: it was not gone in time.
    """

    template_fields: Sequence[str] = ("schedule_name", "conn_id")

    def __init__(self, *, schedule_name: str, **kwargs: Any) -> None:
        check_name("schedule", schedule_name, parsing=True)
        super().__init__(**kwargs)
        self.schedule_name = schedule_name

    def _resource(self) -> Schedule:
        return Schedule(self.schedule_name)

    async def _begin(self, context: Context, client: WorkspaceClient) -> tuple[Resource, str]:
        schedule = self._resource()
        found = await schedule.find(client)
        if found is not None and found["properties"].get("isEnabled") and not schedule.deleting(found):
            await _switch(self, context, client, schedule, enabled=False)
            self.log.info("Disabling %s, before it is deleted.", schedule)
            return schedule, PROVISIONED
        return await super()._begin(context, client)


class AzureMachineLearningTriggerScheduleOperator(AzureMachineLearningBaseOperator):
    """
    Let an AzureML schedule submit its job now, once for one task run, whether it is enabled or not.

    The task does not wait for the job: :class:`.AzureMachineLearningJobSensor` does, with the ``job_name`` from XCom.

    A retry, also after the worker died, looks for the job that an earlier try may have submitted: AzureML names it
    after the schedule and the second that the task chose (``nightly-20260101T020000Z``). That is documented for jobs
    that the clock submits; of triggered ones no answer was recorded. Where AzureML names those otherwise, a try that
    got no answer fails, instead of submitting a second job.

    ``conn_id`` (templated) is explained by :class:`.AzureMachineLearningBaseOperator`.

    :param schedule_name: the schedule's name. Templated.
    :return: a dict: schedule_name, job_name, studio_url (of the job).
    :raises NotFoundError: there is no such schedule.
    :raises RequestRefusedError: AzureML did not submit it; with its reason.
    :raises TransientError: whether an earlier try submitted a job is not known.
    """

    template_fields: Sequence[str] = ("schedule_name", "conn_id")

    def __init__(self, *, schedule_name: str, **kwargs: Any) -> None:
        check_name("schedule", schedule_name, parsing=True)
        super().__init__(**kwargs)
        self.schedule_name = schedule_name

    def execute(self, context: Context) -> dict[str, Any]:
        """Trigger it, unless an earlier try of this task did."""
        facts: dict[str, Any] = self.hook.ask(lambda client: self._trigger(context, client))
        return facts

    async def _trigger(self, context: Context, client: WorkspaceClient) -> dict[str, Any]:
        job_name = await self._job(TaskRun(context), client)
        url = job_url(client.connection, job_name)
        push_studio_url(context, url)
        return {"schedule_name": self.schedule_name, "job_name": job_name, "studio_url": url}

    async def _job(self, task_run: TaskRun, client: WorkspaceClient) -> str:
        memory = task_run.remember()
        if job_name := memory.get("job_name"):
            return str(job_name)
        asked = memory.get("asked_at")
        if asked is None:
            await Schedule(self.schedule_name).existing(client)
            asked = time.time()
            task_run.remember(asked_at=asked)
            try:
                job_name = await trigger_once(client, self.schedule_name, datetime.fromtimestamp(asked, UTC))
            except TransientError as error:
                self.log.warning("%s Looking whether it acted.", error)
                job_name = None
        job_name = job_name or await self._find(client, datetime.fromtimestamp(asked, UTC))
        task_run.remember(job_name=job_name)
        self.log.info("Schedule %r submitted job %s.", self.schedule_name, job_name)
        return job_name

    async def _find(self, client: WorkspaceClient, at: datetime) -> str:
        for _ in range(_LOOKS):
            if job_name := await find_triggered_job(client, self.schedule_name, at):
                return job_name
            await asyncio.sleep(_BETWEEN_LOOKS)
        raise TransientError(
            f"Schedule {self.schedule_name!r} was asked for a job at {at:%Y-%m-%dT%H:%M:%SZ}, and gave no answer; no "
            "job of that time is found. Look in studio whether it was submitted; clear the task to ask again."
        )
