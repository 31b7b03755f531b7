"""HTTP to Azure: one credential and one azure-core pipeline, with refusals turned into this provider's errors."""

from __future__ import annotations

import json as jsonlib
import logging
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from azure.core import AsyncPipelineClient
from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError
from azure.core.pipeline.policies import (
    AsyncBearerTokenCredentialPolicy,
    AsyncRetryPolicy,
    HeadersPolicy,
    RequestIdPolicy,
    UserAgentPolicy,
)
from azure.core.rest import HttpRequest
from azure.identity import CredentialUnavailableError

from ..errors import RequestRefusedError, TransientError
from ..masking import mask_answer
from ..shared import SharedInLoop
from .read_budget import read_budget
from .refusals import path_of, refusal

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from azure.core.pipeline import PipelineRequest

    from ..connection import WorkspaceConnection

log = logging.getLogger(__name__)

USER_AGENT = f"airflow-provider-azureml/{version('airflow-provider-azureml')}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful response: its status, its JSON body (None if empty) and its headers."""

    status: int
    body: Any
    headers: dict[str, str]  # by lower-case name: the service does not keep to one case


class _SignInPolicy(AsyncBearerTokenCredentialPolicy[Any, Any]):
    """
    Signs in, and lets what azure-identity could not do out at once.

    azure-identity has tried several times by then; the retry policy around this one would go on for ten minutes.
    """

    async def on_request(self, request: PipelineRequest[Any]) -> None:
        try:
            await super().on_request(request)
        except ServiceRequestError as error:
            raise ClientAuthenticationError(message=_first_lines(error)) from error


class _RetryPolicy(AsyncRetryPolicy[Any, Any]):
    """Says what is going on while it tries again: no minutes of silence."""

    def increment(self, settings: dict[str, Any], response: Any = None, error: Any = None) -> bool:
        again: bool = super().increment(settings, response=response, error=error)
        if again and len(settings["history"]) > 1:
            url = settings["history"][-1].http_request.url
            what = type(error).__name__ if error is not None else f"{response.http_response.status_code}"
            log.warning("%s answered %s with %s; trying again.", urlsplit(url).hostname, path_of(url), what)
        return again


class Transport:
    """
    Sends requests in the name of one connection. One per connection and event loop; an async context manager.

    :param connection: who asks, in which cloud.
    :param scope: the OAuth scope of what is asked; Azure Resource Manager's if None.
    """

    def __init__(self, connection: WorkspaceConnection, *, scope: str | None = None) -> None:
        self._connection = connection
        self._credential = connection.async_credential()
        self._client: AsyncPipelineClient[Any, Any] = AsyncPipelineClient(
            connection.cloud.resource_manager,
            policies=[
                RequestIdPolicy(),
                HeadersPolicy(),
                UserAgentPolicy(USER_AGENT),
                # Up to ten minutes: throttling must not fail a task. It waits as long as Retry-After says.
                _RetryPolicy(
                    retry_total=10,
                    retry_connect=10,
                    retry_read=10,
                    retry_status=10,
                    retry_backoff_factor=0.5,
                    retry_backoff_max=60,
                    timeout=600,
                ),
                _SignInPolicy(self._credential, scope or connection.cloud.arm_scope),
            ],
            connection_timeout=20,
            read_timeout=60,
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)
        await self._credential.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: dict[str, str] | None = None,
        json: Any = None,
        headers: dict[str, str] | None = None,
        retry: bool = True,
        reader: str = "",
    ) -> Answer:
        """
        Send a request and return the answer.

        :param url: absolute, or a path below Azure Resource Manager. It may come from an answer: the next page of a
            list, an operation to follow.
        :param json: the body.
        :param retry: whether to repeat it, also a POST, a few times when the service is busy or the network fails.
        :param reader: on whose behalf a GET is sent: readers take turns (``read_budget.py``).
        :raises RequestRefusedError: the URL is not Azure's, so that the token would go to somebody else.
        :raises AzureMachineLearningError: the kind that fits the refusal.
        """
        url = f"{self._connection.cloud.resource_manager}{url}" if url.startswith("/") else url
        self._check(url)
        request = HttpRequest(method, url, params=params, json=json, headers=headers)
        try:
            if method == "GET":
                async with read_budget(self._connection, url).turn(reader) as hear:
                    status, text, answered = await self._send(request, retry=retry)
                    hear(status, answered)
            else:
                status, text, answered = await self._send(request, retry=retry)
        except (ClientAuthenticationError, CredentialUnavailableError) as error:
            raise self._connection.sign_in_refused(error) from None
        except AzureError as error:
            log.debug("No answer.", exc_info=True)
            raise TransientError(
                f"{self._connection.who}: {method} {path_of(url)} got no answer from {urlsplit(url).hostname}: "
                f"{_first_lines(error).rstrip('.')}."
            ) from None
        try:
            body = jsonlib.loads(text) if text else None
        except ValueError:
            if status < 300:
                what = (
                    f"{method} {path_of(url)} got an answer from {urlsplit(url).hostname} that is no JSON, or cut short"
                )
                began = f"{answered.get('content-type') or 'of no type'}, {text[:60]!r}"
                raise TransientError(f"{self._connection.who}: {what}: {began}.") from None
            body = None
        if status < 300:
            if method == "POST":
                await mask_answer(body)
            return Answer(status, body, answered)
        raise refusal(self._connection, method, url, status, body, answered)

    def _check(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            host = "" if parts.username is not None or "\\" in url else (parts.hostname or "")
            is_azures = parts.scheme == "https" and self._connection.cloud.owns(host)
        except ValueError:
            is_azures = False
        if not is_azures:
            where = repr(url.partition("?")[0])
            raise RequestRefusedError(
                f"{self._connection.who}: a request is not sent to {where}, which is no host of "
                f"{self._connection.cloud.sdk_name}: it would get the token.",
                status=0,
            )

    async def _send(self, request: HttpRequest, *, retry: bool) -> tuple[int, str, dict[str, str]]:
        """Return status, text and headers of the answer."""
        options: dict[str, Any] = {"retry_on_methods": {request.method}} if retry else {"retry_total": 0}
        response = await self._client.send_request(request, **options)
        async with response:
            text = response.content.decode()  # it is read already; read() fails on an empty body
        return response.status_code, text, {name.lower(): value for name, value in response.headers.items()}


def _first_lines(error: BaseException) -> str:
    return " ".join(str(error).split("\n")[:2]).strip()


_transports = SharedInLoop(Transport)


def shared_transport(connection: WorkspaceConnection) -> AbstractAsyncContextManager[Transport]:
    """Give a transport whose credential, token and connections are those of all who use it in this event loop."""
    return _transports.use(connection)
