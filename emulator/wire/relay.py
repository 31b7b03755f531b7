"""Storage traffic on its way to Azurite: seen in the log of calls, and able to go wrong like any other.

Requests and answers pass as they are, byte for byte, so that signatures stay valid; nothing is kept in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from starlette.types import Receive, Scope

from ..core.storage import STORAGE

_PIECE = 256 * 1024
_NO_BODY = {204, 304}
_HOP = {b"connection", b"keep-alive", b"transfer-encoding", b"expect"}

Headers = list[tuple[bytes, bytes]]
Link = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Answer:
    """What Azurite answers: status and headers at once, the body piece by piece."""

    def __init__(self, status: int, headers: Headers, body: AsyncIterator[bytes]) -> None:
        self.status, self.headers, self.body = status, headers, body


class Relay:
    """Connections to Azurite, kept open for the next request."""

    def __init__(self, ports: dict[str, int], authority: Path) -> None:
        self._ports = ports
        self._context = ssl.create_default_context(cafile=str(authority))
        self._idle: dict[str, list[Link]] = {name: [] for name in STORAGE}

    async def pass_on(self, service: str, scope: Scope, receive: Receive) -> Answer:
        """Send a request on and return its answer, of which the body is still to be read."""
        fresh = False
        while True:
            link, fresh = await self._open(service)
            try:
                head = await self._send(link, scope, receive)
            except (ConnectionError, asyncio.IncompleteReadError):
                link[1].close()
                if fresh or _has_body(scope):
                    raise
                continue  # it was kept open for too long
            break
        status, headers = _parse(head)
        return Answer(status, headers, self._body(service, link, scope["method"], status, headers))

    async def _open(self, service: str) -> tuple[Link, bool]:
        while self._idle[service]:
            link = self._idle[service].pop()
            if not link[0].at_eof() and not link[1].is_closing():
                return link, False
        port = self._ports[service]
        link = await asyncio.open_connection("127.0.0.1", port, ssl=self._context, limit=_PIECE)
        connection = link[1].get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return link, True

    async def _send(self, link: Link, scope: Scope, receive: Receive) -> bytes:
        reader, writer = link
        chunked = _value(scope["headers"], b"transfer-encoding") == b"chunked"
        query = b"?" + scope["query_string"] if scope["query_string"] else b""
        writer.write(scope["method"].encode() + b" " + scope["raw_path"] + query + b" HTTP/1.1\r\n")
        extra = [(b"transfer-encoding", b"chunked")] if chunked else []
        kept = [(name, value) for name, value in scope["headers"] if name not in _HOP]
        writer.write(b"".join(name + b": " + value + b"\r\n" for name, value in [*kept, *extra]) + b"\r\n")
        if _has_body(scope):
            async for piece in _pieces(receive):
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                await writer.drain()
        if chunked:
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        return await reader.readuntil(b"\r\n\r\n")

    async def _body(self, service: str, link: Link, method: str, status: int, headers: Headers) -> AsyncIterator[bytes]:
        reader, writer = link
        done = False
        try:
            if method != "HEAD" and status not in _NO_BODY:
                async for piece in _read_body(reader, headers):
                    yield piece
            done = _value(headers, b"connection") != b"close"
        finally:
            if done:
                self._idle[service].append(link)
            else:
                writer.close()

    async def close(self) -> None:
        """Close the connections."""
        for _, writer in (link for links in self._idle.values() for link in links):
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await writer.wait_closed()


def _has_body(scope: Scope) -> bool:
    length = _value(scope["headers"], b"content-length")
    return _value(scope["headers"], b"transfer-encoding") is not None or (length is not None and int(length) > 0)


def _value(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    return next((value.lower() for key, value in headers if key.lower() == name), None)


async def _pieces(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("the client has gone")
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body"):
            return


def _parse(head: bytes) -> tuple[int, Headers]:
    status, *lines = head[:-4].split(b"\r\n")
    pairs = (line.partition(b":") for line in lines)
    return int(status.split(b" ")[1]), [(name, value.strip()) for name, _, value in pairs]


def passed(headers: Headers) -> Headers:
    """Return the headers that go on to the client."""
    return [(name, value) for name, value in headers if name.lower() not in _HOP]


async def _read_body(reader: asyncio.StreamReader, headers: Headers) -> AsyncIterator[bytes]:
    length = _value(headers, b"content-length")
    if length is not None:
        async for piece in _exactly(reader, int(length)):
            yield piece
    elif _value(headers, b"transfer-encoding") == b"chunked":
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            async for piece in _exactly(reader, size):
                yield piece
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
    else:
        while piece := await reader.read(_PIECE):
            yield piece


async def _exactly(reader: asyncio.StreamReader, size: int) -> AsyncIterator[bytes]:
    while size:
        piece = await reader.read(min(size, _PIECE))
        if not piece:
            raise asyncio.IncompleteReadError(b"", size)
        size -= len(piece)
        yield piece
