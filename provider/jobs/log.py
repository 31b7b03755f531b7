"""
The log of a job in the log of the task that waits for it, while the job writes it.

One request at a time: either run history is asked which files there are, or one file is read on from where it was shown
to. A line is shown once it is whole. How far each file was shown is kept by the caller, so that another process goes on
from there.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import deque
from contextlib import asynccontextmanager, suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import AzureMachineLearningError, NotFoundError, TransientError
from ..rest.log_names import own_logs
from ..rest.states import job_outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .showing import Showing

log = logging.getLogger(__name__)

_PART = 256 * 1024  # bytes in one read
_OVERLAP = 32  # bytes before it that are read again: are they others, the file was replaced
_READS_PER_LOOK = 9
_REFUSALS = 3  # on end, each with a new address
_PAUSES = (0.2, 0.5, 1.0, 2.0)  # seconds, once the job has ended, between tries of a read
_REST_SECONDS = 120.0  # for what is still to be shown then
_STOP_SECONDS = 5.0  # for a request that is on its way when the job has ended
_WAITING = ("NotStarted", "Queued", "Scheduled", "")


class Log(Protocol):
    """The log of a job or of a pipeline."""

    done: bool

    @property
    def files(self) -> int:
        """How many steps lead through all files once."""

    async def step(self) -> None:
        """Show more of it, for one request a job."""

    def end(self) -> None:
        """Take note that the job has ended: what is there after one more read is all that there will be."""


class JobLog:
    """
    The log of one job.

    :param showing: where it goes.
    :param name: the job's name, or the run of a pipeline's step.
    :param label: of a step, its name: it is put before each line.
    """

    def __init__(self, showing: Showing, name: str, label: str = "") -> None:
        self._showing = showing
        self._name = name
        self._label = label
        self._urls: dict[str, str] = {}
        self._turns: deque[str] = deque()
        self._refused = self._missed = 0
        self._ended = False
        self.done = False

    @property
    def files(self) -> int:
        """How many there are."""
        return len(self._urls)

    def end(self) -> None:
        """Read what is there after one more read, and no more."""
        if not self._ended:
            self._ended = True
            self._turns.clear()

    async def step(self) -> None:
        """
        Ask run history for the files, or read on in one.

        :raises TransientError: the service could not answer now.
        """
        if self.done or self._showing.shown.full:
            self.done = True
            return
        try:
            if self._turns:
                await self._read_next()
                self._refused = self._missed = 0
            else:
                await self._read_new()
        except TransientError:
            raise
        except NotFoundError as error:  # run history or storage does not have it yet
            if self._ended:
                self._miss(error)
        except AzureMachineLearningError as error:
            # The signature of an address runs out; the next step asks for another.
            self._turns.clear()
            self._refused += 1
            if self._refused >= _REFUSALS:
                self.done = True
                log.warning("The log is not shown here: %s It is at %s", error, self._showing.link)

    async def _read_new(self) -> None:
        files = await self._showing.client.history.log_files(self._name)
        names = own_logs(files, all_nodes=self._showing.all_nodes)
        # What was begun is read to its end, also if another name is the better one meanwhile.
        self._urls = {name: url for name, url in files.items() if name in names or name in self._urls}
        names = sorted(self._urls)
        if self._ended:
            self._turns.extend(names)
            self.done = not names
        else:
            self._turns.extend(names * max(1, _READS_PER_LOOK // max(1, len(names))))

    async def _read_next(self) -> None:
        name = self._turns[0]
        more = await self._read(name)
        if self._ended:
            if not more:
                self._turns.popleft()
            self.done = not self._turns
        elif self._turns:
            self._turns.popleft()

    def _miss(self, error: NotFoundError) -> None:
        """Give up after a while what is not there though the job has ended."""
        self._missed += 1
        if self._missed <= len(_PAUSES):
            raise TransientError(f"{error} It may come yet.")
        log.warning("The end of the log may be missing here: %s", error)
        self._missed = 0
        if self._turns:
            self._turns.popleft()
        self.done = not self._turns

    async def _read(self, name: str) -> bool:
        """Read on in a file and show its new lines; return whether there is more."""
        showing = self._showing
        key = f"{self._label and self._name + ':'}{name}"
        offset, checksum = showing.shown.files.get(key) or (0, "")
        overlap = min(_OVERLAP, offset)
        part = await showing.blobs.read(
            self._urls[name], start=offset - overlap, length=overlap + _PART, reader=showing.reader
        )
        before, new = part.data[:overlap], part.data[overlap:]
        if overlap and (len(before) < overlap or _checksum(before) != checksum):
            log.warning("%sThe log %s was replaced; it is shown from its beginning.", self._prefix(name), name)
            await showing.show([], key, [0, ""], 0)
            return True
        whole = _whole(new, at_end=self._ended and len(new) < _PART, full=len(new) == _PART)
        if not whole:
            return False
        place = [offset + len(whole), _checksum((before + whole)[-_OVERLAP:])]
        header = [f"{self._prefix(name)}{name} of job {self._name}:"] if not offset else []
        lines = [f"{self._prefix(name)}{line}" for line in _lines(whole)]
        await showing.show([*header, *lines], key, place, len(whole))
        return len(new) == _PART and not showing.shown.full

    def _prefix(self, name: str) -> str:
        node = PurePosixPath(name).stem if self._showing.all_nodes else ""
        label = " ".join(filter(None, (self._label, node)))
        return f"[{label}] " if label else ""


class PipelineLog:
    """
    The logs of a pipeline: its own, and those of its steps as they begin.

    :param showing: where they go.
    :param name: the pipeline's name, or its run.
    :param label: of a pipeline in a pipeline, its name.
    """

    def __init__(self, showing: Showing, name: str, label: str = "") -> None:
        self._showing = showing
        self._name = name
        self._label = label
        self._own = JobLog(showing, name, label)
        self._parts: dict[str, Log] = {}
        self._asks = False
        self._ended = False
        self._complete = False  # the steps were listed after the end
        self.done = False

    @property
    def files(self) -> int:
        """How many steps lead through all files once: every other one is the pipeline's own."""
        return 2 * (1 + max(part.files for part in (self._own, *self._parts.values())))

    def end(self) -> None:
        """Read what is there after one more read, and no more."""
        self._ended = True
        self._own.end()

    async def step(self) -> None:
        """
        Ask for the steps, or read on in the pipeline's own log; and show more of each step that has begun.

        :raises TransientError: the service could not answer now.
        """
        if self._showing.shown.full:
            self.done = True
            return
        self._asks = not self._asks
        if (self._asks and not self._complete) or self._own.done:
            await self._list()
        else:
            await self._own.step()
        busy: TransientError | None = None
        for part in self._parts.values():
            try:
                await part.step()
            except TransientError as error:
                busy = error
        self.done = self._complete and self._own.done and all(part.done for part in self._parts.values())
        if busy is not None:
            raise busy

    async def _list(self) -> None:
        if self._complete:
            return
        for run in await self._showing.client.history.parts(self._name):
            name, status = str(run["runId"]), str(run.get("status") or "")
            if status in _WAITING:
                continue
            if name not in self._parts:
                self._parts[name] = self._begin(run, name)
            if self._ended or job_outcome(status).is_end:
                self._parts[name].end()
        self._complete = self._ended

    def _begin(self, run: dict[str, Any], name: str) -> Log:
        label = "/".join(filter(None, (self._label, run.get("displayName") or name)))
        if "pipeline" in str(run.get("runType") or "").lower():
            return PipelineLog(self._showing, name, label)
        step = JobLog(self._showing, name, label)
        if str((run.get("properties") or {}).get("azureml.isreused")).lower() == "true":
            # Source: recorded_shapes: its files are the original's.
            step.done = True
            if name not in self._showing.shown.files:
                self._showing.shown.files[name] = [0, ""]
                log.info("[%s] An earlier run's result is used; there is no new log.", label)
        return step


