"""Long-running operations: those under way and those that are done, and the URLs at which they are polled."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Any
from urllib.parse import urlencode

from ..processes.config import Config
from .arm import MANAGEMENT, PROVIDER, gateway_error, provider_error
from .owners import Owner
from .store import Store

_COLLECTION = "operations"
_CERTIFICATE_SIZE = 2000


class Operations:
    """The operations under way and those that are done."""

    def __init__(self, store: Store, config: Config) -> None:
        self._store, self._config, self._key = store, config, config.signing_key.encode()

    def begin(
        self,
        owner: Owner,
        kind: str,
        identifier: str,
        *,
        now: float,
        seconds: float,
        api_version: str,
        status: str = "",
        error: dict[str, str] | None = None,
        signed: bool = True,
    ) -> str:
        """Begin an operation that takes `seconds`; return the URL at which it is polled.

        Since 2024 ARM signs such URLs, which makes them some 3 kB long; they only work as they were handed out.
        """
        path = f"/subscriptions/{owner.subscription}/providers/{PROVIDER}/locations/{owner.location}/{kind}"
        document = {"start": now, "due": now + seconds, "status": status, "path": path, "error": error, "polls": 0}
        self._store.put(_COLLECTION, identifier, {**document, "signed": signed}, now)
        return self.url(path, identifier, now=now, api_version=api_version, signed=signed)

    def url(self, path: str, identifier: str, *, now: float, api_version: str, signed: bool = True) -> str:
        """Return a URL at which an operation is polled; that of its status and that of its result are signed apart."""
        kind = path.rpartition("/")[2]
        query = {"api-version": api_version}
        if kind == "computeOperationsStatus":
            query["service"] = "new"
        if signed:
            query |= {"t": str(int(now * 1e7)), "c": _certificate(), "s": self._signature(kind, identifier)}
            query["h"] = secrets.token_urlsafe(32)
        return f"{MANAGEMENT}{path}/{identifier}?{urlencode(query)}"

    def unsigned(self, url: str) -> str:
        """Return a URL without its signature, as it stands in the body of an endpoint."""
        return url.partition("&t=")[0]

    def find(self, kind: str, identifier: str, signature: str, now: float) -> dict[str, Any]:
        """Return an operation that is polled, and whether it is `running`.

        Answers 404 if there is none, or 403 if the URL is not as it was handed out.
        """
        document = self._store.get(_COLLECTION, identifier)
        if document is None:
            raise provider_error(404, f"Operation {identifier} not found.", code="NotFound")
        if document["signed"] and not hmac.compare_digest(signature, self._signature(kind, identifier)):
            raise gateway_error(403, "InvalidSignature", "The URL of the operation is not the one that was handed out.")
        document["polls"] += 1
        self._store.put(_COLLECTION, identifier, document)
        return {**document, "running": now < document["due"] or document["polls"] <= self._config.operation_polls}

    def _signature(self, kind: str, identifier: str) -> str:
        return hmac.new(self._key, f"{kind}/{identifier}".encode(), hashlib.sha256).hexdigest()


def _certificate() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(_CERTIFICATE_SIZE)).decode().rstrip("=")
