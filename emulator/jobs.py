"""Jobs: submit, read, list, cancel (recorded_shapes/job.json).

The body tells the status and nothing of an error: that is in run history alone (runhistory.py). How a job gets from
one status to the next is progress.py.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

from .arm import Reply, created, invalid, provider_error
from .clock import timestamp
from .data import DATA, long_uri
from .models import MODELS
from .paging import labelled, page, shows
from .progress import FIRST, TERMINAL, Step
from .routing import Exchange, ok, route
from .state import Document
from .workspaces import Holder

Properties = dict[str, Any]

_OUTPUT_CLASSES = {
    "uri_folder": "UriFolderJobOutput",
    "uri_file": "UriFileJobOutput",
    "mltable": "MLTableJobOutput",
    "custom_model": "CustomModelJobOutput",
    "mlflow_model": "MLFlowModelJobOutput",
    "triton_model": "TritonModelJobOutput",
}
_SINCE: dict[str, tuple[str, str]] = {
    "parentJobName": ("2025", "9"),
    "dockerArgsList": ("2025", "9"),
    "secretsConfiguration": ("2023-06", "2025"),
    "maxInstanceCount": ("2023-06", "2025"),
    "locations": ("2023-06", "2025"),
    "autologgerSettings": ("2023-06", "2025"),
    "pathOnCompute": ("2024", "2025"),
    "assetVersion": ("2024", "2025"),
    "autoDeleteSetting": ("2024", "2025"),
    "priority": ("2024", "2025"),
}
"""From which api-version a key is there, and up to which: the key set of a job follows the api-version."""


def collection(holder: Holder) -> str:
    """Return where a workspace's jobs are kept."""
    return f"{holder.key}/jobs"


def find(exchange: Exchange, name: str) -> Document:
    """Return a job, or answer 404."""
    job = exchange.service.store.get(collection(exchange.workspace), name)
    if job is None:
        raise provider_error(
            404,
            f"Job {name} not found.",
            inner={"code": "NotFound", "innerError": {"code": "JobNotFound", "innerError": None}},
            message_format="Job {jobId} not found.",
            parameters={"jobId": name},
        )
    return job


def for_version(body: Any, api_version: str) -> Any:
    """Leave out the keys that an api-version does not have."""
    hidden = {key for key, (since, until) in _SINCE.items() if not since <= api_version < until}
    return _without(body, hidden) if hidden else body


def _without(body: Any, hidden: set[str]) -> Any:
    if isinstance(body, dict):
        return {key: _without(value, hidden) for key, value in body.items() if key not in hidden}
    return body


def render(holder: Holder, name: str, job: Document, api_version: str) -> dict[str, Any]:
    """Return a job's body."""
    properties = {**job["properties"], "status": job["status"]}
    return {
        "id": f"{holder.id}/jobs/{name}",
        "name": name,
        "type": f"{holder.type}/jobs",
        "properties": for_version(properties, api_version),
        "systemData": job["systemData"],
    }


@route("GET", "{workspace}/jobs/{name}")
def get_job(exchange: Exchange, name: str) -> Reply:
    """Return one job."""
    return ok(render(exchange.workspace, name, find(exchange, name), exchange.api_version))


@route("GET", "{workspace}/jobs")
def list_jobs(exchange: Exchange) -> Reply:
    """List jobs, newest first, without the children of other jobs; the status cannot be filtered by."""
    query = exchange.query
    kind, name_part = query.get("jobType"), query.get("asset_name")

    def wanted(name: str, job: Document) -> bool:
        properties = job["properties"]
        return (
            job["parent"] is None
            and shows(query, properties["isArchived"])
            and kind in (None, properties["jobType"])
            and (name_part is None or name_part in name)
            and labelled(query.get("tag"), properties["tags"])
            and labelled(query.get("properties"), properties["properties"])
        )

    def render_one(holder: Holder, name: str, job: Document) -> dict[str, Any]:
        return render(holder, name, job, exchange.api_version)

    size = exchange.service.config.page_size
    return page(exchange, collection(exchange.workspace), wanted, render_one, size=size)


