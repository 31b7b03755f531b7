"""Base of all sensors: check from the worker, then wait in the triggerer (or on, where the user prefers)."""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException, AirflowTaskTimeout

from ..provider.arguments import check_conn_id, check_flag, check_owner
from ..provider.connection import DEFAULT_CONN_ID
from ..provider.errors import JobFailedError, TransientError, WaitTimeoutError
from ..provider.hook import AzureMachineLearningHook
from ..provider.links import AzureMachineLearningStudioLink
from ..provider.retries import retry_policy
from ..provider.task_run import TaskRun
from ..provider.triggers.base import found_or_raise
from ..provider.waiting.sightings import Sightings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import BaseOperatorLink, Context

    from ..datasets.workspace import Registry, Workspace
    from ..provider.rest.client import WorkspaceClient
    from ..provider.triggers.base import AzureMachineLearningTrigger


log = logging.getLogger(__name__)

# Seconds by which Airflow's own end of a deferral comes after the trigger's, which knows what it saw.
_BEHIND = 60.0


class AzureMachineLearningBaseSensor(BaseSensorOperator):
    """
    The base of the AzureML sensors.

    ``timeout``, ``soft_fail``, ``never_fail``, ``poke_interval``, ``mode`` and ``retries`` mean what they mean for
    Airflow's own sensors, deferred or not. A service that is busy or out of reach is waited out.

    :param conn_id: an Airflow connection of type ``azure_machine_learning``.
    :param workspace: the identity of the workspace; the task refuses to run when the connection points to another one.
    :param deferrable: wait in the triggerer, without a worker slot. Airflow's ``[operators] default_deferrable`` if
        None.
    """

    template_fields: Sequence[str] = ("conn_id",)
    operator_extra_links: Sequence[BaseOperatorLink] = (AzureMachineLearningStudioLink(),)
    ui_color = "#e6f2fb"

    def __init__(
        self,
        *,
        conn_id: str = DEFAULT_CONN_ID,
        workspace: Workspace | Registry | None = None,
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        check_conn_id(conn_id)
        check_owner(type(self), workspace)
        check_flag("deferrable", deferrable, optional=True)
        super().__init__(**kwargs)
        if self.retry_policy is None:
            self.retry_policy = retry_policy()
        self.conn_id = conn_id
        self.workspace = workspace
        self.deferrable = (
            conf.getboolean("operators", "default_deferrable", fallback=False) if deferrable is None else deferrable
        )
        self._sightings: Sightings | None = None

    @abstractmethod
    async def _check(self, context: Context, client: WorkspaceClient) -> Any:
        """Return what the task waits for, as JSON, or None while it is not there."""

    @abstractmethod
    def _trigger(self, context: Context) -> AzureMachineLearningTrigger:
        """Return the trigger that goes on checking."""

    @property
    @abstractmethod
    def _saw(self) -> str:
        """What the last check saw, for the log."""

    @abstractmethod
    def _finish(self, context: Context, found: Any) -> Any:
        """Announce what was found, and return the task's XCom."""

    @property
    def hook(self) -> AzureMachineLearningHook:
        """The hook for this task's connection."""
        return AzureMachineLearningHook(self.conn_id, workspace=self.workspace)

    def execute(self, context: Context) -> Any:
        """Check; if it is not there yet, wait. Returns what :meth:`poke` finds."""
        if not self.deferrable:
            return self._execute_here(context)
        if (found := self._check_once(context)) is not None:
            return self._finish(context, found)
        trigger = self._trigger(context)
        left = self.timeout
        if self.execution_timeout is not None:
            left = min(left, self._seconds_to_execution_timeout(context))
        trigger.deadline = time.time() + left
        self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=left + _BEHIND))

    def _execute_here(self, context: Context) -> Any:
        try:
            return super().execute(context)
        except (AirflowSensorTimeout, AirflowTaskTimeout) as error:
            raise type(error)(f"{error} {self._sightings or ''}".strip()) from None
        except AirflowSkipException as error:
            if self._sightings is not None and "timed out" in str(error):
                log.warning("%s", self._sightings)
            raise

    def _seconds_to_execution_timeout(self, context: Context) -> float:
        """Return what is left of this try; Airflow itself counts anew in each worker, and not in the triggerer."""
        began = getattr(context["ti"], "start_date", None)
        passed = time.time() - began.timestamp() if began else 0.0
        assert self.execution_timeout is not None
        return max(0.0, self.execution_timeout.total_seconds() - passed)

    def poke(self, context: Context) -> PokeReturnValue:
        """Check once."""
        found = self._check_once(context)
        return PokeReturnValue(found is not None, None if found is None else self._finish(context, found))

    def _check_once(self, context: Context) -> Any:
        saw = None
        try:
            found = self.hook.ask(lambda client: self._check(context, client))
        except TransientError as error:
            self.log.warning("%s Checking again.", error)
            found, saw = None, "no answer"
        except JobFailedError as error:
            raise self._failure(error) from None
        if found is None:
            self._note(context, saw or self._saw)
        return found

    def _note(self, context: Context, saw: str) -> None:
        """Take note of a check that found nothing; say so at first, and then ever more rarely."""
        if self._sightings is None:
            checks = TaskRun(context).remember().get("checks", 0) if self.reschedule else 0
            self._sightings = Sightings(self._trigger(context).what, checks)
        self._sightings.see(saw)
        if self.reschedule:
            TaskRun(context).remember(checks=self._sightings.checks)
        if self._sightings.is_to_be_told(time.monotonic()):
            log.info("%s", self._sightings)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after a deferral; where Airflow ended it ("Trigger timeout"), say what was waited for."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowSensorTimeout as error:
            if next_method == "execute_complete":
                raise
            raise AirflowSensorTimeout(
                f"{str(error).rstrip('.')}. Waiting for {self._trigger(context).what}; no triggerer told what it saw. "
                "Does one run?"
            ) from None

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Finish after the trigger fired; asset events are written here, where Airflow takes them."""
        try:
            found = found_or_raise(event)
        except JobFailedError as error:
            raise self._failure(error) from None
        except WaitTimeoutError as error:
            by_execution = self.execution_timeout is not None and self._seconds_to_execution_timeout(context) == 0
            name = "execution_timeout" if by_execution else f"timeout of {self.timeout:g} s"
            text = f"Sensor has timed out ({name}). {error}"
            if self.soft_fail or self.never_fail:
                log.warning("%s", text)  # Airflow replaces the text of a skip after a deferral.
            raise (AirflowTaskTimeout if by_execution else AirflowSensorTimeout)(text) from None
        return self._finish(context, found)

    def _failure(self, error: JobFailedError) -> Exception:
        """Return what ends the task: like ExternalTaskSensor, a failure of what is watched is a skip if asked for."""
        if self.soft_fail or self.never_fail:
            self.log.warning("%s", error)  # Airflow replaces the text of a skip after a deferral.
            return AirflowSkipException(str(error))
        return error
