"""Files to blobs of a datastore: what to send, and sending it with azure-storage-blob."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pathspec

from .errors import NotFoundError, PermissionDeniedError, SpecError, TransientError

if TYPE_CHECKING:
    from logging import Logger

    from airflow.sdk import ObjectStoragePath
    from azure.storage.blob import ContainerClient

    from .shapes import Datastore

_PARALLEL_FILES = 4
_PROGRESS_SECONDS = 10
_IGNORE_FILES = (".amlignore", ".gitignore")  # AzureML reads the first one that is there.


@dataclass(frozen=True, slots=True)
class SourceFile:
    """
    A file to upload.

    :param name: its path below the source, with ``/``.
    :param size: bytes.
    :param open: opens it for reading bytes.
    """

    name: str
    size: int
    open: Callable[[], IO[bytes]]


@dataclass(frozen=True, slots=True)
class Source:
    """
    What a local or object-store path holds.

    :param is_folder: whether the path is a folder.
    :param files: what would be uploaded, ignored files left out.
    """

    path: str
    is_folder: bool
    files: list[SourceFile]

    @property
    def size(self) -> int:
        """All bytes."""
        return sum(file.size for file in self.files)


def is_remote(path: str) -> bool:
    """Return whether AzureML itself reads this path, so that nothing is to be uploaded."""
    return path.startswith(("azureml:", "https://", "http://", "wasbs://", "abfss://", "runs:/"))


def find_source(path: Any, *, folder: Path, conn_id: str | None = None) -> Source:
    """
    Look at a local or object-store path and list what is to be uploaded.

    :param path: a local path, ``file://``, any URI that Airflow's ObjectStoragePath reads (``s3://``, ``gs://``,
        ``abfs://`` ...), or an ObjectStoragePath.
    :param folder: what a relative local path starts from.
    :param conn_id: the Airflow connection for an object store; without it, the provider's default.
    :raises SpecError: nothing is there, it is empty, or all of it is ignored.
    """
    text = str(path)
    if hasattr(path, "fs") or (urlsplit(text).scheme not in ("", "file") and "://" in text):
        return _object_store(path, conn_id)
    local = (folder / Path(urlsplit(text).path if text.startswith("file://") else text).expanduser()).resolve()
    if local.is_file():
        return Source(str(local), False, [SourceFile(local.name, local.stat().st_size, lambda: local.open("rb"))])
    if not local.is_dir():
        raise SpecError(f"There is nothing at {local} on this worker, so nothing was uploaded.")
    return _checked(Source(str(local), True, list(_walk(local))))


def _walk(root: Path) -> Iterator[SourceFile]:
    """Yield the files of a folder, links followed, without stepping into ignored folders or round a circle of links."""
    ignored = _ignore_spec(next((file.read_text() for name in _IGNORE_FILES if (file := root / name).is_file()), ""))
    seen: set[str] = set()
    for current, folders, files in os.walk(root, followlinks=True):
        here = Path(current)
        relative = here.relative_to(root)
        if (real := os.path.realpath(current)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not ignored.match_file(f"{(relative / name).as_posix()}/"))
        for name in sorted(files):
            path, name_below = here / name, (relative / name).as_posix()
            if not ignored.match_file(name_below):
                yield SourceFile(name_below, path.stat().st_size, lambda path=path: path.open("rb"))  # type: ignore[misc]


def _object_store(path: Any, conn_id: str | None) -> Source:
    from airflow.sdk import ObjectStoragePath

    root: ObjectStoragePath = path if hasattr(path, "fs") else ObjectStoragePath(str(path), conn_id=conn_id)
    if root.is_file():
        return Source(str(root), False, [SourceFile(root.name, root.stat().st_size, lambda: root.open("rb"))])  # type: ignore[no-untyped-call]
    base = root.path.rstrip("/")
    try:
        found: dict[str, dict[str, Any]] = root.fs.find(base, detail=True)
    except OSError as error:
        raise SpecError(f"{root} cannot be read: {error} Nothing was uploaded.") from error
    below = {name.removeprefix(root.fs._strip_protocol(base)).lstrip("/"): info for name, info in found.items()}
    ignored = _ignore_spec(next(((root / name).read_text() for name in _IGNORE_FILES if name in below), ""))
    files = [
        SourceFile(name, int(info["size"] or 0), lambda name=name: (root / name).open("rb"))  # type: ignore[misc]
        for name, info in sorted(below.items())
        if name and not ignored.match_file(name)
    ]
    return _checked(Source(str(root), True, files))


def _ignore_spec(text: str) -> pathspec.GitIgnoreSpec:
    return pathspec.GitIgnoreSpec.from_lines(text.splitlines())


def _checked(source: Source) -> Source:
    if not source.files:
        raise SpecError(
            f"There is no file to upload in {source.path}: it does not exist, is empty, or .amlignore / .gitignore "
            "names all of it. Nothing was uploaded."
        )
    return source


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