@route("PUT", "{workspace}/jobs/{name}")
def put_job(exchange: Exchange, name: str) -> Reply:
    """Submit a job, or change the tags, properties, description or archived flag of one that exists."""
    holder, service = exchange.workspace, exchange.service
    sent = exchange.json().get("properties")
    if not isinstance(sent, dict) or "jobType" not in sent:
        raise provider_error(400, "Request is invalid and/or missing fields.")
    before = service.store.get(collection(holder), name)
    if before is not None:
        for key in ("tags", "properties", "description", "displayName", "isArchived"):
            if key in sent:
                before["properties"][key] = sent[key]
        service.store.put(collection(holder), name, before)
        return ok(render(holder, name, before, exchange.api_version))
    job = submit(exchange, name, sent)
    return Reply(201, render(holder, name, job, exchange.api_version), {"Location": exchange.url})


@route("DELETE", "{workspace}/jobs/{name}")
def delete_job(exchange: Exchange, name: str) -> Reply:
    """Delete a job."""
    gone = exchange.service.store.delete(collection(exchange.workspace), name)
    return Reply(200 if gone else 204)


def submit(exchange: Exchange, name: str, sent: Properties, parent: str | None = None) -> Document:
    """Create a job and put it on its way; `parent` is the pipeline, sweep or AutoML job that it is a part of."""
    holder, service = exchange.workspace, exchange.service
    kind = sent["jobType"]
    properties = _complete(exchange, name, sent)
    job: Document = {
        "properties": properties,
        "status": FIRST.get(kind, "NotStarted"),
        "history": [],
        "script": [],
        "due": None,
        "error": None,
        "metrics": {},
        "parent": parent,
        "uuid": str(uuid.uuid4()),
        "number": service.store.next_number(collection(holder)),
        "systemData": created(exchange.author, exchange.now),
    }
    if parent is None:
        wishes = {**properties["properties"], **properties["tags"]}
        script = service.runner.script_for(name, kind, service.config.job_seconds, wishes)
        if service.config.jobs == "driven":
            script = [{"status": job["status"], "seconds": 0.0}]
        service.store.put(collection(holder), name, job, exchange.now)
        service.runner.start(collection(holder), name, job, script, exchange.now)
        _submit_children(exchange, name, sent)
    else:
        job["history"].append([job["status"], exchange.now])
        service.store.put(collection(holder), name, job, exchange.now)
    return job


def _submit_children(exchange: Exchange, name: str, sent: Properties) -> None:
    """Create the parts of a pipeline, the first trials of a sweep; they move when their parent does."""
    common: Properties = {"experimentName": sent.get("experimentName"), "tags": {}, "isArchived": False}
    if sent["jobType"] == "Pipeline":
        for node, spec in (sent.get("jobs") or {}).items():
            properties = {
                "azureml.moduleName": node,
                "azureml.runsource": "azureml.StepRun",
                "StepType": "PythonScriptStep",
            }
            child = {**common, "jobType": "Command", "displayName": node, "properties": properties, "command": ""}
            submit(exchange, str(uuid.uuid4()), {**child, "componentId": spec.get("componentId")}, parent=name)
    elif sent["jobType"] == "Sweep":
        for trial in range(min(int((sent.get("limits") or {}).get("maxTotalTrials") or 1), 3)):
            child = {**common, **(sent.get("trial") or {}), "jobType": "Command", "displayName": f"{name}_{trial}"}
            submit(exchange, f"{name}_{trial}", {**child, "properties": {}}, parent=name)


def children(exchange: Exchange, name: str) -> list[tuple[str, Document]]:
    """Return the parts of a job, oldest first."""
    entries = exchange.service.store.entries(collection(exchange.workspace), newest_first=False)
    return [(entry.name, entry.document) for entry in entries if entry.document["parent"] == name]


def moved(exchange: Exchange, name: str, job: Document, step: Step) -> None:
    """See to what follows when a job has taken a step: its parts, its outputs, the events."""
    service, status = exchange.service, job["status"]
    if job["properties"]["jobType"] in ("Pipeline", "Sweep"):
        for child_name, child in children(exchange, name):
            child["status"] = status
            child["history"].append([status, exchange.now])
            child["error"] = job["error"]
            service.store.put(collection(exchange.workspace), child_name, child)
    if job["properties"]["jobType"] == "Pipeline" and status in TERMINAL:
        job["properties"]["properties"]["azureml.pipelines.stages"] = _stages(job)
    if status == "Completed":
        _register_outputs(exchange, name, job)
    service.events.run_moved(exchange.workspace, name, job, exchange.now)