def log_of(showing: Showing, name: str, job_type: str) -> Log:
    """Return the log of a job of this type, to be shown step by step."""
    return PipelineLog(showing, name) if job_type == "Pipeline" else JobLog(showing, name)


@asynccontextmanager
async def show_meanwhile(found: Log, *, interval: float) -> AsyncIterator[None]:
    """Show a log as it grows, beside something else that is waited for."""
    stop = asyncio.Event()
    growing = asyncio.create_task(show_while_it_grows(found, interval=interval, stop=stop))
    try:
        yield
    finally:
        # A request that is on its way comes to its end: cut off in its handshake, it would leave a socket open.
        stop.set()
        try:
            await asyncio.wait([growing], timeout=_STOP_SECONDS)
        finally:
            growing.cancel()


async def show_while_it_grows(found: Log, *, interval: float, stop: asyncio.Event) -> None:
    """Show a log until it is to stop: at most one request a job in each interval."""
    failures = 0
    while not found.done:
        await _pause(stop, interval * min(2**failures, 8))
        if stop.is_set():
            return
        try:
            await found.step()
            failures = 0
        except TransientError as error:
            failures += 1
            log.debug("The log is read on later. %s", error)
        except Exception as error:  # noqa: BLE001 - the job is waited for, with or without its log
            log.warning("The log is not shown any more: %s", type(error).__name__)
            return


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


async def show_once(found: Log) -> None:
    """Show what there is at the moment: for a caller that checks now and then, and keeps nothing in between."""
    try:
        async with asyncio.timeout(_REST_SECONDS):
            steps = 0
            while steps <= found.files and not found.done:
                await found.step()
                steps += 1
    except Exception as error:  # noqa: BLE001 - the job is waited for, with or without its log
        log.debug("The log is read on later. %s", error)


async def show_rest(found: Log) -> None:
    """Show what there is to the end of a log whose job has ended. It never raises."""
    found.end()
    pauses, until = iter(_PAUSES), time.monotonic() + _REST_SECONDS
    try:
        while not found.done and time.monotonic() < until:
            try:
                await found.step()
                pauses = iter(_PAUSES)
            except TransientError as error:
                if (pause := next(pauses, None)) is None:
                    log.warning("The end of the log may be missing here: %s", error)
                    return
                await asyncio.sleep(pause)
    except Exception as error:  # noqa: BLE001 - the job's end must be told, with or without its log
        log.warning("The end of the log may be missing here: %s", type(error).__name__)


def _whole(data: bytes, *, at_end: bool, full: bool) -> bytes:
    """Return what can be shown of new bytes: whole lines; what is longer than a read, or the end, as it is."""
    if at_end:
        return data
    if end := data.rfind(b"\n") + 1:
        return data[:end]
    return data[: _character_end(data)] if full else b""


def _character_end(data: bytes) -> int:
    """Return where the last whole UTF-8 character ends."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte < 0x80:
            break
        if byte >= 0xC0:  # a character begins here
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) - back if length > back else len(data)
    return len(data)


def _lines(data: bytes) -> list[str]:
    """Return lines as a terminal would show them: of a progress bar, its last state."""
    text = data.decode(errors="replace").removesuffix("\n")
    return [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]


def _checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]
