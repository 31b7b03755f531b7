"""Watching for jobs of an experiment that end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...datasets.events import parse_time
from .watch import AzureMachineLearningWatchTrigger

if TYPE_CHECKING:
    from ...datasets.events import AssetVersion
    from ..rest.bodies import Job
    from ..watching.cursors import JobCursor
    from ..watching.poll import Snapshot


class AzureMachineLearningExperimentWatchTrigger(AzureMachineLearningWatchTrigger):
    """
    Tells of each job of an experiment once, when it has reached one of the final states that are asked for.

    :param statuses: the final states, e.g. ``["Completed"]``.
    """

    def __init__(self, *, statuses: list[str], **fields: Any) -> None:
        super().__init__(**fields)
        self.fields["statuses"] = self.statuses = sorted(statuses)

    def _nothing(self) -> dict[str, Any]:
        from ..watching.cursors import JobCursor

        return JobCursor().to_json()

    async def _news(
        self,
        snapshot: Snapshot,
        state: dict[str, Any],
        *,
        first: bool,  # noqa: ARG002
    ) -> tuple[list[AssetVersion], dict[str, Any]]:
        from ..watching.cursors import JobCursor

        cursor = JobCursor.from_json(state)
        ended, after = cursor.news(*await self._jobs(snapshot, cursor))
        told = [job for job in ended if job.status in self.statuses and self.tags.items() <= job.tags.items()]
        versions = sorted((job.as_version() for job in told), key=lambda version: version.order)
        return versions, after.to_json()

    async def _jobs(self, snapshot: Snapshot, cursor: JobCursor) -> tuple[list[Job], str]:
        """Return the experiment's jobs that are not past, the open ones that still exist, and the newest job's time."""
        found: dict[str, Job] = {}
        last = newest = ""
        in_order = True
        async for job in snapshot.jobs():
            # Newest first is how the list was seen, not how it is documented: stop early only as long as it is so.
            in_order = in_order and (not last or parse_time(job.created_at) <= parse_time(last))
            last = job.created_at
            newest = max(newest, last, key=parse_time)
            if in_order and cursor.is_past(job.created_at):
                break
            if job.experiment_name == self.name and (job.name in cursor.open or not cursor.is_past(job.created_at)):
                found[job.name] = job
        for name in cursor.open - found.keys():
            if (known := await snapshot.job(name)) is not None:
                found[name] = known
        return list(found.values()), newest
