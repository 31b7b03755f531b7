"""Waiting for the state of a compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import AzureMachineLearningTrigger

if TYPE_CHECKING:
    from ..client import WorkspaceClient


class AzureMachineLearningComputeTrigger(AzureMachineLearningTrigger):
    """
    Fires when a compute is in a state.

    :param compute_name: the compute's name.
    :param state: ``Succeeded`` (provisioned), ``Running``, ``Stopped`` or ``Deleted``.
    """

    def __init__(self, *, compute_name: str, state: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.compute_name = compute_name
        self.state = state
        self._seen: set[str] = set()

    def _fields(self) -> dict[str, Any]:
        return {**super()._fields(), "compute_name": self.compute_name, "state": self.state}

    async def look(self, client: WorkspaceClient) -> dict[str, Any] | None:
        """Return the compute's facts, or None while it is in another state."""
        from ..computes import check

        return await check(client, self.compute_name, self.state, self._seen)
