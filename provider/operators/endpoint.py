"""Operators for AzureML endpoints and deployments: managed online, Kubernetes online, batch."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from .. import sdk
from ..errors import SpecError
from ..references import check_references
from ..resources.endpoint import Endpoint, EndpointType, check_endpoint_type
from ..rest.states import provisioning_failed
from ..task_run import TASK_RUN_TAG, TaskRun
from .resource import CreateResourceOperator, DeleteResourceOperator, ResourceOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from ..connection import WorkspaceConnection
    from ..rest.client import WorkspaceClient


class AzureMachineLearningCreateEndpointOperator(CreateResourceOperator):
    """
    Create an AzureML endpoint, managed or Kubernetes online or batch, and wait until it is there.

    ::

        AzureMachineLearningCreateEndpointOperator(
            task_id="endpoint", conn_id="azureml", endpoint={"name": "fraud", "auth_mode": "key"}
        )

    An endpoint that exists is used, once its settings are compared with the ones asked for. Traffic is set by
    :class:`AzureMachineLearningSetEndpointTrafficOperator`, once there are deployments.

    :param endpoint: a dict with the keys of AzureML's CLI v2 YAML for endpoints (with ``compute`` it is a Kubernetes
        one); or a path to such YAML; or an azure-ai-ml endpoint; or a callable that returns one of them. Templated.
    :param endpoint_type: ``online`` or ``batch``.
    :param on_difference: what to do if it exists with other settings: ``warn`` (in the log), ``error``, or ``update``
        (its traffic, and tags that are not asked for, stay).
    :param waiting: wait until it is provisioned.
    :param deferrable: wait in the triggerer; Airflow's ``[operators] default_deferrable`` if None.
    :param poll_interval: seconds between two looks.
    :param timeout: how many seconds one try waits at most; None: for ever.
    :param conn_id: an Airflow connection of type ``azure_machine_learning``. Templated.
    :return: a dict: name, id, status (provisioning state), tags, studio_url, scoring_uri, traffic.
    :raises SpecError: the SDK does not accept the spec, the endpoint exists and differs, or it is being deleted;
        nothing was changed.
    :raises ProvisioningFailedError: Azure could not make it; with its reason.
    :raises WaitTimeoutError: it was not there within ``timeout``.
    """

    template_fields: Sequence[str] = ("endpoint", "endpoint_type", "conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"endpoint": "json"}

    def __init__(self, *, endpoint: Any, endpoint_type: EndpointType = "online", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.endpoint = sdk.field(endpoint)
        self.endpoint_type = endpoint_type

    def _load(self, context: Context, connection: WorkspaceConnection) -> tuple[Endpoint, dict[str, Any]]:
        check_endpoint_type(self.endpoint_type)
        entity = self._load_entity(context, self.endpoint, f"{self.endpoint_type} endpoint")
        with sdk.quietly(), sdk.sdk_errors("endpoint"):
            write = getattr(entity, f"_to_rest_{self.endpoint_type}_endpoint", None)
            if write is None:
                raise SpecError(f"A {type(entity).__name__} is not of endpoint_type {self.endpoint_type!r}.")
            body = write(location=None).as_dict()
        if compute := body["properties"].get("compute"):
            own = f"{connection.workspace.id}/computes/{compute}"
            body["properties"]["compute"] = compute if "/" in compute else own
        return Endpoint(endpoint_name=entity.name, endpoint_type=self.endpoint_type), body


class AzureMachineLearningDeployEndpointOperator(ResourceOperator):
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
    :raises SpecError: the SDK does not accept the spec, its model, environment or compute does not exist, or the
        endpoint is being deleted; nothing was changed.
    :raises NotFoundError: there is no such endpoint.
    :raises ProvisioningFailedError: Azure could not deploy; with its reason.
    :raises WaitTimeoutError: it was not there within ``timeout``.
    """

    template_fields: Sequence[str] = ("deployment", "endpoint_type", "conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"deployment": "json"}

    def __init__(self, *, deployment: Any, endpoint_type: EndpointType = "online", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deployment = sdk.field(deployment)
        self.endpoint_type = endpoint_type

    async def _begin(self, context: Context, client: WorkspaceClient) -> Endpoint:
        check_endpoint_type(self.endpoint_type)
        noun = f"{self.endpoint_type} deployment"
        entity = await asyncio.to_thread(self._load_entity, context, self.deployment, noun)
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
        await check_references(client, entity, noun="deployment")
        entity.tags = {**(entity.tags or {}), **task_run.tags()}
        body = await asyncio.to_thread(self._body, client.connection, entity)
        await self._change(context, client, which, "PUT", json=body, params={"api-version": which.api_version})
        self.log.info("%s %s.", "Updating" if found else "Creating", which)
        return which

    def _body(self, connection: WorkspaceConnection, entity: Any) -> dict[str, Any]:
        """Let the SDK upload code and model and write the body that ARM wants; it is sent here."""
        with sdk.quietly(), sdk.sdk_errors("deployment", connection), self.hook.ml_client() as ml:
            return sdk.arm_body(getattr(ml, f"{self.endpoint_type}_deployments"), entity)


class AzureMachineLearningDeleteEndpointOperator(DeleteResourceOperator):
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

    template_fields: Sequence[str] = ("endpoint_name", "deployment_name", "endpoint_type", "conn_id")

    def __init__(
        self,
        *,
        endpoint_name: str,
        deployment_name: str | None = None,
        endpoint_type: EndpointType = "online",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.endpoint_name = endpoint_name
        self.deployment_name = deployment_name
        self.endpoint_type = endpoint_type

    def _resource(self) -> Endpoint:
        return Endpoint(
            endpoint_name=self.endpoint_name,
            endpoint_type=self.endpoint_type,
            deployment_name=self.deployment_name,
        )
