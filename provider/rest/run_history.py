"""What run history knows of a job and ARM does not: why it failed, its parts, the end of its log, its metrics."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..errors import AzureMachineLearningError, NotFoundError

if TYPE_CHECKING:
    from .client import WorkspaceClient

log = logging.getLogger(__name__)

_LOGS = ("user_logs/std_log.txt", "azureml-logs/70_driver_log.txt")  # where a job's own output is; the second is older
_MOST_PARTS = 5


class RunHistory:
    """
    The run history of a workspace. Its methods never raise for want of an answer: they are asked beside the point.

    Source: recorded_shapes/README.md, "Jobs"; metrics: MLflow's REST API, which AzureML serves.

    :param client: the workspace.
    """

    def __init__(self, client: WorkspaceClient) -> None:
        self._client = client
        self._api: str | None = None

    async def _ask(self, service: str, path: str, params: dict[str, str] | None = None) -> dict[str, Any]:
        if self._api is None:
            discovery_url = (await self._client.get_workspace())["properties"]["discoveryUrl"]
            self._api = str((await self._client.request("GET", discovery_url))["api"])
        url = f"{self._api}/{service}/v1.0{self._client.connection.workspace.id}{path}"
        return await self._client.request("GET", url, params=params)

    async def reach(self) -> None:
        """
        Ask it something, to see that it can be asked.

        :raises AzureMachineLearningError: it does not answer, or refuses.
        """
        with suppress(NotFoundError):
            await self._ask("history", "/runs/airflow-azureml-check")

    async def failure_reason(self, name: str) -> str:
        """Return why a job failed, in the service's own words; of a pipeline or sweep also which parts of it."""
        try:
            run = await self._ask("history", f"/runs/{quote(name, safe='')}")
        except (AzureMachineLearningError, KeyError, TypeError) as error:
            log.warning("Run history gave no reason for job %s: %s", name, error)
            return "Its reason could not be read from run history (see the log)."
        reason = _error(run) or str(run.get("cancelationReason") or "AzureML gives no reason.")
        parts = [
            f"{part.get('displayName') or part['runId']}: {_error(part)}" for part in await self.failed_parts(name)
        ]
        return " ".join([reason, *([f"Failed parts: {'; '.join(parts[:_MOST_PARTS])}."] if parts else [])])

    async def failed_parts(self, name: str) -> list[dict[str, Any]]:
        """Return the failed children of a job, as run history describes them."""
        try:
            body = await self._ask("history", f"/runs/{quote(name, safe='')}/children")
        except (AzureMachineLearningError, KeyError, TypeError) as error:
            log.warning("Run history gave no parts of job %s: %s", name, error)
            return []
        return [child for child in body.get("value") or () if child.get("status") == "Failed"]

    async def end_of_log(self, name: str, *, size: int = 2000) -> str:
        """
        Return the last lines of a failed job's own output, or of its first failed part's; empty if there are none.

        :param size: how many bytes at most.
        """
        try:
            run = next(iter(await self.failed_parts(name)), {"runId": name})
            files = (await self._ask("history", f"/runs/{quote(run['runId'], safe='')}/details")).get("logFiles") or {}
            if not (url := next((files[file] for file in _LOGS if file in files), None)):
                return ""
            return await _end_of_blob(url, size)
        except Exception as error:  # noqa: BLE001 - the job's failure must be told, with or without its log
            log.warning("The log of job %s could not be read: %s", name, type(error).__name__)
            return ""

    async def metrics(self, name: str) -> dict[str, float]:
        """Return the last value of each metric that a job logged with MLflow."""
        try:
            body = await self._ask("mlflow", "/api/2.0/mlflow/runs/get", {"run_id": name})
            return {metric["key"]: metric["value"] for metric in body["run"]["data"].get("metrics") or ()}
        except (AzureMachineLearningError, KeyError, TypeError) as error:
            log.warning("MLflow gave no metrics of job %s: %s", name, error)
            return {}


def _error(run: dict[str, Any]) -> str:
    body = ((run.get("error") or {}).get("error")) or {}
    message = str(body.get("message") or "").strip()
    return f"{body.get('code') or 'Error'}: {message}" if message else ""


async def _end_of_blob(url: str, size: int) -> str:
    """The URL holds a signature: no token is sent with it, and it is in no message."""
    from azure.storage.blob.aio import BlobClient

    async with BlobClient.from_blob_url(url) as blob:
        length = (await blob.get_blob_properties()).size
        if length == 0:
            return ""
        stream = await blob.download_blob(offset=max(0, length - size), length=min(size, length))
        return (await stream.readall()).decode(errors="replace").strip()
