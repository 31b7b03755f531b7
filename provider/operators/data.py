"""Operators for AzureML data assets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ...datasets.workspace import Kind
from .base_asset import CreateAssetVersionOperator

if TYPE_CHECKING:
    from collections.abc import Sequence


class AzureMachineLearningCreateDataOperator(CreateAssetVersionOperator):
    """
    Create a version of an AzureML data asset, upload its files first if they are not in Azure yet, and announce it.

    ::

        AzureMachineLearningCreateDataOperator(
            task_id="upload",
            conn_id="azureml",
            workspace=ws,
            data_asset={"name": "sales", "type": "uri_folder", "path": "s3://lake/sales/{{ ds }}/"},
        )

    Files are uploaded to a path of the datastore that no other version shares, with ``.amlignore`` or ``.gitignore``
    honoured. A version that the spec names is kept; without one the next is taken. The version's tags tell the DAG, run
    and task that made it.

    :param data_asset: a dict with the keys of AzureML's CLI v2 YAML for data (``name``, ``path``, ``type``
        ``uri_folder``, ``uri_file`` or ``mltable``, ``version``, ``description``, ``tags``, ``properties``) and
        ``datastore`` (where to upload; the workspace's default); or a path to such YAML; or an azure-ai-ml ``Data``;
        or a callable that returns one of them. ``path`` is a local path (relative ones start at the DAG file's folder,
        or the YAML's), a URI that Airflow's ObjectStoragePath reads (``s3://``, ``gs://``, ``abfs://``, ``file://``
        ...), or one that AzureML itself reads (``azureml://datastores/...``, ``azureml://jobs/...``, ``https://...``).
        Templated.
    :param conn_id: an Airflow connection of type ``azure_machine_learning``. Templated.
    :param workspace: the identity of the workspace or registry; with it, the task announces ``workspace.data(name)``,
        or ``workspace.alias(Kind.DATA)`` where the name is only known when the task runs.
    :param storage_conn_id: the Airflow connection of the object store that ``path`` is in; its default if None.
    :param partition_by_version: give the event the version as partition key. It then starts partitioned DAGs
        (``PartitionedAssetTimetable``), a run for each version, and no others.
    :param metrics: give the version, in XCom and event, the metrics that the job that made it logged with MLflow: one
        read more. Not of a registry.
    :param if_unchanged: ``"reuse"``: where the files are those of the newest version (or of the version that the spec
        names), that one stands: it is returned, and nothing is uploaded, made or announced. The files are read once to
        know. ``"new"``, the default: a new version each time. Without effect on a ``path`` that AzureML reads by
        itself, whose content is not known.
    :return: the :class:`~airflow_provider_azureml.datasets.AssetVersion` as a dict.
    :raises SpecError: the spec, the path or the version is invalid; nothing was changed in Azure.
    :raises AzureMachineLearningError: Azure refused; nothing was registered.
    """

    kind: ClassVar[Kind] = Kind.DATA
    announces: ClassVar[tuple[Kind, ...]] = (Kind.DATA,)
    template_fields: Sequence[str] = ("data_asset", "conn_id", "storage_conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"data_asset": "json"}

    def __init__(self, *, data_asset: Any, **kwargs: Any) -> None:
        super().__init__(spec=data_asset, **kwargs)
        self.data_asset = data_asset

    def _spec(self) -> Any:
        return self.data_asset
