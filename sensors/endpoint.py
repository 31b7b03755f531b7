"""Waiting for the provisioning state of an endpoint or deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..provider.arguments import check_choice, check_name
from ..provider.resources.endpoint import Endpoint
from .base_resource import ResourceSensor

if TYPE_CHECKING:
    from collections.abc import Sequence


class AzureMachineLearningEndpointSensor(ResourceSensor):
    """
    Wait until an AzureML endpoint, or one of its deployments, is provisioned or gone, whoever sees to that.

    ::

        AzureMachineLearningEndpointSensor(
            task_id="deployed", conn_id="azureml", endpoint_name="fraud", deployment_name="green"
        )

    :param endpoint_name: the endpoint's name. Templated.
    :param deployment_name: the deployment's name; None for the endpoint itself. Templated.
    :param endpoint_type: ``online`` or ``batch``.
    :param state: ``Succeeded`` (provisioned) or ``Deleted``.
    :param conn_id: an Airflow connection of type ``azure_machine_learning``. Templated.
    :param poke_interval: seconds between two checks, 60 if not given; also when deferred.
    :return: a dict: name, id, status (provisioning state), tags, studio_url; of an endpoint scoring_uri and traffic, of
        a deployment endpoint_name and model.
    :raises SpecError: the state or type is none of these.
    :raises NotFoundError: there is no such endpoint or deployment.
    :raises ProvisioningFailedError: Azure failed with it.
    :raises AirflowSensorTimeout: it did not come to the state within ``timeout`` seconds.
    """

    template_fields: Sequence[str] = ("endpoint_name", "deployment_name", "state", "conn_id")
    states = Endpoint.states

    def __init__(
        self, *, endpoint_name: str, deployment_name: str | None = None, endpoint_type: str = "online", **kwargs: Any
    ) -> None:
        check_name("endpoint", endpoint_name, parsing=True)
        if deployment_name is not None:
            check_name("deployment", deployment_name, parsing=True)
        super().__init__(**kwargs)
        self.endpoint_name = endpoint_name
        self.deployment_name = deployment_name
        check_choice("endpoint_type", endpoint_type, ("online", "batch"))
        self.endpoint_type = endpoint_type

    def _resource(self) -> Endpoint:
        return Endpoint(
            endpoint_name=self.endpoint_name,
            endpoint_type=self.endpoint_type,
            deployment_name=self.deployment_name,
        )
