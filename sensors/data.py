"""Waiting for new versions of AzureML data assets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..datasets.workspace import Kind
from .base_version import VersionSensor

if TYPE_CHECKING:
    from collections.abc import Sequence


class AzureMachineLearningDataVersionSensor(VersionSensor):
    """
    Wait for a new version of a data asset, whoever makes it.

    ::

        AzureMachineLearningDataVersionSensor(
            task_id="new_version", conn_id="azureml", data_name="sales", tags={"stage": "production"}
        )

    A version is new if the service made it after ``after_version``, or after the newest one that was there when this
    task run began; retries go on from there. It may get the tags later. A name that does not exist yet is waited for,
    a wrong connection is not. Archived versions do not count.

    :param data_name: the name of the data asset. Templated.
    :param after_version: a version; None means the newest one of the moment. Templated.
    :param tags: tags that the version must have, with these values; it may have more. Templated.
    :param metrics: give the versions, in XCom and event, the metrics that the jobs that made them logged with MLflow:
        one read more for each job. Not of a registry.
    :param conn_id: an Airflow connection of type ``azure_machine_learning``. Templated.
    :param workspace: the identity of the workspace or registry; with it, the task announces
        ``workspace.data(data_name)`` with all new versions that it found.
    :param poke_interval: seconds between two checks, 60 if not given; also when deferred.
    :return: the newest of the new versions, an :class:`~airflow_provider_azureml.datasets.AssetVersion` as a dict.
    :raises SpecError: ``after_version`` does not exist and is not a number.
    :raises AirflowSensorTimeout: there was none within ``timeout`` seconds.
    """

    kind: ClassVar[Kind] = Kind.DATA
    template_fields: Sequence[str] = ("data_name", "after_version", "tags", "conn_id")

    def __init__(self, *, data_name: str, **kwargs: Any) -> None:
        super().__init__(asset_name=data_name, **kwargs)
        self.data_name = data_name

    @property
    def _name(self) -> str:
        return self.data_name
