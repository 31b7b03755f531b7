"""Parts of blobs at addresses that AzureML gives: signed ones, or such that the caller's own identity opens."""

from __future__ import annotations

import re
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from azure.core import AsyncPipelineClient
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.core.pipeline.policies import RequestIdPolicy, UserAgentPolicy
from azure.core.rest import HttpRequest

from ..errors import NotFoundError, PermissionDeniedError, TransientError
from ..shared import SharedInLoop
from .read_budget import read_budget, retry_after
from .transport import USER_AGENT

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from ..connection import WorkspaceConnection

_VERSION = "2021-12-02"
_TOTAL = re.compile(r"bytes (?:\*|\d+-\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class Part:
    """
    A part of a blob.

    :param data: its bytes; fewer than were asked for where the blob ends.
    :param size: of the whole blob, if storage tells it.
    """

    data: bytes
    size: int | None


class BlobReader:
    """
    Reads parts of blobs, in turns as the budget of reads allows. Belongs to one event loop.

    It tries each read once: a reader of a log that grows comes again anyway. No address is in a message, as it may
    hold a signature.

    :param connection: whose identity opens what is not signed.
    """

    def __init__(self, connection: WorkspaceConnection) -> None:
        self._connection = connection
        self._credential: Any = None
        self._client: AsyncPipelineClient[Any, Any] = AsyncPipelineClient(
            "https://",
            policies=[RequestIdPolicy(), UserAgentPolicy(USER_AGENT)],
            connection_timeout=20,
            read_timeout=60,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()
        if self._credential is not None:
            await self._credential.close()

    async def read(self, url: str, *, start: int, length: int, reader: str = "") -> Part:
        """
        Return a part of a blob: no bytes where the blob ends before it.

        :param url: signed, or of blob storage: then the connection's identity is used.
        :param start: the first byte.
        :param length: how many at most.
        :param reader: on whose behalf: readers take turns (``read_budget.py``).
        :raises NotFoundError: there is no such blob.
        :raises PermissionDeniedError: storage refuses: the signature has run out, say.
        :raises TransientError: storage is busy or out of reach.
        """
        parts = urlsplit(url)
        headers = {"x-ms-version": _VERSION, "x-ms-range": f"bytes={start}-{start + length - 1}"}
        try:
            if "sig" not in parse_qs(parts.query):
                headers["Authorization"] = f"Bearer {await self._token(parts.hostname or '')}"
            async with read_budget(self._connection, url).turn(reader) as hear:
                response = await self._client.send_request(HttpRequest("GET", url, headers=headers))
                answered = {name.lower(): value for name, value in response.headers.items()}
                hear(response.status_code, answered)
        except ClientAuthenticationError as error:
            raise self._connection.sign_in_refused(error) from None
        except AzureError as error:
            raise TransientError(f"{parts.hostname} gave no answer ({type(error).__name__}).") from None
        total = _TOTAL.fullmatch(answered.get("content-range", ""))
        size = int(total[1]) if total else None
        if response.status_code == 206:
            return Part(response.content, size)
        if response.status_code == 200:  # it does not know ranges
            return Part(response.content[start : start + length], len(response.content))
        if response.status_code == 416:
            return Part(b"", size)
        raise _refusal(parts.hostname or "", response.status_code, answered)

    async def _token(self, host: str) -> str:
        if ".blob." not in host:
            raise PermissionDeniedError(f"{host} is not blob storage, and its address is not signed.")
        if self._credential is None:
            self._credential = self._connection.async_credential()
        token = await self._credential.get_token(self._connection.cloud.storage_scope)
        return str(token.token)


def _refusal(host: str, status: int, headers: dict[str, str]) -> Exception:
    what = f"{host} answered {status} {headers.get('x-ms-error-code', '')}".strip() + "."
    if status == 404:
        return NotFoundError(what)
    if status in (401, 403):
        return PermissionDeniedError(what)
    return TransientError(what, retry_after=retry_after(headers))


def _open_reader(connection: WorkspaceConnection) -> AbstractAsyncContextManager[BlobReader]:
    return aclosing(BlobReader(connection))


_readers = SharedInLoop(_open_reader)


def shared_blob_reader(connection: WorkspaceConnection) -> AbstractAsyncContextManager[BlobReader]:
    """Give the reader that all share who read in this event loop over the same connection."""
    return _readers.use(connection)
