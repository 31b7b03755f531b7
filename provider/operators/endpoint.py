"""Operators for AzureML endpoints and deployments: managed online, Kubernetes online, batch."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from .. import endpoints, sdk
from ..endpoints import Endpoint, EndpointType
from ..errors import NotFoundError, SpecError, WaitTimeoutError
from ..links import push_studio_url
from ..states import provisioning_failed, same_state
from ..task_run import TASK_RUN_TAG, TaskRun
from ..triggers.endpoint import AzureMachineLearningEndpointTrigger
from .waiting import WaitingOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow.sdk import Context

    from ..client import WorkspaceClient
    from ..connection import WorkspaceConnection


class EndpointOperator(WaitingOperator):
    """
    Does something to an endpoint or deployment and waits until it is done.

    :param endpoint_type: ``online`` or ``batch``.
    """

    wanted: ClassVar[str] = endpoints.PROVISIONED

    def __init__(self, *, endpoint_type: EndpointType = "online", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.endpoint_type = endpoint_type

    async def _begin(self, context: Context, client: WorkspaceClient) -> Endpoint:
        """Do it, unless it is done or under way, and return what it is done to."""
        raise NotImplementedError

    def execute(self, context: Context) -> dict[str, Any]:
        """Begin, unless it is done or under way; then wait until it is done, if that is wanted."""
        connection = self.hook.get_workspace_connection()
        which, now = asyncio.run(self._run(context, connection))
        push_studio_url(context, which.url(connection))
        if not self.waiting:
            return now
        trigger = AzureMachineLearningEndpointTrigger(
            endpoint_name=which.endpoint_name,
            endpoint_type=which.endpoint_type,
            deployment_name=which.deployment_name,
            state=self.wanted,
            **self._waiting_fields(),
        )
        return self._finish(context, lambda: self._wait(trigger))

    async def _run(self, context: Context, connection: WorkspaceConnection) -> tuple[Endpoint, dict[str, Any]]:
        from ..client import WorkspaceClient

        async with WorkspaceClient(connection) as client:
            which = await self._begin(context, client)
            body = await which.find(client)
            gone = {"name": which.deployment_name or which.endpoint_name, "status": endpoints.DELETED}
            return which, which.facts(connection, body) if body else gone

    def _finish(self, context: Context, found: Callable[[], Any]) -> dict[str, Any]:  # noqa: ARG002
        try:
            facts: dict[str, Any] = found()
        except WaitTimeoutError:
            raise WaitTimeoutError(
                f"The endpoint or deployment was not {self.wanted} within {self.timeout:g} s. Azure goes on; a retry "
                "waits on."
            ) from None
        return facts

    def _load(self, context: Context, spec: Any, noun: str) -> Any:
        return sdk.load_entity(
            f"load_{self.endpoint_type}_{noun}",
            spec,
            noun=f"{self.endpoint_type} {noun}",
            folder=self._dag_folder,
            render=lambda value: self.render_template(value, context),
        )


class AzureMachineLearningCreateEndpointOperator(EndpointOperator):
    """
    Create an AzureML endpoint, managed or Kubernetes online or batch, and wait until it is there.

    ::

        AzureMachineLearningCreateEndpointOperator(
            task_id="endpoint", conn_id="azureml", endpoint={"name": "fraud", "auth_mode": "key"}
        )

    An endpoint that exists is used as it is. Traffic is set by
    :class:`AzureMachineLearningSetEndpointTrafficOperator`, once there are deployments.

    :param endpoint: a dict with the keys of AzureML's CLI v2 YAML for endpoints (with ``compute`` it is a Kubernetes
        one); or a path to such YAML; or an azure-ai-ml endpoint; or a callable that returns one of them. Templated.
    :param endpoint_type: ``online`` or ``batch``.
    :param waiting: wait until it is provisioned.
    :param deferrable: wait in the triggerer; Airflow's ``[operators] default_deferrable`` if None.
    :param poll_interval: seconds between two looks.
    :param timeout: how many seconds one try waits at most; None: for ever.
    :param conn_id: an Airflow connection of type ``azure_machine_learning``. Templated.
    :return: a dict: name, id, status (provisioning state), tags, studio_url, scoring_uri, traffic.
    :raises SpecError: the SDK does not accept the spec, or an endpoint of that name is being deleted.
    :raises ProvisioningFailedError: Azure could not make it; with its reason.
    :raises WaitTimeoutError: it was not there within ``timeout``.
    """

    template_fields: Sequence[str] = ("endpoint", "endpoint_type", "conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"endpoint": "json"}

    def __init__(self, *, endpoint: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.endpoint = sdk.field(endpoint)

    async def _begin(self, context: Context, client: WorkspaceClient) -> Endpoint:
        entity = await asyncio.to_thread(self._load, context, self.endpoint, "endpoint")
        which = Endpoint(endpoint_name=entity.name, endpoint_type=self.endpoint_type)
        if await which.find(client) is not None:
            body = await which.existing(client)
            if not provisioning_failed(body["properties"].get("provisioningState")):
                self.log.info("The %s exists already; it is used as it is.", which)
                return which
        location = (await client.get_workspace())["location"]
        with sdk.quietly(), sdk.sdk_errors("endpoint"):
            write = getattr(entity, f"_to_rest_{self.endpoint_type}_endpoint", None)
            if write is None:
                raise SpecError(f"A {type(entity).__name__} is not of endpoint_type {self.endpoint_type!r}.")
            body = write(location=location).as_dict()
        if compute := body["properties"].get("compute"):
            workspace = client.connection.workspace
            body["properties"]["compute"] = compute if "/" in compute else f"{workspace.id}/computes/{compute}"
        await client.change_resource("PUT", *which.path, json=body, params={"api-version": which.api_version})
        self.log.info("Creating %s.", which)
        return which


class AzureMachineLearningDeployEndpointOperator(EndpointOperator):
    """
    Deploy a model to an AzureML endpoint, and wait until the deployment is there.

    ::

        AzureMachineLearningDeployEndpointOperator(
            task_id="blue",
            conn_id="azureml",
            deployment={
                "name": "blue",
                "endpoint_name": "fraud",
                "model": "azureml:fraud:{{ params.version }}",
                "instance_type": "Standard_DS3_v2",
                "instance_count": 1,
            },
        )

    A deployment of that name is updated. A retry waits for what an earlier try began. A new deployment gets no traffic:
    :class:`AzureMachineLearningSetEndpointTrafficOperator` gives it some.

    :param deployment: a dict with the keys of AzureML's CLI v2 YAML for deployments; or a path to such YAML; or an
        azure-ai-ml deployment; or a callable that returns one of them. Relative paths start at the DAG file's folder,
        or the YAML's. Templated.
    :param endpoint_type: ``online`` (managed and Kubernetes) or ``batch``.
    :param waiting: wait until it is provisioned.
    :param deferrable: wait in the triggerer; Airflow's ``[operators] default_deferrable`` if None.
    :param poll_interval: seconds between two looks.
    :param timeout: how many seconds one try waits at most; None: for ever.
    :param conn_id: an Airflow connection of type ``azure_machine_learning``. Templated.
    :return: a dict: name, id, status (provisioning state), tags, studio_url, endpoint_name, model (its id).
    :raises SpecError: the SDK does not accept the spec, or the endpoint is being deleted; nothing was changed.
    :raises NotFoundError: there is no such endpoint.
    :raises ProvisioningFailedError: Azure could not deploy; with its reason.
    :raises WaitTimeoutError: it was not there within ``timeout``.
    """

    template_fields: Sequence[str] = ("deployment", "endpoint_type", "conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"deployment": "json"}

    def __init__(self, *, deployment: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deployment = sdk.field(deployment)

    async def _begin(self, context: Context, client: WorkspaceClient) -> Endpoint:
        entity = await asyncio.to_thread(self._load, context, self.deployment, "deployment")
        if not entity.endpoint_name or not entity.name:
            raise SpecError("The deployment needs a 'name' and an 'endpoint_name'.")
        which = Endpoint(
            endpoint_name=entity.endpoint_name, endpoint_type=self.endpoint_type, deployment_name=entity.name
        )
        await which.endpoint.existing(client)
        task_run = TaskRun(context)
        if (found := await which.find(client)) is not None:
            ours = (found.get("tags") or {}).get(TASK_RUN_TAG) == task_run.remember()["id"]
            if ours and not provisioning_failed(found["properties"].get("provisioningState")):
                self.log.info("An earlier try of this task began with the %s.", which)
                return which
        entity.tags = {**(entity.tags or {}), **task_run.tags()}
        body = await asyncio.to_thread(self._body, client.connection, entity)
        await client.change_resource("PUT", *which.path, json=body, params={"api-version": which.api_version})
        self.log.info("%s %s.", "Updating" if found else "Creating", which)
        return which

    def _body(self, connection: WorkspaceConnection, entity: Any) -> dict[str, Any]:
        """Let the SDK upload code and model and write the body that ARM wants; it is sent here."""
        with sdk.quietly(), sdk.sdk_errors("deployment", connection), self.hook.ml_client() as ml:
            return sdk.arm_body(getattr(ml, f"{self.endpoint_type}_deployments"), entity)


class AzureMachineLearningSetEndpointTrafficOperator(EndpointOperator):
    """
    Share an online endpoint's requests among its deployments (blue/green), and wait until that is in force.

    ::

        AzureMachineLearningSetEndpointTrafficOperator(
            task_id="ten_percent", conn_id="azureml", endpoint_name="fraud", traffic={"blue": 90, "green": 10}
        )

    For a gradual roll-out put several in a row, with whatever decides to go on between them.

    :param endpoint_name: the endpoint's name. Templated.
    :param traffic: deployment -> percent of the requests; deployments that are not named get none. The sum is 100, or
        0 for no traffic at all. Templated.
    :param waiting: wait until it is in force.
    :param deferrable: wait in the triggerer; Airflow's ``[operators] default_deferrable`` if None.
    :param poll_interval: seconds between two looks.
    :param timeout: how many seconds one try waits at most; None: for ever.
    :param conn_id: an Airflow connection of type ``azure_machine_learning``. Templated.
    :return: a dict: name, id, status (provisioning state), tags, studio_url, scoring_uri, traffic.
    :raises SpecError: the percentages do not add up, or the endpoint is being deleted; nothing was changed.
    :raises NotFoundError: there is no such endpoint, or it lacks a deployment that the traffic names.
    :raises ProvisioningFailedError: Azure could not do it; with its reason.
    :raises WaitTimeoutError: it was not in force within ``timeout``.
    """

    template_fields: Sequence[str] = ("endpoint_name", "traffic", "conn_id")

    def __init__(self, *, endpoint_name: str, traffic: dict[str, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.endpoint_name = endpoint_name
        self.traffic = traffic

    async def _begin(self, context: Context, client: WorkspaceClient) -> Endpoint:  # noqa: ARG002
        shares = {name: share for name, share in _percentages(self.traffic).items() if share}
        which = Endpoint(endpoint_name=self.endpoint_name)
        body = await which.existing(client)
        for name in shares:
            deployment = Endpoint(endpoint_name=self.endpoint_name, deployment_name=name)
            await deployment.existing(client)
        if (body["properties"].get("traffic") or {}) == shares:
            self.log.info("The %s has this traffic already.", which)
            return which
        properties = {
            key: value
            for key, value in body["properties"].items()
            if key not in ("provisioningState", "scoringUri", "swaggerUri")
        }
        kept = {key: body[key] for key in ("location", "tags", "kind", "sku") if body.get(key)}
        if identity := body.get("identity"):
            kept["identity"] = {key: identity[key] for key in ("type", "userAssignedIdentities") if identity.get(key)}
        changed = {**kept, "properties": {**properties, "traffic": shares}}
        await client.change_resource("PUT", *which.path, json=changed)
        self.log.info("Traffic of the %s: %s.", which, shares)
        return which


def _percentages(traffic: Any) -> dict[str, int]:
    try:
        shares = {str(name): int(share) for name, share in traffic.items()}
    except (AttributeError, TypeError, ValueError):
        raise SpecError(f"traffic must map deployments to whole percentages, not {traffic!r}.") from None
    if any(share < 0 for share in shares.values()) or sum(shares.values()) not in (0, 100):
        raise SpecError(f"The traffic {shares} adds up to {sum(shares.values())}, not to 100. Nothing was changed.")
    return shares


class AzureMachineLearningDeleteEndpointOperator(EndpointOperator):
    """
    Delete an AzureML endpoint with all its deployments, or one of its deployments, and wait until it is gone.

    :param endpoint_name: the endpoint's name. Templated.
    :param deployment_name: the deployment to delete; None: the endpoint. AzureML refuses while it has traffic.
        Templated.
    :param endpoint_type: ``online`` or ``batch``.
    :param if_missing: what to do if there is none: ``ignore`` (with a warning in the log) or ``fail``.
    :param waiting: wait until it is gone.
    :param deferrable: wait in the triggerer; Airflow's ``[operators] default_deferrable`` if None.
    :param poll_interval: seconds between two looks.
    :param timeout: how many seconds one try waits at most; None: for ever.
    :param conn_id: an Airflow connection of type ``azure_machine_learning``. Templated.
    :return: a dict: name, and status ``Deleted`` once it is gone.
    :raises NotFoundError: there is none, and ``if_missing`` is ``fail``.
    :raises ProvisioningFailedError: Azure could not delete it.
    :raises WaitTimeoutError: it was not gone within ``timeout``.
    """

    wanted = endpoints.DELETED
    template_fields: Sequence[str] = ("endpoint_name", "deployment_name", "endpoint_type", "conn_id")

    def __init__(
        self,
        *,
        endpoint_name: str,
        deployment_name: str | None = None,
        if_missing: Literal["ignore", "fail"] = "ignore",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.endpoint_name = endpoint_name
        self.deployment_name = deployment_name
        self.if_missing = if_missing

    async def _begin(self, context: Context, client: WorkspaceClient) -> Endpoint:
        task_run = TaskRun(context)
        which = Endpoint(
            endpoint_name=self.endpoint_name,
            endpoint_type=self.endpoint_type,
            deployment_name=self.deployment_name,
        )
        found = await which.find(client)
        if found is None:
            if self.if_missing == "fail" and "begun" not in task_run.remember():
                raise NotFoundError(f"There is no {which} in workspace {client.connection.workspace.label}.")
            self.log.warning("There is no %s: nothing to delete.", which)
        elif not same_state(found["properties"].get("provisioningState"), "Deleting"):
            task_run.remember(begun=True)
            with contextlib.suppress(NotFoundError):  # the answer to an attempt before this one was lost
                await client.change_resource("DELETE", *which.path)
            self.log.info("Deleting %s.", which)
        return which
