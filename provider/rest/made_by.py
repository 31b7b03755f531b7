"""What is known of a version by the job that made it: its metrics."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ...datasets.workspace import Kind
from ..errors import AzureMachineLearningError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...datasets.events import AssetVersion
    from .client import WorkspaceClient

log = logging.getLogger(__name__)

# Where AzureML keeps what jobs write, and how a version says that its bytes are a job's.
_OF_JOB = re.compile(r"azureml:/+jobs/([^/]+)/|.*/ExperimentRun/dcid\.([^/]+)/", re.IGNORECASE)


def maker_of(version: AssetVersion) -> str | None:
    """Return the name of the job that made a version, where the service says it, or the version's path."""
    if version.job_name or version.kind == Kind.EXPERIMENT:
        return version.job_name
    match = _OF_JOB.match(version.path)
    return (match[1] or match[2]) if match else None


async def with_metrics(
    client: WorkspaceClient,
    versions: Iterable[AssetVersion],
    known: dict[str, dict[str, float | None]],
    *,
    maker: str | None = None,
) -> list[AssetVersion]:
    """
    Return versions with the metrics of the jobs that made them: one read for each job.

    A version that no known job made has none, and so has one whose job's metrics are refused, which is logged.

    :param known: the metrics of jobs that were read already; what is read is added.
    :param maker: the job that made those that do not say it.
    :raises TransientError: the service could not answer now.
    """
    found = []
    for version in versions:
        if (job := maker_of(version) or maker) is None:
            found.append(version)
            continue
        if job not in known:
            known[job] = await _metrics(client, job)
        found.append(replace(version, metrics=known[job]))
    return found


async def _metrics(client: WorkspaceClient, job: str) -> dict[str, float | None]:
    try:
        return await client.history.read_metrics(job)
    except TransientError:
        raise
    except AzureMachineLearningError as error:
        log.warning("MLflow gave no metrics of job %s: %s", job, error)
        return {}
