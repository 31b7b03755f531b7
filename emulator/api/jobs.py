"""Jobs: submit, read, list, cancel (recorded_shapes/job.json).

The body tells the status and nothing of an error: that is in run history alone (run_history.py). How a job gets from
one status to the next is job_progress.py.
"""

from __future__ import annotations

import json
import logging
import re
import uuid
from functools import partial
from typing import Any

from ..core.arm import Author, Reply, created, provider_error
from ..core.clock import timestamp
from ..core.holders import Holder
from ..core.job_progress import FIRST, TERMINAL, Step
from ..core.service import Service
from ..core.store import Document
from ..wire.exchange import Exchange
from ..wire.paging import labelled, page, shows
from ..wire.routing import ok, route
from .data import DATA, long_uri
from .job_bodies import automl_runs, complete, for_version, output_uri, pipeline_properties, was_2023
from .models import MODELS
from .operations import begin

_log = logging.getLogger(__name__)
_LOG = "user_logs/std_log.txt"

Properties = dict[str, Any]

_COMPONENT = re.compile(r"(/subscriptions/.+)/components/([^/]+)/versions/([^/]+)", re.IGNORECASE)
_TRIALS = 3
"""How many trials of a sweep are shown as parts of it."""


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
    holder, service, kind = exchange.workspace, exchange.service, sent["jobType"]
    _check(exchange, sent)
    properties = complete(exchange, name, sent)
    job: Document = {
        "properties": properties,
        "status": "Preparing" if kind == "Pipeline" and was_2023(exchange) else FIRST.get(kind, "NotStarted"),
        "history": [],
        "script": [],
        "due": None,
        "error": None,
        "metrics": {},
        "parent": parent,
        "children": [],
        "uuid": str(uuid.uuid4()),
        "number": service.store.next_number(),
        "systemData": created(exchange.author, exchange.now),
    }
    if parent is not None:
        job["history"].append([job["status"], exchange.now])
        service.store.put(collection(holder), name, job, exchange.now)
        return job
    script = _script(exchange, name, job)
    service.store.put(collection(holder), name, job, exchange.now)
    job["children"] = _submit_children(exchange, name, sent)
    service.runner.start(collection(holder), name, job, script, exchange.now)
    return job


def _script(exchange: Exchange, name: str, job: Document) -> list[Step]:
    """Return the way that a new job will go."""
    config, properties = exchange.service.config, job["properties"]
    if config.jobs == "driven":
        return [{"status": job["status"], "seconds": 0.0}]
    wishes = {**properties["properties"], **properties["tags"]}
    script = exchange.service.runner.script_for(name, properties["jobType"], config.job_seconds, wishes)
    if job["status"] == "Preparing" and script[0]["status"] == "NotStarted":
        script[0]["status"] = "Preparing"
    return script


def _check(exchange: Exchange, sent: Properties) -> None:
    """Refuse what the service refuses at submission: a component or an identity that is not there."""
    holder = exchange.workspace
    for node in (sent.get("jobs") or {}).values() if sent["jobType"] == "Pipeline" else ():
        reference = str(node.get("componentId") or "")
        found = _COMPONENT.fullmatch(reference)
        if found is None or found[1].lower() != holder.key:
            continue
        if exchange.service.store.get(f"{holder.key}/components/{found[2]}/versions", found[3]) is None:
            message = f"key: {reference}, Message: Not found component {found[2]} (version: {found[3]})."
            raise provider_error(404, message, code="NotFound")
    if sent["jobType"] == "Spark" and not sent.get("identity") and exchange.api_version < "2023":
        raise provider_error(
            404,
            f"User assigned identity  is not attached to AML workspace {holder.name}.",
            inner={"code": "NotFound", "innerError": {"code": "UserAssignedIdentityNotFound", "innerError": None}},
        )


def _submit_children(exchange: Exchange, name: str, sent: Properties) -> list[str]:
    """Create the parts of a pipeline, or the first trials of a sweep, and return their names."""
    common: Properties = {"experimentName": sent.get("experimentName"), "tags": {}, "jobType": "Command"}
    parts: dict[str, Properties] = {}
    if sent["jobType"] == "Pipeline":
        for node, spec in (sent.get("jobs") or {}).items():
            properties = {"azureml.moduleName": node, "azureml.runsource": "azureml.StepRun"}
            part = {"displayName": node, "properties": properties, "componentId": spec.get("componentId")}
            parts[str(uuid.uuid4())] = {**common, **part, "computeId": spec.get("computeId") or sent.get("computeId")}
    elif sent["jobType"] == "Sweep":
        for trial in range(min(int((sent.get("limits") or {}).get("maxTotalTrials") or 1), _TRIALS)):
            parts[f"{name}_{trial}"] = {**common, **(sent.get("trial") or {}), "displayName": f"{name}_{trial}"}
    for part_name, part in parts.items():
        submit(exchange, part_name, part, parent=name)
    return list(parts)


