"""Watching for versions of a model or data asset."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .watch import AzureMachineLearningWatchTrigger

if TYPE_CHECKING:
    from ...datasets.events import AssetVersion
    from ..watching.poll import Snapshot


class AzureMachineLearningVersionWatchTrigger(AzureMachineLearningWatchTrigger):
    """Tells of each version of a model or data asset once, when it first matches."""

    # An asset's fingerprint says when it gets a version, not when one is restored from the archive.
    _RELIST = 3600.0

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        self._listed = time.monotonic()

    def _nothing(self) -> dict[str, Any]:
        from ..watching.cursors import VersionCursor

        return {**VersionCursor().to_json(), "mark": None}

    async def _news(
        self, snapshot: Snapshot, state: dict[str, Any], *, first: bool
    ) -> tuple[list[AssetVersion], dict[str, Any]]:
        from ..watching.cursors import VersionCursor

        mark = snapshot.fingerprints.get(self.name)
        is_due = time.monotonic() - self._listed > self._RELIST
        # Tags leave no mark, so a watcher with tags looks at the versions each time.
        if not first and mark == state["mark"] and not is_due and not (self.tags and mark):
            return [], state
        there = await snapshot.versions(self.name) if mark else []
        self._listed = time.monotonic()
        new, cursor = VersionCursor.from_json(state).news(there, self.tags)
        for version in there:
            if version.version not in cursor.seen:
                self._hold_back(version)
        return new, {**cursor.to_json(), "mark": mark}
