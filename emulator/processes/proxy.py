"""A CONNECT proxy that leads the production host names to loopback and refuses every other.

It ends no TLS: the service does that, so a client sees the certificate of the host that it asked for. What it refuses
proves that a test talks to nobody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
import sys
from collections.abc import Mapping
from pathlib import Path

from .children import end_with_parent, listen, ready
from .clouds import CLOUDS
from .config import Config


def _any(*names: str) -> str:
    return "|".join(map(re.escape, names))


_TARGETS = [(re.compile(r"login\.windows\.net"), "service")] + [
    (re.compile(pattern), target)
    for cloud in CLOUDS
    for pattern, target in (
        (_any(cloud.login, cloud.resource_manager), "service"),
        (rf"[\w-]+\.({_any(cloud.services, cloud.experiments)})", "service"),
        (rf"[\w.-]+\.{_any(cloud.endpoints)}", "service"),
        (rf"[a-z0-9]+\.(blob|queue)\.{_any(cloud.storage)}", "service"),
        (rf"[a-z0-9]+\.table\.{_any(cloud.storage)}", "table"),
    )
]
_CONNECT = re.compile(rb"CONNECT ([^\s:]+):(\d+) HTTP/1\.[01]\r\n")
_LIMIT = 256 * 1024


def target_of(host: str, port: int) -> str | None:
    """Return which of our servers stands for a host, or None."""
    if port != 443:
        return None
    return next((target for pattern, target in _TARGETS if pattern.fullmatch(host.lower())), None)


class Mapper:
    """Answers CONNECT and passes bytes both ways."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        self._ports = ports

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            request = _CONNECT.match(await reader.readuntil(b"\r\n\r\n"))
            target = target_of(request[1].decode(), int(request[2])) if request else None
            if target is None:
                await _say(writer, "403 Forbidden", "the AzureML emulator does not know this host")
            else:
                await self._pass_on(reader, writer, self._ports[target])
        writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port, limit=_LIMIT)
        except OSError:
            await _say(writer, "502 Bad Gateway", "the service is down")
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pump(reader, far_writer, writer), _pump(far_reader, writer, far_writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: asyncio.StreamWriter) -> None:
    """Pass bytes on until the end; a reset on one side is a reset on the other."""
    near = back.get_extra_info("socket")
    try:
        _acknowledge_at_once(near)
        while data := await reader.read(_LIMIT):
            _acknowledge_at_once(near)
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        reset(writer.transport)
        reset(back.transport)


def _acknowledge_at_once(connection: socket.socket) -> None:
    """Acknowledge what comes next without delay, where the system can.

    urllib3 leaves Nagle's algorithm on for connections to a proxy: it sends a request's body only once its head is
    acknowledged, which would otherwise be 40 ms later. The system forgets the option with each acknowledgement.
    """
    if hasattr(socket, "TCP_QUICKACK"):
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def reset(transport: asyncio.WriteTransport) -> None:
    """Drop a connection with RST, as a crashed peer does."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _say(writer: asyncio.StreamWriter, status: str, text: str) -> None:
    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}".encode())
    with contextlib.suppress(ConnectionError):
        await writer.drain()


async def _run(config: Config) -> None:
    mapper = Mapper(config.ports)
    server = await asyncio.start_server(mapper.serve, sock=listen(config.ports["proxy"]), limit=_LIMIT)
    ready()
    async with server:
        await server.serve_forever()


def main() -> None:
    """Run as a process of its own."""
    end_with_parent()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(Config.load(Path(sys.argv[1]))))


if __name__ == "__main__":
    main()
