"""Files to blobs of a datastore, with azure-storage-blob's asynchronous client: whole or not at all."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from contextlib import closing
from io import BytesIO
from typing import IO, TYPE_CHECKING

from ..errors import AzureMachineLearningError, SpecError, TransientError
from .container import first
from .flow import BLOCK, Budget, Threads, block_size
from .progress import Progress, amount

if TYPE_CHECKING:
    from collections.abc import Mapping
    from logging import Logger

    from .container import Blob, Container
    from .sources import Source, SourceFile

_LARGE_FILES = 4  # that are read at once
_WHAT = "Upload to"


class Upload:
    """
    Uploads files to blobs below a prefix, which afterwards holds these and nothing else.

    Each request carries the MD5 of its bytes, which storage checks; each blob keeps the MD5 of its file; at the end
    names, sizes and MD5s are compared once more. What an earlier, killed upload to the same prefix finished, files and
    blocks of large ones, is recognised by size and MD5 and not sent again.

    :param source: what to upload.
    :param container: where to.
    :param prefix: the folder in the container, without a slash at its end; nobody else writes there.
    :param log: gets the progress.
    """

    def __init__(self, source: Source, container: Container, prefix: str, *, log: Logger) -> None:
        self._source, self._container, self._prefix, self._log = source, container, prefix, log
        self._progress = Progress("Uploading", len(source.files), source.size, log)
        self._budget = Budget()
        self._threads = Threads()
        self._large = asyncio.Semaphore(_LARGE_FILES)
        self._there: dict[str, Blob] = {}
        self._digests: dict[str, bytes] = {}

    async def run(self) -> str:
        """
        Upload, and return the checksum of the content (see :func:`content_checksum`).

        :raises SpecError: a file cannot be read, or changed while it was read.
        :raises PermissionDeniedError: storage refused the credential.
        :raises TransientError: storage could not be reached or did not finish; the same call goes on from there.
        """
        with self._container.explaining(_WHAT):
            self._there = await self._container.list(f"{self._prefix}/")
            self._log.info(
                "Uploading %s from %s.", amount(len(self._source.files), self._source.size), self._source.path
            )
            async with self._threads:
                async with asyncio.TaskGroup() as group:
                    await self._start(group)
                await self._threads.run(self._source.check_unchanged)
            await self._compare()
        self._log.info("Uploaded %s", self._progress.summary())
        return content_checksum(self._source, self._digests)

    async def _start(self, group: asyncio.TaskGroup) -> None:
        for file in self._source.files:
            if file.size <= BLOCK:
                await self._budget.take(file.size)
                group.create_task(self._send_small(file))
            else:
                await self._large.acquire()
                group.create_task(self._send_large(file))

    def _name(self, file: SourceFile) -> str:
        return f"{self._prefix}/{file.name}"

    async def _send_small(self, file: SourceFile) -> None:
        try:
            data, digest = await self._threads.run(_read_whole, file)
            reused = self._is_there(file, digest)
            if not reused:
                client = await self._container.client()
                await client.upload_blob(
                    self._name(file), data, length=len(data), overwrite=True, headers={"Content-MD5": _base64(digest)}
                )
        finally:
            self._budget.give(file.size)
        self._digests[file.name] = digest
        self._progress.count(file.size, files=1, reused=reused)

    def _is_there(self, file: SourceFile, digest: bytes) -> bool:
        blob = self._there.get(self._name(file))
        return blob is not None and (blob.size, blob.md5) == (file.size, digest)

    async def _send_large(self, file: SourceFile) -> None:
        try:
            blob = self._there.get(self._name(file))
            if blob is not None and blob.size == file.size:
                digest = await self._threads.run(digest_of, file)
                if blob.md5 == digest:
                    self._digests[file.name] = digest
                    self._progress.count(file.size, files=1, reused=True)
                    return
            await self._send_blocks(file)
        finally:
            self._large.release()

    async def _send_blocks(self, file: SourceFile) -> None:
        from azure.storage.blob import BlobBlock, ContentSettings

        name, reader, step = self._name(file), _Reader(file), block_size(file.size)
        kept = await self._blocks_there(name)
        ids = [""] * -(-file.size // step)
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(len(ids)):
                    size = min(step, file.size - number * step)
                    await self._budget.take(size)
                    try:
                        data = await self._threads.run(reader.read, size)
                    except BaseException:
                        self._budget.give(size)
                        raise
                    group.create_task(self._send_block(name, number, data, ids, kept))
            digest = await self._threads.run(reader.end)
        except BaseException:
            self._threads.at_end(reader.close)
            raise
        blob = (await self._container.client()).get_blob_client(name)
        blocks = [BlobBlock(block_id) for block_id in ids]
        await blob.commit_block_list(blocks, content_settings=ContentSettings(content_md5=bytearray(digest)))
        self._digests[file.name] = digest
        self._progress.count(0, files=1)

    async def _blocks_there(self, name: str) -> dict[str, int]:
        """Return the blocks that an upload which was killed in the middle of this file had sent."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            _, blocks = await (await self._container.client()).get_blob_client(name).get_block_list("uncommitted")
        except ResourceNotFoundError:
            return {}
        return {str(block.id): block.size for block in blocks}

    async def _send_block(self, name: str, number: int, data: bytes, ids: list[str], kept: dict[str, int]) -> None:
        """Send a block, and note its id, which has its MD5: so a later upload knows it again."""
        try:
            digest = await self._threads.run(_md5, data)  # while another thread reads on
            ids[number] = f"{number:08d}{digest.hex()}"
            there = kept.get(ids[number]) == len(data)
            if not there:
                blob = (await self._container.client()).get_blob_client(name)
                await blob.stage_block(
                    ids[number], BytesIO(data), length=len(data), headers={"Content-MD5": _base64(digest)}
                )
        finally:
            self._budget.give(len(data))
        self._progress.count(len(data), reused=there)

    async def _compare(self) -> None:
        """See that storage holds what was sent, byte for byte, and delete what is not of this source."""
        expected = {self._name(file): (file.size, self._digests[file.name]) for file in self._source.files}
        listed = await self._container.list(f"{self._prefix}/")
        for name, known in expected.items():
            blob = listed.get(name)
            if blob is None or blob.size != known[0] or blob.md5 not in (None, known[1]):
                raise TransientError(f"{name} is not in storage as it was sent. Nothing is registered.")
        await self._container.delete(listed.keys() - expected.keys())


