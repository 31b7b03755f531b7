"""One check of a job that somebody waits for: sensors check from a worker, triggers in a loop."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..rest.states import JobOutcome

if TYPE_CHECKING:
    from ..rest.bodies import Job
    from ..rest.client import WorkspaceClient

log = logging.getLogger(__name__)


NOT_RESPONDING_GRACE = 1800.0  # seconds; a preempted or restarted node is back by then


@dataclass(slots=True)
class Wait:
    """
    How a job is waited for, and what was seen of it so far.

    :param fail_on_paused: whether Paused is a failure; otherwise it is waited for.
    :param grace: for how many seconds in a row a job may be NotResponding. The specification: a run can go from
        NotResponding to any of the previous states.
    :param silent_since: when it was first found NotResponding, in seconds since the epoch; None while it responds.
    :param status: the last that was seen, so that each change is logged once.
    :param type: the job's type, once it was seen: ``Command``, ``Pipeline`` ...
    """

    fail_on_paused: bool = False
    grace: float = NOT_RESPONDING_GRACE
    silent_since: float | None = None
    status: str = field(default="", compare=False)
    type: str = field(default="", compare=False)

    def see(self, job: Job) -> None:
        """Take note of how a job stands."""
        self.type = job.type
        silent = job.outcome is JobOutcome.SILENT
        self.silent_since = (self.silent_since or time.time()) if silent else None
        if job.status == self.status:
            return
        self.status = job.status
        if silent:
            log.warning("Job %s is %s: waiting for %g s whether it comes back.", job.name, job.status, self.grace)
        elif job.outcome is JobOutcome.UNKNOWN:
            log.warning("Job %s has status %s, which this provider does not know: still waiting.", job.name, job.status)
        else:
            log.info("Job %s is %s.", job.name, job.status)

    @property
    def given_up(self) -> bool:
        """Whether the job has not responded for too long."""
        return self.silent_since is not None and time.time() >= self.silent_since + self.grace


async def check_job(client: WorkspaceClient, name: str, wait: Wait) -> Job | None:
    """
    Return a job that has completed, or None while it has not ended.

    :raises JobFailedError: it ended in another way, with the service's own reason; or it has not responded for too
        long.
    """
    job = await client.get_job(name)
    wait.see(job)
    if job.outcome is JobOutcome.SUCCEEDED:
        return job
    if job.outcome is JobOutcome.FAILED:
        raise job.failure(await client.history.failure_reason(name))
    if wait.given_up:
        raise job.failure(f"It has not responded for {wait.grace:g} s. It may go on nevertheless.")
    if job.outcome is JobOutcome.PAUSED and wait.fail_on_paused:
        raise job.failure("Somebody paused it, and this task counts that as a failure.")
    return None
