"""Endpoints and deployments, online and batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..errors import SpecError
from ..links import resource_url
from .base import Resource, operation_error

if TYPE_CHECKING:
    from ..connection import WorkspaceConnection
    from ..rest.client import WorkspaceClient

EndpointType = Literal["online", "batch"]
# The api-versions whose bodies azure-ai-ml writes: (endpoint, deployment).
_SDK_API_VERSIONS = {
    "online": ("2022-02-01-preview", "2023-04-01-preview"),
    "batch": ("2023-10-01", "2024-01-01-preview"),
}


def check_endpoint_type(endpoint_type: str) -> None:
    """
    Say what is wrong with an endpoint type.

    :raises SpecError: it is neither ``online`` nor ``batch``.
    """
    if endpoint_type not in _SDK_API_VERSIONS:
        raise SpecError(f"endpoint_type is {endpoint_type!r}; it can be 'online' or 'batch'.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint(Resource):
    """
    An endpoint, or one of its deployments.

    :param endpoint_type: ``online`` or ``batch``.
    :param deployment_name: None for the endpoint itself.
    :raises SpecError: the type is neither.
    """

    endpoint_name: str
    endpoint_type: str = "online"
    deployment_name: str | None = None

    def __post_init__(self) -> None:
        check_endpoint_type(self.endpoint_type)

    def __str__(self) -> str:
        deployment = f"deployment {self.deployment_name!r} of " if self.deployment_name else ""
        return f"{deployment}{self.endpoint_type} endpoint {self.endpoint_name!r}"

    @classmethod
    def at(cls, collection: str, endpoint_name: str, *deployment: str) -> Endpoint:
        """Return what is at a ``path``."""
        endpoint_type = collection.removesuffix("Endpoints")
        name = deployment[1] if deployment else None
        return cls(endpoint_name=endpoint_name, endpoint_type=endpoint_type, deployment_name=name)

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint that a deployment belongs to."""
        return Endpoint(endpoint_name=self.endpoint_name, endpoint_type=self.endpoint_type)

    @property
    def path(self) -> tuple[str, ...]:
        """Where it is below the workspace."""
        path = (f"{self.endpoint_type}Endpoints", self.endpoint_name)
        return (*path, "deployments", self.deployment_name) if self.deployment_name else path

    @property
    def api_version(self) -> str:
        """The api-version of the bodies that azure-ai-ml writes for it."""
        return _SDK_API_VERSIONS[self.endpoint_type][1 if self.deployment_name else 0]

    def url(self, connection: WorkspaceConnection) -> str:
        """Return its page in studio: a deployment's is the endpoint's."""
        kind = "realtime" if self.endpoint_type == "online" else "batch"
        return resource_url(connection, f"endpoints/{kind}/{self.endpoint_name}/detail")

    def facts(self, connection: WorkspaceConnection, body: dict[str, Any]) -> dict[str, Any]:
        """Return what operators and sensors say of it."""
        properties = body["properties"]
        common = {
            "name": body["name"],
            "id": body["id"],
            "status": properties.get("provisioningState") or "",
            "tags": body.get("tags") or {},
            "studio_url": self.url(connection),
        }
        if self.deployment_name:
            model = properties.get("model")
            model = model.get("assetId") if isinstance(model, dict) else model
            return {**common, "endpoint_name": self.endpoint_name, "model": model}
        return {**common, "scoring_uri": properties.get("scoringUri"), "traffic": properties.get("traffic") or {}}

    async def reason(self, client: WorkspaceClient, body: dict[str, Any]) -> str:
        """
        Return why Azure failed, if it can be learned: the operation says it, not the resource.

        The resource keeps the operation's URL, but without the signature that ARM gives such URLs since 2024.
        """
        url = (body["properties"].get("properties") or {}).get("AzureAsyncOperationUri")
        return await operation_error(client, url) if url else ""
