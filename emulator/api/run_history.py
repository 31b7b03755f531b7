"""Run history: what became of a job, its error, its parts and its logs, at https://REGION.api.azureml.ms.

Shapes: recorded_shapes/job.json and errors.json ("children of a failed pipeline"). The error of a job is here and
nowhere else, nested twice: `error.error.message`.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

from ..core.arm import PROVIDER, Reply, provider_error
from ..core.clock import timestamp
from ..core.job_progress import TERMINAL
from ..core.owners import REGION
from ..core.store import Document
from ..wire.exchange import Exchange
from ..wire.routing import ok, route
from .job_outputs import as_definition, as_run
from .jobs import children, collection, log_files

_BASE = (
    "/history/v1.0/subscriptions/{subscription_}/resourceGroups/{group_}"
    f"/providers/{PROVIDER}/workspaces/{{workspace_}}"
)
_ZERO_TIME = "0001-01-01T00:00:00+00:00"


def find(exchange: Exchange, name: str) -> Document:
    """Return a run, or answer 404."""
    job = exchange.service.store.get(collection(exchange.workspace), name)
    if job is None:
        raise provider_error(404, f"Run {name} was not found", code="UserError")
    return job


def _duration(seconds: float) -> str:
    """Write a duration as .NET does, with seven digits."""
    whole = int(seconds)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}.{int(seconds % 1 * 1e7):07d}"


def _error(job: Document) -> dict[str, Any] | None:
    if job["error"] is None:
        return None
    pipeline = job["properties"]["jobType"] == "Pipeline"
    place = REGION if pipeline else None
    return {
        "error": {
            "code": job["error"].get("code") or "UserError",
            "severity": None,
            "message": job["error"]["message"],
            "messageFormat": "Pipeline has failed child jobs. {0}" if pipeline else None,
            "messageParameters": {},
            "referenceCode": "PipelineHasStepJobFailed" if pipeline else None,
            "detailsUri": None,
            "target": None,
            "details": [],
            "innerError": None,
            "debugInfo": None,
            "additionalInfo": None,
        },
        "correlation": None,
        "environment": place,
        "location": place,
        "time": _ZERO_TIME,
        "componentName": "CommonRuntime",
    }


def _times(job: Document, now: float) -> tuple[float | None, float | None, float]:
    """Return when a run began to run, when it ended, and how long it took so far."""
    started = next((at for status, at in job["history"] if status in ("Running", "Finalizing")), None)
    ended = job["history"][-1][1] if job["status"] in TERMINAL else None
    if started is None and ended is not None:
        started = job["history"][0][1]
    return started, ended, max(0.0, (ended or now) - started) if started is not None else 0.0


def render(exchange: Exchange, name: str, job: Document) -> dict[str, Any]:
    """Return a run's body."""
    owner, properties = exchange.workspace, job["properties"]
    system, tenant = job["systemData"], exchange.service.directory.tenant
    started, ended, seconds = _times(job, exchange.now)
    kind, compute = properties["jobType"], (properties.get("computeId") or "").rpartition("/")[2]
    instances = (properties.get("resources") or {}).get("instanceCount", 1)
    root = job["parent"] or name
    author = {
        "userObjectId": system["createdBy"],
        "userPuId": "",
        "userIdp": None,
        "userAltSecId": None,
        "userIss": f"https://sts.windows.net/{tenant}/",
        "userTenantId": tenant,
        "userName": system["createdBy"],
        "upn": None,
        "clientApplicationId": None,
        "applicationACR": None,
    }
    url = f"https://{owner.location}.experiments.azureml.net/execution/v1.0{owner.id}/experiments"
    actions = {
        verb: f"{url}/{properties['experimentName']}/runId/{name}/{verb.lower()}" for verb in ("Cancel", "Diagnose")
    }
    pipeline = kind == "Pipeline"
    target_type = "amlcompute" if compute else "serverless"
    return {
        "runNumber": job["number"],
        "rootRunId": root,
        "createdUtc": system["createdAt"],
        "createdBy": author,
        "userId": system["createdBy"],
        "token": None,
        "tokenExpiryTimeUtc": None,
        "error": _error(job),
        "warnings": [{"source": "AutoMLSDK", "message": ""}] if job["error"] and job["parent"] else None,
        "revision": len(job["history"]),
        "statusRevision": len(job["history"]),
        "runUuid": job["uuid"],
        "parentRunUuid": _uuid(exchange, job["parent"]),
        "rootRunUuid": _uuid(exchange, job["parent"]) or job["uuid"],
        "lastStartTimeUtc": None,
        "currentComputeTime": None,
        "computeDuration": _duration(seconds),
        "effectiveStartTimeUtc": None,
        "lastModifiedBy": author,
        "lastModifiedUtc": timestamp(job["history"][-1][1]),
        "duration": _duration(seconds),
        "cancelationReason": None,
        "currentAttemptId": 1,
        "runId": name,
        "parentRunId": job["parent"],
        "experimentId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{owner.id}/{properties['experimentName']}")),
        "status": job["status"],
        "startTimeUtc": timestamp(started) if started is not None else None,
        "endTimeUtc": timestamp(ended) if ended is not None else None,
        "scheduleId": None,
        "displayName": properties["displayName"],
        "name": "azureml_anonymous" if job["parent"] else properties.get("componentId"),
        "dataContainerId": f"dcid.{name}",
        "description": properties["description"],
        "hidden": properties["isArchived"],
        "runType": _RUN_TYPES.get(kind, "azureml.scriptrun") if job["parent"] is None else "azureml.StepRun",
        "runTypeV2": {
            "orchestrator": "Pipeline" if pipeline else "Execution",
            "traits": [],
            "attribution": "Aether" if job["parent"] else "PipelineRun",
            "computeType": "AmlcTrain",
        },
        "properties": {key: value for key, value in properties["properties"].items() if value is not None},
        "parameters": {},
        "actionUris": {"Cancel": actions["Cancel"]} if pipeline else actions,
        "scriptName": None,
        "target": compute or "serverless",
        "uniqueChildRunComputeTargets": [],
        "tags": {key: value for key, value in properties["tags"].items() if value is not None},
        "settings": {},
        "services": {},
        "inputDatasets": [],
        "outputDatasets": [],
        "runDefinition": None,
        "jobSpecification": None,
        "primaryMetricName": None,
        "createdFrom": None,
        "cancelUri": actions["Cancel"],
        "completeUri": None,
        "diagnosticsUri": actions["Diagnose"],
        "computeRequest": None if pipeline else {"nodeCount": instances, "gpuCount": 0},
        "compute": None
        if pipeline
        else {
            "target": compute or "serverless",
            "targetType": target_type,
            "vmSize": None,
            "instanceType": None,
            "instanceCount": instances,
            "gpuCount": 0,
            "priority": None,
            "region": None,
            "armId": None,
            "properties": None,
        },
        "retainForLifetimeOfWorkspace": None,
        "queueingInfo": None,
        "inputs": None if job["parent"] else {},
        "outputs": as_run(exchange.service, job),
    }


