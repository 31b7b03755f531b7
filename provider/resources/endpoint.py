"""Endpoints and deployments, online and batch."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from .. import sdk
from ..arguments import check_choice, check_name
from ..errors import NotFoundError, RequestRefusedError, SpecError
from ..links import resource_url
from .base import Resource
from .operations import check_operation

if TYPE_CHECKING:
    from ..connection import WorkspaceConnection
    from ..hook import AzureMachineLearningHook
    from ..rest.client import WorkspaceClient

log = logging.getLogger(__name__)

EndpointType = Literal["online", "batch"]
# The api-versions whose bodies azure-ai-ml writes: (endpoint, deployment).
_SDK_API_VERSIONS = {
    "online": ("2022-02-01-preview", "2023-04-01-preview"),
    "batch": ("2023-10-01", "2024-01-01-preview"),
}


_CONTAINERS = ("StorageInitializer", "InferenceServer")  # in the order in which they begin

ENDPOINT_TYPES = tuple(_SDK_API_VERSIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint(Resource):
    """
    An endpoint, or one of its deployments.

    :param endpoint_type: ``online`` or ``batch``.
    :param deployment_name: None for the endpoint itself.
    :raises SpecError: the type is neither, or a name is none.
    """

    endpoint_name: str
    endpoint_type: str = "online"
    deployment_name: str | None = None

    # Traffic, and a batch endpoint's default deployment, are set by operators of their own.
    kept: ClassVar[tuple[str, ...]] = ("traffic", "mirrorTraffic", "defaults")
    # Source: azure-ai-ml's models of endpoints, and what the service was recorded to answer without them.
    defaults: ClassVar[dict[str, Any]] = {
        "properties.description": "",
        "properties.compute": None,
        "properties.publicNetworkAccess": "Enabled",
    }

    def __post_init__(self) -> None:
        if self.endpoint_type not in ENDPOINT_TYPES:
            check_choice("endpoint_type", self.endpoint_type, ENDPOINT_TYPES)
            raise SpecError(f"endpoint_type is {self.endpoint_type!r}, a template that was not rendered.")
        check_name("endpoint", self.endpoint_name)
        if self.deployment_name is not None:
            check_name("deployment", self.deployment_name)

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

    @property
    def noun(self) -> str:
        """What it is, for messages."""
        return f"{self.endpoint_type} {'deployment' if self.deployment_name else 'endpoint'}"

    async def check_spec(self, client: WorkspaceClient, entity: Any) -> None:
        """Look for what a spec names, and for the endpoint that a deployment is of."""
        if self.deployment_name:
            await self.endpoint.existing(client)
        # Not super(): a dataclass with slots is another class than the one that it would look in.
        await Resource.check_spec(self, client, entity)

    def write(self, hook: AzureMachineLearningHook, entity: Any) -> dict[str, Any]:
        """Return the body that ARM wants; a deployment's code and model are uploaded."""
        connection = hook.get_workspace_connection()
        if self.deployment_name:
            with sdk.quietly(), sdk.sdk_errors("deployment", connection), hook.ml_client() as ml:
                return sdk.arm_body(getattr(ml, f"{self.endpoint_type}_deployments"), entity)
        with sdk.quietly(), sdk.sdk_errors("endpoint"):
            write = getattr(entity, f"_to_rest_{self.endpoint_type}_endpoint", None)
            if write is None:
                raise SpecError(f"A {type(entity).__name__} is not of endpoint_type {self.endpoint_type!r}.")
            body: dict[str, Any] = write(location=None).as_dict()
        if compute := body["properties"].get("compute"):
            own = f"{connection.workspace.id}/computes/{compute}"
            body["properties"]["compute"] = compute if "/" in compute else own
        return body

    def must_be_made_anew(self, refused: RequestRefusedError) -> bool:
        """Return whether this is what the service says of a deployment whose first provisioning failed."""
        return bool(self.deployment_name) and "unrecoverable state" in str(refused)

    async def refuse_to_delete(self, client: WorkspaceClient) -> None:
        """
        Say that a deployment has traffic: the service does not delete such a one.

        :raises SpecError: it has.
        """
        if self.deployment_name and self.endpoint_type == "online":
            body = await self.endpoint.find(client)
            share = ((body or {}).get("properties", {}).get("traffic") or {}).get(self.deployment_name)
            if share:
                raise SpecError(
                    f"The {self} gets {share} % of the requests: give them to others first, with "
                    "AzureMachineLearningSetEndpointTrafficOperator. Nothing was deleted."
                )

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
        facts = {**common, "scoring_uri": properties.get("scoringUri"), "traffic": properties.get("traffic") or {}}
        if self.endpoint_type == "batch":
            facts["default_deployment"] = default_deployment(body)
        return facts

    async def container_logs(self, client: WorkspaceClient, *, lines: int) -> dict[str, str]:
        """
        Return what the containers of an online deployment wrote last, those that wrote anything: container -> text.

        Source: azure-ai-ml's ``online_deployments.get_logs``. How the service answers for a container that never began
        is not known: it counts as one that wrote nothing.

        :param lines: how many of each at most.
        """
        found = {}
        for container in _CONTAINERS:
            try:
                asked = {"containerType": container, "tail": lines}
                answer = await client.change_resource("POST", *self.path, "getLogs", json=asked)
            except (NotFoundError, RequestRefusedError) as error:
                log.info("No log of container %s: %s", container, error)
                continue
            if text := str((answer.body or {}).get("content") or "").strip():
                found[container] = text
        return found

    async def reason(self, client: WorkspaceClient, body: dict[str, Any]) -> str:
        """
        Return why Azure failed, if it can be learned: the operation says it, not the resource.

        The resource keeps the operation's URL, but without the signature that ARM gives such URLs since 2024.
        """
        url = (body["properties"].get("properties") or {}).get("AzureAsyncOperationUri")
        return (await check_operation(client, url) or "") if url else ""


def default_deployment(body: dict[str, Any]) -> str | None:
    """Return the name of a batch endpoint's default deployment, of the endpoint as ARM describes it."""
    name = (body["properties"].get("defaults") or {}).get("deploymentName")
    return str(name) if name else None
