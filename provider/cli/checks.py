"""Checking a connection piece by piece: what works, what does not, and which role or network rule is missing."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ...datasets.workspace import Kind, Registry
from ..errors import AzureMachineLearningError, SpecError
from ..hook import AzureMachineLearningHook
from .permissions import missing

if TYPE_CHECKING:
    from ..connection import WorkspaceConnection
    from ..rest.bodies import Datastore
    from ..rest.client import WorkspaceClient


@dataclass(frozen=True, slots=True)
class Finding:
    """
    How one thing stands.

    :param subject: what was checked.
    :param status: ``works``, ``fails``, or ``unknown`` where nothing could be learned and nothing is wrong for certain.
    :param text: what was found, or why it fails and what to do; never a secret.
    """

    subject: str
    status: Literal["works", "fails", "unknown"]
    text: str


async def check_connection(
    conn_id: str, *, purposes: Iterable[str] = (), registry: str | None = None, event_queue: str | None = None
) -> AsyncIterator[Finding]:
    """
    Yield how each part stands that a connection leads to.

    It leaves nothing behind: the blob that it writes to each datastore it deletes again.

    :param conn_id: an Airflow connection of type ``azure_machine_learning``.
    :param purposes: what it is used for, of ``permissions.PURPOSES``: the actions that this takes are checked too.
    :param registry: the name of a registry to read as well.
    :param event_queue: the URL of the Storage Queue that ``watch()`` is given.
    """
    try:
        # Not the hook's way for event loops: in servers and commands, Airflow 3.3's does not look into its database.
        connection = await asyncio.to_thread(AzureMachineLearningHook(conn_id).get_workspace_connection)
    except AzureMachineLearningError as error:
        yield Finding("connection", "fails", str(error))
        return
    yield Finding("connection", "works", f"{connection.who}, signs in as {connection.sign_in.principal}")
    if (signing := await _finding("sign-in", lambda: _sign_in(connection))).status == "fails":
        yield signing
        return
    yield signing
    if isinstance(connection.owner, Registry):
        registry = connection.owner.name
        if purposes:
            text = "what an identity may do in a registry is not asked here; it needs the role AzureML Registry User"
            yield Finding(f"role for {', '.join(purposes)}", "unknown", text)
    else:
        async for finding in _check_workspace(connection, list(purposes)):
            yield finding
    if registry:
        owner = Registry(registry)
        yield await _finding(f"registry {registry}", lambda: _read_registry(connection, owner))
    if event_queue:
        url = event_queue
        yield await _finding("event queue", lambda: _peek(connection, url))


async def _finding(subject: str, check: Callable[[], Awaitable[str]]) -> Finding:
    from azure.core.exceptions import AzureError, HttpResponseError

    try:
        return Finding(subject, "works", await check())
    except AzureMachineLearningError as error:
        return Finding(subject, "fails", str(error))
    except HttpResponseError as error:
        return Finding(subject, "fails", _queue_refusal(error))
    except AzureError as error:
        return Finding(subject, "fails", f"no answer: {type(error).__name__}. Check network rules, proxy and DNS.")


async def _sign_in(connection: WorkspaceConnection) -> str:
    from azure.core.exceptions import AzureError

    credential = connection.async_credential()
    async with credential:
        try:
            await credential.get_token(connection.cloud.arm_scope)
        except AzureError as error:
            raise connection.sign_in_refused(error) from None
    return f"a token of {connection.cloud.authority}"


async def _check_workspace(connection: WorkspaceConnection, purposes: list[str]) -> AsyncIterator[Finding]:
    from ..rest.client import WorkspaceClient

    async with WorkspaceClient(connection, retry=False) as client:
        yield (workspace := await _finding("workspace", lambda: _read_workspace(client)))
        if workspace.status == "fails":
            return
        if purposes:
            yield await _check_permissions(client, purposes)
        for kind in (Kind.MODEL, Kind.DATA):
            yield await _finding(kind.collection, lambda kind=kind: _read_assets(client, kind))  # type: ignore[misc]
        yield await _finding("jobs", lambda: _read_jobs(client))
        yield await _finding("run history", lambda: _read_run_history(client))
        async for finding in _check_datastores(client):
            yield finding


async def _check_permissions(client: WorkspaceClient, purposes: list[str]) -> Finding:
    subject = f"role for {', '.join(purposes)}"
    try:
        permissions = await client.get_permissions()
    except AzureMachineLearningError as error:
        return Finding(subject, "unknown", f"what the identity is allowed could not be learned: {error}")
    if lacking := missing(purposes, permissions):
        return Finding(
            subject,
            "fails",
            f"not allowed: {', '.join(lacking)}. "
            f"`airflow azureml role --for {','.join(purposes)}` prints a role that allows it.",
        )
    return Finding(subject, "works", "all that this takes is allowed")


async def _read_workspace(client: WorkspaceClient) -> str:
    return f"in {(await client.get_workspace()).get('location')}"


async def _read_assets(client: WorkspaceClient, kind: Kind) -> str:
    async for _ in client.list_fingerprints(kind):
        break
    return "can be listed"


async def _read_jobs(client: WorkspaceClient) -> str:
    async for _ in client.list_jobs():
        break
    return "can be listed"


async def _read_run_history(client: WorkspaceClient) -> str:
    await client.history.reach()
    return "answers"


async def _check_datastores(client: WorkspaceClient) -> AsyncIterator[Finding]:
    stores: list[tuple[str, Datastore | None]] = []

    async def collect() -> str:
        stores.extend([item async for item in client.list_datastores()])
        return f"{len(stores)} of them"

    yield await _finding("datastores", collect)
    for name, store in stores:
        if store is None:
            yield Finding(f"datastore {name}", "unknown", "not of blobs: paths may lead there, uploads may not")
        else:
            yield await _finding(f"datastore {name}", lambda store=store: _probe(client, store))  # type: ignore[misc]


async def _probe(client: WorkspaceClient, store: Datastore) -> str:
    """List, write and delete, with the credential that an upload takes."""
    from ..storage.container import Container

    name = f"airflow/check/{uuid.uuid4().hex}"
    async with Container(client, store) as container:
        with container.explaining("A probe of"):
            await container.list("airflow/check/")
            await (await container.client()).upload_blob(name, b"airflow azureml check")
            await container.delete([name])
        return f"a blob was written and deleted with {container.credential}"


async def _read_registry(connection: WorkspaceConnection, registry: Registry) -> str:
    from ..rest.registry_client import RegistryClient

    async with RegistryClient(connection.for_owner(registry), retry=False) as client:
        found = await client.discover()
        await _read_assets(client, Kind.MODEL)
    return f"in {found.get('primaryRegion')}, models can be listed"


async def _peek(connection: WorkspaceConnection, url: str) -> str:
    try:
        from azure.storage.queue.aio import QueueClient
    except ImportError:
        raise SpecError("pip install 'airflow-provider-azureml[event-queue]' is needed where triggerers run.") from None
    if not re.fullmatch(r"https://[^/?]+/[^/?]+", url):
        raise SpecError("it is no address of a queue: that looks like https://ACCOUNT.queue.core.windows.net/QUEUE.")
    async with (
        connection.async_credential() as credential,
        QueueClient.from_queue_url(url, credential, retry_total=0) as queue,
    ):
        await queue.peek_messages(max_messages=1)
    return "can be read"


def _queue_refusal(error: Any) -> str:
    code = error.error_code if getattr(error, "error_code", None) else error.status_code
    if error.status_code == 403:
        return (
            f"refused ({code}). Give the identity Storage Queue Data Contributor on the account; AuthorizationFailure "
            "often is a firewall, or a private endpoint that this machine is not behind."
        )
    if error.status_code == 404:
        return f"there is no such queue ({code})."
    return f"refused ({code})."
