"""Base of all sensors: look from the worker, then wait in the triggerer (or on, where the user prefers)."""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowSkipException

from ..provider.arguments import check_owner
from ..provider.connection import DEFAULT_CONN_ID
from ..provider.errors import JobFailedError, TransientError
from ..provider.hook import AzureMachineLearningHook
from ..provider.links import AzureMachineLearningStudioLink
from ..provider.retries import retry_policy
from ..provider.triggers.base import found_or_raise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import BaseOperatorLink, Context

    from ..datasets.workspace import Registry, Workspace
    from ..provider.rest.client import WorkspaceClient
    from ..provider.triggers.base import AzureMachineLearningTrigger


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
        check_owner(type(self), workspace)
        super().__init__(**kwargs)
        if self.retry_policy is None:
            self.retry_policy = retry_policy()
        self.conn_id = conn_id
        self.workspace = workspace
        self.deferrable = (
            conf.getboolean("operators", "default_deferrable", fallback=False) if deferrable is None else deferrable
        )

    @abstractmethod
    async def _look(self, context: Context, client: WorkspaceClient) -> Any:
        """Return what the task waits for, as JSON, or None while it is not there."""

    @abstractmethod
    def _trigger(self, context: Context) -> AzureMachineLearningTrigger:
        """Return the trigger that goes on looking."""

    @abstractmethod
    def _finish(self, context: Context, found: Any) -> Any:
        """Announce what was found, and return the task's XCom."""

    @property
    def hook(self) -> AzureMachineLearningHook:
        """The hook for this task's connection."""
        return AzureMachineLearningHook(self.conn_id, workspace=self.workspace)

    def execute(self, context: Context) -> Any:
        """Look; if it is not there yet, wait. Returns what :meth:`poke` finds."""
        if not self.deferrable:
            return super().execute(context)
        if (found := self._poke(context)) is not None:
            return self._finish(context, found)
        self.defer(
            trigger=self._trigger(context),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout),
        )

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once."""
        found = self._poke(context)
        return PokeReturnValue(found is not None, None if found is None else self._finish(context, found))

    def _poke(self, context: Context) -> Any:
        try:
            return self.hook.ask(lambda client: self._look(context, client))
        except TransientError as error:
            self.log.warning("%s Looking again.", error)
            return None
        except JobFailedError as error:
            raise self._failure(error) from error

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Finish after the trigger fired; asset events are written here, where Airflow takes them."""
        try:
            found = found_or_raise(event)
        except JobFailedError as error:
            raise self._failure(error) from error
        return self._finish(context, found)

    def _failure(self, error: JobFailedError) -> Exception:
        """Return what ends the task: like ExternalTaskSensor, a failure of what is watched is a skip if asked for."""
        if self.soft_fail or self.never_fail:
            self.log.warning("%s", error)  # Airflow replaces the text of a skip after a deferral.
            return AirflowSkipException(str(error))
        return error
