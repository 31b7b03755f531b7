"""The service: every call from the wire to its handler and back."""

from __future__ import annotations

import asyncio
import logging
import os
import time
import uuid
from functools import partial
from inspect import isawaitable
from typing import Protocol
from urllib.parse import parse_qsl

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from . import (  # noqa: F401 - each module adds its routes
    codes,
    components,
    computes,
    data,
    datastores,
    endpoints,
    environments,
    jobs,
    mlflow,
    models,
    operations,
    registries,
    runhistory,
    schedules,
)
from .arm import Author, Reply, ServiceError, gateway_error
from .calls import Call, CallLog
from .clock import Clock, timestamp
from .config import Config
from .datastores import built_in
from .datastores import collection as datastore_collection
from .errands import Errands
from .events import Events
from .faults import Fault, Faults
from .operations import Operations
from .progress import TERMINAL, Runner
from .routing import ROUTES, Exchange
from .state import Document, Store
from .storage import Endpoints, Storage
from .throttle import Throttle
from .tokens import Directory, Principal
from .workspaces import Holder, Holders, new_holder

_log = logging.getLogger(__name__)

_PROVIDER_PREFIX = "/subscriptions/"
_HOLDER_SEGMENTS = 9
_TICK = 0.05
_LOG = "user_logs/std_log.txt"
_NO_BODY = {204, 304}


class Drop(Protocol):
    """Drops the connection that a call came over."""

    def __call__(self, scope: Scope, *, gently: bool = False) -> None:
        """Do it."""


