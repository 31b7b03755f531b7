"""The log of a job as a task on a worker shows it, with the task's memory of how far it was shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .log import log_of, show_once, show_rest
from .showing import open_showing

if TYPE_CHECKING:
    from ..rest.client import WorkspaceClient
    from ..task_run import TaskRun

_KEY = "log_shown"


@dataclass(frozen=True, slots=True)
class TaskLog:
    """
    The log of the job that a task waits for.

    :param task_run: for whom; its memory tells a retry how far an earlier try has shown it.
    :param job_name: the job's name.
    :param job_type: ``Command``, ``Pipeline`` ...
    :param all_nodes: whether each node's log is shown, or the first one's.
    """

    task_run: TaskRun
    job_name: str
    job_type: str
    all_nodes: bool

    def for_trigger(self) -> dict[str, Any]:
        """Return what a trigger has to know to show it."""
        shown = self.task_run.remember().get(_KEY)
        return {"type": self.job_type, "all_nodes": self.all_nodes, "shown": shown}

    async def keep(self, shown: dict[str, Any]) -> None:
        """Keep how far it was shown."""
        self.keep_shown(shown)

    def keep_shown(self, shown: dict[str, Any] | None) -> None:
        """Keep how far a trigger has shown it, if it has."""
        if shown:
            self.task_run.remember(**{_KEY: shown})

    async def show_rest(self, client: WorkspaceClient) -> None:
        """Show what is left of it; the job has ended."""
        async with open_showing(client, self.job_name, self.for_trigger(), keep=self.keep) as showing:
            await show_rest(log_of(showing, self.job_name, self.job_type))

    async def show_once(self, client: WorkspaceClient) -> None:
        """Show what there is now."""
        async with open_showing(client, self.job_name, self.for_trigger(), keep=self.keep) as showing:
            await show_once(log_of(showing, self.job_name, self.job_type))