def children(exchange: Exchange, job: Document) -> list[tuple[str, Document]]:
    """Return the parts of a job, oldest first."""
    jobs = collection(exchange.workspace)
    found = ((name, exchange.service.store.get(jobs, name)) for name in job["children"])
    return [(name, child) for name, child in found if child is not None]


def moved(exchange: Exchange, name: str, job: Document) -> None:
    """See to what follows when a job has taken a step: its parts, its outputs, its log, the events."""
    service, status, properties = exchange.service, job["status"], job["properties"]
    _move_children(exchange, job)
    if properties["jobType"] == "Pipeline" and len(job["history"]) > 1:
        properties["properties"] = {**pipeline_properties(properties), **properties["properties"]}
        if status in TERMINAL:
            properties["properties"]["azureml.pipelines.stages"] = _stages(job)
    if properties["jobType"] == "AutoML" and status == "Running":
        automl_runs(properties)
    if status == "Completed":
        _register_outputs(exchange, name, job)
    if status in TERMINAL:
        write_log(exchange, name, job)
    service.events.run_moved(exchange.workspace, name, job, exchange.now)


def _move_children(exchange: Exchange, job: Document) -> None:
    """Let the parts follow; when the whole fails, the first part has failed and the others are canceled."""
    for place, (name, child) in enumerate(children(exchange, job)):
        failed = job["status"] == "Failed"
        child["status"] = "Canceled" if failed and place > 0 else job["status"]
        child["error"] = job["error"] if failed and place == 0 else None
        child["history"].append([child["status"], exchange.now])
        exchange.service.store.put(collection(exchange.workspace), name, child)
        if child["status"] in TERMINAL:
            write_log(exchange, name, child)


def _stages(job: Document) -> str:
    start, end = job["history"][0][1], job["history"][-1][1]
    execution = {"StartTime": timestamp(start), "EndTime": timestamp(end), "Status": job["status"]}
    return json.dumps({"Initialization": None, "Execution": execution})


def _register_outputs(exchange: Exchange, name: str, job: Document) -> None:
    """Make a version of each output that was given an asset name."""
    for key, output in job["properties"]["outputs"].items():
        asset, kind = output.get("assetName"), output["jobOutputType"]
        if not asset:
            continue
        known = MODELS if kind.endswith("_model") else DATA
        container = exchange.service.store.get(known.containers(exchange.workspace), asset)
        version = output.get("assetVersion") or str((container["highest"] if container else 0) + 1)
        uri = long_uri(exchange, output["uri"] or output_uri(name, key))
        sent = {"modelUri": uri, "dataUri": uri, "modelType": kind, "dataType": kind}
        known.create(exchange, asset, version, known.complete(exchange, asset, version, {**sent, "jobName": name}))


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
    location = begin(
        exchange, "mfeOperationResults", f"jc:{holder.guid}:{name}", seconds=service.config.cancel_seconds, signed=False
    )
    return Reply(202, None, {"Location": location, "x-ms-async-operation-timeout": "PT1H"})


def own_exchange(service: Service, holder: Holder, author: Author, now: float) -> Exchange:
    """Return an exchange for what the service does of its own accord."""
    return Exchange(service, "", "", "", {}, {}, b"", author, "", now, holder)


def write_log(exchange: Exchange, name: str, job: Document) -> None:
    """Leave a log where jobs.stream, jobs.download and the studio look for it."""
    lines = [f"{timestamp(at)} {status}" for status, at in job["history"]]
    if job["error"]:
        lines.append(job["error"]["message"])
    content = (job.get("log") or "\n".join([*lines, ""])).encode()
    path = f"ExperimentRun/dcid.{name}/{_LOG}"
    service = exchange.service
    service.background.run(partial(service.storage.upload, exchange.workspace.artifact_container, path, content))


def log_files(exchange: Exchange, name: str, job: Document) -> dict[str, str]:
    """Return the logs of a run with URLs that open them."""
    if job["status"] not in TERMINAL:
        return {}
    container, storage = exchange.workspace.artifact_container, exchange.service.storage
    url = f"https://{storage.account}.blob.core.windows.net/{container}/ExperimentRun/dcid.{name}/{_LOG}"
    return {_LOG: f"{url}?{storage.container_sas(container, rights='r')}"}


def job_moved(service: Service, collection: str, name: str, job: Document) -> None:
    """Let follow what follows from a job that has got on by itself."""
    holder = service.holders.find(collection.removesuffix("/jobs"))
    if holder is not None:
        system = job["systemData"]
        author = Author(system["createdBy"], system["createdByType"])
        try:
            moved(own_exchange(service, holder, author, job["history"][-1][1]), name, job)
        except Exception:  # noqa: BLE001 - whoever asked just now has nothing to do with this job
            _log.exception("what follows from job %s being %s", name, job["status"])
