"""Waiting for the state of a compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..provider.arguments import check_name
from ..provider.resources.compute import Compute
from .base_resource import ResourceSensor

if TYPE_CHECKING:
    from collections.abc import Sequence


class AzureMachineLearningComputeSensor(ResourceSensor):
    """
    Wait until an AzureML compute is in a state, whoever brings it there.

    ::

        AzureMachineLearningComputeSensor(task_id="up", conn_id="azureml", compute_name="dev-box", state="Running")

    :param compute_name: the compute's name. Templated.
    :param state: ``Succeeded`` (provisioned), ``Running`` or ``Stopped`` (of an instance), or ``Deleted``.
    :param conn_id: an Airflow connection of type ``azure_machine_learning``. Templated.
    :param poke_interval: seconds between two checks, 60 if not given; also when deferred.
    :return: a dict: name, id, type, status (provisioning state), state (of an instance), size, tags, studio_url.
    :raises SpecError: the state is none of these.
    :raises NotFoundError: there is no such compute.
    :raises ProvisioningFailedError: it is in a state that it does not leave by itself.
    :raises AirflowSensorTimeout: it did not come to the state within ``timeout`` seconds.
    """

    template_fields: Sequence[str] = ("compute_name", "state", "conn_id")
    states = Compute.states

    def __init__(self, *, compute_name: str, **kwargs: Any) -> None:
        check_name("compute", compute_name, parsing=True)
        super().__init__(**kwargs)
        self.compute_name = compute_name

    def _resource(self) -> Compute:
        return Compute(self.compute_name)
