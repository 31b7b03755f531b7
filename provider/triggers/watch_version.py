"""Watching for versions of a model or data asset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .watch import AzureMachineLearningWatchTrigger

if TYPE_CHECKING:
    from ..watching.memory import Memory
    from ..watching.watcher import Watcher


class AzureMachineLearningVersionWatchTrigger(AzureMachineLearningWatchTrigger):
    """Announces each version of a model or data asset once, when it first matches."""

    def _watcher(self, memory: Memory) -> Watcher:
        from ..watching.version_watcher import VersionWatcher

        return VersionWatcher(self.fields, memory, **self._options())
