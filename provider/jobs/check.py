"""One look at a job that somebody waits for: sensors look from a worker, triggers in a loop."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ..rest.run_history import RunHistory
from ..rest.states import JobOutcome

if TYPE_CHECKING:
    from ..rest.bodies import Job
    from ..rest.client import WorkspaceClient

log = logging.getLogger(__name__)


async def check_job(
    client: WorkspaceClient, name: str, *, fail_on_paused: bool = False, seen: set[str] | None = None
) -> Job | None:
    """
    Return a job that has completed, or None while it has not ended.

    :param fail_on_paused: whether Paused is a failure; otherwise it is waited for.
    :param seen: statuses met so far, so that each change is logged once, also one that this release does not know.
    :raises JobFailedError: it ended in another way; with the service's own reason.
    """
    job = await client.get_job(name)
    if seen is not None and job.status not in seen:
        seen.add(job.status)
        if job.outcome is JobOutcome.UNKNOWN:
            log.warning("Job %s has status %s, which this provider does not know: still waiting.", name, job.status)
        else:
            log.info("Job %s is %s.", name, job.status)
    if job.outcome is JobOutcome.SUCCEEDED:
        return job
    if job.outcome is JobOutcome.FAILED:
        raise job.failure(await RunHistory(client).failure_reason(name))
    if job.outcome is JobOutcome.PAUSED and fail_on_paused:
        raise job.failure("Somebody paused it, and this task counts that as a failure.")
    return None
