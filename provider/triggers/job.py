"""Waiting for the end of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import AzureMachineLearningTrigger

if TYPE_CHECKING:
    from ..client import WorkspaceClient


class AzureMachineLearningJobTrigger(AzureMachineLearningTrigger):
    """
    Fires when an AzureML job has ended. It only watches: killing the task does not cancel the job.

    :param job_name: the job's name.
    :param fail_on_paused: whether a paused job counts as failed.
    """

    def __init__(self, *, job_name: str, fail_on_paused: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job_name = job_name
        self.fail_on_paused = fail_on_paused
        self._seen: set[str] = set()

    def _fields(self) -> dict[str, Any]:
        return {**super()._fields(), "job_name": self.job_name, "fail_on_paused": self.fail_on_paused}

    async def look(self, client: WorkspaceClient) -> dict[str, Any] | None:
        """Return the completed job's facts, or None while it goes on."""
        job = await client.check_job(self.job_name, fail_on_paused=self.fail_on_paused, seen=self._seen)
        return job.to_dict() if job else None
