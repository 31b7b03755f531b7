"""A hierarchical namespace (ADLS Gen2) before Azurite, which has none, as far as the blob API shows it.

Folders are blobs of no bytes with the metadata `hdi_isfolder`: a flat list names them, and one that holds something
is not deleted (409 DirectoryIsNotEmpty). A folder appears with the first blob below it and stays when the last is gone.
Source: Microsoft's "Blob storage APIs with Azure Data Lake Storage" (known issues) and "Delete Blob".
"""

from __future__ import annotations

import asyncio
import html
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from urllib.parse import parse_qsl, unquote

from starlette.types import Receive, Scope

from ..core.storage import Storage
from .relay import Answer, Relay

_BLOB = re.compile(r"<Blob><Name>(.*?)</Name>.*?</Blob>", re.DOTALL)
_NEXT = re.compile(r"<NextMarker>(.+?)</NextMarker>")
_RANGES = {b"range", b"x-ms-range"}
_TIME = "Thu, 01 Jan 2026 00:00:00 GMT"
_ETAG = "0x8DE000000000000"


class Hierarchy:
    """The folders of all containers."""

    def __init__(self, relay: Relay, storage: Storage) -> None:
        self._relay, self._storage = relay, storage
        self._folders: defaultdict[str, set[str]] = defaultdict(set)

    async def pass_on(self, scope: Scope, receive: Receive) -> Answer:
        """Send a request to blob storage on, and return its answer as it is where there are folders."""
        container, _, blob = unquote(scope["raw_path"].decode()).strip("/").partition("/")
        query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        method, folders = scope["method"], self._folders[container]
        answer = await self._relay.pass_on("blob", scope, receive)
        if method == "GET" and not blob and query.get("comp") == "list" and "delimiter" not in query:
            return await self._listed(answer, folders, query)
        if method == "PUT" and blob and answer.status < 300 and query.get("comp") != "block":
            folders.update(parents(blob))
        elif answer.status == 404 and blob.rstrip("/") in folders and method in ("GET", "HEAD", "DELETE"):
            names = {name for name, _ in scope["headers"]}
            return await self._folder(answer, container, blob.rstrip("/"), method, part=bool(names & _RANGES))
        return answer

    async def _listed(self, answer: Answer, folders: set[str], query: dict[str, str]) -> Answer:
        text = (await _whole(answer)).decode()
        if answer.status == 200:
            folders.update(*(parents(html.unescape(name)) for name in _BLOB.findall(text)))
            text = with_folders(text, folders, query)
        return _answer(answer, text.encode())

    async def _folder(self, answer: Answer, container: str, folder: str, method: str, *, part: bool) -> Answer:
        """Answer for a folder, of which Azurite knows nothing; of no bytes there is no part."""
        await _whole(answer)
        if method == "GET" and part:
            return _error(answer, 416, "InvalidRange", "The range specified is invalid for the current size.")
        if method != "DELETE":
            headers = [(b"x-ms-meta-hdi_isfolder", b"true"), (b"x-ms-blob-type", b"BlockBlob")]
            headers += [(b"last-modified", _TIME.encode()), (b"etag", f'"{_ETAG}"'.encode())]
            return _answer(answer, b"", 200, headers)
        folders = self._folders[container]
        full = any(other.startswith(f"{folder}/") for other in folders)
        if full or await asyncio.to_thread(self._storage.holds, container, f"{folder}/"):
            message = "This operation is not permitted on a non-empty directory."
            return _error(answer, 409, "DirectoryIsNotEmpty", message)
        folders.discard(folder)
        return _answer(answer, b"", 202, [])


def parents(blob: str) -> Iterable[str]:
    """Yield the folders that a blob is in, the innermost first."""
    while "/" in blob:
        blob = blob.rpartition("/")[0]
        yield blob


def with_folders(text: str, folders: Iterable[str], query: dict[str, str]) -> str:
    """Return a page of a flat list of blobs with the folders that belong into it, in the order of names."""
    entries = {html.unescape(found[1]): found[0] for found in _BLOB.finditer(text)}
    end = _NEXT.search(text)
    first, last = query.get("marker", ""), html.unescape(end[1]) if end else None
    metadata = "metadata" in query.get("include", "").split(",")
    for folder in folders:
        inside = folder.startswith(query.get("prefix", "")) and folder > first and (last is None or folder <= last)
        if inside and folder not in entries:
            entries[folder] = _entry(folder, metadata=metadata)
    blobs = "".join(entries[name] for name in sorted(entries))
    return re.sub(r"<Blobs>.*</Blobs>|<Blobs\s*/>", lambda _: f"<Blobs>{blobs}</Blobs>", text, flags=re.DOTALL)


def _entry(folder: str, *, metadata: bool) -> str:
    labels = "<Metadata><hdi_isfolder>true</hdi_isfolder></Metadata>" if metadata else ""
    return (
        f"<Blob><Name>{html.escape(folder, quote=False)}</Name><Properties><Creation-Time>{_TIME}</Creation-Time>"
        f"<Last-Modified>{_TIME}</Last-Modified><Etag>{_ETAG}</Etag><Content-Length>0</Content-Length><Content-Type />"
        f"<BlobType>BlockBlob</BlobType><LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>"
        f"</Properties>{labels}</Blob>"
    )


def _error(answer: Answer, status: int, code: str, message: str) -> Answer:
    text = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    headers = [(b"x-ms-error-code", code.encode()), (b"content-type", b"application/xml")]
    return _answer(answer, text.encode(), status, headers)


def _answer(
    answer: Answer, content: bytes, status: int | None = None, headers: list[tuple[bytes, bytes]] | None = None
) -> Answer:
    """Return an answer with another body, and with other headers but for those that every answer of storage has."""
    if headers is None:
        kept = [(name, value) for name, value in answer.headers if name.lower() != b"content-length"]
    else:
        common = (b"date", b"x-ms-request-id", b"x-ms-client-request-id", b"x-ms-version")
        kept = [(name, value) for name, value in answer.headers if name.lower() in common] + headers
    kept.append((b"content-length", str(len(content)).encode()))
    return Answer(status or answer.status, kept, _once(content))


async def _once(content: bytes) -> AsyncIterator[bytes]:
    if content:
        yield content


async def _whole(answer: Answer) -> bytes:
    return b"".join([piece async for piece in answer.body])
