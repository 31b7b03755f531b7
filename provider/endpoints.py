"""Endpoints and deployments, online and batch: where they are, their facts, and one look at how one stands."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from .errors import AzureMachineLearningError, NotFoundError, ProvisioningFailedError, SpecError
from .links import resource_url
from .states import provisioning_failed, same_state

if TYPE_CHECKING:
    from .client import WorkspaceClient
    from .connection import WorkspaceConnection

log = logging.getLogger(__name__)

EndpointType = Literal["online", "batch"]
DELETED = "Deleted"
PROVISIONED = "Succeeded"
STATES = (PROVISIONED, DELETED)
# The api-versions whose bodies azure-ai-ml writes: (endpoint, deployment).
SDK_API_VERSIONS = {
    "online": ("2022-02-01-preview", "2023-04-01-preview"),
    "batch": ("2023-10-01", "2024-01-01-preview"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
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
        if self.endpoint_type not in SDK_API_VERSIONS:
            raise SpecError(f"endpoint_type is {self.endpoint_type!r}; it can be 'online' or 'batch'.")

    def __str__(self) -> str:
        deployment = f"deployment {self.deployment_name!r} of " if self.deployment_name else ""
        return f"{deployment}{self.endpoint_type} endpoint {self.endpoint_name!r}"

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
        """The api-version of what the SDK writes for it."""
        return SDK_API_VERSIONS[self.endpoint_type][1 if self.deployment_name else 0]

    def url(self, connection: WorkspaceConnection) -> str:
        """Return the endpoint's page in studio."""
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

    async def find(self, client: WorkspaceClient) -> dict[str, Any] | None:
        """Return it as ARM describes it, or None if there is none."""
        try:
            return await client.get_resource(*self.path)
        except NotFoundError:
            return None

    async def existing(self, client: WorkspaceClient) -> dict[str, Any]:
        """
        Return it as ARM describes it.

        :raises NotFoundError: it does not exist.
        :raises SpecError: it is being deleted.
        """
        if (body := await self.find(client)) is None:
            raise NotFoundError(f"There is no {self} in workspace {client.connection.workspace.label}.")
        if same_state(body["properties"].get("provisioningState"), "Deleting"):
            raise SpecError(f"The {self} is being deleted. Wait until it is gone. Nothing was changed.")
        return body

    async def check(self, client: WorkspaceClient, wanted: str, seen: set[str]) -> dict[str, Any] | None:
        """
        Return its facts if it is in the wanted state, or None while it is not.

        :param wanted: one of STATES; of what is deleted the facts are its name and status.
        :param seen: states met so far, so that each change is logged once.
        :raises NotFoundError: it does not exist, and Deleted is not what is wanted.
        :raises ProvisioningFailedError: Azure failed with it; with its own reason.
        """
        if (body := await self.find(client)) is None:
            if wanted == DELETED:
                return {"name": self.deployment_name or self.endpoint_name, "status": DELETED}
            raise NotFoundError(f"There is no {self} in workspace {client.connection.workspace.label}.")
        state = str(body["properties"].get("provisioningState"))
        if state not in seen:
            seen.add(state)
            log.info("The %s is %s.", self, state)
        if provisioning_failed(state):
            raise ProvisioningFailedError(f"The {self} is {state}. {await _reason(client, body)}")
        return self.facts(client.connection, body) if same_state(state, wanted) else None


async def _reason(client: WorkspaceClient, body: dict[str, Any]) -> str:
    """The resource does not say why it failed; the operation does, at a URL that the resource keeps."""
    url = (body["properties"].get("properties") or {}).get("AzureAsyncOperationUri")
    try:
        error = (await client.request("GET", url)).get("error") if url else None
    except AzureMachineLearningError as refusal:
        log.warning("The reason could not be read: %s", refusal)
        error = None
    if not isinstance(error, dict):
        return "Azure gives no reason; see the deployment's logs in studio."
    return f"{error.get('code')}: {error.get('message')}"
