"""The emulator's processes: how a parent starts them, and how they notice that the parent is gone."""

from __future__ import annotations

import contextlib
import os
import random
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

_READY = "* serving *"
_PARENT = "AZUREML_EMULATOR_PARENT"
_WATCH_EVERY = 0.25
_EMULATOR = str(__package__).rpartition(".")[0]


class EmulatorError(RuntimeError):
    """The emulator cannot start or cannot do what it was told; the message is one line for people."""


def free_port() -> int:
    """
    Return a port that nothing listens on, from below those that systems give to outgoing connections (Linux: 32768).

    One of those may be taken by a connection between now and the moment when something listens on it.
    """
    while True:
        port = random.SystemRandom().randrange(15000, 32000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def listen(port: int) -> socket.socket:
    """Listen on loopback, or end this process with one line that says why not."""
    server = socket.socket(proto=socket.IPPROTO_TCP)  # without naming TCP, asyncio leaves Nagle's algorithm on
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind(("127.0.0.1", port))
    except OSError as error:
        fail(f"port {port} is not free: {error.strerror}")
    server.listen(512)
    server.setblocking(False)
    return server


def ready() -> None:
    """Tell the parent that this process serves."""
    print(_READY, flush=True)  # noqa: T201 - the pipe to the parent


def fail(message: str) -> None:
    """End this process and let the parent show the message."""
    print(f"error: {message}", flush=True)  # noqa: T201 - the pipe to the parent
    os._exit(1)


def end_with_parent() -> None:
    """End this process soon after the one that started it, however that ended.

    The parent is watched, not a pipe from it: a pipe stays open in whatever the parent forked.
    """
    parent = int(os.environ.get(_PARENT, os.getppid()))

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH_EVERY)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


class Child:
    """One process that was started here and will be ended here."""

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: dict[str, str] | None = None) -> None:
        self.name, self._log = name, log
        log.touch(0o600)
        with log.open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - our own programs
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, _PARENT: str(os.getpid()), **(environment or {})},
                start_new_session=True,
                umask=0o077,  # what is kept holds (made-up) secrets and users' data
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def wait_until_ready(self, timeout: float = 20.0, word: str = _READY, times: int = 1) -> None:
        """Wait for the line that says so, or raise with the one that says why not."""
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        deadline, text = time.monotonic() + timeout, ""
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while text.count(word) < times:
                data = os.read(pipe, 65536) if selector.select(max(0.0, deadline - time.monotonic())) else b""
                if not data:
                    self.kill()
                    raise EmulatorError(self._why(text))
                text += data.decode(errors="replace")

    def _why(self, text: str) -> str:
        for line in [*text.splitlines(), *self._log.read_text(errors="replace").splitlines()]:
            if line.lower().startswith("error: ") or "EADDRINUSE" in line:
                return f"{self.name}: {line.removeprefix('error: ')}"
        return f"{self.name} did not start; see {self._log}"

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        return self._process.wait(timeout)

    def stop(self, timeout: float = 5.0) -> None:
        """End it, politely first."""
        if self.running:
            self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        self._close()

    def kill(self) -> None:
        """End it at once."""
        if self.running:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        self._close()

    def _close(self) -> None:
        if self._process.stdout is not None:
            self._process.stdout.close()


def python(module: str, *arguments: str) -> list[str]:
    """Return the command that runs one of our modules, named from the emulator's package on: `processes.proxy`."""
    return [sys.executable, "-m", f"{_EMULATOR}.{module}", *arguments]
