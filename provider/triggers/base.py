"""Base of all triggers that wait: one client for all in the triggerer, errors as events."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from .. import errors
from ..hook import AzureMachineLearningHook
from ..waiting.sightings import FIRST_PAUSE, Sightings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from ..rest.client import WorkspaceClient
    from ..waiting.plan import Listing, Plan

_T = TypeVar("_T")
log = logging.getLogger(__name__)

# Airflow fails a task whose trigger fires before it has noticed that the worker let go of it, up to 5 s later
# (apache/airflow#67287).
_SETTLED = 6.0


class AzureMachineLearningTrigger(BaseTrigger):
    """
    Checks until there is something to report, then fires once.

    Its fields are stored as plain text in Airflow's database: the connection's id and names, never a secret. A service
    that is busy or out of reach is waited out; any other error becomes the event.

    :param conn_id: an Airflow connection of type ``azure_machine_learning``.
    :param poll_interval: seconds between two checks.
    :param deadline: when to give up, in seconds since the epoch; None: never. It is absolute, so that a triggerer that
        starts anew does not start the clock anew.
    """

    def __init__(self, *, conn_id: str, poll_interval: float, deadline: float | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._sightings = Sightings("")
        self.conn_id = conn_id
        self.poll_interval = poll_interval
        self.deadline = deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and fields, for Airflow's database."""
        cls = type(self)
        return f"{cls.__module__}.{cls.__qualname__}", self._fields()

    def _fields(self) -> dict[str, Any]:
        return {"conn_id": self.conn_id, "poll_interval": self.poll_interval, "deadline": self.deadline}

    @property
    def hook(self) -> AzureMachineLearningHook:
        """The hook for what is looked at."""
        return AzureMachineLearningHook(self.conn_id)

    @property
    @abstractmethod
    def what(self) -> str:
        """What is waited for, for the log: ``job 'x' to complete``."""

    @property
    @abstractmethod
    def seen(self) -> str:
        """What :meth:`check` saw last, for the log."""

    def seen_in(self, item: dict[str, Any] | None) -> str:  # noqa: ARG002
        """Return what an item of a list says of it, for the log."""
        return self.seen

    @abstractmethod
    def listing_and_name(self) -> tuple[Listing, str]:
        """Return the list that may show what is waited for, and its name there."""

    @abstractmethod
    def calls_for_check(self, item: dict[str, Any] | None) -> bool:
        """
        Return whether an item of that list is a reason to check now.

        :param item: about this name, or None when the whole list does not mention it. Where a list can say less than a
            check would, it is one.
        """

    @abstractmethod
    async def check(self, client: WorkspaceClient) -> Any:
        """Return what to report, as JSON, or None if there is nothing yet."""

    async def wait(self, client: WorkspaceClient) -> Any:
        """
        Check from the worker until there is something to report, and return it.

        :raises WaitTimeoutError: the deadline came first.
        :raises AzureMachineLearningError: what :meth:`check` raises, except TransientError.
        """
        self._begin()
        async with self._beside(client) or contextlib.nullcontext(), self._in_time():
            return await poll(lambda: self._check_and_log(client), interval=self.poll_interval)

    async def _check_and_log(self, client: WorkspaceClient) -> Any:
        found = await self.check_once(client)
        if found is None:
            self.remind()
        return found

    def _wait_with_others(self, plan: Plan) -> Awaitable[Any]:
        """Do the same in the triggerer, in one plan with all who wait in the workspace."""
        self._begin()
        checks = plan.wait(self, interval=self.poll_interval)
        return checks if (beside := self._beside(plan.logs)) is None else _within(beside, checks)

    def _begin(self) -> None:
        log.info("Waiting for %s, checking every %g s.", self.what, self.poll_interval)
        self._sightings = Sightings(self.what, tell_at=time.monotonic() + FIRST_PAUSE)

    def see_listed(self, item: dict[str, Any] | None) -> bool:
        """Take note of what a list shows, and return whether it is a reason to check now."""
        if not (wanted := self.calls_for_check(item)):  # else a check follows
            self._sightings.see(self.seen_in(item))
        return wanted

    async def check_once(self, client: WorkspaceClient) -> Any:
        """
        Check, and take note of it.

        :raises WaitTimeoutError: the deadline came meanwhile.
        """
        try:
            async with self._in_time():
                found = await self.check(client)
        except errors.TransientError:
            self._sightings.see("no answer")
            raise
        self._sightings.see(self.seen)
        return found

    def remind(self) -> float:
        """
        Say in the log, ever more rarely, that it goes on, and return after how many seconds to say so again.

        :raises WaitTimeoutError: the deadline has come.
        """
        if (left := self._seconds_left()) == 0:
            raise errors.WaitTimeoutError(str(self._sightings))
        if self._sightings.is_to_be_told(now := time.monotonic()):
            log.info("%s", self._sightings)
        pause = self._sightings.tell_at - now
        return pause if left is None else min(pause, left)

    def _beside(self, client: WorkspaceClient) -> AbstractAsyncContextManager[None] | None:  # noqa: ARG002
        """Return what else is to be done while it waits; None: nothing."""
        return None

    def _event_details(self) -> dict[str, Any]:
        """Return more members of the event."""
        return {}

    @contextlib.asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._seconds_left()) as limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise  # of a socket, for example
            raise errors.WaitTimeoutError(str(self._sightings)) from None

    def _seconds_left(self) -> float | None:
        return None if self.deadline is None else max(0.0, self.deadline - time.time())

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """
        Fire one event: ``{"status": "success", "found"}``, or ``{"status": "error", "error", "message", "facts"}``,
        whose facts are the error's attributes.
        """  # noqa: D205
        from ..waiting.connections import connection_of
        from ..waiting.plan import plans

        left = self._seconds_left()
        settled = time.monotonic() + min(self.poll_interval, _SETTLED, math.inf if left is None else left)
        try:
            connection = await connection_of(self.hook)
            plan = await plans.join(connection)
            try:
                found = await self._wait_with_others(plan)
            finally:
                await plans.leave(connection)
        except errors.AzureMachineLearningError as error:
            event = {"status": "error", "error": type(error).__name__, "message": str(error), "facts": vars(error)}
        else:
            event = {"status": "success", "found": found}
        event |= self._event_details()
        await asyncio.sleep(max(0.0, settled - time.monotonic()))
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]


async def _within(beside: AbstractAsyncContextManager[None], checks: Awaitable[_T]) -> _T:
    async with beside:
        return await checks


async def poll(check: Callable[[], Awaitable[_T | None]], *, interval: float) -> _T:
    """
    Check until there is something.

    :param check: returns None as long as there is nothing.
    :param interval: seconds between checks; more where the service asks for it, or while it cannot answer (up to 8
        times).
    :raises Exception: what ``check`` raises, except TransientError, which is logged and waited out.
    """
    failures = 0
    while True:
        pause = interval
        try:
            if (found := await check()) is not None:
                return found
            failures = 0
        except errors.TransientError as error:
            failures += 1
            pause = max(interval * 2 ** min(failures - 1, 3), error.retry_after or 0)
            log.warning("%s Trying again in %.0f s.", error, pause)
        await asyncio.sleep(pause)


def found_or_raise(event: dict[str, Any]) -> Any:
    """
    Return what a trigger found.

    :raises AzureMachineLearningError: what the trigger met instead.
    """
    if event["status"] == "success":
        return event["found"]
    kind = getattr(errors, event["error"])
    error: Exception = kind.__new__(kind, event["message"])
    vars(error).update(event.get("facts") or {})
    raise error
