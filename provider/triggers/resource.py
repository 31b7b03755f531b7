"""Waiting for the state of a compute, endpoint or deployment."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .base import AzureMachineLearningTrigger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..resources.base import Resource
    from ..rest.client import WorkspaceClient
    from ..waiting.plan import Question


class AzureMachineLearningResourceTrigger(AzureMachineLearningTrigger):
    """
    Fires when a compute, endpoint or deployment is in a state.

    :param path: where it is below the workspace: ``["computes", "cpu"]``,
        ``["onlineEndpoints", "fraud", "deployments", "blue"]``.
    :param state: ``Succeeded`` (provisioned), ``Deleted``, or an instance's ``Running`` or ``Stopped``.
    :param not_before: do not look before this time, in seconds since the epoch; None: at once.
    """

    def __init__(self, *, path: Sequence[str], state: str, not_before: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.path = list(path)
        self.state = state
        self.not_before = not_before
        self._seen: set[str] = set()

    def _fields(self) -> dict[str, Any]:
        return {**super()._fields(), "path": self.path, "state": self.state, "not_before": self.not_before}

    def question(self) -> Question:
        """Return what is waited for; a list of computes, endpoints or deployments tells their states."""
        from ..waiting.plan import Listing, Question

        return Question(
            Listing(tuple(self.path[:-1])),
            self.path[-1],
            tells=lambda item: item is None or self._resource().may_be(item, self.state),
        )

    async def look(self, client: WorkspaceClient) -> dict[str, Any] | None:
        """Return its facts, or None while it is in another state, or while it is too early."""
        if self.not_before is not None and time.time() < self.not_before:
            return None
        return await self._resource().check(client, self.state, self._seen)

    def _resource(self) -> Resource:
        from ..resources.compute import Compute
        from ..resources.endpoint import Endpoint

        return Compute(self.path[1]) if self.path[0] == "computes" else Endpoint.at(*self.path)
