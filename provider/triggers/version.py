"""Waiting for new versions of a model or data asset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...datasets.workspace import Kind, Registry
from ..hook import AzureMachineLearningHook
from .base import AzureMachineLearningTrigger

if TYPE_CHECKING:
    from ..rest.client import WorkspaceClient
    from ..waiting.plan import Listing

_ABSENT = (None,)


class AzureMachineLearningVersionTrigger(AzureMachineLearningTrigger):
    """
    Fires when there are new versions of one model or data asset.

    :param wanted: which, as :meth:`NewVersions.to_dict` gives it.
    :param registry: the name of the registry that they are in; None: where the connection points to.
    """

    def __init__(self, *, wanted: dict[str, Any], registry: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wanted = wanted
        self.registry = registry
        self._saw = ""
        self._mark: tuple[Any, ...] | None = None  # what the list of all assets said of this one last
        self._known: tuple[Any, ...] | None = None  # what it says as long as there is nothing new

    def _fields(self) -> dict[str, Any]:
        return {**super()._fields(), "wanted": self.wanted, "registry": self.registry}

    @property
    def hook(self) -> AzureMachineLearningHook:
        """The hook for what is waited for."""
        return AzureMachineLearningHook(self.conn_id, workspace=Registry(self.registry) if self.registry else None)

    @property
    def what(self) -> str:
        """What is waited for, for the log."""
        from ..versions.newer import NewVersions

        return str(NewVersions(**self.wanted))

    @property
    def seen(self) -> str:
        """What was there at the last check."""
        return self._saw

    def listing_and_name(self) -> tuple[Listing, str]:
        """Return the list of all models, or of all data assets, which shows each one's latest version."""
        from ..waiting.plan import Listing

        listing = Listing((Kind(self.wanted["kind"]).collection,), (("listViewType", "ActiveOnly"),))
        return listing, self.wanted["name"]

    def calls_for_check(self, item: dict[str, Any] | None) -> bool:
        """Return whether an item of the list is a reason to check: a change since one that agreed with the list."""
        self._mark = _ABSENT if item is None else _mark(item)
        return self._mark != self._known

    async def check(self, client: WorkspaceClient) -> list[dict[str, Any]] | None:
        """Return the new versions, oldest first, or None while there are none."""
        from ..versions.newer import NewVersions, sight

        mark, wanted = self._mark, NewVersions(**self.wanted)
        newest, new = await wanted.examine(client)
        # What the list says is worth something only if it agrees with what there is. New versions without the tags may
        # get them later, which no list shows.
        latest = newest.version if newest else None
        self._known = mark if mark is not None and mark[0] == latest and not new else None
        self._saw = sight(newest, new)
        return [version.to_dict() for version in wanted.matching(new)] or None


def _mark(item: dict[str, Any]) -> tuple[Any, ...]:
    """Return what changes in a list's item about an asset when it gets a version, the latest version first."""
    properties, system = item.get("properties") or {}, item.get("systemData") or {}
    return properties.get("latestVersion"), properties.get("nextVersion"), system.get("lastModifiedAt")
