"""The service's process: the production hosts over TLS, the control API in the clear, both on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import Scope
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from . import control
from .api.jobs import job_moved
from .api.workspaces import create_workspace
from .core.service import Service
from .processes.certificates import Certificates
from .processes.children import end_with_parent, listen, ready
from .processes.config import Config
from .processes.proxy import reset
from .wire.application import Application
from .wire.relay import Relay

_KEEP_ALIVE = 300

_open: dict[tuple[str, int], asyncio.Transport] = {}


class _Protocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """HTTP, with the open connections at hand so that a fault can drop one."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._peer = transport.get_extra_info("peername")
        _open[self._peer] = transport

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        _open.pop(self._peer, None)


def drop(scope: Scope, *, gently: bool = False) -> None:
    """Drop the connection that a call came over: with RST, or gently once what was written has left."""
    transport = _open.get(tuple(scope["client"]))
    if transport is not None:
        transport.close() if gently else reset(transport)


class _Server(uvicorn.Server):
    """A server that leaves the signals to us, as there are two of them, and tells when it serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(app: Any, **options: Any) -> _Server:
    settings = {"log_level": "warning", "access_log": False, "lifespan": "off", "ws": "none", "server_header": False}
    times = {"timeout_keep_alive": _KEEP_ALIVE, "timeout_graceful_shutdown": 1}
    return _Server(uvicorn.Config(app, **{**settings, **times, **options}))


async def _service(config: Config) -> Service:
    """Return the service with its first principal and workspace: new ones, or those of an earlier start."""
    service = Service(config)
    service.runner.moved = partial(job_moved, service)
    await asyncio.to_thread(service.storage.wait_until_up)
    if service.directory.find(config.client_id) is None:
        service.directory.add(config.client_id, config.client_secret, "emulator")
        service.directory.grant(config.client_id, "Contributor", f"/subscriptions/{config.subscription_id}")
    await create_workspace(service, config.subscription_id, config.resource_group, config.workspace_name)
    return service


async def _run(config: Config) -> None:
    service = await _service(config)
    certificates = Certificates(config.root / "certificates")
    relay = Relay(config.ports, certificates.authority)
    front = _server(
        Application(service, relay, drop),
        http=_Protocol,
        date_header=False,  # handlers and Azurite send their own
        ssl_certfile=str(certificates.certificate),
        ssl_keyfile=str(certificates.key),
    )
    back = _server(control.application(service))

    def stop() -> None:
        front.should_exit = back.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    sockets = listen(config.ports["service"]), listen(config.ports["control"])
    work = asyncio.create_task(service.run())
    serving = asyncio.gather(front.serve([sockets[0]]), back.serve([sockets[1]]))
    await asyncio.gather(front.serving.wait(), back.serving.wait())
    ready()
    await serving
    work.cancel()
    await relay.close()
    service.store.close()


def main() -> None:
    """Run as a process of its own."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    end_with_parent()
    config = Config.load(Path(sys.argv[1]))
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_run(config))


def _loop_factory() -> Any:
    """Return uvloop's, where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    main()
