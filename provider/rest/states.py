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
    SILENT = "silent"
    """It has stopped to send signs of life. Not an end: it may go on, says the specification of JobStatus."""

    @property
    def is_end(self) -> bool:
        """Whether the status will not change any more."""
        return self in (JobOutcome.SUCCEEDED, JobOutcome.FAILED)


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
    **dict.fromkeys(("failed", "canceled"), JobOutcome.FAILED),
    "notresponding": JobOutcome.SILENT,
    "paused": JobOutcome.PAUSED,
}


def job_outcome(status: str) -> JobOutcome:
    """
    Return what a job status means; UNKNOWN for one that AzureML did not have when this was written.

    An unknown status is waited out, never taken for an end: AzureML adds statuses.
    """
    return _OUTCOMES.get(status.lower(), JobOutcome.UNKNOWN)


# ProvisioningState of computes, endpoints and deployments, and ComputeInstanceState. What is in neither is on its way.
_PROVISIONING_FAILED = ("failed", "canceled", "createfailed", "setupfailed", "usersetupfailed", "unusable")
_RUNNING_INSTANCE = ("running", "jobrunning")


def provisioning_failed(state: str | None) -> bool:
    """Return whether a provisioning state, or an instance's state, is one that nothing comes after by itself."""
    return (state or "").lower() in _PROVISIONING_FAILED


def same_state(state: str | None, wanted: str) -> bool:
    """Return whether a resource is in the wanted state. An instance that runs a job runs."""
    now = (state or "").lower()
    return now == wanted.lower() or (wanted.lower() == "running" and now in _RUNNING_INSTANCE)
