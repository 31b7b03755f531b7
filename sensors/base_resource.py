"""Base of the sensors that wait for the state of a compute, endpoint or deployment."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from ..provider.arguments import check_choice
from ..provider.links import push_studio_url
from ..provider.resources.seen import Seen
from ..provider.triggers.resource import AzureMachineLearningResourceTrigger
from .base import AzureMachineLearningBaseSensor

if TYPE_CHECKING:
    from airflow.sdk import Context

    from ..provider.resources.base import Resource
    from ..provider.rest.client import WorkspaceClient


class ResourceSensor(AzureMachineLearningBaseSensor):
    """
    Waits until a resource is in a state.

    :param state: one of the resource's ``states``.
    """

    states: ClassVar[tuple[str, ...]]

    def __init__(self, *, state: str = "Succeeded", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_choice("state", state, self.states)
        self.state = state
        self._seen = Seen()

    @abstractmethod
    def _resource(self) -> Resource:
        """Return what is waited for."""

    @property
    def _saw(self) -> str:
        return self._seen.last

    async def _check(self, context: Context, client: WorkspaceClient) -> dict[str, Any] | None:
        check_choice("state", self.state, self.states)
        resource = self._resource()
        push_studio_url(context, resource.url(client.connection))
        return await resource.check(client, self.state, self._seen)

    def _trigger(self, context: Context) -> AzureMachineLearningResourceTrigger:  # noqa: ARG002
        return AzureMachineLearningResourceTrigger(
            conn_id=self.conn_id, path=self._resource().path, state=self.state, poll_interval=self.poke_interval
        )

    def _finish(self, context: Context, found: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        return found
