"""Base of operators that start something long and wait for its end."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from airflow.sdk.configuration import conf

from ..arguments import check_flag, check_seconds
from ..errors import TransientError
from ..triggers.base import found_or_raise
from .base import AzureMachineLearningBaseOperator

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Context

    from ..triggers.base import AzureMachineLearningTrigger

log = logging.getLogger(__name__)


class WaitingOperator(AzureMachineLearningBaseOperator):
    """
    Starts something, and waits for its end in the triggerer or in the worker.

    Airflow's own ``execution_timeout`` holds for a whole try, deferred or not: Airflow itself counts it anew in each
    worker and not at all in the triggerer, so here it is part of the deadline that the trigger keeps.

    :param waiting: wait for the end; otherwise the task succeeds as soon as it has started it.
    :param deferrable: wait in the triggerer, without a worker slot. Airflow's ``[operators] default_deferrable`` if
        None.
    :param poll_interval: seconds between two checks.
    :param timeout: how many seconds one try waits at most; None: for ever, or until ``execution_timeout``.
    :raises SpecError: (in the DAG file) an argument is none of what it can be.
    :raises WaitTimeoutError: the end did not come within ``timeout`` or ``execution_timeout``.
    """

    def __init__(
        self,
        *,
        waiting: bool = True,
        deferrable: bool | None = None,
        poll_interval: float = 30.0,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        check_flag("waiting", waiting)
        check_flag("deferrable", deferrable, optional=True)
        super().__init__(**kwargs)
        self.waiting = waiting
        self.deferrable = (
            conf.getboolean("operators", "default_deferrable", fallback=False) if deferrable is None else deferrable
        )
        check_seconds("poll_interval", poll_interval)
        check_seconds("timeout", timeout, optional=True)
        self.poll_interval = poll_interval
        self.timeout = timeout

    def _wait(self, trigger: AzureMachineLearningTrigger) -> Any:
        """
        Return what a trigger finds; if that is not there at the first check, defer or go on checking here.

        :raises TaskDeferred: it goes on in ``execute_complete``.
        :raises AzureMachineLearningError: what the trigger met instead; WaitTimeoutError if that is nothing in time.
        """
        if not self.deferrable:
            return self.hook.ask(trigger.wait, retry=False)
        try:
            found = self.hook.ask(trigger.check, retry=False)
        except TransientError as error:
            log.warning("%s Checking again.", error)
            found = None
        return found if found is not None else self.defer(trigger=trigger, method_name="execute_complete")

    def _waiting_fields(self, context: Context) -> dict[str, Any]:
        """Return the fields that every trigger has."""
        return {"conn_id": self.conn_id, "poll_interval": self.poll_interval, "deadline": self._deadline(context)}

    def _deadline(self, context: Context, *, after: float = 0.0) -> float | None:
        """
        Return when this try is to end, in seconds since the epoch; None: never.

        ``timeout`` counts from now. ``execution_timeout`` counts from the begin of the try, which Airflow keeps over
        deferrals.

        :param after: seconds from now to the begin of what ``timeout`` is for.
        """
        ends = [] if self.timeout is None else [time.time() + after + self.timeout]
        if self.execution_timeout is not None:
            began = getattr(context["ti"], "start_date", None)
            ends.append((began.timestamp() if began else time.time()) + self.execution_timeout.total_seconds())
        return min(ends, default=None)

    @property
    def _patience(self) -> str:
        """How long a try waits, for messages."""
        limits = [] if self.timeout is None else [(self.timeout, "timeout")]
        if self.execution_timeout is not None:
            limits.append((self.execution_timeout.total_seconds(), "execution_timeout"))
        seconds, name = min(limits)
        return f"{seconds:g} s ({name})"

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Finish after the trigger fired; asset events are written here, where Airflow takes them."""
        return self._finish(context, lambda: found_or_raise(event))

    def _finish(self, context: Context, found: Callable[[], Any]) -> Any:
        """
        Return the task's XCom.

        :param found: returns what the trigger found, or raises what it met.
        """
        raise NotImplementedError
