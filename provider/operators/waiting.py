"""What the operators share that start something which takes a while."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from airflow.sdk.configuration import conf

from ..errors import TransientError
from ..triggers.base import found_or_raise
from .base import AzureMachineLearningBaseOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from airflow.sdk import Context

    from ..connection import WorkspaceConnection
    from ..rest.client import WorkspaceClient
    from ..triggers.base import AzureMachineLearningTrigger

log = logging.getLogger(__name__)


class WaitingOperator(AzureMachineLearningBaseOperator):
    """
    Starts something, and waits for its end in the triggerer or in the worker.

    :param waiting: wait for the end; otherwise the task succeeds as soon as it has started it.
    :param deferrable: wait in the triggerer, without a worker slot. Airflow's ``[operators] default_deferrable`` if
        None.
    :param poll_interval: seconds between two looks.
    :param timeout: how long one try waits, in seconds; None: for ever.
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
        super().__init__(**kwargs)
        self.waiting = waiting
        self.deferrable = (
            conf.getboolean("operators", "default_deferrable", fallback=False) if deferrable is None else deferrable
        )
        self.poll_interval = poll_interval
        self.timeout = timeout

    def _wait(self, trigger: AzureMachineLearningTrigger) -> Any:
        """
        Return what a trigger finds; if that is not there at the first look, defer or go on looking here.

        :raises TaskDeferred: it goes on in ``execute_complete``.
        :raises AzureMachineLearningError: what the trigger met instead; WaitTimeoutError if that is nothing in time.
        """
        connection = self.hook.get_workspace_connection()
        if not self.deferrable:
            return asyncio.run(_look(connection, trigger, until_found=True))
        if (found := asyncio.run(_look(connection, trigger, until_found=False))) is not None:
            return found
        return self.defer(trigger=trigger, method_name="execute_complete")

    def _waiting_fields(self) -> dict[str, Any]:
        """Return the fields that every trigger has."""
        return {
            "conn_id": self.conn_id,
            "poll_interval": self.poll_interval,
            "deadline": None if self.timeout is None else time.time() + self.timeout,
        }

    def _ask(self, question: Callable[[WorkspaceClient], Coroutine[Any, Any, Any]]) -> Any:
        from ..rest.client import WorkspaceClient

        connection = self.hook.get_workspace_connection()

        async def ask() -> Any:
            async with WorkspaceClient(connection) as client:
                return await question(client)

        return asyncio.run(ask())

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Finish after the trigger fired; asset events are written here, where Airflow takes them."""
        return self._finish(context, lambda: found_or_raise(event))

    def _finish(self, context: Context, found: Callable[[], Any]) -> Any:
        """
        Return the task's XCom.

        :param found: returns what the trigger found, or raises what it met.
        """
        raise NotImplementedError


async def _look(connection: WorkspaceConnection, trigger: AzureMachineLearningTrigger, *, until_found: bool) -> Any:
    from ..rest.client import WorkspaceClient

    async with WorkspaceClient(connection, retry=False) as client:
        if until_found:
            return await trigger.wait(client)
        try:
            return await trigger.look(client)
        except TransientError as error:
            log.warning("%s Looking again.", error)
            return None
