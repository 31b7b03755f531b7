"""What run history knows of a job and ARM does not: why it failed, its parts, the end of its log, its metrics."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from ...datasets.workspace import Kind
from ..errors import AzureMachineLearningError, NotFoundError
from ..links import job_url
from .bodies import next_link
from .log_names import own_logs

if TYPE_CHECKING:
    from ..connection import WorkspaceConnection
    from .bodies import Job

log = logging.getLogger(__name__)

_MOST_PARTS = 5
_ASSET = re.compile(r".*/(models|data)/([^/]+)/versions/([^/]+)", re.IGNORECASE)
_NAMELESS = re.compile(r"azureml_.+_output_.+")  # what AzureML calls an output that nobody gave a name to


@dataclass(frozen=True, slots=True)
class RegisteredOutput:
    """
    What a named output of a job became, or is to become.

    :param name: the asset's name.
    :param version: None if it is not told.
    :param kind: None if it is not told.
    """

    name: str
    version: str | None = None
    kind: Kind | None = None


class Asks(Protocol):
    """What of a workspace's client is needed here."""

    connection: WorkspaceConnection

    async def get_workspace(self) -> dict[str, Any]:
        """See WorkspaceClient."""

    async def request(
        self, method: str, url: str, *, params: dict[str, str] | None = None, json: Any = None
    ) -> dict[str, Any]:
        """See WorkspaceClient."""