class Service:
    """Everything that handlers reach through their exchange."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.clock = Clock(config.clock_rate)
        self.store = Store(config.root / "state.sqlite")
        self.holders = Holders(self.store)
        self.directory = Directory(self.store, config.tenant_id, config.signing_key)
        self.storage = Storage(
            config.account,
            config.account_key,
            Endpoints(config.ports["blob"], config.ports["queue"]),
            config.root / "certificates" / "authority.pem",
        )
        self.errands = Errands()
        self.events = Events(self.store, self.storage, self.errands, config.seed)
        self.operations = Operations(self.store, config.signing_key)
        self.runner = Runner(self.store, self._job_moved)
        self.throttle = Throttle(enforce=config.throttle, limits=config.limits)
        self.faults = Faults(config.seed)
        self.calls = CallLog()

    async def start(self) -> None:
        """Make the first principal and the first workspace, unless they are there from an earlier start."""
        config = self.config
        if self.directory.find(config.client_id) is None:
            self.directory.add(config.client_id, config.client_secret, "emulator")
            self.directory.grant(config.client_id, "Contributor", f"/subscriptions/{config.subscription_id}")
        coordinates = (config.subscription_id, config.resource_group, config.workspace_name)
        await self.create_workspace(*coordinates)

    async def create_workspace(self, subscription: str, group: str, name: str) -> Holder:
        """Create a workspace with its datastores and their containers; one that exists is left alone."""
        holder = new_holder(
            subscription=subscription, group=group, name=name, now=self.clock.now(), location=self.config.location
        )
        known = self.holders.find(holder.id)
        if known is not None:
            return known
        for container in (holder.container, holder.artifact_container):
            await asyncio.to_thread(self.storage.create_container, container)
        self.holders.add(holder)
        for datastore, document in reversed(built_in(holder, self.config.account).items()):
            self.store.put(datastore_collection(holder), datastore, document, holder.created)
        return holder

    def create_registry(self, subscription: str, group: str, name: str) -> Holder:
        """Create a registry; one that exists is left alone."""
        holder = new_holder(
            subscription=subscription,
            group=group,
            name=name,
            now=self.clock.now(),
            location=self.config.location,
            segment="registries",
        )
        return self.holders.find(holder.id) or self.holders.add(holder)

    async def run(self) -> None:
        """Let jobs get on and deliver events, until cancelled."""
        errands = asyncio.create_task(self.errands.work())
        try:
            while True:
                self.runner.catch_up(self.clock.now())
                await asyncio.sleep(_TICK)
        finally:
            errands.cancel()

    def own_exchange(self, holder: Holder, author: Author, now: float) -> Exchange:
        """Return an exchange for what the service does of its own accord."""
        return Exchange(self, "", "", "", {}, {}, b"", author, "", now, holder)

    def write_log(self, holder: Holder, name: str, job: Document) -> None:
        """Leave a log where jobs.stream, jobs.download and the studio look for it."""
        lines = [f"{timestamp(at)} {status}" for status, at in job["history"]]
        if job["error"]:
            lines.append(job["error"]["message"])
        content = "\n".join([*lines, ""]).encode()
        path = f"ExperimentRun/dcid.{name}/{_LOG}"
        self.errands.run(partial(self.storage.upload, holder.artifact_container, path, content))

    def log_files(self, holder: Holder, name: str, job: Document) -> dict[str, str]:
        """Return the logs of a run with URLs that open them."""
        if job["status"] not in TERMINAL:
            return {}
        container = holder.artifact_container
        url = f"https://{self.storage.account}.blob.core.windows.net/{container}/ExperimentRun/dcid.{name}/{_LOG}"
        return {_LOG: f"{url}?{self.storage.container_sas(container, rights='r')}"}

    def _job_moved(self, collection: str, name: str, job: Document) -> None:
        holder = self.holders.find(collection.removesuffix("/jobs"))
        if holder is not None:
            system = job["systemData"]
            author = Author(system["createdBy"], system["createdByType"])
            jobs.moved(self.own_exchange(holder, author, job["history"][-1][1]), name, job)


class Application:
    """The ASGI application for all production hosts."""

    def __init__(self, service: Service, drop: Drop) -> None:
        self._service, self._drop = service, drop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        if scope["type"] != "http":
            return
        service, began = self._service, time.perf_counter()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        host = headers.get("host", "").partition(":")[0]
        call = service.calls.begin(service.clock.now(), scope["method"], host, raw.decode(), query)
        call.user_agent = headers.get("user-agent", "")
        call.client_request_id = headers.get("x-ms-client-request-id", "")
        try:
            body = await _read(receive, service.config.max_body)
            exchange = Exchange(
                service, call.method, host, call.path, query, headers, body, Author(""), "", service.clock.now()
            )
            await self._answer(exchange, call, scope, send)
        finally:
            await service.calls.end(call, max(0.001, (time.perf_counter() - began) * 1000))

    async def _answer(self, exchange: Exchange, call: Call, scope: Scope, send: Send) -> None:
        fault = self._service.faults.pick(call)
        if fault is None:
            await self._send(await self._reply(exchange, call), call, scope, send)
            return
        call.fault = fault.name
        if fault.latency:
            await asyncio.sleep(fault.latency)
        if fault.crash and not fault.lose_answer:
            os._exit(70)
        if fault.reset:
            self._drop(scope)
            return
        reply = _faulty(fault) if fault.status else await self._reply(exchange, call)
        if fault.lose_answer:
            call.status = 0
            if fault.crash:
                os._exit(70)
            self._drop(scope)
            return
        await self._send(reply, call, scope, send, truncate=fault.truncate)

    async def _reply(self, exchange: Exchange, call: Call) -> Reply:
        try:
            return await dispatch(exchange, call)
        except ServiceError as error:
            call.error = str(error)[:500]
            return error.reply
        except Exception as error:  # noqa: BLE001 - a defect here must not look like a network failure there
            _log.exception("%s %s", call.method, call.path)
            call.error = repr(error)
            message = f"The emulator failed: {error!r}"
            return gateway_error(500, "EmulatorError", message).reply

    async def _send(self, reply: Reply, call: Call, scope: Scope, send: Send, *, truncate: bool = False) -> None:
        call.status = reply.status
        content = b"" if reply.status in _NO_BODY or call.method == "HEAD" else reply.encode()
        kind = "application/json; charset=utf-8" if content else None
        response = Response(content, reply.status, reply.headers, kind)
        if not truncate:
            await response(scope, _never, send)
            return
        headers = response.raw_headers
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": content[: len(content) // 2], "more_body": True})
        self._drop(scope, gently=True)


async def _never() -> Message:
    return {"type": "http.disconnect"}


async def _read(receive: Receive, limit: int) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body") or len(body) > limit:
            return body


def _faulty(fault: Fault) -> Reply:
    status = fault.status or 500
    code = fault.code or {429: "TooManyRequests", 503: "ServiceUnavailable"}.get(status, "InternalServerError")
    message = fault.message or "The emulator was told to answer this."
    reply = gateway_error(status, code, message).reply
    if fault.retry_after is not None:
        reply.headers["Retry-After"] = f"{fault.retry_after:g}"
    return reply


async def dispatch(exchange: Exchange, call: Call) -> Reply:
    """Find the handler, see to identity, rights and limits, and answer."""
    service, found = exchange.service, ROUTES.find(exchange.method, exchange.path)
    service.runner.catch_up(exchange.now)
    anonymous = exchange.path == "/discovery" or exchange.host.startswith("login.") or _scores(exchange.host)
    extra: dict[str, str] = {}
    if not anonymous:
        principal = _identify(exchange, call)
        if exchange.path.startswith(_PROVIDER_PREFIX):
            extra = _limit(exchange, principal)
            service.directory.authorize(principal, exchange.method, exchange.path)
    if len(exchange.body) > service.config.max_body:
        raise gateway_error(413, "RequestContentTooLarge", "The request content size exceeds the maximum size.")
    if found is None:
        call.known = False
        return _unknown(exchange)
    handler, names = found
    parameters = _place(exchange, names)
    try:
        reply = handler(exchange, **parameters)
        if isawaitable(reply):
            reply = await reply
    except ServiceError as error:
        if "x-ms-failure-cause" not in error.reply.headers:
            error.reply.headers.update(extra | _correlation(exchange))
        raise
    assert isinstance(reply, Reply)
    if exchange.draws is not None:
        extra = {f"x-ms-ratelimit-remaining-subscription-{exchange.draws}": "24"}
    reply.headers = {"x-ms-response-type": "standard", **extra, **_correlation(exchange), **reply.headers}
    return reply


def _scores(host: str) -> bool:
    """Say whether a host is an endpoint's, which sees to keys and tokens itself."""
    return host.endswith(".inference.ml.azure.com")