_RUN_TYPES = {
    "Pipeline": "azureml.PipelineRun",
    "Sweep": "azureml.sweep",
    "AutoML": "automl",
    "Spark": "azureml.spark",
    "Command": "azureml.commandjob",
}


def _uuid(exchange: Exchange, name: str | None) -> str | None:
    parent = exchange.service.store.get(collection(exchange.workspace), name) if name else None
    return parent["uuid"] if parent else None


@route("GET", f"{_BASE}/runs/{{name}}")
def get_run(exchange: Exchange, name: str) -> Reply:
    """Return a run."""
    return ok(render(exchange, name, find(exchange, name)))


@route("GET", f"{_BASE}/runs/{{name}}/children")
def get_children(exchange: Exchange, name: str) -> Reply:
    """Return a run's parts."""
    job = find(exchange, name)
    return ok({"value": [render(exchange, child, part) for child, part in children(exchange, job)]})


@route("GET", f"{_BASE}/runs/{{name}}/details")
def get_details(exchange: Exchange, name: str) -> Reply:
    """Return what jobs.stream follows: status, error, warnings and log files."""
    job = find(exchange, name)
    run = render(exchange, name, job)
    etag = hashlib.md5(str(job["history"]).encode(), usedforsecurity=False).hexdigest()
    return ok(
        {
            "runId": name,
            "runUuid": job["uuid"],
            "parentRunUuid": run["parentRunUuid"],
            "rootRunUuid": run["rootRunUuid"],
            "target": run["target"],
            "status": job["status"],
            "parentRunId": job["parent"],
            "dataContainerId": run["dataContainerId"],
            "createdTimeUtc": run["createdUtc"],
            "startTimeUtc": run["startTimeUtc"],
            "endTimeUtc": run["endTimeUtc"],
            "error": run["error"],
            "warnings": [],
            "tags": run["tags"],
            "properties": run["properties"],
            "parameters": {},
            "services": {},
            "inputDatasets": [],
            "outputDatasets": [],
            "runDefinition": None,
            "logFiles": log_files(exchange, name, job),
            "revision": run["revision"],
            "runTypeV2": run["runTypeV2"],
            "settings": {},
            "computeRequest": run["computeRequest"],
            "compute": run["compute"],
            "createdBy": run["createdBy"],
            "computeDuration": run["computeDuration"],
            "effectiveStartTimeUtc": None,
            "runNumber": run["runNumber"],
            "rootRunId": run["rootRunId"],
            "userId": run["userId"],
            "statusRevision": run["statusRevision"],
            "submittedBy": run["createdBy"]["userName"],
            "etag": etag,
        }
    )


