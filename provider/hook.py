"""The Airflow hook: from a connection id to clients of AzureML."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from .connection import CONN_TYPE, DEFAULT_CONN_ID, WorkspaceConnection
from .errors import AzureMachineLearningError, ConnectionConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow.sdk import Connection
    from azure.ai.ml import MLClient

    from ..datasets.workspace import Workspace
    from .rest.client import WorkspaceClient


class AzureMachineLearningHook(BaseHook):
    """
    The door to an AzureML workspace: the SDK's ``MLClient`` and this provider's asynchronous ``WorkspaceClient``.

    ::

        with AzureMachineLearningHook("azureml").ml_client() as ml:
            print(ml.models.get("fraud", label="latest").path)

        async with AzureMachineLearningHook("azureml").client() as client:
            job = await client.get_job("keen_gold_abc")

    Making one looks nothing up.

    :param conn_id: an Airflow connection of type ``azure_machine_learning``.
    :param workspace: refuse to work if the connection points to another one.
    """

    conn_name_attr = "conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = CONN_TYPE
    hook_name = "Azure Machine Learning"

    def __init__(self, conn_id: str = DEFAULT_CONN_ID, *, workspace: Workspace | None = None) -> None:
        super().__init__()
        self.conn_id = conn_id
        self.workspace = workspace

    def get_workspace_connection(self) -> WorkspaceConnection:
        """
        Look the Airflow connection up and read it.

        :raises ConnectionConfigurationError: there is no such connection, it lacks a field, or it points to another
            workspace than this hook is for.
        """
        with self._naming_the_connection():
            return self._read(self.get_connection(self.conn_id))

    async def aget_workspace_connection(self) -> WorkspaceConnection:
        """Do the same in an event loop."""
        with self._naming_the_connection():
            return self._read(await self.aget_connection(self.conn_id))

    @contextlib.contextmanager
    def _naming_the_connection(self) -> Any:
        try:
            yield
        except AzureMachineLearningError:
            raise
        except Exception as error:
            raise ConnectionConfigurationError(
                f"Airflow could not give connection {self.conn_id!r}: {error} "
                "Add it in Admin > Connections or with `airflow connections add`, or correct conn_id."
            ) from error

    def _read(self, connection: Connection) -> WorkspaceConnection:
        if connection.conn_type and connection.conn_type.replace("-", "_") != CONN_TYPE:
            raise ConnectionConfigurationError(
                f"Connection {self.conn_id!r} is of type {connection.conn_type!r}, not {CONN_TYPE!r}."
            )
        found = WorkspaceConnection.from_airflow(connection)
        found.check_workspace(self.workspace)
        return found

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[WorkspaceClient]:
        """Give a client of the workspace, closed at the end."""
        from .rest.client import WorkspaceClient

        async with WorkspaceClient(await self.aget_workspace_connection()) as client:
            yield client

    @contextlib.asynccontextmanager
    async def shared_client(self, reader: str = "") -> AsyncIterator[WorkspaceClient]:
        """
        Give a client that shares credential, token and network connections with all others in this event loop.

        :param reader: on whose behalf it reads; readers take turns at the budget of reads (``rest/read_budget.py``).
        """
        from .rest.client import WorkspaceClient
        from .rest.transport import shared_transport

        connection = await self.aget_workspace_connection()
        async with shared_transport(connection) as transport:
            yield WorkspaceClient(connection, transport=transport, retry=False, reader=reader)

    @contextlib.contextmanager
    def ml_client(self) -> Any:
        """
        Give the SDK's ``MLClient`` for the workspace; its credential is closed at the end.

        The SDK takes 3 to 4 seconds to import, so this is for a task's run time, never for a DAG file.
        """
        from azure.ai.ml import MLClient

        connection = self.get_workspace_connection()
        workspace = connection.workspace
        with contextlib.closing(connection.credential()) as credential:  # type: ignore[type-var]
            client: MLClient = MLClient(
                credential,
                workspace.subscription_id,
                workspace.resource_group,
                workspace.name,
                cloud=connection.cloud.sdk_name,
                show_progress=False,
            )
            yield client

    def test_connection(self) -> tuple[bool, str]:
        """Return whether the workspace can be read, and what was found: the "Test" button of the connection form."""
        try:
            body = asyncio.run(self._get_workspace())
        except AzureMachineLearningError as error:
            return False, str(error)
        return True, f"Workspace {body['name']} in {body.get('location')} can be read."

    async def _get_workspace(self) -> dict[str, Any]:
        async with self.client() as client:
            return await client.get_workspace()
