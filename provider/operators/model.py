"""Operators for AzureML models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ...datasets.workspace import Kind
from .base_asset import CreateAssetVersionOperator

if TYPE_CHECKING:
    from collections.abc import Sequence


class AzureMachineLearningRegisterModelOperator(CreateAssetVersionOperator):
    """
    Register a version of an AzureML model, from files or from a job's output, and announce it.

    ::

        AzureMachineLearningRegisterModelOperator(
            task_id="register",
            conn_id="azureml",
            workspace=ws,
            model={
                "name": "fraud",
                "type": "mlflow_model",
                "path": "azureml://jobs/{{ ti.xcom_pull('train')['name'] }}/outputs/artifacts/paths/model/",
            },
        )

    :param model: a dict with the keys of AzureML's CLI v2 YAML for models (``name``, ``path``, ``type``
        ``custom_model``, ``mlflow_model`` or ``triton_model``, ``version``, ``description``, ``tags``, ``properties``,
        ``stage``, ``flavors``) and ``datastore``; or a path to such YAML; or an azure-ai-ml ``Model``; or a callable
        that returns one of them. ``path`` as for
        :class:`~airflow_provider_azureml.provider.operators.data.AzureMachineLearningCreateDataOperator`. Versions are
            positive integers. Templated.
    :param conn_id: an Airflow connection of type ``azure_machine_learning``. Templated.
    :param workspace: the identity of the workspace or registry; with it, the task announces ``workspace.model(name)``,
        or ``workspace.alias(Kind.MODEL)`` where the name is only known when the task runs.
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

    kind: ClassVar[Kind] = Kind.MODEL
    announces: ClassVar[tuple[Kind, ...]] = (Kind.MODEL,)
    template_fields: Sequence[str] = ("model", "conn_id", "storage_conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"model": "json"}

    def __init__(self, *, model: Any, **kwargs: Any) -> None:
        super().__init__(spec=model, **kwargs)
        self.model = model

    def _spec(self) -> Any:
        return self.model
