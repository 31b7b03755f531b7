"""Blobs of a datastore to a worker's folder or an object store: whole or not at all, checked, continued by a retry."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..arguments import NO_VALUE
from ..errors import NotFoundError, SpecError, TransientError
from .flow import BLOCK, Budget, Threads
from .progress import Progress, amount

if TYPE_CHECKING:
    from collections.abc import Iterator
    from logging import Logger

    from airflow.sdk import ObjectStoragePath

    from .container import Blob, Container

_WHAT = "Download from"
_LARGE_FILES = 4  # at once


class Target(Protocol):
    """Where files go. All methods block, and are called in threads."""

    def has(self, name: str, blob: Blob) -> bool:
        """Return whether an earlier download brought this file, whole."""

    def scratch(self, name: str) -> Path:
        """Return the local path at which a large file is put together."""

    def write(self, name: str, blob: Blob, data: bytes) -> None:
        """Keep a small file."""

    def finish(self, name: str, blob: Blob) -> None:
        """Keep the large file that is whole at its scratch path."""

    def publish(self, names: list[str]) -> None:
        """Show all of it at the destination."""

    def close(self) -> None:
        """Leave nothing on the worker that a later download cannot use."""


class Download:
    """
    Downloads a blob, or all blobs below a folder.

    Each file is compared with the MD5 that storage keeps of it, and is of one state of the blob (ETag). Nothing is at
    the destination before all of it is there. What an earlier, killed download brought, files and blocks of large
    ones, is not asked for again.

    :param container: where from.
    :param path: of the blob or folder in the container.
    :param target: where to.
    :param log: gets the progress.
    """

    def __init__(self, container: Container, path: str, target: Target, *, log: Logger) -> None:
        self._container, self._path, self._target, self._log = container, path.strip("/"), target, log
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
                try:
                    async with asyncio.TaskGroup() as group:
                        await self._start(group, files)
                    await self._threads.run(self._target.publish, list(files))
                finally:
                    self._target.close()
        self._log.info("Downloaded %s", self._progress.summary())
        return list(files)

    async def _files(self) -> dict[str, Blob]:
        listed = await self._container.list(self._path)
        below = f"{self._path}/" if self._path else ""
        files = {name.removeprefix(below): blob for name, blob in listed.items() if name.startswith(below)}
        if not files and self._path in listed:
            files = {self._path.rpartition("/")[2]: listed[self._path]}
        if not files:
            raise NotFoundError(f"There is nothing to download at {self._path!r} of {self._container}.")
        for name in files:
            if ".." in name.split("/") or name.startswith("/"):
                raise SpecError(f"The blob {name!r} would leave the destination. Nothing was downloaded.")
        return files

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
            reused = await self._threads.run(self._target.has, name, blob)
            if not reused:
                data = await self._read(blob, 0, blob.size) if blob.size else b""
                _compare(blob, hashlib.md5(data, usedforsecurity=False).digest())
                await self._threads.run(self._target.write, name, blob, data)
        finally:
            self._budget.give(blob.size)
        self._progress.count(blob.size, files=1, reused=reused)

    async def _fetch_large(self, name: str, blob: Blob) -> None:
        try:
            if await self._threads.run(self._target.has, name, blob):
                self._progress.count(blob.size, files=1, reused=True)
                return
            parts = _Parts(await self._threads.run(self._target.scratch, name), blob)
            try:
                await self._fetch_blocks(parts, blob)
            finally:
                parts.close()
            await self._threads.run(parts.check)
            await self._threads.run(self._target.finish, name, blob)
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
            await self._threads.run(parts.write, offset, await self._read(blob, offset, size))
        finally:
            self._budget.give(size)
        self._progress.count(size)

    async def _read(self, blob: Blob, offset: int, size: int) -> bytes:
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceModifiedError

        client = (await self._container.client()).get_blob_client(blob.name)
        try:
            stream = await client.download_blob(
                offset, size, etag=blob.etag, match_condition=MatchConditions.IfNotModified, max_concurrency=1
            )
            data = await stream.readall()
        except ResourceModifiedError:
            raise TransientError(f"{blob.name} changed while it was downloaded.") from None
        if len(data) != size:
            raise TransientError(f"{blob.name} came cut short.")
        return bytes(data)


def _compare(blob: Blob, digest: bytes) -> None:
    if blob.md5 not in (None, digest):
        raise TransientError(f"{blob.name} was damaged on the way: its MD5 is not what storage keeps.")


class _Parts:
    """
    A large file that is put together at a scratch path, with a list of the blocks that are there beside it.

    :param path: the scratch path.
    :param blob: of which state of the blob; blocks of another are forgotten.
    """

    def __init__(self, path: Path, blob: Blob) -> None:
        self._path, self._blob = path, blob
        self._list = path.with_name(f"{path.name}.blocks")
        head = f"{blob.etag} {blob.size} {BLOCK}"
        lines = self._list.read_text().splitlines() if path.exists() and self._list.exists() else []
        self.there = {int(line) for line in lines[1:] if line.isdecimal()} if lines[:1] == [head] else set()
        if not self.there:
            path.write_bytes(b"")
            self._list.write_text(f"{head}\n")
        self._file = os.open(path, os.O_RDWR)
        self._log = self._list.open("a")

    def write(self, offset: int, data: bytes) -> None:
        """Write a block, and only then its line."""
        os.pwrite(self._file, data, offset)
        self._log.write(f"{offset}\n")
        self._log.flush()

    def close(self) -> None:
        """Close the files; what is in them stays for the next try."""
        os.close(self._file)
        self._log.close()

    def check(self) -> None:
        """See that all together are what storage keeps; what is not is forgotten."""
        self._list.unlink()
        if self._blob.md5 is not None and (digest := _md5_of(self._path)) != self._blob.md5:
            self._path.unlink()
            _compare(self._blob, digest)


def _md5_of(path: Path) -> bytes:
    whole = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while data := stream.read(BLOCK):
            whole.update(data)
    return whole.digest()


class Folder:
    """
    A folder of the worker. Files are gathered in a hidden folder beside it, and put in place when all are there.

    :param path: the folder. What is in it stays, but for files of the same names.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._gathered = path.parent / f".{path.name}.download"

    def has(self, name: str, blob: Blob) -> bool:
        """See :class:`Target`. A file that storage keeps no MD5 of is known by its size and time."""
        path = self._gathered / name
        if not path.is_file() or path.stat().st_size != blob.size:
            return False
        return _md5_of(path) == blob.md5 if blob.md5 else int(path.stat().st_mtime) == int(blob.modified.timestamp())

    def scratch(self, name: str) -> Path:
        """See :class:`Target`."""
        path = self._gathered / f"{name}.part"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, name: str, blob: Blob, data: bytes) -> None:
        """See :class:`Target`."""
        self.scratch(name).write_bytes(data)
        self.finish(name, blob)

    def finish(self, name: str, blob: Blob) -> None:
        """See :class:`Target`."""
        part = self.scratch(name)
        os.utime(part, (blob.modified.timestamp(),) * 2)
        part.replace(self._gathered / name)

    def publish(self, names: list[str]) -> None:
        """See :class:`Target`."""
        for path in [path for path in self._gathered.rglob("*") if path.is_file()]:
            if path.relative_to(self._gathered).as_posix() not in names:
                path.unlink()  # of an earlier state of the source
        if not self._path.exists():
            self._gathered.rename(self._path)
            return
        for name in names:
            (self._path / name).parent.mkdir(parents=True, exist_ok=True)
            (self._gathered / name).replace(self._path / name)
        shutil.rmtree(self._gathered)

    def close(self) -> None:
        """See :class:`Target`. What was gathered is what a later download goes on from."""