@route("GET", f"{_BASE}/runs/{{name}}/serviceinstances/{{node}}")
def get_service_instances(exchange: Exchange, name: str, node: str) -> Reply:
    """Return the interactive services of a node, of which there are none."""
    find(exchange, name)
    return ok({"type": None, "instances": {}})


@route("PATCH", f"{_BASE}/experiments/{{experiment}}/runs/{{name}}")
def change_run(exchange: Exchange, name: str, experiment: str) -> Reply:
    """Change what people write on a run, or hide it: how jobs.archive and jobs.update work in current SDKs."""
    job, sent = find(exchange, name), exchange.json()
    properties = job["properties"]
    for key in ("displayName", "description"):
        if sent.get(key) is not None:
            properties[key] = sent[key]
    for key in ("tags", "properties"):
        properties[key] |= sent.get(key) or {}
    if sent.get("hidden") is not None:
        properties["isArchived"] = bool(sent["hidden"])
    exchange.service.store.put(collection(exchange.workspace), name, job)
    return ok(render(exchange, name, job))


@route("POST", f"{_BASE}/rundata")
def post_run_data(exchange: Exchange) -> Reply:
    """Return a run with its definition: what registered outputs are learned from, and how jobs.download asks."""
    name = str(exchange.json().get("runId"))
    job = find(exchange, name)
    definition = _definition(exchange, job) if exchange.json().get("selectRunDefinition") else None
    body = {"runMetadata": render(exchange, name, job), "runDefinition": definition}
    return ok({**body, "jobSpecification": None, "systemSettings": None})


def _definition(exchange: Exchange, job: Document) -> dict[str, Any]:
    """Return the job as it was submitted, in PascalCase; its status stays as it was then (recorded for a pipeline)."""
    properties, sent = job["properties"], job["sent"]
    nodes = {
        key: {
            **{name: value for name, value in node.items() if name in _NODE},
            "computeId": node.get("computeId") or sent.get("computeId"),
        }
        for key, node in (sent.get("jobs") or {}).items()
    }
    pipeline = properties["jobType"] == "Pipeline"
    return {
        "JobType": properties["jobType"],
        **({"PipelineJobType": "AzureML", "Pipeline": None} if pipeline else {}),
        "ComputeId": properties.get("computeId"),
        "RunId": None,
        "Settings": {"_source": "YAML.JOB"},
        "ComponentJobs": None,
        "Inputs": None,
        "Outputs": None,
        "Bindings": None,
        "Jobs": nodes or None,
        "InputBindings": None,
        "OutputBindings": as_definition(exchange.service, job),
        "SourceJobId": None,
        "ProvisioningState": "Succeeded",
        "ParentJobName": None,
        "DisplayName": properties["displayName"],
        "ExperimentName": properties["experimentName"],
        "Status": "NotStarted",
        "InteractionEndpoints": None,
        "Identity": None,
        "Compute": None,
        "Priority": None,
        "Output": None,
        "IsArchived": properties["isArchived"],
        "Schedule": None,
        "ComponentId": properties.get("componentId"),
        "NotificationSetting": None,
        "SecretsConfiguration": None,
        "Description": properties["description"],
        "Tags": properties["tags"],
        "Properties": {},
    }


_NODE = ("name", "type", "computeId", "outputs", "_source", "componentId")
