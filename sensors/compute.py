"""Waiting for the state of AzureML computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..provider.errors import SpecError
from ..provider.links import push_studio_url
from ..provider.triggers.compute import AzureMachineLearningComputeTrigger
from .base import AzureMachineLearningBaseSensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from ..provider.client import WorkspaceClient


class AzureMachineLearningComputeSensor(AzureMachineLearningBaseSensor):
    """
    Wait until an AzureML compute is in a state, whoever brings it there.

    ::

        AzureMachineLearningComputeSensor(task_id="up", conn_id="azureml", compute_name="dev-box", state="Running")

    :param compute_name: the compute's name. Templated.
    :param state: ``Succeeded`` (provisioned), ``Running`` or ``Stopped`` (of an instance), or ``Deleted``.
    :param conn_id: an Airflow connection of type ``azure_machine_learning``. Templated.
    :param poke_interval: seconds between two looks, 60 if not given; also when deferred.
    :return: a dict: name, id, type, status (provisioning state), state (of an instance), size, tags, studio_url.
    :raises SpecError: the state is none of these.
    :raises NotFoundError: there is no such compute.
    :raises ProvisioningFailedError: it is in a state that it does not leave by itself.
    :raises AirflowSensorTimeout: it did not come to the state within ``timeout`` seconds.
    """

    template_fields: Sequence[str] = ("compute_name", "state", "conn_id")

    def __init__(self, *, compute_name: str, state: str = "Succeeded", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.compute_name = compute_name
        self.state = state
        self._seen: set[str] = set()

    async def _look(self, context: Context, client: WorkspaceClient) -> dict[str, Any] | None:  # noqa: ARG002
        from ..provider.computes import STATES, check

        if self.state not in STATES:
            raise SpecError(f"state is {self.state!r}; it can be one of {', '.join(STATES)}.")
        return await check(client, self.compute_name, self.state, self._seen)

    def _trigger(self, context: Context) -> AzureMachineLearningComputeTrigger:  # noqa: ARG002
        return AzureMachineLearningComputeTrigger(
            conn_id=self.conn_id, compute_name=self.compute_name, state=self.state, poll_interval=self.poke_interval
        )

    def _finish(self, context: Context, found: dict[str, Any]) -> dict[str, Any]:
        push_studio_url(context, found.get("studio_url", ""))
        return found
