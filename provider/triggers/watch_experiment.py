"""Watching for jobs of an experiment that end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .watch import AzureMachineLearningWatchTrigger

if TYPE_CHECKING:
    from ..watching.memory import Memory
    from ..watching.watcher import Watcher


class AzureMachineLearningExperimentWatchTrigger(AzureMachineLearningWatchTrigger):
    """
    Announces each job of an experiment once, when it has reached one of the final states that are asked for.

    :param statuses: the final states, e.g. ``["Completed"]``.
    """

    def __init__(self, *, statuses: list[str], **fields: Any) -> None:
        super().__init__(**fields)
        self.fields["statuses"] = sorted(statuses)

    def _watcher(self, memory: Memory) -> Watcher:
        from ..watching.job_watcher import JobWatcher

        return JobWatcher(self.fields, memory, **self._options())
