"""Base of all triggers that wait: one client for all in the triggerer, errors as events."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from .. import errors
from ..hook import AzureMachineLearningHook
from ..waiting.sightings import FIRST_PAUSE, LONGEST_PAUSE, Sightings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from ..rest.client import WorkspaceClient
    from ..waiting.plan import Question

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
        """The hook for what is waited for."""
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
    def question(self) -> Question:
        """Return what is waited for, and which list may show that it is there."""

    @abstractmethod
    async def check(self, client: WorkspaceClient) -> Any:
        """Return what to report, as JSON, or None if there is nothing yet."""

    async def wait(self, client: WorkspaceClient) -> Any:
        """
        Check from the worker until there is something to report, and return it.

        :raises WaitTimeoutError: the deadline came first.
        :raises AzureMachineLearningError: what :meth:`check` raises, except TransientError.
        """
        seen = Sightings(self.what)
        async with self._beside(client):
            return await self._in_time(poll(self._noting(client, seen), interval=self.poll_interval), seen)

    def _noting(self, client: WorkspaceClient, seen: Sightings) -> Callable[[], Awaitable[Any]]:
        async def check() -> Any:
            try:
                found = await self.check(client)
            except errors.TransientError:
                seen.see("no answer")
                raise
            seen.see(self.seen)
            return found

        return check

    async def _wait_with_others(self) -> Any:
        """Do the same in the triggerer, in one plan with all who wait in the workspace."""
        from ..waiting.plan import plan_of_waits

        connection = await self.hook.aget_workspace_connection()
        async with plan_of_waits(connection) as plan, self._beside(plan.logs):
            seen, question = Sightings(self.what), self.question()

            def calls_for_check(item: dict[str, Any] | None) -> bool:
                if not (wanted := question.calls_for_check(item)):  # else a check follows
                    seen.see(self.seen_in(item))
                return wanted

            checks = plan.wait(
                replace(question, calls_for_check=calls_for_check),
                self._noting(plan.client, seen),
                interval=self.poll_interval,
            )
            return await self._in_time(checks, seen)

    def _beside(self, client: WorkspaceClient) -> AbstractAsyncContextManager[None]:  # noqa: ARG002
        """Do something else while it waits."""
        return contextlib.nullcontext()

    def _event_details(self) -> dict[str, Any]:
        """Return more members of the event."""
        return {}

    async def _in_time(self, checks: Awaitable[_T], seen: Sightings) -> _T:
        log.info("Waiting for %s, checking every %g s.", self.what, self.poll_interval)
        reminder = _Reminder(seen)
        try:
            async with asyncio.timeout(self._seconds_left()):
                return await checks
        except TimeoutError:
            raise errors.WaitTimeoutError(str(seen)) from None
        finally:
            reminder.end()

    def _seconds_left(self) -> float | None:
        return None if self.deadline is None else max(0.0, self.deadline - time.time())

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """
        Fire one event: ``{"status": "success", "found"}``, or ``{"status": "error", "error", "message", "facts"}``,
        whose facts are the error's attributes.
        """  # noqa: D205
        left = self._seconds_left()
        settled = time.monotonic() + min(self.poll_interval, _SETTLED, math.inf if left is None else left)
        try:
            found = await self._wait_with_others()
        except errors.AzureMachineLearningError as error:
            event = {"status": "error", "error": type(error).__name__, "message": str(error), "facts": vars(error)}
        else:
            event = {"status": "success", "found": found}
        event |= self._event_details()
        await asyncio.sleep(max(0.0, settled - time.monotonic()))
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]


class _Reminder:
    """
    Says in the log, ever more rarely, that a wait goes on. A timer, as a triggerer has thousands of waits.

    :param seen: what to say.
    """

    def __init__(self, seen: Sightings) -> None:
        self._seen, self._pause = seen, FIRST_PAUSE
        self._timer = asyncio.get_running_loop().call_later(self._pause, self._remind)

    def _remind(self) -> None:
        log.info("%s", self._seen)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self._timer = asyncio.get_running_loop().call_later(self._pause, self._remind)

    def end(self) -> None:
        """Say no more."""
        self._timer.cancel()


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
