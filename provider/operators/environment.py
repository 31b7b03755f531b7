"""The operator for AzureML environments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .. import sdk
from .base_sdk_asset import CreateSdkVersionOperator

if TYPE_CHECKING:
    from collections.abc import Sequence


class AzureMachineLearningCreateEnvironmentOperator(CreateSdkVersionOperator):
    """
    Create a version of an AzureML environment: what jobs and deployments run in.

    ::

        AzureMachineLearningCreateEnvironmentOperator(
            task_id="environment",
            conn_id="azureml",
            environment={
                "name": "sklearn",
                "image": "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04",
                "conda_file": "./conda.yml",
            },
        )

    A retry makes no second version; a cleared task does, unless the spec names the version: one that exists is used as
    it is, since AzureML's versions cannot be changed. AzureML builds the image when a job first needs it.

    :param environment: a dict with the keys of AzureML's CLI v2 YAML for environments; or a path to such YAML; or an
        azure-ai-ml ``Environment``; or a callable that returns one of them. Relative paths start at the DAG file's
        folder, or the YAML's. Templated.
    :param conn_id: an Airflow connection of type ``azure_machine_learning``. Templated.
    :param workspace: the identity of the workspace or registry; the task refuses to run when the connection points to
        another one.
    :return: a dict: name, version, id, description, tags, created_at, created_by, studio_url.
    :raises SpecError: the SDK does not accept the spec; nothing was made.
    :raises AzureMachineLearningError: Azure refused.
    """

    collection = "environments"
    template_fields: Sequence[str] = ("environment", "conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"environment": "json"}

    def __init__(self, *, environment: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.environment = sdk.field(environment)

    def _spec(self) -> Any:
        return self.environment
