"""Waiting for the end of a job."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from ..hook import AzureMachineLearningHook
from ..jobs.check import NOT_RESPONDING_GRACE, Wait, check_job
from ..task_run import TASK_RUN_TAG
from .base import AzureMachineLearningTrigger

if TYPE_CHECKING:
    from ..rest.client import WorkspaceClient
    from ..waiting.plan import Question

_KILL_SECONDS = 25  # less than Airflow gives, `[triggerer] on_kill_timeout`


class AzureMachineLearningJobTrigger(AzureMachineLearningTrigger):
    """
    Fires when an AzureML job has ended.

    :param job_name: the job's name.
    :param fail_on_paused: whether a paused job counts as failed.
    :param not_responding_grace: for how many seconds on end it may be NotResponding; a triggerer that starts anew
        counts anew.
    :param owner: the id of the task run that submitted the job: when a user kills the task, the job is canceled. None:
        somebody else's job, which is only watched.
    """

    def __init__(
        self,
        *,
        job_name: str,
        fail_on_paused: bool = False,
        not_responding_grace: float = NOT_RESPONDING_GRACE,
        owner: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job_name = job_name
        self.owner = owner
        self.fail_on_paused = fail_on_paused
        self.not_responding_grace = not_responding_grace
        self._seen = Wait(fail_on_paused, not_responding_grace)

    def _fields(self) -> dict[str, Any]:
        own = ("job_name", "fail_on_paused", "not_responding_grace", "owner")
        return {**super()._fields(), **{name: getattr(self, name) for name in own}}

    @property
    def what(self) -> str:
        """What is waited for, for the log."""
        return f"job {self.job_name!r} to complete"

    @property
    def seen(self) -> str:
        """The job's status at the last check."""
        return self._seen.status

    def seen_in(self, item: dict[str, Any] | None) -> str:
        """Return the job's status as a list tells it."""
        return str(((item or {}).get("properties") or {}).get("status") or self.seen)

    def question(self) -> Question:
        """Return what is waited for: jobs that an operator submitted are in the shorter list of those with its tag."""
        from ..rest.states import JobOutcome, job_outcome
        from ..waiting.plan import Listing, Question

        tag = (("tag", TASK_RUN_TAG),) if self.owner else ()
        return Question(
            Listing(("jobs",), (("listViewType", "ActiveOnly"), *tag)),
            self.job_name,
            tells=lambda item: (
                item is None
                or job_outcome((item.get("properties") or {}).get("status") or "") is not JobOutcome.RUNNING
            ),
        )

    async def look(self, client: WorkspaceClient) -> dict[str, Any] | None:
        """Return the completed job's facts, or None while it goes on."""
        job = await check_job(client, self.job_name, self._seen)
        return job.to_dict() if job else None

    async def on_kill(self) -> None:
        """Cancel the job, if it is this task's own; Airflow calls this only when a user ends the waiting task."""
        if self.owner is None:
            return
        canceling = asyncio.create_task(self._cancel(self.owner))
        while not canceling.done():
            # Until this returns, Airflow 3.3 cancels the trigger again each second, and this with it.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(canceling)

    async def _cancel(self, owner: str) -> None:
        from ..jobs.submission import cancel_own_job

        async with asyncio.timeout(_KILL_SECONDS), AzureMachineLearningHook(self.conn_id).client() as client:
            await cancel_own_job(client, self.job_name, owner)
