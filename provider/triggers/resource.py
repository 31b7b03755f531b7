"""Waiting for the state of a compute, endpoint, deployment or schedule."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..resources.seen import Seen
from .base import AzureMachineLearningTrigger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..resources.base import Resource
    from ..rest.client import WorkspaceClient
    from ..waiting.plan import Listing


class AzureMachineLearningResourceTrigger(AzureMachineLearningTrigger):
    """
    Fires when a compute, endpoint, deployment or schedule is in a state.

    :param path: where it is below the workspace: ``["computes", "cpu"]``,
        ``["onlineEndpoints", "fraud", "deployments", "blue"]``.
    :param state: ``Succeeded`` (provisioned), ``Deleted``, or an instance's ``Running`` or ``Stopped``.
    :param not_before: do not check before this time, in seconds since the epoch; None: at once.
    :param operation: URL of the operation that is to bring it there; None: look at the resource alone. It works for
        whoever may act in the workspace, and for nobody else.
    """

    def __init__(
        self,
        *,
        path: Sequence[str],
        state: str,
        not_before: float | None = None,
        operation: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = list(path)
        self.state = state
        self.not_before = not_before
        self.operation = operation
        self._seen = Seen()

    def _fields(self) -> dict[str, Any]:
        own = {"path": self.path, "state": self.state, "not_before": self.not_before, "operation": self.operation}
        return {**super()._fields(), **own}

    @property
    def what(self) -> str:
        """What is waited for, for the log."""
        return f"{self._resource()} to be {self.state}"

    @property
    def seen(self) -> str:
        """Its state at the last check."""
        return self._seen.last

    def seen_in(self, item: dict[str, Any] | None) -> str:
        """Return its state as a list shows it."""
        return ", ".join(self._resource().standing(item)) if item else self.seen

    def listing_and_name(self) -> tuple[Listing, str]:
        """Return the list of computes, endpoints, deployments or schedules, which shows their states."""
        from ..waiting.plan import Listing

        return Listing(tuple(self.path[:-1]), self._resource().list_params), self.path[-1]

    def calls_for_check(self, item: dict[str, Any] | None) -> bool:
        """Return whether an item of the list is a reason to check: the wanted state, a failure, or that it is gone."""
        return item is None or self._resource().may_be(item, self.state)

    async def check(self, client: WorkspaceClient) -> dict[str, Any] | None:
        """Return its facts, or None while it is in another state, or while it is too early."""
        if self.not_before is not None and time.time() < self.not_before:
            return None
        return await self._resource().check(client, self.state, self._seen, operation=self.operation)

    def _resource(self) -> Resource:
        from ..resources.nouns import resource_at

        return resource_at(self.path)
