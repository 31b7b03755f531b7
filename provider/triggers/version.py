"""Waiting for new versions of a model or data asset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import AzureMachineLearningTrigger

if TYPE_CHECKING:
    from ..rest.client import WorkspaceClient


class AzureMachineLearningVersionTrigger(AzureMachineLearningTrigger):
    """
    Fires when there are new versions of one model or data asset.

    :param wanted: which, as :meth:`NewVersions.to_dict` gives it.
    """

    def __init__(self, *, wanted: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wanted = wanted

    def _fields(self) -> dict[str, Any]:
        return {**super()._fields(), "wanted": self.wanted}

    async def look(self, client: WorkspaceClient) -> list[dict[str, Any]] | None:
        """Return the new versions, oldest first, or None while there are none."""
        from ..versions.newer import NewVersions

        return [version.to_dict() for version in await NewVersions(**self.wanted).look(client)] or None
