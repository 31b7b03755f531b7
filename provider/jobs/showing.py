"""Where the log of a job goes: into the task's log; and how far it was shown there."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..links import job_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from ..rest.blob_reader import BlobReader
    from ..rest.client import WorkspaceClient


log = logging.getLogger(__name__)

MOST_BYTES = 4 * 1024 * 1024
"""How much of a job's log is shown; the rest is in studio."""

_LINES_AT_ONCE = 200  # so that the event loop has time for others in between


@dataclass(slots=True)
class Shown:
    """
    How far a job's log was shown.

    :param job: the job's name.
    :param files: name of the file, of a step's with the step's run before it -> how many bytes of it were shown, and a
        checksum of the last of them.
    :param size: bytes in all.
    :param full: whether that was all that is shown.
    """

    job: str
    files: dict[str, list[Any]] = field(default_factory=dict)
    size: int = 0
    full: bool = False

    @classmethod
    def from_dict(cls, job: str, value: Any) -> Shown:
        """Return what :meth:`to_dict` wrote, or that nothing was shown if it was written of another job."""
        if not isinstance(value, dict) or value.get("job") != job:
            return cls(job)
        known = {name: value[name] for name in ("files", "size", "full") if name in value}
        return cls(job, **known)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"job": self.job, "files": self.files, "size": self.size, "full": self.full}


@dataclass(slots=True)
class Showing:
    """
    What all logs of one wait have in common.

    :param client: the workspace.
    :param blobs: reads the files.
    :param shown: how far they were shown.
    :param keep: keeps that, each time that it has changed.
    :param link: where the rest of a log is that is longer than what is shown.
    :param all_nodes: whether each node's log is shown, or the first one's.
    :param reader: on whose behalf the files are read (``rest/read_budget.py``).
    """

    client: WorkspaceClient
    blobs: BlobReader
    shown: Shown
    keep: Callable[[dict[str, Any]], Awaitable[None]]
    link: str
    all_nodes: bool = False
    reader: str = ""

    async def show(self, lines: list[str], key: str, place: list[Any], size: int) -> None:
        """
        Write lines to the task's log, and keep that they were.

        Whatever happens in between, nothing is lost; only if the process dies just there, these lines come twice.
        """
        for number, line in enumerate(lines):
            if number % _LINES_AT_ONCE == _LINES_AT_ONCE - 1:
                await asyncio.sleep(0)
            log.info("%s", line)
        self.shown.files[key] = place
        self.shown.size += size
        if self.shown.size >= MOST_BYTES:
            self.shown.full = True
            log.warning("No more of the log is shown here: %d bytes were. The rest: %s", self.shown.size, self.link)
        # A task that is being ended still keeps what it has shown.
        await asyncio.shield(asyncio.ensure_future(self.keep(self.shown.to_dict())))


@asynccontextmanager
async def open_showing(
    client: WorkspaceClient,
    job_name: str,
    wanted: dict[str, Any],
    *,
    keep: Callable[[dict[str, Any]], Awaitable[None]],
) -> AsyncIterator[Showing]:
    """
    Give what the logs of a job need to be shown.

    :param wanted: ``{"all_nodes", "shown"}``.
    :param keep: keeps how far it was shown.
    """
    from ..rest.blob_reader import shared_blob_reader

    async with shared_blob_reader(client.connection) as blobs:
        yield Showing(
            client,
            blobs,
            Shown.from_dict(job_name, wanted["shown"]),
            keep,
            job_url(client.connection, job_name),
            all_nodes=wanted["all_nodes"],
            reader=f"logs {client.connection.owner.label}",
        )
