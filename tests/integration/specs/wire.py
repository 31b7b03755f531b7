"""What a client sends that changes something in Azure: taken where it leaves this process, SDK and provider alike."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import requests

Call = tuple[str, str, str, Any]
"""Method, path, api-version, JSON body; of bytes their hash."""


@dataclass(slots=True)
class Sent:
    """The bodies of PUT and PATCH calls, in the order sent."""

    calls: list[Call] = field(default_factory=list)

    def note(self, method: str, url: str, body: Any) -> None:
        """Keep a call."""
        if method not in ("PUT", "PATCH"):
            return
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        if query.get("comp") in ("block", "blocklist", "metadata"):
            return
        path = parts.path if "/workspaces/" in parts.path else f"{parts.netloc}{parts.path}"
        self.calls.append((method, self._plain(path), query.get("api-version", ""), self._json(body)))

    def _json(self, body: Any) -> Any:
        if body is None:
            return None
        data = body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else body.read()
        if hasattr(body, "seek"):
            body.seek(0)
        try:
            return json.loads(self._plain(data.decode()))
        except ValueError:
            return hashlib.sha256(data).hexdigest()

    @staticmethod
    def _plain(text: str) -> str:
        """Take out what storage calls the containers of this life of the workspace."""
        return re.sub(r"(azureml-blobstore-|core\.windows\.net(?::443)?/)[0-9a-f-]{36}(-[0-9a-z]+)?", r"\1ID", text)


@contextlib.contextmanager
def recorded(spec: str = "") -> Iterator[Sent]:
    """Record what leaves this process. The SDK's random name for code is this spec's own."""
    from azure.ai.ml.entities._assets import asset

    sent = Sent()
    send, request, random_name = requests.Session.send, aiohttp.ClientSession._request, asset._get_random_name

    def noted_send(self: Any, prepared: Any, **kwargs: Any) -> Any:
        sent.note(prepared.method, prepared.url, prepared.body)
        return send(self, prepared, **kwargs)

    async def noted_request(self: Any, method: str, url: Any, **kwargs: Any) -> Any:
        body = kwargs.get("data")
        sent.note(method, str(url), json.dumps(kwargs["json"]) if "json" in kwargs else body)
        return await request(self, method, url, **kwargs)

    requests.Session.send, aiohttp.ClientSession._request = noted_send, noted_request
    asset._get_random_name = lambda: str(uuid.uuid5(uuid.NAMESPACE_OID, spec))
    try:
        yield sent
    finally:
        requests.Session.send, aiohttp.ClientSession._request = send, request
        asset._get_random_name = random_name
