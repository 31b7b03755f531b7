"""Blobs of a datastore to a worker's folder or an object store: whole or not at all, checked, continued by a retry."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from ..errors import AzureMachineLearningError, NotFoundError, SpecError, TransientError
from .flow import BLOCK, Budget, Threads
from .progress import Progress, amount
from .targets import md5_of, refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from logging import Logger
    from pathlib import Path

    from .container import Blob, Container
    from .targets import Target

_WHAT = "Download from"
_LARGE_FILES = 4  # at once


class Download:
    """
    Downloads a blob, or all blobs below a folder.

    Each file is compared with the MD5 that storage keeps of it, and is of one state of the blob (ETag). In a folder,
    nothing is at the destination before all of it is there, and what an earlier, killed download brought, files and
    blocks of large ones, is not asked for again. In an object store, each object is whole, and one that is there, with
    an MD5 that its store tells, is not written again.

    :param container: where from.
    :param path: of the blob or folder in the container.
    :param target: where to.
    :param log: gets the progress.
    """

    def __init__(self, container: Container, path: str, target: Target, *, log: Logger) -> None:
        self._container, self._path, self._target, self._log = container, path.strip("/"), target, log
        self._goes_on = False
        self._budget = Budget()
        self._threads = Threads()
        self._large = asyncio.Semaphore(_LARGE_FILES)

    async def run(self) -> list[str]:
        """
        Download, and return the names of the files below the destination.

        :raises NotFoundError: nothing is there.
        :raises TransientError: storage could not be reached, or a blob changed while it was read.
        """
        with self._container.explaining(_WHAT):
            files = await self._files()
            size = sum(blob.size for blob in files.values())
            self._progress = Progress("Downloading", len(files), size, self._log)
            self._log.info("Downloading %s from %s.", amount(len(files), size), self._path)
            async with self._threads:
                self._threads.at_end(self._target.close)  # a thread may be making what is to be closed
                try:
                    source = f"{self._container} {self._path}"
                    self._goes_on = await self._at_target(self._target.begin, source, files)
                    async with asyncio.TaskGroup() as group:
                        await self._start(group, files)
                    await self._at_target(self._target.publish, list(files))
                finally:
                    self._target.close()
        self._log.info("Downloaded %s", self._progress.summary())
        return list(files)

    async def _files(self) -> dict[str, Blob]:
        """Return what is to be downloaded: name below the destination -> blob."""
        below = f"{self._path}/" if self._path else ""
        files = named_below(below, await self._container.list(below))
        if not files and self._path and (blob := await self._container.find(self._path)):
            files = {PurePosixPath(self._path).name: blob}
        if not files:
            raise NotFoundError(f"There is nothing to download at {self._path!r} of {self._container}.")
        return files

    async def _at_target(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of the target in a thread; what it raises is the destination's, not storage's."""
        try:
            return await self._threads.run(function, *arguments)
        except AzureMachineLearningError:
            raise
        except Exception as error:
            raise refused(str(self._target), error) from error

    async def _start(self, group: asyncio.TaskGroup, files: dict[str, Blob]) -> None:
        for name, blob in files.items():
            if blob.size <= BLOCK:
                await self._budget.take(blob.size)
                group.create_task(self._fetch_small(name, blob))
            else:
                await self._large.acquire()
                group.create_task(self._fetch_large(name, blob))

    async def _fetch_small(self, name: str, blob: Blob) -> None:
        try:
            reused = await self._is_there(name, blob)
            if not reused:
                data = await self._read(blob, 0, blob.size) if blob.size else b""
                await self._at_target(self._keep, name, blob, data)
        finally:
            self._budget.give(blob.size)
        self._progress.count(blob.size, files=1, reused=reused)

    async def _is_there(self, name: str, blob: Blob) -> bool:
        """Return whether an earlier download brought this file."""
        return self._goes_on and await self._at_target(self._target.has, name, blob)

    def _keep(self, name: str, blob: Blob, data: bytes) -> None:
        """In a thread: keep a small file if it is as storage keeps it."""
        _compare(blob, hashlib.md5(data, usedforsecurity=False).digest())
        self._target.write(name, blob, data)

    async def _fetch_large(self, name: str, blob: Blob) -> None:
        try:
            if await self._is_there(name, blob):
                self._progress.count(blob.size, files=1, reused=True)
                return
            parts = await self._at_target(_Parts, self._target.scratch(name), blob)
            await self._fetch_blocks(parts, blob)
            await self._at_target(parts.check)
            await self._at_target(self._target.finish, name, blob)
        finally:
            self._large.release()
        self._progress.count(0, files=1)

    async def _fetch_blocks(self, parts: _Parts, blob: Blob) -> None:
        async with asyncio.TaskGroup() as group:
            for offset in range(0, blob.size, BLOCK):
                size = min(BLOCK, blob.size - offset)
                if offset in parts.there:
                    self._progress.count(size, reused=True)
                    continue
                await self._budget.take(size)
                group.create_task(self._fetch_block(parts, blob, offset, size))

    async def _fetch_block(self, parts: _Parts, blob: Blob, offset: int, size: int) -> None:
        try:
            await self._at_target(parts.write, offset, await self._read(blob, offset, size))
        finally:
            self._budget.give(size)
        self._progress.count(size)

    async def _read(self, blob: Blob, offset: int, size: int) -> bytes:
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

        client = (await self._container.client()).get_blob_client(blob.name)
        try:
            stream = await client.download_blob(
                offset, size, etag=blob.etag, match_condition=MatchConditions.IfNotModified, max_concurrency=1
            )
            data = await stream.readall()
        except ResourceModifiedError:
            raise TransientError(f"{blob.name} changed while it was downloaded.") from None
        except ResourceNotFoundError:
            raise TransientError(f"{blob.name} was deleted while it was downloaded.") from None
        if len(data) != size:
            raise TransientError(f"{blob.name} came cut short.")
        return bytes(data)


