"""Waiting for the provisioning state of an endpoint or deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import AzureMachineLearningTrigger

if TYPE_CHECKING:
    from ..client import WorkspaceClient


class AzureMachineLearningEndpointTrigger(AzureMachineLearningTrigger):
    """
    Fires when an endpoint, or a deployment, is in a state.

    :param endpoint_name: the endpoint's name.
    :param endpoint_type: ``online`` or ``batch``.
    :param deployment_name: the deployment's name; None for the endpoint itself.
    :param state: ``Succeeded`` or ``Deleted``.
    """

    def __init__(
        self, *, endpoint_name: str, endpoint_type: str, deployment_name: str | None, state: str, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.endpoint_name = endpoint_name
        self.endpoint_type = endpoint_type
        self.deployment_name = deployment_name
        self.state = state
        self._seen: set[str] = set()

    def _fields(self) -> dict[str, Any]:
        return {**super()._fields(), **self._which(), "state": self.state}

    def _which(self) -> dict[str, Any]:
        return {
            "endpoint_name": self.endpoint_name,
            "endpoint_type": self.endpoint_type,
            "deployment_name": self.deployment_name,
        }

    async def look(self, client: WorkspaceClient) -> dict[str, Any] | None:
        """Return its facts, or None while it is in another state."""
        from ..endpoints import Endpoint

        return await Endpoint(**self._which()).check(client, self.state, self._seen)