class RunHistory:
    """
    The run history of a workspace, looked for once.

    Unless they say so, its methods never raise for want of an answer: they are asked beside the point.

    Source: recorded_shapes/README.md, "Jobs"; metrics: MLflow's REST API, which AzureML serves.

    :param client: the workspace.
    """

    def __init__(self, client: Asks) -> None:
        self._client = client
        self._api: str | None = None
        self._discovery = asyncio.Lock()

    async def _ask(
        self, service: str, path: str, params: dict[str, str] | None = None, *, json: Any = None
    ) -> dict[str, Any]:
        async with self._discovery:
            if self._api is None:
                discovery_url = (await self._client.get_workspace())["properties"]["discoveryUrl"]
                self._api = str((await self._client.request("GET", discovery_url))["api"])
        url = f"{self._api}/{service}/v1.0{self._client.connection.workspace.id}{path}"
        return await self._client.request("GET" if json is None else "POST", url, params=params, json=json)

    async def completed_job(self, job: Job) -> Job:
        """
        Return a job with what ARM does not say of it: the step of a pipeline has no properties there.

        :raises AzureMachineLearningError: run history did not answer either.
        """
        run = await self._ask("history", f"/runs/{quote(job.name, safe='')}")
        return replace(
            job,
            status=str(run.get("status") or ""),
            display_name=str(run.get("displayName") or ""),
            studio_url=job_url(self._client.connection, job.name),
            tags={key: value or "" for key, value in (run.get("tags") or {}).items()},
        )

    async def registered_outputs(self, name: str, job_type: str) -> dict[str, RegisteredOutput]:
        """
        Return what the named outputs of a job became: output -> asset, with its version once it is registered.

        The run's own outputs tell it, or the definition that was submitted; which of them, and when, was not recorded,
        so both are read. A pipeline's steps have named outputs of their own (``STEP.OUTPUT`` here), a sweep's best
        trial has the sweep's.
        """
        try:
            found = await self._outputs(name)
            if job_type == "Pipeline":
                async for child in self._children(name):
                    prefix = child.get("displayName") or child["runId"]
                    outputs = _outputs_of(child) or await self._outputs(child["runId"])
                    found |= {f"{prefix}.{key}": output for key, output in outputs.items()}
            elif job_type == "Sweep" and not all(output.version for output in found.values()):
                run = await self._ask("history", f"/runs/{quote(name, safe='')}")
                if best := (run.get("properties") or {}).get("best_child_run_id"):
                    found |= await self._outputs(best)
        except (AzureMachineLearningError, KeyError, TypeError, AttributeError) as error:
            log.warning("Run history did not tell the outputs of job %s: %s", name, error)
            return {}
        return found

    async def _outputs(self, name: str) -> dict[str, RegisteredOutput]:
        asked = {"runId": name, "selectRunMetadata": True, "selectRunDefinition": True}
        data = await self._ask("history", "/rundata", json=asked)
        bindings = (data.get("runDefinition") or {}).get("OutputBindings") or {}
        named = {
            key: RegisteredOutput(str(binding["AssetName"]), binding.get("AssetVersion") or None)
            for key, binding in bindings.items()
            if binding and binding.get("AssetName")
        }
        return named | _outputs_of(data.get("runMetadata") or {})

    async def output_uri(self, name: str, output: str) -> str | None:
        """
        Return where an output of a job is, in a datastore; None if run history does not know it (yet).

        Source: ``get_job_output_uris_from_dataplane`` of azure-ai-ml, which asks the same two questions.

        :raises AzureMachineLearningError: run history did not answer.
        """
        data = await self._ask("history", "/rundata", json={"runId": name, "selectRunMetadata": True})
        found = ((data.get("runMetadata") or {}).get("outputs") or {}).get(output) or {}
        match = _ASSET.fullmatch(asset_id := str(found.get("assetId") or ""))
        if match is None:
            return None
        service, path, key = (
            ("modelregistry", "/models", "path") if match[1].lower() == "models" else ("data", "/dataversion", "uri")
        )
        answer = await self._ask(service, f"{path}/batchGetResolvedUris", json={"values": [asset_id]})
        return ((answer.get("values") or {}).get(asset_id) or {}).get(key)

    async def _children(self, name: str) -> AsyncIterator[dict[str, Any]]:
        page = await self._ask("history", f"/runs/{quote(name, safe='')}/children")
        links: set[str] = set()
        while True:
            for child in page.get("value") or ():
                yield child
            if not (link := next_link(page, links)):
                return
            page = await self._client.request("GET", link)

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
            children = [child async for child in self._children(name)]
        except (AzureMachineLearningError, KeyError, TypeError) as error:
            log.warning("Run history gave no parts of job %s: %s", name, error)
            return []
        return [child for child in children if child.get("status") == "Failed"]

    async def end_of_log(self, name: str, *, size: int = 2000) -> str:
        """
        Return the last lines of a failed job's own output, or of its first failed part's; empty if there are none.

        :param size: how many bytes at most.
        """
        try:
            run = next(iter(await self.failed_parts(name)), {"runId": name})
            from .blob_reader import shared_blob_reader

            files = await self.log_files(run["runId"])
            if not (names := own_logs(files)):
                return ""
            async with shared_blob_reader(self._client.connection) as blobs:
                length = (await blobs.read(files[names[0]], start=0, length=1)).size or 0
                end = await blobs.read(files[names[0]], start=max(0, length - size), length=size)
            return end.data.decode(errors="replace").strip()
        except Exception as error:  # noqa: BLE001 - the job's failure must be told, with or without its log
            log.warning("The log of job %s could not be read: %s", name, type(error).__name__)
            return ""

    async def log_files(self, name: str) -> dict[str, str]:
        """
        Return the log files of a job as far as there are any yet: name -> address, mostly signed for some hours.

        :raises AzureMachineLearningError: run history did not answer.
        """
        files = (await self._ask("history", f"/runs/{quote(name, safe='')}/details")).get("logFiles") or {}
        return {str(file): str(url) for file, url in files.items() if url}

    async def parts(self, name: str) -> list[dict[str, Any]]:
        """
        Return the children of a job, a pipeline's steps, as run history describes them.

        :raises AzureMachineLearningError: run history did not answer.
        """
        return [child async for child in self._children(name)]

    async def metrics(self, name: str) -> dict[str, float | None]:
        """Return the last value of each metric that a job logged with MLflow; None for one that is no finite number."""
        try:
            return await self.read_metrics(name)
        except AzureMachineLearningError as error:
            log.warning("MLflow gave no metrics of job %s: %s", name, error)
            return {}

    async def read_metrics(self, name: str) -> dict[str, float | None]:
        """
        Do the same.

        :raises AzureMachineLearningError: MLflow's service did not answer.
        """
        body = await self._ask("mlflow", "/api/2.0/mlflow/runs/get", {"run_id": name})
        data = (body.get("run") or {}).get("data") or {}
        return {str(metric["key"]): _finite(metric.get("value")) for metric in data.get("metrics") or ()}


def _finite(value: Any) -> float | None:
    """Return a metric's value. JSON, and so an XCom, has no NaN; MLflow writes it as text."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return value if isinstance(value, int) else number if math.isfinite(number) else None


def _outputs_of(run: dict[str, Any]) -> dict[str, RegisteredOutput]:
    """Return the registered outputs in a run's metadata; one that nobody named is left out."""
    found = {}
    for key, output in (run.get("outputs") or {}).items():
        match = _ASSET.fullmatch(str((output or {}).get("assetId") or ""))
        if match and not _NAMELESS.fullmatch(match[2]):
            kind = Kind.MODEL if match[1].lower() == "models" else Kind.DATA
            found[key] = RegisteredOutput(match[2], match[3], kind)
    return found


def _error(run: dict[str, Any]) -> str:
    body = ((run.get("error") or {}).get("error")) or {}
    message = str(body.get("message") or "").strip()
    return f"{body.get('code') or 'Error'}: {message}" if message else ""
