"""The Airflow hook: from a connection id to clients of AzureML."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from ..datasets.workspace import Kind, Registry
from .arguments import check_choice, check_metrics, check_name, check_tags
from .connection import AZURE_CONN_TYPE, CONN_TYPE, DEFAULT_CONN_ID, WorkspaceConnection, azure_conn_id
from .errors import AzureMachineLearningError, ConnectionConfigurationError, NotFoundError
from .masking import keep_signatures_out_of_urllib3s_lines

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from airflow.sdk import Connection
    from azure.ai.ml import MLClient

    from ..datasets.events import AssetVersion
    from ..datasets.workspace import Workspace
    from .rest.client import WorkspaceClient
    from .storage.targets import Target


log = logging.getLogger(__name__)


class AzureMachineLearningHook(BaseHook):
    """
    The door to an AzureML workspace: the SDK's ``MLClient`` and this provider's asynchronous ``WorkspaceClient``.

    ::

        ml = AzureMachineLearningHook("azureml").get_conn()
        print(ml.models.get("fraud", label="latest").path)

        async with AzureMachineLearningHook("azureml").client() as client:
            job = await client.get_job("keen_gold_abc")

    Making one looks nothing up.

    :param conn_id: an Airflow connection of type ``azure_machine_learning``.
    :param workspace: refuse to work if the connection points to another one. A registry is reached with a connection to
        it, or in the name of whom a connection to any workspace signs in.
    """

    conn_name_attr = "conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = CONN_TYPE
    hook_name = "Azure Machine Learning"

    def __init__(self, conn_id: str = DEFAULT_CONN_ID, *, workspace: Workspace | Registry | None = None) -> None:
        super().__init__()
        self.conn_id = conn_id
        self.workspace = workspace
        self._ml_client: MLClient | None = None

    def get_workspace_connection(self) -> WorkspaceConnection:
        """
        Look the Airflow connection up and read it, and the connection of type ``azure`` that it may name.

        :raises ConnectionConfigurationError: there is no such connection, it lacks a field, or it points to another
            workspace than this hook is for.
        """
        with _naming(self.conn_id):
            connection = self.get_connection(self.conn_id)
        azure = None
        if other := azure_conn_id(connection):
            with _naming(other):
                azure = self.get_connection(other)
        return self._read(connection, azure)

    async def aget_workspace_connection(self) -> WorkspaceConnection:
        """Do the same in an event loop."""
        with _naming(self.conn_id):
            connection = await self.aget_connection(self.conn_id)
        azure = None
        if other := azure_conn_id(connection):
            with _naming(other):
                azure = await self.aget_connection(other)
        return self._read(connection, azure)

    def _read(self, connection: Connection, azure: Connection | None) -> WorkspaceConnection:
        for each, conn_type in ((connection, CONN_TYPE), (azure, AZURE_CONN_TYPE)):
            if each is not None and each.conn_type and each.conn_type.replace("-", "_") != conn_type:
                raise ConnectionConfigurationError(
                    f"Connection {each.conn_id!r} is of type {each.conn_type!r}, not {conn_type!r}."
                )
        return WorkspaceConnection.from_airflow(connection, azure).for_owner(self.workspace)

    @contextlib.asynccontextmanager
    async def client(self, *, retry: bool = True) -> AsyncIterator[WorkspaceClient]:
        """
        Give a client of the workspace or registry, closed at the end.

        :param retry: whether requests are repeated when the service is busy; those who come again anyway say no.
        """
        from .rest.registry_client import client_for

        async with client_for(await self.aget_workspace_connection(), retry=retry) as client:
            yield client

    def ask(self, question: Callable[[WorkspaceClient], Coroutine[Any, Any, Any]], *, retry: bool = True) -> Any:
        """
        Ask the workspace on a worker, outside an event loop: the way of all operators and sensors.

        Airflow's ``execution_timeout``, or whatever else ends the task, ends it too, at once (``interruptible.py``).

        :param question: what to ask; it is given a client, closed at the end.
        :param retry: whether requests are repeated when the service is busy; those who come again anyway say no.
        :return: what the question returns.
        :raises ConnectionConfigurationError: there is no such connection, it lacks a field, or it points to another
            workspace than this hook is for.
        """
        from .interruptible import Interruptible

        async def ask() -> Any:
            async with self.client(retry=retry) as client:
                return await question(client)

        return Interruptible().run(ask())

    @contextlib.asynccontextmanager
    async def shared_client(self, reader: str = "") -> AsyncIterator[WorkspaceClient]:
        """
        Give a client that shares credential, token and network connections with all others in this event loop.

        :param reader: on whose behalf it reads; readers take turns at the budget of reads (``rest/read_budget.py``).
        """
        from .rest.registry_client import client_for
        from .rest.transport import shared_transport

        connection = await self.aget_workspace_connection()
        async with shared_transport(connection) as transport:
            yield client_for(connection, transport=transport, retry=False, reader=reader)

    def get_conn(self) -> MLClient:
        """
        Return the SDK's ``MLClient`` for the workspace, the same one each time.

        It works for as long as it, or one of its parts, is held: nothing closes it. The SDK takes 3 to 4 seconds to
        import, so this is for a task's run time, never for a DAG file.

        :raises ConnectionConfigurationError: there is no such connection, it lacks a field, or it points to another
            workspace than this hook is for.
        """
        if self._ml_client is None:
            connection = self.get_workspace_connection()
            self._ml_client = _new_ml_client(connection, connection.credential())
        return self._ml_client

    def get_client(self) -> MLClient:
        """Return the same: the name that ``airflow-provider-azure-machinelearning`` had for it."""
        return self.get_conn()

    @contextlib.contextmanager
    def ml_client(self) -> Any:
        """Give an ``MLClient`` of one's own; its credential is closed at the end."""
        connection = self.get_workspace_connection()
        with contextlib.closing(connection.credential()) as credential:  # type: ignore[type-var]
            yield _new_ml_client(connection, credential)

    def download(self, what: AssetVersion | dict[str, Any] | str, to: Any, *, folder: Path | None = None) -> list[str]:
        """
        Download a version of data or a model, a path of a datastore, or an output or the logs of a job.

        ::

            hook.download(version, "/tmp/model")
            hook.download("azureml://jobs/keen_gold_abc/outputs/artifacts/paths/user_logs", "s3://bucket/logs/")

        Each file is compared with the MD5 that storage keeps of it. On the worker, nothing is at the destination
        before all of it is there; a call after a killed one asks only for what is missing. In an object store, each
        object appears whole.

        :param what: an AssetVersion, or its dict (an XCom); the id of a version; ``azureml://datastores/...``;
            ``azureml://jobs/NAME/outputs/OUTPUT/paths/...``, where the output ``artifacts`` is the job's own files.
        :param to: the folder where the files go: a local path, a URI that Airflow's ObjectStoragePath writes
            (``s3://`` ...), or an ObjectStoragePath. What else is in it stays.
        :param folder: what a relative local path starts from; the working directory if None.
        :return: the files' names below the folder.
        :raises SpecError: it is none of these, or of another workspace.
        :raises NotFoundError: it does not exist, or holds nothing.
        :raises AzureMachineLearningError: Azure refused, or storage could not be reached.
        """
        from .interruptible import Interruptible
        from .storage.targets import target_for

        target = target_for(to, folder or Path.cwd())
        return Interruptible().run(self.adownload(what, target, self.get_workspace_connection()))

    async def adownload(self, what: Any, target: Target, connection: WorkspaceConnection) -> list[str]:
        """Do the same in an event loop, to a target (``storage.download``)."""
        from .rest.registry_client import client_for
        from .storage.container import Container
        from .storage.download import Download
        from .storage.places import find_place

        async with client_for(connection) as client:
            place = await find_place(client, what)
            async with Container(client, place.datastore, secret=place.secret) as container:
                return await Download(container, place.path, target, log=log).run()

    def find_version(
        self, kind: Kind | str, name: str, *, tags: dict[str, str] | None = None, metrics: bool = False
    ) -> AssetVersion | None:
        """
        Return the newest version of a model or data asset that carries some tags: the one in production, say.

        Archived versions do not count. AzureML's lists may show a version a moment after it was made.

        :param kind: ``model`` or ``data``.
        :param name: the asset's name.
        :param tags: tags that it must have, with these values.
        :param metrics: with the metrics that the job that made it logged: one read more. Not of a registry.
        :return: None if there is none.
        :raises SpecError: an argument is none of what it can be.
        """
        check_choice("kind", kind, (Kind.MODEL.value, Kind.DATA.value))
        check_name(Kind(kind).noun, name)
        wanted = check_tags(tags or {}).items()

        async def find(client: WorkspaceClient) -> AssetVersion | None:
            from .rest.made_by import with_metrics

            check_metrics(metrics, client.connection.owner)
            try:
                async for version in client.list_versions(Kind(kind), name):
                    if wanted <= version.tags.items():
                        return (await with_metrics(client, [version], {}))[0] if metrics else version
            except NotFoundError:
                pass
            return None

        found: AssetVersion | None = self.ask(find)
        return found

    def get_abfss_path(self, what: AssetVersion | dict[str, Any] | str) -> str:
        """
        Return where something is as ``abfss://``: what adlfs (pandas), polars and others read in place.

        They bring their own credentials; the identity needs the role Storage Blob Data Reader.

        :param what: as for :meth:`download`.
        :raises SpecError: it is in a datastore that is not of blobs or of ADLS Gen2, or in a registry, which gives its
            storage's content out by signatures alone.
        """

        async def find(client: WorkspaceClient) -> str:
            from .storage.places import find_place

            return (await find_place(client, what)).abfss

        return str(self.ask(find))

    def test_connection(self) -> tuple[bool, str]:
        """Return whether the workspace can be read, and what was found: the "Test" button of the connection form."""
        try:
            # Looked up outside the event loop: in one, Airflow 3.3's server does not look into its database.
            return True, asyncio.run(self._read_owner(self.get_workspace_connection()))
        except AzureMachineLearningError as error:
            return False, str(error)

    async def _read_owner(self, connection: WorkspaceConnection) -> str:
        from .rest.registry_client import RegistryClient, client_for

        async with client_for(connection, retry=False) as client:
            if isinstance(client, RegistryClient):
                found = await client.discover()
                return f"Registry {found['registryName']} in {found['primaryRegion']} can be read."
            body = await client.get_workspace()
        return f"Workspace {body['name']} in {body.get('location')} can be read."


@contextlib.contextmanager
def _naming(conn_id: str) -> Iterator[None]:
    """Let what Airflow raises when it cannot give a connection come out with the connection's id and with advice."""
    try:
        yield
    except Exception as error:
        log.debug("Connection %r.", conn_id, exc_info=True)
        raise ConnectionConfigurationError(
            f"Airflow could not give connection {conn_id!r}: {str(error).strip().rstrip('.')}. "
            "Add it in Admin > Connections or with `airflow connections add`, or correct the id."
        ) from None


def _new_ml_client(connection: WorkspaceConnection, credential: Any) -> MLClient:
    from .sdk import load_sdk

    load_sdk()
    from azure.ai.ml import MLClient

    keep_signatures_out_of_urllib3s_lines()
    if isinstance(connection.owner, Registry):
        return MLClient(
            credential, registry_name=connection.owner.name, cloud=connection.cloud.sdk_name, show_progress=False
        )
    workspace = connection.workspace
    return MLClient(
        credential,
        workspace.subscription_id,
        workspace.resource_group,
        workspace.name,
        cloud=connection.cloud.sdk_name,
        show_progress=False,
    )
