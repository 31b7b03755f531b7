"""Which AzureML status means what. The only place that knows."""

from __future__ import annotations

from enum import Enum


class JobOutcome(Enum):
    """What a job's status means to somebody who waits for it."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    PAUSED = "paused"
    UNKNOWN = "unknown"


# JobStatus in the ARM API of Microsoft.MachineLearningServices; "Unknown" and "Scheduled" are of its newer versions.
_OUTCOMES = {
    **dict.fromkeys(
        (
            "notstarted",
            "starting",
            "provisioning",
            "preparing",
            "queued",
            "running",
            "finalizing",
            "cancelrequested",
            "scheduled",
            "unknown",
        ),
        JobOutcome.RUNNING,
    ),
    "completed": JobOutcome.SUCCEEDED,
    **dict.fromkeys(("failed", "canceled", "notresponding"), JobOutcome.FAILED),
    "paused": JobOutcome.PAUSED,
}


def job_outcome(status: str) -> JobOutcome:
    """
    Return what a job status means; UNKNOWN for one that AzureML did not have when this was written.

    An unknown status is waited out, never taken for an end: AzureML adds statuses.
    """
    return _OUTCOMES.get(status.lower(), JobOutcome.UNKNOWN)
