"""Operators for AzureML endpoints and deployments: managed online, Kubernetes online, batch."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar

from .. import sdk
from ..arguments import check_choice, check_name
from ..errors import AzureMachineLearningError, ProvisioningFailedError, SpecError
from ..resources.endpoint import ENDPOINT_TYPES, Endpoint, EndpointType
from ..task_run import TaskRun
from .base_resource import CreateResourceOperator, DeleteResourceOperator, DeployResourceOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow.sdk import Context

    from ..resources.base import Resource
    from ..triggers.resource import AzureMachineLearningResourceTrigger

log = logging.getLogger(__name__)

_LOG_LINES = 200  # of each container that are shown of a deployment that failed


class AzureMachineLearningCreateEndpointOperator(CreateResourceOperator):
    """
    Create an AzureML endpoint, managed or Kubernetes online or batch, and wait until it is there.

    ::

        AzureMachineLearningCreateEndpointOperator(
            task_id="endpoint", conn_id="azureml", endpoint={"name": "fraud", "auth_mode": "key"}
        )

    An endpoint that exists is used, once its settings are compared with the ones asked for. Traffic is set by
    :class:`AzureMachineLearningSetEndpointTrafficOperator`, once there are deployments.

    Further parameters: ``waiting``, ``deferrable``, ``poll_interval`` and ``timeout`` of :class:`.WaitingOperator`,
    ``conn_id`` (templated) of :class:`.AzureMachineLearningBaseOperator`.

    :param endpoint: a dict with the keys of AzureML's CLI v2 YAML for endpoints (with ``compute`` it is a Kubernetes
        one); or a path to such YAML; or an azure-ai-ml endpoint; or a callable that returns one of them. Templated.
    :param endpoint_type: ``online`` or ``batch``; None: what the class of an azure-ai-ml endpoint says, else
        ``online``.
    :param on_difference: what to do if it exists with other settings: ``warn`` (in the log), ``error``, or ``update``
        (its traffic, and tags that are not asked for, stay).
    :return: a dict: name, id, status (provisioning state), tags, studio_url, scoring_uri, traffic.
    :raises SpecError: the SDK does not accept the spec, the endpoint exists and differs, or it is being deleted;
        nothing was changed.
    :raises ProvisioningFailedError: Azure could not make it; with its reason.
    :raises WaitTimeoutError: it was not there within ``timeout``.
    """

    template_fields: Sequence[str] = ("endpoint", "endpoint_type", "conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"endpoint": "json"}

    def __init__(self, *, endpoint: Any, endpoint_type: EndpointType | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.endpoint = sdk.field(endpoint)
        self.endpoint_type: EndpointType = endpoint_type or sdk.endpoint_type(endpoint)
        check_choice("endpoint_type", self.endpoint_type, ENDPOINT_TYPES)

    def _entity(self, context: Context) -> Any:
        return self._load_entity(context, self.endpoint, f"{self.endpoint_type} endpoint")

    def _resource(self, entity: Any) -> Endpoint:
        return Endpoint(endpoint_name=entity.name, endpoint_type=self.endpoint_type)


class AzureMachineLearningDeployEndpointOperator(DeployResourceOperator):
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

    A deployment of that name is updated. A retry waits for what an earlier try began. One that failed when it was first
    provisioned is never updated by Azure: if this task made it, in whatever run, it is deleted and made anew. A new
    online deployment gets no traffic: :class:`AzureMachineLearningSetEndpointTrafficOperator` gives it some. A batch
    deployment becomes the default by :class:`AzureMachineLearningSetDefaultDeploymentOperator`. When an online
    deployment fails to provision, the end of its containers' log is in the task's log.

    Further parameters: ``waiting``, ``deferrable``, ``poll_interval`` and ``timeout`` of :class:`.WaitingOperator`,
    ``conn_id`` (templated) of :class:`.AzureMachineLearningBaseOperator`.

    :param deployment: a dict with the keys of AzureML's CLI v2 YAML for deployments; or a path to such YAML; or an
        azure-ai-ml deployment; or a callable that returns one of them. Relative paths start at the DAG file's folder,
        or the YAML's. Templated.
    :param endpoint_type: ``online`` (managed and Kubernetes) or ``batch``; None: what the class of an azure-ai-ml
        deployment says, else ``online``.
    :return: a dict: name, id, status (provisioning state), tags, studio_url, endpoint_name, model (its id).
    :raises SpecError: the SDK does not accept the spec, its model, environment or compute does not exist, or the
        endpoint is being deleted; nothing was changed.
    :raises NotFoundError: there is no such endpoint.
    :raises ProvisioningFailedError: Azure could not deploy; with its reason.
    :raises WaitTimeoutError: it was not there within ``timeout``.
    """

    template_fields: Sequence[str] = ("deployment", "endpoint_type", "conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"deployment": "json"}

    def __init__(self, *, deployment: Any, endpoint_type: EndpointType | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deployment = sdk.field(deployment)
        self.endpoint_type: EndpointType = endpoint_type or sdk.endpoint_type(deployment)
        check_choice("endpoint_type", self.endpoint_type, ENDPOINT_TYPES)

    def _entity(self, context: Context) -> Any:
        entity = self._load_entity(context, self.deployment, f"{self.endpoint_type} deployment")
        if not entity.endpoint_name or not entity.name:
            raise SpecError("The deployment needs a 'name' and an 'endpoint_name'.")
        return entity

    def _resource(self, entity: Any) -> Endpoint:
        return Endpoint(
            endpoint_name=entity.endpoint_name, endpoint_type=self.endpoint_type, deployment_name=entity.name
        )

    def _trigger(self, context: Context, resource: Resource, state: str) -> AzureMachineLearningResourceTrigger:
        TaskRun(context).remember(path=list(resource.path))
        return super()._trigger(context, resource, state)

    def _finish(self, context: Context, found: Callable[[], Any]) -> dict[str, Any]:
        try:
            return super()._finish(context, found)
        except ProvisioningFailedError:
            deployment = Endpoint.at(*TaskRun(context).remember()["path"])
            if deployment.endpoint_type == "online":
                self._show_logs(deployment)
            raise

    def _show_logs(self, deployment: Endpoint) -> None:
        """Write what the deployment's containers wrote last into the task's log; its failure is told in any case."""
        try:
            logs = self.hook.ask(lambda client: deployment.container_logs(client, lines=_LOG_LINES))
        except AzureMachineLearningError as error:
            self.log.warning("The log of the %s could not be read: %s", deployment, error)
            return
        for container, text in logs.items():
            log.info("The last lines of container %s of the %s:", container, deployment)
            for line in text.splitlines():
                log.info("[%s] %s", container, line)


class AzureMachineLearningDeleteEndpointOperator(DeleteResourceOperator):
    """
    Delete an AzureML endpoint with all its deployments, or one of its deployments, and wait until it is gone.

    Further parameters: ``waiting``, ``deferrable``, ``poll_interval`` and ``timeout`` of :class:`.WaitingOperator`,
    ``conn_id`` (templated) of :class:`.AzureMachineLearningBaseOperator`.

    :param endpoint_name: the endpoint's name. Templated.
    :param deployment_name: the deployment to delete; None: the endpoint. AzureML refuses while it has traffic.
        Templated.
    :param endpoint_type: ``online`` or ``batch``.
    :param if_missing: what to do if there is none: ``ignore`` (with a warning in the log) or ``fail``.
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
        check_choice("endpoint_type", endpoint_type, ENDPOINT_TYPES)
        check_name("endpoint", endpoint_name, parsing=True)
        if deployment_name is not None:
            check_name("deployment", deployment_name, parsing=True)
        self.endpoint_name = endpoint_name
        self.deployment_name = deployment_name
        self._of_deployment = deployment_name is not None
        self.endpoint_type = endpoint_type

    def _resource(self) -> Endpoint:
        if self._of_deployment:  # a template that found nothing must not make it the whole endpoint
            check_name("deployment", self.deployment_name)
        return Endpoint(
            endpoint_name=self.endpoint_name,
            endpoint_type=self.endpoint_type,
            deployment_name=self.deployment_name,
        )
