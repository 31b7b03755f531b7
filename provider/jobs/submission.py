"""Submitting a job: one for one run of a task, also when the worker dies; and canceling it, if it is ours."""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import AzureMachineLearningError, NotFoundError, SpecError, TransientError
from ..references import check_references
from ..rest.states import JobOutcome
from ..sdk import quietly, sdk_errors
from ..task_run import TASK_RUN_TAG, TaskRun
from .outputs import named_outputs

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..connection import WorkspaceConnection
    from ..hook import AzureMachineLearningHook
    from ..rest.bodies import Job
    from ..rest.client import WorkspaceClient

log = logging.getLogger(__name__)

CANCELING = "CancelRequested"
KILL_SECONDS = 4.6  # Airflow kills the process 5 s after the signal
_KILL_PAUSE = 0.3  # seconds between two requests to cancel
_BATCH_JOB = "batchjob-"  # and a random id: the name that the service gives to a batch endpoint's job


@dataclass(slots=True)
class Submission:
    """
    One job to submit.

    :param client: the workspace.
    :param hook: for the SDK's client of the same workspace.
    :param task_run: for whom; its memory makes a retry find the job that an earlier try submitted.
    :param load: returns the job as an SDK entity. It is only called if there is a job to submit: importing the SDK
        takes seconds.
    :param name: the job's name, once it is chosen.
    :param task_run_id: the task run's id, once it is known.
    :param abandoned: set when the task is killed: nothing is submitted any more, or canceled once it is.
    """

    client: WorkspaceClient
    hook: AzureMachineLearningHook
    task_run: TaskRun
    load: Callable[[], Any]
    name: str = ""
    task_run_id: str = ""
    abandoned: bool = False

    async def run(self) -> Job:
        """
        Return this task run's job: the one that an earlier try submitted if it goes on or has completed, or a new one.

        The name is remembered before the job is submitted, and the job carries the task run's id as a tag. A job that
        failed or was canceled is not taken up again: the retry submits another, so each try leads somewhere.

        :raises SpecError: the spec is invalid, or its name is taken by a job that is not this task run's.
        :raises AzureMachineLearningError: Azure refused.
        """
        memory = self.task_run.remember()
        self.task_run_id = memory["id"]
        number = memory.get("job_number", 1)
        if remembered := memory.get("job"):
            if (job := await self.client.find_job(remembered)) is None:
                return await self._submit(await asyncio.to_thread(self.load), remembered, number)
            self._check_ours(job)
            if memory.get("given_up") == job.name:
                await cancel_own_job(self.client, job.name, self.task_run_id)
            elif job.outcome is not JobOutcome.FAILED and job.status != CANCELING:
                log.info("An earlier try of this task submitted job %s, which is %s; it is used.", job.name, job.status)
                self.name = job.name
                return job
            log.info("The job of an earlier try, %s, is %s; submitting another.", job.name, job.status)
            number += 1
        entity = await asyncio.to_thread(self.load)
        name = entity.name or f"{slug(self.task_run.context['ti'].task_id)}-{memory['id']}"
        name = name if number == 1 else f"{name}-{number}"
        if entity.name and (taken := await self.client.find_job(name)):
            self._check_ours(taken)
        return await self._submit(entity, name, number)

    def _check_ours(self, job: Job) -> None:
        if job.tags.get(TASK_RUN_TAG) != self.task_run.remember()["id"]:
            raise SpecError(
                f"There is a job {job.name!r} already ({job.status}), and it is not this task run's. Job names cannot "
                "be used again: give another, with {{ run_id }} in it, or none. Nothing was changed."
            )

    async def _submit(self, entity: Any, name: str, number: int) -> Job:
        await check_references(self.client, entity, noun="job")
        ti = self.task_run.context["ti"]
        entity.name = name
        entity.tags = {**(entity.tags or {}), **self.task_run.tags()}
        # Without one the SDK takes the name of the folder that Airflow runs in, or the service "Default".
        entity.experiment_name = entity.experiment_name or slug(ti.dag_id)
        self.task_run.remember(job=name, job_number=number, outputs=named_outputs(entity))
        self.name = name
        try:
            await asyncio.to_thread(self._create, entity)
        except (SpecError, TransientError) as error:
            await self._check_submitted(name, error)
        if self.abandoned:
            await cancel_at_once(self.client.connection, name)
        job = await self.client.get_job(name)
        log.info("Submitted %s job %s. %s", job.type, job.name, job.studio_url)
        return job

    async def _check_submitted(self, name: str, error: AzureMachineLearningError) -> None:
        """
        Go on if there is a job in spite of an error: the SDK may not understand the answer to a PUT that was accepted.

        :raises AzureMachineLearningError: the error, if there is none.
        """
        try:
            job = await self.client.find_job(name)
        except AzureMachineLearningError as other:
            raise error from other
        if job is None:
            raise error
        self._check_ours(job)
        log.warning("Job %s was submitted, though not without complaint: %s", name, error)

    def _create(self, entity: Any) -> None:
        with quietly(), sdk_errors("job", self.client.connection), self.hook.ml_client() as ml:
            if self.abandoned:
                raise SpecError("The task was ended before its job was submitted.")
            ml.jobs.create_or_update(entity)


async def cancel_at_once(connection: WorkspaceConnection, name: str) -> None:
    """
    Cancel a job that is known to be ours, as often as it takes: the caller has a few seconds to live.

    A service that is busy is asked again at once, whatever it says of when. It never raises.
    """
    from ..rest.client import WorkspaceClient

    try:
        async with asyncio.timeout(KILL_SECONDS), WorkspaceClient(connection, retry=False) as client:
            while True:
                try:
                    await client.cancel_job(name)
                except TransientError as error:
                    log.warning("Job %s: %s Asking again.", name, error)
                    await asyncio.sleep(_KILL_PAUSE)
                else:
                    log.info("Canceled job %s.", name)
                    return
    except TimeoutError:
        log.warning("Job %s may go on: it could not be canceled in time.", name)
    except AzureMachineLearningError as error:
        log.warning("Job %s may go on: it could not be canceled. %s", name, error)


async def cancel_own_job(client: WorkspaceClient, name: str, task_run_id: str) -> bool:
    """
    Cancel a job, if it is a task run's own, has not ended and is not being canceled already.

    :param task_run_id: the task run's id.
    :return: whether it was canceled by this call. It never raises: the caller is being killed.
    """
    try:
        job = await client.get_job(name)
        # Should the service not keep the tags of a batch endpoint's job: its name was told to its invoker alone.
        told = task_run_id if name.startswith(_BATCH_JOB) or task_run_id in name else None
        if job.tags.get(TASK_RUN_TAG, told) != task_run_id:
            log.warning("Job %s is not this task's: it is not canceled.", name)
            return False
        if job.has_ended or job.status == CANCELING:
            return False
        await client.cancel_job(name)
    except NotFoundError:
        return False
    except AzureMachineLearningError as error:
        log.warning("Job %s may go on: it could not be canceled. %s", name, error)
        return False
    log.info("Canceled job %s.", name)
    return True


def slug(text: str) -> str:
    """Return a text as AzureML allows it in names of jobs and experiments."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")[:100] or "airflow"