def named_below(folder: str, listed: dict[str, Blob]) -> dict[str, Blob]:
    """
    Return blobs by their names below a folder, as a file system takes them: without empty and ``.`` parts.

    Empty blobs that some tools make to stand for folders are left out: ``sub/``, or ``sub`` beside ``sub/file``.

    :param folder: what the names of all of them begin with; empty, or with a slash at its end.
    :raises SpecError: a name would leave the destination, or two would be one.
    """
    paths = {whole: PurePosixPath(whole.removeprefix(folder).lstrip("/")) for whole in listed}
    folders = {parent for path in paths.values() for parent in path.parents}
    found: dict[str, Blob] = {}
    for whole, blob in listed.items():
        path = paths[whole]
        if ".." in path.parts:
            raise SpecError(f"The blob {whole!r} would leave the destination. Nothing was downloaded.")
        is_folder = path in folders or not path.parts
        if not blob.size and (is_folder or whole.endswith("/")):
            continue
        if is_folder:
            raise SpecError(f"The blob {whole!r} is a file and a folder at once. Nothing was downloaded.")
        if (other := found.setdefault(str(path), blob)) is not blob:
            raise SpecError(f"{other.name!r} and {whole!r} would be the same file {path}. Nothing was downloaded.")
    return found


def _compare(blob: Blob, digest: bytes) -> None:
    if blob.md5 not in (None, digest):
        raise TransientError(f"{blob.name} was damaged on the way: its MD5 is not what storage keeps.")


class _Parts:
    """
    A large file that is put together at a scratch path, with a list of the blocks that are there beside it.

    Nothing stays open between two blocks: a download that is ended does not wait for its threads, so there is no
    moment at which it could close a file.

    :param path: the scratch path.
    :param blob: of which state of the blob; blocks of another are forgotten.
    """

    def __init__(self, path: Path, blob: Blob) -> None:
        self._path, self._blob = path, blob
        self._list = path.with_name(f"{path.name}.blocks")
        head = f"{blob.etag} {blob.size} {BLOCK}"
        # What comes after the last line break was cut short.
        lines = self._list.read_text().split("\n")[:-1] if path.exists() and self._list.exists() else []
        self.there = {int(line) for line in lines[1:] if line.isdecimal()} if lines[:1] == [head] else set()
        if not self.there:
            path.write_bytes(b"")
            self._list.write_text(f"{head}\n")

    def write(self, offset: int, data: bytes) -> None:
        """Write a block, and only then its line."""
        with self._path.open("r+b") as file:
            file.seek(offset)
            file.write(data)
        with self._list.open("a") as there:
            there.write(f"{offset}\n")

    def check(self) -> None:
        """See that all together are what storage keeps; what is not is forgotten."""
        self._list.unlink()
        if self._blob.md5 is not None and (digest := md5_of(self._path)) != self._blob.md5:
            self._path.unlink()
            _compare(self._blob, digest)
