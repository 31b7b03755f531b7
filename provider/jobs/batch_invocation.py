"""Invoking a batch endpoint: one job for one run of a task, though the service itself gives the job its name."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ...datasets.events import parse_time
from ...datasets.workspace import Kind
from ..errors import AmbiguousError, SpecError, TransientError
from ..resources.endpoint import Endpoint
from ..rest.states import JobOutcome
from ..rest.transport import Transport
from ..task_run import TAG_PREFIX, TASK_RUN_TAG, TaskRun
from .submission import CANCELING, cancel_at_once, cancel_own_job, slug

if TYPE_CHECKING:
    from ..rest.bodies import Job
    from ..rest.client import WorkspaceClient

log = logging.getLogger(__name__)

_TRIES = 5
_THROTTLED = 429
_LITERALS = (str, int, float, bool)
# AzureML's word in YAML -> in the request. Source: azure-ai-ml, BatchJobSchema.
_TYPES = {
    "uri_file": "UriFile",
    "uri_folder": "UriFolder",
    "mltable": "MLTable",
    "custom_model": "CustomModel",
    "mlflow_model": "MLFlowModel",
    "triton_model": "TritonModel",
}
_LOOK_SECONDS = 30.0  # for a job whose answer was lost: lists lag behind
_PAUSE = 2.0  # seconds between two checks
_RECENT = 200  # how many of the workspace's newest jobs are looked through
_SKEW = timedelta(seconds=5)  # by which the service's clock may be behind ours


@dataclass(slots=True)
class BatchInvocation:
    """
    One invocation of a batch endpoint.

    :param client: the workspace.
    :param task_run: for whom; its memory makes a retry find the job that an earlier try started.
    :param endpoint: the endpoint, or the deployment of it that is to be used.
    :param inputs: name -> ``{"type", "path"}`` or a literal.
    :param outputs: name -> ``{"type", "path"}``.
    :param name: the job's name, once the service has given it.
    :param task_run_id: the task run's id, once it is known.
    :param abandoned: set when the task is killed: the job is canceled as soon as it is known.
    """

    client: WorkspaceClient
    task_run: TaskRun
    endpoint: Endpoint
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    name: str = ""
    task_run_id: str = ""
    abandoned: bool = False

    async def run(self) -> Job:
        """
        Return this task run's job: the one that an earlier try started if it goes on or has completed, or a new one.

        The job's name is remembered as soon as the service has told it. Before each invocation its number is
        remembered, and the invocation carries a name of its own and a tag that holds it: by these the job is found
        whose name was never learned. What of them a job keeps is not known of the service; should it keep none, the
        only job of the endpoint that appeared since then is taken.

        :raises SpecError: an input is invalid; nothing was started.
        :raises AmbiguousError: the answer was lost, and several jobs may be the one that was started.
        :raises NotFoundError: there is no such endpoint, deployment or data version.
        """
        memory = self.task_run.remember()
        self.task_run_id = memory["id"]
        number = memory.get("job_number", 0)
        if number and (
            job := await self._known(memory.get("job")) or await self._find(number, memory.get("invoked_at", 0.0))
        ):
            if memory.get("given_up") == job.name:
                await cancel_own_job(self.client, job.name, self.task_run_id)
            elif job.outcome is not JobOutcome.FAILED and job.status != CANCELING:
                log.info("An earlier try of this task started job %s, which is %s; it is used.", job.name, job.status)
                return job
            log.info("The job of an earlier try, %s, is %s; starting another.", job.name, job.status)
            number += 1
        number = number or 1
        url = (await self.endpoint.endpoint.existing(self.client))["properties"].get("scoringUri")
        if self.endpoint.deployment_name:
            await self.endpoint.existing(self.client)
        if not url:
            raise SpecError(f"The {self.endpoint.endpoint} is not provisioned yet. Nothing was started.")
        tags = {**self.task_run.tags(), self._tag(number): "invocation"}
        body = {
            "properties": {
                "name": self._own_name(number),
                "inputData": {name: await self._wire(name, value, "Input") for name, value in self.inputs.items()},
                "outputData": {name: await self._wire(name, value, "Output") for name, value in self.outputs.items()},
                "tags": tags,
            }
        }
        self.task_run.remember(job_number=number, job=None, invoked_at=time.time())
        name = await self._invoke(url, body, number)
        self.task_run.remember(job=name)
        self.name = name
        if self.abandoned:
            await cancel_at_once(self.client.connection, name)
        job = await self.client.get_job(name)
        log.info("The %s started job %s. %s", self.endpoint, job.name, job.studio_url)
        return job

    def _tag(self, number: int) -> str:
        return f"{TAG_PREFIX}{self.task_run_id}.{number}"

    async def _known(self, name: str | None) -> Job | None:
        """Return the job whose name an earlier try learned."""
        self.name = name or ""
        return await self.client.find_job(name) if name else None

    def _own_name(self, number: int) -> str:
        """Return the name that is sent along: the same for the same invocation, and nobody else's."""
        name = f"{slug(self.task_run.context['ti'].task_id)}-{self.task_run_id}"
        return name if number == 1 else f"{name}-{number}"

    async def _find(self, number: int, invoked_at: float) -> Job | None:
        """
        Return the job of an invocation whose answer was lost; None if there is none, also in lists that lag.

        One that bears no mark is taken at the end alone: until then another may appear that may be it as well.
        """
        while True:
            is_last = time.time() >= invoked_at + _LOOK_SECONDS
            job = await self._started(number, invoked_at, unmarked=is_last)
            if job is not None:
                break
            if is_last:
                return None
            await asyncio.sleep(_PAUSE)
        log.info("The invocation whose answer was lost started job %s.", job.name)
        self.name = job.name
        self.task_run.remember(job=job.name)
        return job

    async def _started(self, number: int, invoked_at: float, *, unmarked: bool) -> Job | None:
        name, tag = self._own_name(number), self._tag(number)
        if job := await self.client.find_job(name):
            return job
        async for job in self.client.list_jobs(tag=tag):
            return job
        since = datetime.fromtimestamp(invoked_at, UTC) - _SKEW
        possible, seen = [], 0
        async for job in self.client.list_jobs():
            seen += 1
            if seen > _RECENT or parse_time(job.created_at) < since:
                break
            if job.display_name == name or tag in job.tags:
                return job
            if job.experiment_name == self.endpoint.endpoint_name and TASK_RUN_TAG not in job.tags:
                possible.append(job)
        if len(possible) > 1:
            names = ", ".join(job.name for job in possible)
            raise AmbiguousError(
                f"The answer of the {self.endpoint} to its invocation was lost, and the service kept neither the name "
                f"nor the tags that were sent; any of {names} may be the job that it started. None is taken, and no "
                "other is started."
            )
        if not possible or not unmarked:
            return None
        log.warning("Job %s bears no mark of this task, but is the only one that can be its.", possible[0].name)
        return possible[0]

    async def _wire(self, name: str, value: Any, side: str) -> dict[str, Any]:
        if side == "Input" and isinstance(value, _LITERALS):
            return {"jobInputType": "Literal", "value": str(value)}
        if not isinstance(value, dict) or value.get("type", "uri_folder") not in _TYPES or not value.get("path"):
            raise SpecError(
                f"{side} {name!r} is {value!r}; it needs a 'path' and a 'type' of {', '.join(_TYPES)}. "
                "Nothing was started."
            )
        path = str(value["path"])
        if path.startswith("azureml:") and not path.startswith("azureml:/"):
            asset, _, version = path.removeprefix("azureml:").partition(":")
            path = (await self.client.get_version(Kind.DATA, asset, version)).path
        if not path.startswith(("azureml:", "https://", "/subscriptions/")):
            raise SpecError(
                f"The path {path!r} of {side.lower()} {name!r} is not in Azure: give azureml:NAME:VERSION, "
                "azureml://... or https://..., and upload files with AzureMachineLearningCreateDataOperator first."
            )
        return {f"job{side}Type": _TYPES[value.get("type", "uri_folder")], "uri": path}

    async def _invoke(self, url: str, body: dict[str, Any], number: int) -> str:
        # The same id for the same invocation, as the service wants it for requests that may be repeated.
        headers = {"repeatability-request-id": str(uuid.uuid5(uuid.UUID(self.task_run_id), str(number)))}
        if self.endpoint.deployment_name:
            headers["azureml-model-deployment"] = self.endpoint.deployment_name
        connection = self.client.connection
        async with Transport(connection, scope=connection.cloud.ml_scope) as transport:
            for tries_left in reversed(range(_TRIES)):
                invoked_at = time.time()
                self.task_run.remember(invoked_at=invoked_at)
                try:
                    answer = await transport.request("POST", url, json=body, headers=headers, retry=False)
                    return str(answer.body["name"])
                except TransientError as error:
                    if error.status == _THROTTLED:
                        # It was not taken on: nothing to look for.
                        if not tries_left:
                            raise
                        log.warning("%s Invoking again.", error)
                        await asyncio.sleep(max(_PAUSE, error.retry_after or 0))
                        continue
                    log.warning("%s Looking whether it started a job.", error)
                    if job := await self._find(number, invoked_at):
                        return job.name
                    if not tries_left:
                        raise
        raise AssertionError("not reached")
