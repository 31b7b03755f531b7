"""The container of a datastore, for as long as somebody works in it: who may, for how long, what a refusal means."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from azure.core.credentials import AzureSasCredential
from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob.aio import ContainerClient, ExponentialRetry

from ..errors import NotFoundError, PermissionDeniedError, RequestRefusedError, TransientError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
    from datetime import datetime
    from types import TracebackType

    from ..rest.bodies import Datastore
    from ..rest.client import WorkspaceClient

log = logging.getLogger(__name__)

_LIFETIME = 45 * 60  # seconds until a new secret is asked for: the workspace's signatures are good for an hour
_DELETIONS = 32  # at once
_LATE = (0.5, 0.5, 1.0, 2.0)  # seconds after which what was deleted is looked for again
_DAMAGED = {"Md5Mismatch", "Crc64Mismatch", "InvalidBlobOrBlock"}
_REFUSED_FOR_GOOD = (400, 409, 412, 413)


@dataclass(frozen=True, slots=True)
class Blob:
    """
    A blob as a list shows it.

    :param name: its whole name in the container.
    :param size: bytes.
    :param md5: of its content; None where storage was never told.
    :param etag: changes with the content.
    :param modified: when that was.
    """

    name: str
    size: int
    md5: bytes | None
    etag: str
    modified: datetime


class Container:
    """
    A datastore's container. An async context manager.

    It is opened with the secret that the workspace keeps for the datastore. Where the workspace keeps none, does not
    give it out, or the account takes no secrets, the connection's own identity is used, as the SDK does.

    :param workspace: gives the secret, and the identity.
    :param datastore: whose container.
    :param secret: gives the secret in the workspace's place; None from it: anybody may read the container.
    """

    def __init__(
        self,
        workspace: WorkspaceClient,
        datastore: Datastore,
        *,
        secret: Callable[[], Awaitable[str | None]] | None = None,
    ) -> None:
        self._workspace = workspace
        self._datastore = datastore
        self._stack = AsyncExitStack()
        self._client: ContainerClient | None = None
        self._made = 0.0
        self._identity: Any = None
        self._secret = secret
        self._reason = "" if datastore.has_credentials else "The datastore has no credentials"
        self._lock = asyncio.Lock()

    def __str__(self) -> str:
        return f"datastore {self._datastore.name!r}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def client(self) -> ContainerClient:
        """Return azure-storage-blob's client; ask again rather than keep it, for its signature runs out."""
        if self._client is None or time.monotonic() - self._made > _LIFETIME:
            async with self._lock:
                if self._client is None or time.monotonic() - self._made > _LIFETIME:
                    await self._connect()
        assert self._client is not None
        return self._client

    async def _connect(self) -> None:
        client = ContainerClient(
            self._datastore.account_url,
            self._datastore.container,
            credential=await self._credential(),
            # 1, 3, 5 ... 33 s: half of the SDK's own pauses, which begin with 15 s, would be a slow upload.
            retry_policy=ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=6, random_jitter_range=1),
        )
        self._client = await self._stack.enter_async_context(client)
        self._made = time.monotonic()

    async def _credential(self) -> Any:
        if self._secret is not None:
            secret = await self._secret()
            return AzureSasCredential(secret) if secret else None
        if not self._reason:
            try:
                secret = await self._workspace.get_datastore_secret(self._datastore.name)
            except (PermissionDeniedError, RequestRefusedError, NotFoundError) as error:
                log.debug("The secret of %s: %s", self, error)
                self._reason = f"The workspace did not give out the datastore's secret ({type(error).__name__})"
            else:
                if secret:
                    return AzureSasCredential(secret) if "sig=" in secret else secret  # else an account key
                self._reason = "The workspace gave neither a signature nor a key for the datastore"
            log.info("%s; the connection's own identity is used.", self._reason)
        if self._identity is None:
            self._identity = self._workspace.connection.async_credential()
            self._stack.push_async_callback(self._identity.close)
        return self._identity

    @property
    def credential(self) -> str:
        """What it was opened with, for messages."""
        return f"the connection's own identity ({self._reason})" if self._reason else "the datastore's own credential"

    async def list(self, prefix: str) -> dict[str, Blob]:
        """Return the blobs below a prefix by name. The directories of a hierarchical namespace are none."""
        try:
            return {blob.name: blob async for blob in self._list(prefix)}
        except HttpResponseError as error:
            # An account may take no secrets, whatever the workspace keeps (AllowSharedKeyAccess: false).
            if error.status_code not in (401, 403) or self._reason or self._secret:
                raise
            self._reason = f"Storage refused the datastore's secret ({_code(error)})"
            log.info("%s; the connection's own identity is tried.", self._reason)
            self._client = None
            return {blob.name: blob async for blob in self._list(prefix)}

    async def _list(self, prefix: str) -> AsyncIterator[Blob]:
        client = await self.client()
        async for item in client.list_blobs(name_starts_with=prefix, include=["metadata"]):
            if not _is_directory(item):
                yield _blob(item.name, item)

    async def find(self, name: str) -> Blob | None:
        """Return a blob, or None if there is none of that name, or a directory of a hierarchical namespace."""
        try:
            item = await (await self.client()).get_blob_client(name).get_blob_properties()
        except HttpResponseError as error:
            if error.status_code != 404:
                raise
            return None
        return None if _is_directory(item) else _blob(name, item)

    async def delete(self, names: Iterable[str]) -> None:
        """Delete blobs; one that is not there is no error."""
        waiting = iter(sorted(names))

        async def work() -> None:
            for name in waiting:
                try:
                    await (await self.client()).delete_blob(name)
                except HttpResponseError as error:
                    if error.status_code != 404:
                        raise

        async with asyncio.TaskGroup() as group:
            for _ in range(_DELETIONS):
                group.create_task(work())

    async def delete_all(self, prefix: str) -> None:
        """
        Delete all below a folder, its directories too where there are such.

        Requests that were given up may still arrive, so it looks again until a look a moment later finds nothing.
        """
        await self.delete(await self.list(f"{prefix}/"))
        for pause in _LATE:
            await asyncio.sleep(pause)
            if not (late := await self.list(f"{prefix}/")):
                break
            await self.delete(late)
        client = await self.client()
        directories = [
            item.name
            async for item in client.list_blobs(name_starts_with=prefix, include=["metadata"])
            if _is_directory(item) and f"{item.name}/".startswith(f"{prefix}/")
        ]
        for name in sorted(directories, key=lambda name: name.count("/"), reverse=True):
            await self.delete([name])

    @contextmanager
    def explaining(self, what: str) -> Iterator[None]:
        """
        Turn storage's refusals into this provider's errors.

        :param what: what was to be done: ``Upload to``.
        :raises PermissionDeniedError: storage refused the credential; it says which role is missing.
        :raises TransientError: storage could not be reached or did not finish.
        """
        try:
            yield
        except AzureError as error:
            raise self._explained(what, error) from None
        except BaseExceptionGroup as errors:
            cause = first(errors)
            raise self._explained(what, cause) if isinstance(cause, AzureError) else cause from None

    def _explained(self, what: str, error: BaseException) -> Exception:
        where = f"{what} {self._datastore.account_url}/{self._datastore.container} (datastore {self._datastore.name!r})"
        if not isinstance(error, HttpResponseError):
            said = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
            return TransientError(f"{where} failed: {said.rstrip('.')}. Check network, proxy and private endpoint.")
        code, status = _code(error), error.status_code
        if status in (401, 403):
            return PermissionDeniedError(f"{where} was refused ({code}). {self._advice(code)}")
        if status == 404:
            return NotFoundError(f"{where} failed: {code}. Correct the datastore.")
        if status in _REFUSED_FOR_GOOD and code not in _DAMAGED:
            return RequestRefusedError(f"{where} was refused ({code}).", status=status or 400)
        return TransientError(f"{where} failed ({code}).")

    def _advice(self, code: str) -> str:
        if code == "AuthorizationFailure":
            # Source: "Troubleshoot 403 errors", Azure Storage: network rules answer so, missing roles differently.
            advice = "If the role is there, a network rule of the account keeps this worker out. "
        else:
            advice = ""
        if self._secret is not None:
            return f"{advice}The registry's signature was refused: the registry may be closed to this worker's network."
        if not self._reason:
            return f"{advice}The workspace's credential of the datastore was refused: renew it there."
        who = self._workspace.connection.sign_in.principal
        return (
            f"{advice}{self._reason}, so the connection's own identity was used: give {who} the "
            "role Storage Blob Data Contributor on the account, or let the workspace hold a key or signature for the "
            "datastore that it gives out."
        )


def _is_directory(item: Any) -> bool:
    """Return whether something is a directory of a hierarchical namespace, which shows as an empty blob."""
    return {name.lower(): value for name, value in (item.metadata or {}).items()}.get("hdi_isfolder") == "true"


def _blob(name: str, item: Any) -> Blob:
    md5 = item.content_settings.content_md5
    return Blob(name, item.size or 0, bytes(md5) if md5 else None, item.etag, item.last_modified)


def _code(error: HttpResponseError) -> str:
    code = getattr(error, "error_code", None) or error.status_code
    return str(getattr(code, "value", code))


def first(group: BaseExceptionGroup[Any]) -> BaseException:
    """Return the first error of those that tasks ended with together."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
