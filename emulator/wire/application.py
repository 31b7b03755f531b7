"""The ASGI application for all production hosts: calls are logged, may go wrong, and are answered.

Storage hosts are relayed to Azurite, all others go to a handler.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from email.utils import formatdate
from functools import partial
from typing import Protocol
from urllib.parse import parse_qsl

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..core.arm import NOTHING, Author, Reply, ServiceError, gateway_error
from ..core.calls import Call
from ..core.directory import sign_in_refused
from ..core.faults import Fault
from ..core.service import Service
from ..core.storage import storage_service
from ..processes.clouds import CLOUDS, PUBLIC, cloud_of
from .dispatch import dispatch
from .exchange import Exchange
from .hierarchy import Hierarchy
from .relay import Answer, Relay, passed

_log = logging.getLogger(__name__)

_NO_BODY = {204, 304}
_CODES = {429: "TooManyRequests", 500: "InternalServerError", 503: "ServiceUnavailable"}
_STORAGE_CODES = {403: "AuthorizationFailure", 500: "InternalError", 503: "ServerBusy"}
_SECRETS = {"sig"}
_LOGINS = {cloud.login for cloud in CLOUDS}
_OAUTH = {400: "invalid_request", 401: "invalid_client", 403: "unauthorized_client"}


class Drop(Protocol):
    """Drops the connection that a call came over."""

    def __call__(self, scope: Scope, *, gently: bool = False) -> None:
        """Drop it at once, or gently: after what was written has left."""


class Application:
    """Every call from the wire, and back."""

    def __init__(self, service: Service, relay: Relay, drop: Drop) -> None:
        self._service, self._relay, self._drop = service, relay, drop
        self._hierarchy = Hierarchy(relay, service.storage)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        if scope["type"] != "http":
            return
        service, began = self._service, time.perf_counter()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        host, path = headers.get("host", "").partition(":")[0].lower(), scope["raw_path"].decode()
        cloud, storage = cloud_of(host), storage_service(host)
        shown = {name: "..." if storage and name in _SECRETS else value for name, value in query.items()}
        call = service.calls.begin(service.clock.now(), scope["method"], host, path, shown)
        call.user_agent = headers.get("user-agent", "")
        call.client_request_id = headers.get("x-ms-client-request-id", "")
        fault = service.faults.pick(call)
        try:
            if storage == "blob" and service.config.hierarchical:
                act = partial(self._hierarchy.pass_on, scope, receive)
            elif storage:
                act = partial(self._relay.pass_on, storage, scope, receive)
            else:
                now = service.clock.now()
                body = await _read(receive, service.config.max_body)
                exchange = Exchange(
                    service, call.method, cloud.inward(host), path, query, headers, body, Author(""), "", now, cloud
                )
                if cloud is not PUBLIC and exchange.host != PUBLIC.login:
                    exchange.body = cloud.inward(body.decode("latin-1")).encode("latin-1")
                exchange.operation_error = fault.operation_error if fault else None
                act = partial(_handle, exchange, call)
            await self._answer(fault, act, call, scope, send)
        finally:
            service.calls.end(call, max(0.001, (time.perf_counter() - began) * 1000))

    async def _answer(
        self, fault: Fault | None, act: Callable[[], Awaitable[Answer]], call: Call, scope: Scope, send: Send
    ) -> None:
        if fault is None:
            await _send(await act(), call, send)
            return
        call.fault = fault.name
        if fault.latency:
            await asyncio.sleep(fault.latency)
        if fault.crash and not fault.lose_answer:
            os._exit(70)
        if fault.reset:
            self._drop(scope)
            return
        answer = _refusal(fault, call) if fault.status else await act()
        if fault.lose_answer:
            async for _ in answer.body:
                pass
            if fault.crash:
                os._exit(70)
            self._drop(scope)
        elif fault.truncate:
            await _send_half(answer, call, send)
            self._drop(scope, gently=True)
        else:
            await _send(answer, call, send)


async def _handle(exchange: Exchange, call: Call) -> Answer:
    """Let a handler answer."""
    try:
        reply = await dispatch(exchange, call)
    except ServiceError as error:
        call.error = str(error)[:500]
        reply = error.reply
    except Exception as error:  # noqa: BLE001 - a defect here must not look like a network failure there
        _log.exception("%s %s", call.method, call.path)
        call.error = repr(error)
        reply = gateway_error(500, "EmulatorError", f"The emulator failed: {error!r}").reply
    if exchange.service.config.keep_answers:
        body = None if isinstance(reply.body, bytes) or reply.body is NOTHING else reply.body
        shown = {name: getattr(call, name) for name in ("method", "host", "path", "template", "api_version")}
        exchange.service.calls.answers.append({**shown, "status": reply.status, "body": copy.deepcopy(body)})
    if exchange.cloud is not PUBLIC:
        outward = exchange.cloud.outward
        headers = {name: outward(value) for name, value in reply.headers.items()}
        reply = Reply(
            reply.status, outward(reply.encode().decode("latin-1")).encode("latin-1"), headers, reply.by_gateway
        )
    return _wrap(reply, call.method, "application/json; charset=utf-8")


def _wrap(reply: Reply, method: str, kind: str) -> Answer:
    content = b"" if reply.status in _NO_BODY or method == "HEAD" else reply.encode()
    headers = {"Date": formatdate(usegmt=True), **reply.headers}
    response = Response(content, reply.status, headers, kind if content else None)
    return Answer(reply.status, response.raw_headers, _once(content))


async def _once(content: bytes) -> AsyncIterator[bytes]:
    if content:
        yield content


def _refusal(fault: Fault, call: Call) -> Answer:
    """Return the answer that a fault puts in the place of the real one, in the words of ARM, of storage or of Entra."""
    status = fault.status or 500
    retry = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
    message = fault.message or "The emulator was told to answer this."
    if storage_service(call.host):
        code = fault.code or _STORAGE_CODES.get(status, "InternalError")
        text = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
        return _wrap(Reply(status, text.encode(), {"x-ms-error-code": code, **retry}), call.method, "application/xml")
    if call.host in _LOGINS:
        number = int((fault.code or "0").removeprefix("AADSTS"))
        reply = sign_in_refused(status, _OAUTH.get(status, "temporarily_unavailable"), number, message)
        return _wrap(Reply(status, reply.body, retry), call.method, "application/json; charset=utf-8")
    reply = gateway_error(status, fault.code or _CODES.get(status, "InternalServerError"), message).reply
    reply.headers |= retry
    return _wrap(reply, call.method, "application/json; charset=utf-8")


async def _send(answer: Answer, call: Call, send: Send) -> None:
    call.status = answer.status
    await send({"type": "http.response.start", "status": answer.status, "headers": passed(answer.headers)})
    async for piece in answer.body:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_half(answer: Answer, call: Call, send: Send) -> None:
    call.status = answer.status
    await send({"type": "http.response.start", "status": answer.status, "headers": passed(answer.headers)})
    async for piece in answer.body:
        await send({"type": "http.response.body", "body": piece[: len(piece) // 2], "more_body": True})
        break


async def _read(receive: Receive, limit: int) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body") or len(body) > limit:
            return body
