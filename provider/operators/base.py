"""What the operators share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from ..connection import DEFAULT_CONN_ID
from ..hook import AzureMachineLearningHook
from ..links import AzureMachineLearningStudioLink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import BaseOperatorLink

    from ...datasets.workspace import Workspace


class AzureMachineLearningBaseOperator(BaseOperator):
    """
    The base of the AzureML operators.

    :param conn_id: an Airflow connection of type ``azure_machine_learning``.
    :param workspace: the identity of the workspace, for asset events; the task refuses to run, before it changes
        anything, when the connection points to another one.
    """

    template_fields: Sequence[str] = ("conn_id",)
    template_fields_renderers: ClassVar[dict[str, str]] = {}
    operator_extra_links: Sequence[BaseOperatorLink] = (AzureMachineLearningStudioLink(),)
    ui_color = "#e6f2fb"

    def __init__(self, *, conn_id: str = DEFAULT_CONN_ID, workspace: Workspace | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id
        self.workspace = workspace

    @property
    def hook(self) -> AzureMachineLearningHook:
        """The hook for this task's connection."""
        return AzureMachineLearningHook(self.conn_id, workspace=self.workspace)

    @property
    def _dag_folder(self) -> Path:
        """The folder of the DAG file: what relative paths in a spec start from."""
        return Path(self.dag.fileloc).parent