def _open(file: SourceFile) -> IO[bytes]:
    try:
        return file.open()
    except OSError as error:
        raise _unreadable(file, error) from None
    except Exception as error:
        raise TransientError(f"{file} could not be read: {type(error).__name__}: {str(error).rstrip('.')}.") from error


class _Reader:
    """
    A file that is read piece by piece, in threads.

    It is opened by the first read, so that there is something to close whatever happens meanwhile.
    """

    def __init__(self, file: SourceFile) -> None:
        self._file, self._whole = file, hashlib.md5(usedforsecurity=False)
        self._stream: IO[bytes] | None = None

    def read(self, size: int) -> bytes:
        """Return the next so many bytes."""
        if self._stream is None:
            self._stream = _open(self._file)
        data = _read(self._file, self._stream, size)
        self._whole.update(data)
        if len(data) < size:
            raise self._file.changed()
        return data

    def end(self) -> bytes:
        """See that the file ends here and is as it was listed; return its MD5."""
        self.read(0)  # opens one that is empty
        assert self._stream is not None
        _check_end(self._file, self._stream)
        self.close()
        return self._whole.digest()

    def close(self) -> None:
        """Close it, if it is open."""
        if self._stream is not None:
            self._stream.close()


def _read_whole(file: SourceFile) -> tuple[bytes, bytes]:
    with closing(_Reader(file)) as reader:
        data = reader.read(file.size)
        return data, reader.end()


def _read(file: SourceFile, stream: IO[bytes], size: int) -> bytes:
    try:
        data = stream.read(size)
        while data and len(data) < size and (more := stream.read(size - len(data))):
            data += more
    except OSError as error:
        raise _unreadable(file, error) from None
    except Exception as error:
        raise TransientError(f"{file} could not be read: {type(error).__name__}: {str(error).rstrip('.')}.") from error
    return data


def _check_end(file: SourceFile, stream: IO[bytes]) -> None:
    if _read(file, stream, 1) or not file.is_unchanged(stream):
        raise file.changed()


def _unreadable(file: SourceFile, error: OSError) -> AzureMachineLearningError:
    return SpecError(f"{file} cannot be read: {error.strerror or error}. Nothing was registered.")


def digest_of(file: SourceFile) -> bytes:
    """
    Return the MD5 of a file.

    :raises SpecError: it cannot be read, or changed while it was read.
    """
    with closing(_Reader(file)) as reader:
        for offset in range(0, file.size, BLOCK):
            reader.read(min(BLOCK, file.size - offset))
        return reader.end()


async def checksum(source: Source) -> str:
    """Read a source through, and return the checksum that an upload of it would have."""
    async with Threads() as threads:
        waiting = iter(source.files)
        digests: dict[str, bytes] = {}

        async def work() -> None:
            for file in waiting:
                digests[file.name] = await threads.run(digest_of, file)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_LARGE_FILES):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            raise first(errors) from None
    return content_checksum(source, digests)


def content_checksum(source: Source, digests: Mapping[str, bytes]) -> str:
    """Return a checksum over names and contents of all files: the same content has the same, wherever it lies."""
    whole = hashlib.sha256()
    for file in sorted(source.files, key=lambda file: file.name):
        whole.update(f"{file.name}\0{digests[file.name].hex()}\n".encode())
    return f"sha256:{whole.hexdigest()}"


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
