"""A request to an online endpoint, as its users make it: with its key or token, at its own address."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from ..capabilities import amask_secret
from ..errors import AuthenticationError, RequestRefusedError, SpecError, TransientError

if TYPE_CHECKING:
    from ..rest.client import WorkspaceClient
    from .endpoint import Endpoint

_SHOWN = 1000  # characters of an answer in an error


async def score(
    client: WorkspaceClient, endpoint: Endpoint, content: bytes, *, deployment_name: str | None, seconds: float
) -> dict[str, Any]:
    """
    Send a request once, and return ``{"status", "deployment", "response"}``; a response that is not JSON is its text.

    :param content: the request, JSON.
    :param deployment_name: which deployment is to answer, whatever the traffic; None: as the traffic says.
    :param seconds: how long to wait for the answer.
    :raises NotFoundError: there is no such endpoint.
    :raises SpecError: the endpoint has no address yet.
    :raises RequestRefusedError: the answer is another than 2xx; with what it says.
    :raises TransientError: the endpoint is busy or gives no answer.
    """
    import aiohttp

    properties = (await endpoint.existing(client))["properties"]
    if not (url := properties.get("scoringUri")):
        raise SpecError(f"The {endpoint} has no address yet: it is {properties.get('provisioningState')}.")
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"Bearer {await _token(client, endpoint, str(properties.get('authMode')))}",
    }
    if deployment_name:
        headers["azureml-model-deployment"] = deployment_name
    try:
        async with (
            asyncio.timeout(seconds),
            # aiohttp's own limit is five minutes; and a redirect would take the request elsewhere.
            aiohttp.ClientSession(trust_env=True, timeout=aiohttp.ClientTimeout(total=None)) as session,
            session.post(url, data=content, headers=headers, allow_redirects=False) as answer,
        ):
            status, text = answer.status, await answer.text(errors="replace")
            deployment = answer.headers.get("azureml-model-deployment")
    except TimeoutError:
        raise TransientError(f"The {endpoint} gave no answer at {url} within {seconds:g} s.") from None
    except aiohttp.ClientError as error:
        raise TransientError(
            f"The {endpoint} gave no answer at {url}: {str(error) or type(error).__name__}."
        ) from error
    if 200 <= status < 300:
        return {"status": status, "deployment": deployment, "response": _json(text)}
    what = f"The {endpoint} answered with {status}: {text[:_SHOWN].strip() or 'nothing'}"
    if status == 401:
        raise AuthenticationError(what)
    if status == 429 or status >= 500:
        raise TransientError(what)
    raise RequestRefusedError(what, status=status)


async def _token(client: WorkspaceClient, endpoint: Endpoint, auth_mode: str) -> str:
    """Return what the endpoint asks its users for: a key, or a token of AzureML or Microsoft Entra."""
    if auth_mode.lower() == "key":
        return str((await client.change_resource("POST", *endpoint.path, "listKeys")).body["primaryKey"])
    if auth_mode.lower() == "amltoken":
        return str((await client.change_resource("POST", *endpoint.path, "token")).body["accessToken"])
    credential = client.connection.async_credential()
    try:
        token = str((await credential.get_token(client.connection.cloud.ml_scope)).token)
        await amask_secret([token])  # a model may answer with the request's headers
        return token
    finally:
        await credential.close()


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