def _stages(job: Document) -> str:
    start, end = job["history"][0][1], job["history"][-1][1]
    execution = {"StartTime": timestamp(start), "EndTime": timestamp(end), "Status": job["status"]}
    return json.dumps({"Initialization": None, "Execution": execution})


def _register_outputs(exchange: Exchange, name: str, job: Document) -> None:
    """Make a version of each output that was given an asset name."""
    for output in job["properties"]["outputs"].values():
        asset, kind = output.get("assetName"), output["jobOutputType"]
        if not asset:
            continue
        known = MODELS if kind.endswith("_model") else DATA
        container = exchange.service.store.get(known.containers(exchange.workspace), asset)
        version = output.get("assetVersion") or str((container["highest"] if container else 0) + 1)
        sent = {"modelUri": output["uri"], "dataUri": output["uri"], "modelType": kind, "dataType": kind}
        properties = known.complete(exchange, asset, version, {**sent, "jobName": name})
        known.create(exchange, asset, version, properties)
        if known.on_create is not None:
            known.on_create(exchange, asset, version, properties)


@route("POST", "{workspace}/jobs/{name}/cancel")
def cancel_job(exchange: Exchange, name: str) -> Reply:
    """Ask a job to stop: 202 and a Location to poll. What the service says of a finished job is not known."""
    service, holder = exchange.service, exchange.workspace
    job = find(exchange, name)
    if job["status"] not in TERMINAL:
        script: list[Step] = [
            {"status": "CancelRequested", "seconds": service.config.cancel_seconds},
            {"status": "Canceled", "seconds": None},
        ]
        service.runner.redirect(collection(holder), name, script, exchange.now)
    location = service.operations.begin(
        exchange, "mfeOperationResults", f"jc:{holder.guid}:{name}", seconds=service.config.cancel_seconds
    )
    return Reply(202, None, {"Location": location, "x-ms-async-operation-timeout": "PT1H"})


# What the service makes of a submitted job ---------------------------------------------------------------------------


def _complete(exchange: Exchange, name: str, sent: Properties) -> Properties:
    kind = sent["jobType"]
    holder = exchange.workspace
    only_studio = kind == "Sweep"
    common: Properties = {
        "description": sent.get("description"),
        "tags": dict(sent.get("tags") or {}),
        "properties": dict(sent.get("properties") or {}),
        "parentJobName": None,
        "displayName": sent.get("displayName") or name,
        "experimentName": sent.get("experimentName") or "Default",
        "services": services(holder, name, exchange.service.directory.tenant, only_studio=only_studio),
        "computeId": sent.get("computeId"),
        "isArchived": bool(sent.get("isArchived")),
        "identity": sent.get("identity"),
        "componentId": sent.get("componentId"),
        "notificationSetting": sent.get("notificationSetting"),
        "secretsConfiguration": sent.get("secretsConfiguration"),
        "jobType": kind,
        "inputs": {key: _input(value) for key, value in (sent.get("inputs") or {}).items()},
        "outputs": _outputs(exchange, name, sent),
    }
    particular = _PARTICULARS.get(kind, _other)
    return {**common, **particular(exchange, name, sent, common)}


def services(holder: Holder, name: str, tenant: str, *, only_studio: bool = False) -> Properties:
    """Return a job's links."""
    tracking = f"azureml://{holder.location}.api.azureml.ms/mlflow/v1.0{holder.id}?"
    studio = f"https://ml.azure.com/runs/{name}?wsid={holder.id}&tid={tenant}"
    found = {"Studio": studio} if only_studio else {"Tracking": tracking, "Studio": studio}
    return {
        kind: {
            "jobServiceType": kind,
            "port": None,
            "endpoint": endpoint,
            "status": None,
            "errorMessage": None,
            "properties": None,
            "nodes": None,
        }
        for kind, endpoint in found.items()
    }


def _input(sent: Properties) -> Properties:
    if sent.get("jobInputType") == "literal":
        return {"description": sent.get("description"), "jobInputType": "literal", "value": sent.get("value")}
    return {
        "description": sent.get("description"),
        "uri": sent.get("uri"),
        "mode": sent.get("mode") or "ReadOnlyMount",
        "pathOnCompute": sent.get("pathOnCompute"),
        "jobInputType": sent.get("jobInputType"),
    }