def _identify(exchange: Exchange, call: Call) -> Principal:
    principal = exchange.service.directory.authenticate(exchange.headers.get("authorization", ""))
    exchange.author, exchange.principal = principal.author, principal.client_id
    call.principal = principal.client_id
    return principal


def _limit(exchange: Exchange, principal: Principal) -> dict[str, str]:
    """Count the call against ARM's limits, or answer 429."""
    subscription = exchange.path.split("/")[2].lower()
    service = exchange.service
    headers, wait = service.throttle.count(subscription, principal.client_id, exchange.method, exchange.now)
    if wait is not None:
        message = f"Number of requests exceeded the limit. Please try again after '{wait}' seconds."
        raise gateway_error(429, "SubscriptionRequestsThrottled", message, Retry_After=str(wait))
    return headers


def _place(exchange: Exchange, names: dict[str, str]) -> dict[str, str]:
    """Resolve the workspace (or registry) of the path; return the handler's own names."""
    if "group_" in names:
        path = exchange.path
        start = path.lower().index(_PROVIDER_PREFIX)
        whole = path[start:]
        own = "/".join(whole.split("/")[:_HOLDER_SEGMENTS])
        exchange.holder = exchange.service.holders.require(own, whole, exchange.method)
    return {name: value for name, value in names.items() if not name.endswith("_")}


def _correlation(exchange: Exchange) -> dict[str, str]:
    request = str(uuid.uuid4())
    return {
        "x-ms-request-id": request,
        "x-ms-correlation-request-id": request,
        "Cache-Control": "no-cache",
        "Pragma": "no-cache",
    }


def _unknown(exchange: Exchange) -> Reply:
    """Answer a path that no module knows; ARM's words for a resource type that a provider does not have."""
    return gateway_error(
        404, "InvalidResourceType", f"The emulator has no answer to {exchange.method} {exchange.path}."
    ).reply
