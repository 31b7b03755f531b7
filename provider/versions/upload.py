"""Files to blobs of a datastore, with azure-storage-blob."""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING, Any

from ..errors import NotFoundError, PermissionDeniedError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable
    from logging import Logger

    from azure.storage.blob import ContainerClient

    from ..rest.bodies import Datastore
    from .sources import Source, SourceFile

_PARALLEL_FILES = 4
_PROGRESS_SECONDS = 10


def upload(source: Source, datastore: Datastore, prefix: str, *, credential: Callable[[], Any], log: Logger) -> None:
    """
    Upload files to blobs below a prefix, which afterwards holds these and nothing else.

    :param source: what to upload.
    :param prefix: the folder in the datastore's container, without a slash at its end; nobody else writes there.
    :param credential: gives what azure-storage-blob takes: a SAS, an account key or a token credential. Asked again for
        a new one before the hour of a SAS is over.
    :param log: gets the progress: files, bytes, rate.
    :raises PermissionDeniedError: storage refused the credential.
    :raises TransientError: storage could not be reached or did not finish.
    """
    from azure.core.exceptions import AzureError, HttpResponseError

    started = time.monotonic()
    try:
        with _Container(datastore, credential) as container:
            _upload_all(source, container, prefix, log)
            _delete(container, prefix, keep={f"{prefix}/{file.name}" for file in source.files})
    except HttpResponseError as error:
        code = getattr(error, "error_code", None) or error.status_code
        where = f"{datastore.account_url}/{datastore.container} (datastore {datastore.name!r})"
        if error.status_code in (401, 403):
            how = (
                "The workspace's credential of the datastore was refused: renew it there."
                if datastore.has_credentials
                else "The datastore has no credentials, so the connection's own identity was used: give it the role "
                "Storage Blob Data Contributor, or give the datastore credentials."
            )
            raise PermissionDeniedError(f"Upload to {where} was refused ({code}). {how}") from None
        if error.status_code == 404:
            raise NotFoundError(f"Upload to {where} failed: {code}. Correct the datastore.") from None
        raise TransientError(f"Upload to {where} failed ({code}).") from None
    except AzureError as error:
        raise TransientError(f"Upload to {datastore.account_url} failed: {type(error).__name__}.") from None
    log.info("Uploaded %s in %.1f s.", _amount(len(source.files), source.size), time.monotonic() - started)


def _upload_all(source: Source, container: _Container, prefix: str, log: Logger) -> None:
    log.info("Uploading %s from %s.", _amount(len(source.files), source.size), source.path)
    waiting = iter(source.files)
    running: dict[Future[None], SourceFile] = {}
    files = sent = 0
    started = reported = time.monotonic()

    def send(file: SourceFile) -> None:
        with file.open() as stream:
            container.client().upload_blob(f"{prefix}/{file.name}", stream, length=file.size, overwrite=True)

    with ThreadPoolExecutor(_PARALLEL_FILES) as pool:
        while True:
            # Handed over a few at a time: a folder may have a million files, and a failure stops the rest.
            while len(running) < _PARALLEL_FILES and (file := next(waiting, None)):
                running[pool.submit(send, file)] = file
            if not running:
                return
            done, _ = wait(running, timeout=_PROGRESS_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                sent += running.pop(future).size
                files += 1
                future.result()
            now = time.monotonic()
            if now - reported >= _PROGRESS_SECONDS:
                reported = now
                rate = sent / (now - started) / 1e6
                log.info("%s of %s, %.1f MB/s.", _amount(files, sent), _amount(len(source.files), source.size), rate)


def remove(datastore: Datastore, prefix: str, *, credential: Callable[[], Any]) -> None:
    """Delete what an upload left that will never be registered. Does what it can: a leftover costs storage, no more."""
    from azure.core.exceptions import AzureError

    with suppress(AzureError), _Container(datastore, credential) as container:
        _delete(container, prefix, keep=set())


def _delete(container: _Container, prefix: str, *, keep: set[str]) -> None:
    client = container.client()
    for name in list(client.list_blob_names(name_starts_with=f"{prefix}/")):
        if name not in keep:
            client.delete_blob(name)


class _Container:
    """A container client whose credential is renewed before a SAS, good for an hour, runs out."""

    _LIFETIME = 45 * 60

    def __init__(self, datastore: Datastore, credential: Callable[[], Any]) -> None:
        self._datastore = datastore
        self._credential = credential
        self._stack = ExitStack()
        self._made = 0.0
        self._client: ContainerClient | None = None

    def __enter__(self) -> _Container:
        self.client()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def client(self) -> ContainerClient:
        from azure.storage.blob import ContainerClient

        if self._client is None or time.monotonic() - self._made > self._LIFETIME:
            self._client = self._stack.enter_context(
                closing(
                    ContainerClient(
                        self._datastore.account_url, self._datastore.container, credential=self._credential()
                    )
                )
            )
            self._made = time.monotonic()
        return self._client


def _amount(files: int, size: int) -> str:
    return f"{files} file{'' if files == 1 else 's'}, {size / 1e6:,.1f} MB"
