"""An AzureML registry, which shares models and data between workspaces: what it does differently from a workspace."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ...datasets.workspace import Kind, Registry
from ..errors import (
    ConnectionConfigurationError,
    NotFoundError,
    ProvisioningFailedError,
    RequestRefusedError,
    TransientError,
)
from .bodies import Datastore, asset_version, blob_place
from .client import WorkspaceClient
from .read_budget import retry_after
from .refusals import describe_error

if TYPE_CHECKING:
    from ...datasets.events import AssetVersion
    from ..connection import WorkspaceConnection
    from .transport import Answer

log = logging.getLogger(__name__)

# The workspace itself, and what only workspaces have.
_OF_WORKSPACES = {"", "jobs", "datastores", "computes", "onlineEndpoints", "batchEndpoints", "schedules"}
_LONGEST_OPERATION = 3600.0  # seconds; recorded: x-ms-async-operation-timeout PT1H
_SECONDS_TO_APPEAR = 120.0
_LONGEST_PAUSE = 10.0


def client_for(connection: WorkspaceConnection, **options: Any) -> WorkspaceClient:
    """
    Return the client of what a connection points to, a workspace or a registry.

    :param options: as for WorkspaceClient.
    """
    kind = RegistryClient if isinstance(connection.owner, Registry) else WorkspaceClient
    return kind(connection, **options)


class RegistryClient(WorkspaceClient):
    """
    A registry, asked as a workspace is.

    It is not found under Azure Resource Manager but through a discovery service, and answers at a host of its region;
    its paths and bodies there are ARM's. What is made there is an operation that goes on after the answer. Source: how
    azure-ai-ml finds, reads and fills registries; recorded are reading, and making data and environments.

    :param connection: points to the registry (``WorkspaceConnection.for_owner``).
    :param options: as for WorkspaceClient.
    """

    def __init__(self, connection: WorkspaceConnection, **options: Any) -> None:
        super().__init__(connection, **options)
        assert isinstance(connection.owner, Registry)
        self.registry = connection.owner
        self._found: str | None = None

    @classmethod
    def beside(cls, client: WorkspaceClient, registry: Registry) -> RegistryClient:
        """Return the client of a registry that asks in the name of another client, over its connections."""
        if isinstance(client, cls) and client.registry == registry:
            return client
        return cls(client.connection.for_owner(registry), transport=client._transport, retry=client._retry)

    async def discover(self) -> dict[str, Any]:
        """
        Return what the discovery service says of the registry: its regions and where it answers.

        :raises ConnectionConfigurationError: there is no such registry.
        :raises TransientError: it has no region yet.
        """
        discovery = f"{self.connection.cloud.registry_discovery}/registrymanagement/v1.0/registries"
        try:
            found = await self.request("GET", f"{discovery}/{self.registry.name}/discovery")
        except NotFoundError as error:
            raise ConnectionConfigurationError(
                f"There is no registry {self.registry.name!r}. Correct its name, or the connection's cloud. {error}"
            ) from None
        needed = ("primaryRegionResourceProviderUri", "subscriptionId", "resourceGroup")
        if missing := [key for key in needed if not found.get(key)]:
            raise TransientError(
                f"Registry {self.registry.name!r} is there, but the discovery service does not tell its "
                f"{', '.join(missing)}: it may still be made, or have no region. See its page in studio."
            )
        return found

    def _api_version(self, path: str, asked: str | None) -> str:
        if path.removeprefix("/").split("/")[0] in _OF_WORKSPACES:
            _ = self.connection.workspace  # says that a workspace is needed
        # Not the connection's, which is one of workspaces.
        return asked or "2021-10-01-dataplanepreview"  # azure-ai-ml's own, and the only one recorded of a registry

    async def _root(self) -> str:
        if self._found is None:
            found = await self.discover()
            self._found = (
                f"{found['primaryRegionResourceProviderUri'].rstrip('/')}/mferp/managementfrontend"
                f"/subscriptions/{found['subscriptionId']}/resourceGroups/{found['resourceGroup']}"
                f"/providers/Microsoft.MachineLearningServices/registries/{self.registry.name}"
            )
        return self._found

    # Versions

    async def get_next_version(self, kind: Kind, name: str) -> str:
        """
        Return the version after all that there are, archived ones too; ``"1"`` for a name that does not exist yet.

        Of data assets in registries azure-ai-ml asks no next version but wants the user to name one. So what the
        registry says is not relied on alone.
        """
        numbers = [0]
        if container := await self.find_resource(kind.collection, name):
            told = str((container.get("properties") or {}).get("nextVersion") or "")
            numbers += [int(told) - 1] if told.isdecimal() else []
        try:
            async for version, _ in self.list_all_versions(kind, name):
                numbers += [int(version.version)] if version.version.isdecimal() else []
        except NotFoundError:
            pass
        return str(max(numbers) + 1)

    async def put_version(self, kind: Kind, name: str, version: str, body: dict[str, Any]) -> AssetVersion:
        """See WorkspaceClient. It returns once the registry shows the version, minutes later if need be."""
        try:
            return await self._put(kind, name, version, body, retry=False)
        except RequestRefusedError as error:
            if error.status != 409:
                raise
            # It exists, or is being made and cannot be seen yet: the caller checks.
            raise TransientError(str(error), status=409) from None

    async def update_version(self, kind: Kind, name: str, version: str, properties: dict[str, Any]) -> AssetVersion:
        """See WorkspaceClient."""
        return await self._put(kind, name, version, {"properties": properties}, retry=True)

    async def _put(self, kind: Kind, name: str, version: str, body: dict[str, Any], *, retry: bool) -> AssetVersion:
        answer = await self.change_resource("PUT", kind.collection, name, "versions", version, json=body, retry=retry)
        await self._finish(answer)
        return await self.wait_for_version(kind, name, version)

    async def import_version(
        self, collection: str, name: str, version: str, *, location: str, workspace_guid: str, source: tuple[str, str]
    ) -> None:
        """
        Have the registry copy a version of a workspace, bytes and all, and wait for it.

        Source: the ``share`` of azure-ai-ml's operations for models, data and environments. Not recorded.

        :param collection: of what: ``models``, ``data``, ``environments``.
        :param name: of the copy.
        :param version: of the copy.
        :param location: the workspace's region.
        :param workspace_guid: the workspace's id for AzureML itself (``workspaceId``).
        :param source: name and version there.
        """
        source_id = f"azureml://locations/{location}/workspaces/{workspace_guid}/{collection}/{source[0]}"
        reference = {
            "referenceType": "Id",
            "destinationName": name,
            "destinationVersion": version,
            "sourceAssetId": f"{source_id}/versions/{source[1]}",
        }
        await self._finish(await self.change_resource("POST", "import", json={"properties": reference}, retry=False))

    async def wait_for_version(self, kind: Kind, name: str, version: str) -> AssetVersion:
        """Return a version that was made a moment ago, as :meth:`wait_for` does."""
        return asset_version(kind, await self.wait_for(kind.collection, name, version))

    async def wait_for(self, collection: str, name: str, version: str) -> dict[str, Any]:
        """
        Return a version that was made a moment ago, as ARM describes it; the registry may not show it yet.

        :raises TransientError: it did not appear.
        """
        deadline, pause = time.monotonic() + _SECONDS_TO_APPEAR, 0.5
        while (found := await self.find_resource(collection, name, "versions", version)) is None:
            if time.monotonic() + pause > deadline:
                what = f"{collection.removesuffix('s')} {name}:{version}"
                raise TransientError(f"Registry {self.registry.name} took {what} but does not show it.")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        return found

    async def _finish(self, answer: Answer) -> None:
        """
        Wait until the operation that an answer began has ended.

        Recorded: 202 with ``Location`` alone, which answers 202 until it is done, on another host. How it fails was
        not recorded: a status as ARM has it, or an error, is taken for that. An operation that is not known there any
        more has ended; whether it made the version, the caller sees.

        :raises ProvisioningFailedError: it failed.
        :raises TransientError: it takes longer than the registry itself allows.
        """
        url = answer.headers.get("azure-asyncoperation") or answer.headers.get("location")
        if answer.status != 202 or url is None:
            return
        deadline, pause = time.monotonic() + _LONGEST_OPERATION, 0.5
        while True:
            try:
                answer = await self._transport.request("GET", url, retry=True, reader=self._reader)
            except NotFoundError as error:
                log.info("%s Looking for what it made.", error)
                return
            body = answer.body if isinstance(answer.body, dict) else {}
            status = str(body.get("status") or "").lower()
            if status in ("failed", "canceled") or (not status and body.get("error")):
                reason = ": ".join(part for part in describe_error(body) if part)
                raise ProvisioningFailedError(f"Registry {self.registry.name} did not make the version: {reason}")
            if answer.status != 202 and status in ("", "succeeded"):
                return
            wait = retry_after(answer.headers) or pause
            if time.monotonic() + wait > deadline:
                raise TransientError(f"Registry {self.registry.name} has not made the version within an hour.")
            await asyncio.sleep(wait)
            pause = min(pause * 2, _LONGEST_PAUSE)

    # The registry's storage

    async def begin_upload(self, kind: Kind, name: str, version: str) -> tuple[Datastore, str] | None:
        """
        Return where to upload the files of a version to, with a signature; None if the version exists already.

        The signature allows to read, write and list, and not to delete (recorded). Source: azure-ai-ml's
        ``get_sas_uri_for_registry_asset``, of models, data and code alike.
        """
        body = {
            "assetId": self._asset_id(kind.collection, name, version),
            "temporaryDataReferenceType": "TemporaryBlobReference",
        }
        try:
            answer = await self.change_resource("PUT", "tempdatarefs", name, "versions", version, json=body)
        except RequestRefusedError as error:
            if error.status != 409:
                raise
            return None
        return self._datastore(answer)

    async def begin_download(
        self, collection: str, name: str, version: str, address: str
    ) -> tuple[Datastore, str | None]:
        """
        Return where the files of a version are, with a signature; None in its place if anybody may read them.

        Source: azure-ai-ml's ``get_storage_details_for_registry_assets``, which it calls for models. Not recorded.

        :param collection: of what: ``models``, ``data``, ``environments``.
        :param address: of the files, as the version tells it.
        """
        body = {"assetId": self._asset_id(collection, name, version), "blobUri": address}
        return self._datastore(await self.change_resource("POST", "datarefs", name, "versions", version, json=body))

    def _asset_id(self, collection: str, name: str, version: str) -> str:
        return f"{self.registry.uri}/{collection}/{quote(name)}/versions/{version}"

    def _datastore(self, answer: Answer) -> tuple[Datastore, Any]:
        reference = answer.body["blobReferenceForConsumption"]
        signed = (reference.get("credential") or {}).get("sasUri")
        uri, _, signature = str(signed or reference["blobUri"]).partition("?")
        account_url, container, _ = blob_place(uri)
        datastore = Datastore(f"registry {self.registry.name}", account_url, container, has_credentials=True)
        return datastore, signature or None
