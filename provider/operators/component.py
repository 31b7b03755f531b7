"""The operator for AzureML components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .. import sdk
from .base_sdk_asset import CreateSdkVersionOperator

if TYPE_CHECKING:
    from collections.abc import Sequence


class AzureMachineLearningLoadAndRegisterComponentOperator(CreateSdkVersionOperator):
    """
    Register a version of an AzureML component, a step that pipelines share, from YAML or a spec.

    ::

        AzureMachineLearningLoadAndRegisterComponentOperator(
            task_id="component", conn_id="azureml", source="components/train.yml"
        )

    A retry makes no second version; a cleared task does, unless the spec names the version: one that exists is used as
    it is, since AzureML's versions cannot be changed.

    :param source: a path to AzureML CLI v2 YAML for components; or a dict with its keys; or an azure-ai-ml component;
        or a callable that returns one of them. Relative paths start at the DAG file's folder; those in the YAML at its
        own. Templated; ``${{...}}`` is AzureML's and left alone.
    :param conn_id: an Airflow connection of type ``azure_machine_learning``. Templated.
    :param workspace: the identity of the workspace or registry; the task refuses to run when the connection points to
        another one.
    :return: a dict: name, version, id, description, tags, created_at, created_by, studio_url.
    :raises SpecError: the SDK does not accept the spec; nothing was made.
    :raises AzureMachineLearningError: Azure refused.
    """

    collection = "components"
    template_fields: Sequence[str] = ("source", "conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"source": "json"}

    def __init__(self, *, source: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.source = sdk.field(source)

    def _spec(self) -> Any:
        return self.source