# Object stores, in which an object is there once all of it is. Others (SFTP, SMB, HDFS ...) are written as they go.
_WHOLE_OBJECTS = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "memory"}


class Objects:
    """
    A folder in an object store, or in another filesystem, that Airflow can write. A file appears whole, or not.

    Where the store itself does not see to that, a file is written under a hidden name and renamed. Large files are put
    together on the worker's disk before they are sent on.

    :param path: the folder.
    """

    def __init__(self, path: ObjectStoragePath) -> None:
        self._path = path
        self._scratch = Path(tempfile.mkdtemp(prefix="azureml-download-"))

    def has(self, name: str, blob: Blob) -> bool:
        """See :class:`Target`. Known by the MD5 that the store says of its object; not all do."""
        path = self._path / name
        if blob.md5 is None or not path.fs.exists(path.path):
            return False
        info = path.fs.info(path.path)
        return info.get("size") == blob.size and blob.md5 in _md5s(info)

    def scratch(self, name: str) -> Path:
        """See :class:`Target`."""
        return self._scratch / hashlib.sha256(name.encode()).hexdigest()

    def write(self, name: str, blob: Blob, data: bytes) -> None:  # noqa: ARG002
        """See :class:`Target`."""
        path = self._path / name
        with self._whole(path) as place:
            path.fs.pipe_file(place, data)

    def finish(self, name: str, blob: Blob) -> None:  # noqa: ARG002
        """See :class:`Target`."""
        path, part = self._path / name, self.scratch(name)
        with self._whole(path) as place:
            path.fs.put_file(str(part), place)
        part.unlink()

    @contextmanager
    def _whole(self, path: ObjectStoragePath) -> Iterator[str]:
        """Give the name to write a file under; it then has its own."""
        path.fs.makedirs(path.parent.path, exist_ok=True)
        if path.protocol in _WHOLE_OBJECTS:
            yield path.path
            return
        hidden = f"{path.parent.path.rstrip('/')}/.{path.name}.part"
        yield hidden
        if path.fs.exists(path.path):
            path.fs.rm_file(path.path)  # a rename onto a file is refused by some
        path.fs.mv(hidden, path.path)

    def publish(self, names: list[str]) -> None:
        """See :class:`Target`. Each object is there already."""

    def close(self) -> None:
        """See :class:`Target`."""
        shutil.rmtree(self._scratch, ignore_errors=True)


