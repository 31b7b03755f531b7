"""Reading an AzureML registry, which shares models and data between workspaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .client import WorkspaceClient

if TYPE_CHECKING:
    from ...datasets.workspace import Registry


class RegistryClient(WorkspaceClient):
    """
    The models and data of a registry, read as those of a workspace are.

    A registry is not found under Azure Resource Manager but through a discovery service, and answers at a host of its
    region; its paths and bodies there are ARM's. Source: how azure-ai-ml finds and reads registries.

    :param registry: which registry; the connection tells the cloud and who asks.
    :param options: as for WorkspaceClient.
    """

    def __init__(self, *arguments: Any, registry: Registry, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._registry = registry
        self._found: str | None = None

    async def discover(self) -> dict[str, Any]:
        """Return what the discovery service says of the registry: its regions and where it answers."""
        discovery = f"{self.connection.cloud.registry_discovery}/registrymanagement/v1.0/registries"
        return await self.request("GET", f"{discovery}/{self._registry.name}/discovery")

    def _api_version(self, path: str) -> str:  # noqa: ARG002
        return "2021-10-01-dataplanepreview"  # azure-ai-ml's own, and the only one recorded of a registry

    async def _root(self) -> str:
        if self._found is None:
            found = await self.discover()
            self._found = (
                f"{found['primaryRegionResourceProviderUri'].rstrip('/')}/mferp/managementfrontend"
                f"/subscriptions/{found['subscriptionId']}/resourceGroups/{found['resourceGroup']}"
                f"/providers/Microsoft.MachineLearningServices/registries/{self._registry.name}"
            )
        return self._found
