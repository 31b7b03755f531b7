"""Waiting for the end of a job."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import TYPE_CHECKING, Any

from ..capabilities import aget_xcom, aset_xcom
from ..hook import AzureMachineLearningHook
from ..jobs.check import NOT_RESPONDING_GRACE, Wait, check_job
from ..task_run import TASK_RUN_TAG
from .base import AzureMachineLearningTrigger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from ..rest.client import WorkspaceClient
    from ..waiting.plan import Listing

SHOWN_KEY = "azureml_log_shown"
_KILL_SECONDS = 25  # less than Airflow gives, `[triggerer] on_kill_timeout`


class AzureMachineLearningJobTrigger(AzureMachineLearningTrigger):
    """
    Fires when an AzureML job has ended.

    :param job_name: the job's name.
    :param fail_on_paused: whether a paused job counts as failed.
    :param not_responding_grace: for how many seconds in a row it may be NotResponding; a triggerer that starts anew
        counts anew.
    :param task_run_id: the id of the task run that submitted the job: when a user kills the task, the job is canceled.
        None: somebody else's job, which is only watched.
    :param log: the job's log is shown while it runs: ``{"type", "all_nodes", "shown"}``, the job's type, whether of all
        nodes, and what was shown already. None: it is not.
    """

    keep_shown: Callable[[dict[str, Any]], Awaitable[None]] | None = None
    """What keeps how far the log was shown, in the worker. In the triggerer an XCom does, as Airflow gives triggers no
    other memory; it outlives the triggerer, and the event takes over from it."""

    def __init__(
        self,
        *,
        job_name: str,
        fail_on_paused: bool = False,
        not_responding_grace: float = NOT_RESPONDING_GRACE,
        task_run_id: str | None = None,
        log: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job_name = job_name
        self.task_run_id = task_run_id
        self.fail_on_paused = fail_on_paused
        self.not_responding_grace = not_responding_grace
        self.log_wanted = log
        self._seen = Wait(fail_on_paused, not_responding_grace)

    def _fields(self) -> dict[str, Any]:
        own = ("job_name", "fail_on_paused", "not_responding_grace", "task_run_id")
        log = {"log": self.log_wanted} if self.log_wanted else {}
        return {**super()._fields(), **{name: getattr(self, name) for name in own}, **log}

    @property
    def what(self) -> str:
        """What is waited for, for the log."""
        return f"job {self.job_name!r} to complete"

    @property
    def seen(self) -> str:
        """The job's status at the last check."""
        return self._seen.status

    def seen_in(self, item: dict[str, Any] | None) -> str:
        """Return the job's status as a list shows it."""
        return str(((item or {}).get("properties") or {}).get("status") or self.seen)

    def listing_and_name(self) -> tuple[Listing, str]:
        """Return the list of jobs; those that an operator submitted are in the shorter one of those with its tag."""
        return _listing(owned=bool(self.task_run_id)), self.job_name

    def calls_for_check(self, item: dict[str, Any] | None) -> bool:
        """Return whether an item of the list is a reason to check: all that is not plainly going on."""
        from ..rest.states import JobOutcome, job_outcome

        status = ((item or {}).get("properties") or {}).get("status") or ""
        return item is None or job_outcome(status) is not JobOutcome.RUNNING

    async def check(self, client: WorkspaceClient) -> dict[str, Any] | None:
        """Return the completed job's facts, or None while it goes on."""
        job = await check_job(client, self.job_name, self._seen)
        return job.to_dict() if job else None

    def _beside(self, client: WorkspaceClient) -> AbstractAsyncContextManager[None] | None:
        return None if self.log_wanted is None else self._show_log(client)

    @contextlib.asynccontextmanager
    async def _show_log(self, client: WorkspaceClient) -> AsyncIterator[None]:
        from ..jobs.log import log_of, show_meanwhile
        from ..jobs.showing import open_showing

        assert self.log_wanted is not None
        shown = {**self.log_wanted, "shown": await self._remembered() or self.log_wanted["shown"]}
        async with open_showing(client, self.job_name, shown, keep=self._keep) as showing:
            found = log_of(showing, self.job_name, shown["type"])
            async with show_meanwhile(found, interval=self.poll_interval):
                yield

    async def _remembered(self) -> Any:
        if (ti := getattr(self, "task_instance", None)) is None or self.keep_shown is not None:
            return None
        try:
            found = await aget_xcom(ti, SHOWN_KEY)
        except Exception as error:  # noqa: BLE001 - Airflow's own
            self.log.warning("How far the job's log was shown is not known: %s", type(error).__name__)
            return None
        return found if isinstance(found, dict) and found.get("job") == self.job_name else None

    async def _keep(self, shown: dict[str, Any]) -> None:
        assert self.log_wanted is not None
        self.log_wanted = {**self.log_wanted, "shown": shown}
        if self.keep_shown is not None:
            await self.keep_shown(shown)
        elif (ti := getattr(self, "task_instance", None)) is not None:
            try:
                await aset_xcom(ti, SHOWN_KEY, shown)
            except Exception as error:  # noqa: BLE001 - Airflow's own
                self.log.warning("How far the job's log was shown could not be kept: %s", type(error).__name__)

    def _event_details(self) -> dict[str, Any]:
        return {"shown": self.log_wanted["shown"]} if self.log_wanted else {}

    async def on_kill(self) -> None:
        """Cancel the job, if it is this task's own; Airflow calls this only when a user ends the waiting task."""
        if self.task_run_id is None:
            return
        canceling = asyncio.create_task(self._cancel(self.task_run_id))
        while not canceling.done():
            # Until this returns, Airflow 3.3 cancels the trigger again each second, and this with it.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(canceling)

    async def _cancel(self, task_run_id: str) -> None:
        from ..jobs.submission import cancel_own_job

        async with asyncio.timeout(_KILL_SECONDS), AzureMachineLearningHook(self.conn_id).client() as client:
            await cancel_own_job(client, self.job_name, task_run_id)


@functools.cache
def _listing(*, owned: bool) -> Listing:
    from ..waiting.plan import Listing

    tag = (("tag", TASK_RUN_TAG),) if owned else ()
    return Listing(("jobs",), (("listViewType", "ActiveOnly"), *tag))