def _md5s(info: dict[str, Any]) -> list[bytes]:
    """Return what a store says of an object's MD5: S3's ETag of one part, GCS's md5Hash, Azure's content_md5."""
    found = []
    with suppress(ValueError):
        found.append(bytes.fromhex(str(info.get("ETag") or "").strip('"')))
    with suppress(ValueError):
        found.append(base64.b64decode(str(info.get("md5Hash") or "")))
    settings = info.get("content_settings") or {}
    if isinstance(settings, dict) and settings.get("content_md5"):
        found.append(bytes(settings["content_md5"]))
    return found


def target_for(to: Any, folder: Path, *, conn_id: str | None = None) -> Target:
    """
    Return where files go.

    :param to: a local path (relative ones start at ``folder``), ``file://``, a URI that ObjectStoragePath writes, or
        an ObjectStoragePath.
    :param conn_id: the Airflow connection of an object store.
    :raises SpecError: it is empty, or a file is there already, where a folder is to be.
    """
    text = str(to)
    if to is None or text.strip() in ("", "None"):
        raise SpecError(f"The destination of the download is {to!r}: {NO_VALUE}.")
    if getattr(to, "protocol", "") in ("file", "local"):
        text, to = str(to.path), None  # a folder of the worker
    if hasattr(to, "fs") or ("://" in text and not text.startswith("file://")):
        from airflow.sdk import ObjectStoragePath

        return Objects(to if hasattr(to, "fs") else ObjectStoragePath(text, conn_id=conn_id))
    path = (folder / Path(text.removeprefix("file://")).expanduser()).absolute()
    if path.exists() and not path.is_dir():
        raise SpecError(f"{path} is a file; the destination of a download is a folder. Nothing was downloaded.")
    path.parent.mkdir(parents=True, exist_ok=True)
    return Folder(path)