def _output(sent: Properties, uri: str | None) -> Properties:
    return {
        "description": sent.get("description"),
        "uri": sent.get("uri") or uri,
        "assetName": sent.get("assetName"),
        "assetVersion": sent.get("assetVersion"),
        "mode": sent.get("mode") or "ReadWriteMount",
        "pathOnCompute": sent.get("pathOnCompute"),
        "autoDeleteSetting": sent.get("autoDeleteSetting"),
        "jobOutputType": sent.get("jobOutputType") or "uri_folder",
    }


def _outputs(exchange: Exchange, name: str, sent: Properties) -> Properties:
    kind, found = sent["jobType"], {}
    for key, output in (sent.get("outputs") or {}).items():
        _check_output(exchange, output)
        uri = None if kind == "Pipeline" else f"azureml://datastores/workspaceblobstore/paths/azureml/{name}/{key}/"
        if output.get("assetName") and uri is None:
            uri = long_uri(exchange, f"azureml://datastores/workspaceblobstore/paths/azureml/{name}/{key}/")
        found[key] = _output(output, uri)
    if kind in ("Command", "Sweep"):
        found["default"] = _output({}, f"azureml://datastores/workspaceartifactstore/ExperimentRun/dcid.{name}")
    return found


def _check_output(exchange: Exchange, output: Properties) -> None:
    """Refuse members that the caller's api-version does not know (recorded_shapes/errors.json)."""
    if output.get("assetVersion") is not None and exchange.api_version >= "2025":
        kind = _OUTPUT_CLASSES.get(output.get("jobOutputType", ""), "JobOutput")
        position = exchange.body.find(b'"assetVersion"') + len('"assetVersion":')
        raise invalid_member("assetVersion", kind, position)


def invalid_member(member: str, kind: str, position: int) -> Exception:
    """Return the error for a member that is not part of the api-version."""
    error = invalid(
        f"Could not find member '{member}' on object of type '{kind}'. Path '{member}', line 1, position {position}."
    )
    information = error.reply.body["error"]["additionalInfo"]
    inner = {"code": "BadRequest", "innerError": {"code": "RequestInvalid", "innerError": None}}
    information.append({"type": "InnerError", "info": {"value": {"code": "RequestInvalid", "innerError": None}}})
    information.append({"type": "MessageFormat", "info": {"value": "Request is invalid and/or missing fields."}})
    del inner
    return error


def _resources(sent: Properties | None) -> Properties:
    sent = sent or {}
    return {
        "instanceCount": sent.get("instanceCount") or 1,
        "maxInstanceCount": sent.get("maxInstanceCount"),
        "instanceType": sent.get("instanceType"),
        "locations": sent.get("locations"),
        "properties": sent.get("properties") or None,
        "shmSize": sent.get("shmSize") or "2g",
        "dockerArgs": sent.get("dockerArgs"),
        "dockerArgsList": sent.get("dockerArgsList"),
    }


def _queue(sent: Properties) -> Properties:
    """An unset tier is the string "Null"."""
    queue = sent.get("queueSettings") or {}
    return {"jobTier": queue.get("jobTier") or "Null", "priority": queue.get("priority")}


def _command(exchange: Exchange, name: str, sent: Properties, common: Properties) -> Properties:
    cluster = (sent.get("computeId") or "").rpartition("/")[2] or None
    system = {"_azureml.ComputeTargetType": "amlctrain", "_azureml.ClusterName": cluster}
    return {
        "properties": {**system, **common["properties"]},
        "resources": _resources(sent.get("resources")),
        "codeId": sent.get("codeId"),
        "command": sent.get("command"),
        "environmentId": sent.get("environmentId"),
        "distribution": sent.get("distribution"),
        "autologgerSettings": sent.get("autologgerSettings"),
        "limits": sent.get("limits"),
        "environmentVariables": sent.get("environmentVariables") or {},
        "parameters": {},
        "queueSettings": _queue(sent),
    }


def _other(exchange: Exchange, name: str, sent: Properties, common: Properties) -> Properties:
    return {key: value for key, value in sent.items() if key not in common}


_PARTICULARS: dict[str, Any] = {"Command": _command}
_ARM_ID = re.compile(r"/subscriptions/", re.IGNORECASE)
