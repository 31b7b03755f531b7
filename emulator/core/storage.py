"""The storage account: signatures as the real services make them, and the few calls that the emulator makes itself.

The bytes live in Azurite. Signatures are made with the account's key by Microsoft's documented rules ("Create an
account SAS", "Create a service SAS"), so Azurite really checks them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import re
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from ..processes.clouds import CLOUDS

STORAGE = {service: tuple(f".{service}.{cloud.storage}" for cloud in CLOUDS) for service in ("blob", "queue")}
_VERSION = "2020-08-04"
_WAIT = 0.02


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where Azurite listens."""

    blob: int
    queue: int


def storage_service(host: str) -> str | None:
    """Return which storage service a host belongs to, or None."""
    return next((name for name, suffixes in STORAGE.items() if host.endswith(suffixes)), None)


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


class Storage:
    """One storage account in Azurite."""

    def __init__(self, account: str, key: str, endpoints: Endpoints, authority: Path) -> None:
        self.account, self.key = account, key
        self._endpoints = endpoints
        self._context = ssl.create_default_context(cafile=str(authority))
        self._connections = threading.local()

    def account_sas(self, hours: float = 1, services: str = "bf", types: str = "co", rights: str = "rcuwdl") -> str:
        """Return an account signature; the defaults are those of a datastore's (recorded_shapes/datastore.json)."""
        expiry = _time(time.time() + hours * 3600)
        text = [self.account, rights, services, types, "", expiry, "", "https", _VERSION, ""]
        signature = self._sign("\n".join(text))
        query = {"sv": _VERSION, "sig": signature, "spr": "https", "se": expiry, "srt": types, "ss": services}
        return urlencode({**query, "sp": rights})

    def container_sas(self, container: str, hours: float = 8, rights: str = "rcwl") -> str:
        """Return a signature for one container; the real one is a user delegation's (recorded_shapes/code.json)."""
        start, expiry = _time(time.time() - 600), _time(time.time() + hours * 3600)
        resource = f"/blob/{self.account}/{container}"
        text = [rights, start, expiry, resource, "", "", "https", _VERSION, "c", "", "", "", "", "", ""]
        signature = self._sign("\n".join(text))
        query = {"sv": _VERSION, "st": start, "se": expiry, "spr": "https", "sr": "c", "sp": rights}
        return urlencode({**query, "sig": signature})

    def _sign(self, text: str) -> str:
        digest = hmac.new(base64.b64decode(self.key), text.encode(), hashlib.sha256).digest()
        return base64.b64encode(digest).decode()

    def wait_until_up(self, seconds: float = 20.0) -> None:
        """Wait until Azurite, which is started at the same time as the service, takes connections."""
        deadline = time.monotonic() + seconds
        for port in (self._endpoints.blob, self._endpoints.queue):
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(_WAIT)

    def create_container(self, name: str) -> None:
        """Create a blob container; one that exists is left alone."""
        self._send("PUT", "blob", f"/{name}", {"restype": "container"}, allowed=(201, 409))

    def upload(self, container: str, path: str, content: bytes) -> None:
        """Write one blob."""
        self._send("PUT", "blob", f"/{container}/{quote(path)}", {}, content, {"x-ms-blob-type": "BlockBlob"})

    def copy(self, container: str, prefix: str, target: str) -> None:
        """Copy the blobs whose names begin like this into another container, under their own names."""
        query = {"restype": "container", "comp": "list", "prefix": prefix}
        listed = self._send("GET", "blob", f"/{container}", query, allowed=(200,))
        for name in map(unescape, re.findall(r"<Blob><Name>(.*?)</Name>", listed)):
            self.upload(target, name, self._read("GET", "blob", f"/{container}/{quote(name)}", {}, allowed=(200,)))

    def holds(self, container: str, prefix: str) -> bool:
        """Say whether there are blobs whose names begin like this."""
        query = {"restype": "container", "comp": "list", "prefix": prefix, "maxresults": "1"}
        return "<Blob>" in self._send("GET", "blob", f"/{container}", query, allowed=(200,))

    def create_queue(self, name: str) -> None:
        """Create a queue; one that exists is left alone."""
        self._send("PUT", "queue", f"/{name}", {}, allowed=(201, 204))

    def send_message(self, queue: str, text: str) -> None:
        """Put one message, exactly as it is, at the end of a queue."""
        escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        body = f"<QueueMessage><MessageText>{escaped}</MessageText></QueueMessage>".encode()
        self._send("POST", "queue", f"/{queue}/messages", {}, body, {"Content-Type": "application/xml"})

    def _send(self, *arguments: Any, **options: Any) -> str:
        return self._read(*arguments, **options).decode()

    def _read(
        self,
        method: str,
        service: str,
        path: str,
        query: dict[str, str],
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        allowed: tuple[int, ...] = (201,),
    ) -> bytes:
        sas = self.account_sas(services="bq", types="sco", rights="rwdlacup")
        url = f"/{self.account}{path}?{urlencode(query)}{'&' if query else ''}{sas}"
        connection = self._connection(service)
        for last in (False, True):
            try:
                connection.request(method, url, body, {"x-ms-version": _VERSION, **(headers or {})})
                answer = connection.getresponse()
                text = answer.read()
                break
            except (OSError, http.client.HTTPException):
                connection.close()  # kept open for too long; the next request opens it anew
                if last:
                    raise
        if answer.status not in allowed:
            raise RuntimeError(f"Azurite refused {method} {path}: {answer.status} {text.decode(errors='replace')}")
        return text

    def _connection(self, service: str) -> http.client.HTTPSConnection:
        connection: http.client.HTTPSConnection | None = getattr(self._connections, service, None)
        if connection is None:
            port = self._endpoints.blob if service == "blob" else self._endpoints.queue
            connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=self._context)
            setattr(self._connections, service, connection)
        return connection
