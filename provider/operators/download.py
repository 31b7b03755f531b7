"""Operator that downloads from a workspace's storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..interruptible import Interruptible
from .base import AzureMachineLearningBaseOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context


class AzureMachineLearningDownloadOperator(AzureMachineLearningBaseOperator):
    """
    Download a version of data or a model, a path of a datastore, or an output or the logs of a job.

    ::

        AzureMachineLearningDownloadOperator(
            task_id="fetch",
            conn_id="azureml",
            source="azureml://jobs/{{ ti.xcom_pull('train')['name'] }}/outputs/artifacts/paths/user_logs",
            to="s3://lake/logs/{{ run_id }}/",
        )

    Each file is compared with the MD5 that storage keeps of it. On the worker, nothing is at the destination before
    all of it is there; a retry on the same worker asks only for what is missing. In an object store, each object
    appears whole. The end of the task ends the download.

    :param source: a version's dict, as operators and sensors return it (``XComArg``, or a template that renders to its
        ``id``); the id of a version; ``azureml://datastores/NAME/paths/...``; or
        ``azureml://jobs/NAME/outputs/OUTPUT/paths/...``, where the output ``artifacts`` is the job's own files.
        Templated.
    :param to: the folder where the files go: a local path (relative ones start at the DAG file's folder), a URI that
        Airflow's ObjectStoragePath writes (``s3://``, ``gs://`` ...), or an ObjectStoragePath. Templated.
    :param conn_id: an Airflow connection of type ``azure_machine_learning``. Templated.
    :param storage_conn_id: the Airflow connection of the object store that ``to`` is in; its default if None.
        Templated.
    :param workspace: the identity of the workspace or registry; the task refuses to run when the connection points to
        another one.
    :return: a dict: ``path`` (the folder), ``files`` (how many).
    :raises SpecError: the source is none of these, or of another workspace.
    :raises NotFoundError: it does not exist, or holds nothing.
    :raises AzureMachineLearningError: Azure refused, or storage could not be reached.
    """

    takes_registry = True
    template_fields: Sequence[str] = ("source", "to", "conn_id", "storage_conn_id")

    def __init__(self, *, source: Any, to: Any, storage_conn_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.to = to
        self.storage_conn_id = storage_conn_id
        self._running = Interruptible()

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002
        """Download it."""
        from ..storage.targets import target_for

        connection = self.hook.get_workspace_connection()
        target = target_for(self.to, self._dag_folder, conn_id=self.storage_conn_id)
        files = self._running.run(self.hook.adownload(self.source, target, connection))
        return {"path": str(self.to), "files": len(files)}

    def on_kill(self) -> None:
        """Stop the download; Airflow calls it when the task is ended."""
        self._running.cancel()
