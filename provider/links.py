"""Deep links into Azure Machine Learning studio."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink
from airflow.sdk.execution_time.xcom import XCom

from ..datasets.workspace import Kind, Registry

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context
    from airflow.sdk.types import TaskInstanceKey

    from ..datasets.events import AssetVersion
    from .connection import WorkspaceConnection

STUDIO_URL_KEY = "azureml_studio_url"


class AzureMachineLearningStudioLink(BaseOperatorLink):
    """The button "AzureML studio" of a task: opens what the task made or waited for."""

    name = "AzureML studio"

    @property
    def xcom_key(self) -> str:
        """Where the URL is kept; operators push it as soon as they know it, so that the button works while they run."""
        return STUDIO_URL_KEY

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Return the URL that the task pushed, or an empty string if there is none yet."""
        return XCom.get_value(key=STUDIO_URL_KEY, ti_key=ti_key) or ""


def push_studio_url(context: Context, url: str) -> None:
    """Make the task's button "AzureML studio" open this URL."""
    if url:
        context["ti"].xcom_push(STUDIO_URL_KEY, url)


def version_url(connection: WorkspaceConnection, version: AssetVersion) -> str:
    """Return the page of a model or data version in studio. Source: the addresses that studio itself shows."""
    if isinstance(connection.owner, Registry):
        return resource_url(connection, f"{Kind(version.kind).collection}/{version.name}/version/{version.version}")
    path = (
        f"model/{version.name}:{version.version}"
        if version.kind == Kind.MODEL
        else f"data/{version.name}/{version.version}"
    )
    return resource_url(connection, f"{path}/details")


def job_url(connection: WorkspaceConnection, name: str) -> str:
    """Return the page of a job in studio."""
    return resource_url(connection, f"runs/{name}")


def resource_url(connection: WorkspaceConnection, path: str) -> str:
    """
    Return a page of the workspace or registry in studio.

    :param path: what studio's addresses have between host, or registry, and query.
    """
    tenant = f"&tid={connection.tenant_id}" if connection.tenant_id else ""
    if isinstance(connection.owner, Registry):
        tenant = tenant.replace("&", "?")
        return f"{connection.cloud.studio}/registries/{connection.owner.name}/{path}{tenant}"
    return f"{connection.cloud.studio}/{path}?wsid={connection.workspace.id}{tenant}"
