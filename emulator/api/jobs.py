"""Jobs: submit, read, list, cancel (recorded_shapes/job.json).

The body tells the status and nothing of an error: that is in run history alone (run_history.py). How a job gets from
one status to the next is job_progress.py.
"""

from __future__ import annotations

import json
import logging
import re
import uuid
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ..core.arm import Author, Reply, created, provider_error
from ..core.clock import timestamp
from ..core.job_progress import FIRST, TERMINAL, Step
from ..core.owners import Owner
from ..core.service import Service
from ..core.store import Document
from ..wire.exchange import Exchange
from ..wire.paging import labelled, page, shows
from ..wire.routing import ok, route
from .computes import compute_type
from .job_bodies import (
    automl_runs,
    check_output,
    command_completed,
    complete,
    for_version,
    pipeline_properties,
    was_2023,
)
from .job_outputs import bound, end_well, of_node, plan
from .operations import begin

_log = logging.getLogger(__name__)

Properties = dict[str, Any]

LOGGED = frozenset({"Running", *TERMINAL})
"""On getting into which a job that nobody wrote a log for has one: a line for each of its statuses."""

_COMPUTE = re.compile(r"(?:(/subscriptions/.+)/computes/)?([^/]+)", re.IGNORECASE)
_COMPONENT = re.compile(r"(/subscriptions/.+)/components/([^/]+)/versions/([^/]+)", re.IGNORECASE)
_NO_COMPUTES = ("serverless", "datafactory")
"""Names of no compute of the workspace: azure-ai-ml reserves them for jobs without a cluster."""
_TRIALS = 3
"""How many trials of a sweep are shown as parts of it."""
_BEST = 0
"""Which of them is the best."""
_CHANGEABLE = ("tags", "properties", "description", "displayName", "isArchived")
"""What of a job that exists a PUT may change, in the words of the refusal."""


def collection(owner: Owner) -> str:
    """Return where a workspace's jobs are kept."""
    return f"{owner.key}/jobs"


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


def render(owner: Owner, name: str, job: Document, api_version: str) -> dict[str, Any]:
    """Return a job's body."""
    properties = {**job["properties"], "status": job["status"]}
    return {
        "id": f"{owner.id}/jobs/{name}",
        "name": name,
        "type": f"{owner.type}/jobs",
        "properties": for_version(properties, api_version),
        "systemData": job["systemData"],
    }


@route("GET", "{workspace}/jobs/{name}")
def get_job(exchange: Exchange, name: str) -> Reply:
    """Return one job; of a pipeline's step only run history knows more than that it exists (recorded)."""
    job = find(exchange, name)
    body = render(exchange.workspace, name, job, exchange.api_version)
    if job.get("step"):
        del body["properties"]
        if exchange.service.way("step bodies") == "null":
            body["properties"] = None
    return ok(body)


@route("GET", "{workspace}/jobs")
def list_jobs(exchange: Exchange) -> Reply:
    """List jobs, newest first, without the children of other jobs; the status cannot be filtered by."""
    query = exchange.query
    kind, name_part = query.get("jobType"), query.get("assetName", query.get("asset_name"))
    scheduled, schedule = query.get("scheduled", "").lower(), query.get("scheduleId", "").rpartition("/")[2]

    def wanted(name: str, job: Document) -> bool:
        properties = job["properties"]
        return (
            job["parent"] is None
            and shows(query, properties["isArchived"])
            and kind in (None, properties["jobType"])
            and (name_part is None or name_part in name)
            and (not scheduled or (scheduled == "true") == bool(job.get("schedule")))
            and (not schedule or schedule == job.get("schedule"))
            and labelled(query.get("tag"), properties["tags"])
            and labelled(query.get("properties"), properties["properties"])
        )

    def render_one(owner: Owner, name: str, job: Document) -> dict[str, Any]:
        return render(owner, name, job, exchange.api_version)

    size = exchange.service.config.page_size
    return page(exchange, collection(exchange.workspace), wanted, render_one, size=size)


@route("PUT", "{workspace}/jobs/{name}")
def put_job(exchange: Exchange, name: str) -> Reply:
    """Submit a job, or change the tags, properties, description or archived flag of one that exists."""
    owner, service = exchange.workspace, exchange.service
    sent = exchange.json().get("properties")
    if not isinstance(sent, dict) or "jobType" not in sent:
        raise provider_error(400, "Request is invalid and/or missing fields.")
    before = service.store.get(collection(owner), name)
    if before is not None:
        _check_change(before, sent)
        for key in _CHANGEABLE:
            if key in sent:
                before["properties"][key] = sent[key]
        service.store.put(collection(owner), name, before)
        return ok(render(owner, name, before, exchange.api_version))
    job = submit(exchange, name, sent)
    return Reply(201, render(owner, name, job, exchange.api_version), {"Location": exchange.url})


def _check_change(before: Document, sent: Properties) -> None:
    """
    Refuse a PUT of another job under the same name.

    Source: the refusal as users report it (MicrosoftDocs/azure-docs#122250). The same job again is not refused: an
    SDK that repeats a PUT whose answer was lost would fail.
    """
    changed = [
        key[:1].upper() + key[1:]
        for key in sorted(sent.keys() | before["sent"].keys())
        if key not in _CHANGEABLE and sent.get(key) != before["sent"].get(key)
    ]
    if changed:
        message = (
            "A job with this name already exists. If you are trying to create a new job, use a different name. If you "
            f"are trying to update an existing job, the existing job's {',  '.join(changed)} cannot be changed. Only "
            "description, tags, displayName, properties, and isArchived can be updated."
        )
        raise provider_error(400, message)


@route("DELETE", "{workspace}/jobs/{name}")
def delete_job(exchange: Exchange, name: str) -> Reply:
    """Delete a job: 202 with an empty body, as all deletions since 2024, and a Location; 204 if there is none."""
    if not exchange.service.store.delete(collection(exchange.workspace), name):
        return Reply(204)
    seconds = exchange.service.config.operation_seconds
    location = begin(exchange, "mfeOperationResults", f"jd:{exchange.workspace.guid}:{uuid.uuid4()}", seconds=seconds)
    return Reply(202, headers={"Location": location})


def submit(exchange: Exchange, name: str, sent: Properties, parent: str | None = None) -> Document:
    """Create a job and put it on its way; `parent` is the pipeline, sweep or AutoML job that it is a part of."""
    owner, service, kind = exchange.workspace, exchange.service, sent["jobType"]
    if parent is None:
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
        "step": parent is not None and not sent.get("trial_of"),
        "sent": sent if parent is None else {},
        "plan": {key: plan(name, key, output) for key, output in (sent.get("outputs") or {}).items()},
        "children": [],
        "uuid": str(uuid.uuid4()),
        "number": service.store.next_number(),
        "systemData": created(exchange.author, exchange.now),
    }
    if parent is not None:
        job["history"].append([job["status"], exchange.now])
        service.store.put(collection(owner), name, job, exchange.now)
        return job
    script = _script(exchange, name, job)
    service.store.put(collection(owner), name, job, exchange.now)
    job["children"] = _submit_children(exchange, name, job, sent)
    service.runner.start(collection(owner), name, job, script, exchange.now)
    return job


def submit_batch(exchange: Exchange, endpoint: str, deployment: str, sent: Properties) -> str:
    """
    Create the job of a batch endpoint's invocation, and return its name.

    Recorded: a pipeline without nodes or inputs, whose name the service gives. What it keeps of the name and tags that
    the caller sends, and whether the same request twice is one job, are questions of core/turns.py.
    """
    service, owner = exchange.service, exchange.workspace
    request = exchange.headers.get("repeatability-request-id")
    requests = f"{owner.key}/repeatable"
    if request and service.way("repeatability") == "honoured" and (known := service.store.get(requests, request)):
        return str(known["name"])
    kept, asked = service.way("batch job keeps"), str(sent.get("name") or "")
    name = asked if asked and kept in ("name", "name and tags") else f"batchjob-{uuid.uuid4()}"
    display = asked if asked and kept == "display name" else f"quiet_river_{uuid.uuid4().hex[:10]}"
    tags = {**(sent.get("tags") or {})} if kept in ("tags", "name and tags") else {}
    system = {"azureml.batchrun": "true", "azureml.deploymentname": deployment}
    job = {
        "jobType": "Pipeline",
        "experimentName": endpoint,
        "displayName": display,
        "description": f"Pipeline submission for endpoint: {endpoint}, deployment: {deployment}.",
        "tags": {**tags, **system},
    }
    submit(exchange, name, job)
    if request:
        service.store.put(requests, request, {"name": name})
    return name


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
    """Refuse what the service refuses at submission: a component, a compute or an identity that is not there."""
    owner = exchange.workspace
    nodes = (sent.get("jobs") or {}).values() if sent["jobType"] == "Pipeline" else ()
    for node in nodes:
        reference = str(node.get("componentId") or "")
        found = _COMPONENT.fullmatch(reference)
        if found is None or found[1].lower() != owner.key:
            continue
        if exchange.service.store.get(f"{owner.key}/components/{found[2]}/versions", found[3]) is None:
            message = f"key: {reference}, Message: Not found component {found[2]} (version: {found[3]})."
            raise provider_error(404, message, code="NotFound")
    for output in (sent.get("outputs") or {}).values():
        check_output(exchange, output)
    for job in (sent, *nodes):
        _check_compute(exchange, job.get("computeId"))
    if sent["jobType"] == "Spark" and not sent.get("identity") and exchange.api_version < "2023":
        raise provider_error(
            404,
            f"User assigned identity  is not attached to AML workspace {owner.name}.",
            inner={"code": "NotFound", "innerError": {"code": "UserAssignedIdentityNotFound", "innerError": None}},
        )


def _check_compute(exchange: Exchange, compute: str | None) -> None:
    """Refuse a compute that is not there (recorded_shapes/job.json, "unknown compute": a 400, not a 404)."""
    found = _COMPUTE.fullmatch(compute or "serverless")
    if (
        found is None
        or found[2].lower() in _NO_COMPUTES
        or found[2].startswith("${{")
        or (found[1] and found[1].lower() != exchange.workspace.key)
    ):
        return
    if compute_type(exchange, found[2]) is None:
        inner = {"code": "BadArgument", "innerError": {"code": "UnknownTargetType", "innerError": None}}
        raise provider_error(400, f"Unknown compute target '{found[2]}'.", inner=inner)


def _submit_children(exchange: Exchange, name: str, job: Document, sent: Properties) -> list[str]:
    """Create the parts of a pipeline, of a batch endpoint's job, or the first trials of a sweep; return their names."""
    parts: dict[str, Properties] = {}
    if sent["jobType"] == "Pipeline":
        parts = _steps(job, sent)
    elif sent["jobType"] == "Sweep":
        parts = _trials(name, job, sent)
    common: Properties = {"experimentName": sent.get("experimentName"), "tags": {}, "jobType": "Command"}
    for part_name, part in parts.items():
        submit(exchange, part_name, {**common, **part}, parent=name)
    return list(parts)


def _steps(job: Document, sent: Properties) -> dict[str, Properties]:
    """Return the steps of a pipeline; its outputs go where the steps' outputs go that they are bound to."""
    nodes = sent.get("jobs") or {}
    if (sent.get("tags") or {}).get("azureml.batchrun") == "true":
        # The SDK looks for the output "score" of the only child.
        nodes = {"batchscoring": {"outputs": {"score": {"job_output_type": "uri_folder"}}}}
    names = {node: str(uuid.uuid4()) for node in nodes}
    parts = {
        names[node]: {
            "displayName": node,
            "properties": {"azureml.moduleName": node, "azureml.runsource": "azureml.StepRun"},
            "componentId": spec.get("componentId"),
            "computeId": spec.get("computeId") or sent.get("computeId"),
            "outputs": of_node(spec, sent),
        }
        for node, spec in nodes.items()
    }
    for output, (node, of) in bound(nodes).items():
        if output in job["plan"]:
            uri = plan(names[node], of, parts[names[node]]["outputs"][of])["uri"]
            job["plan"][output] |= {"step": [names[node], of], "uri": uri}
    return parts


def _trials(name: str, job: Document, sent: Properties) -> dict[str, Properties]:
    """Return the first trials of a sweep; its outputs are those of the best."""
    parts = {}
    outputs = sent.get("outputs") or {}
    for trial in range(min(int((sent.get("limits") or {}).get("maxTotalTrials") or 1), _TRIALS)):
        names = {} if trial == _BEST else {"assetName": None}
        part = {"displayName": f"{name}_{trial}", "trial_of": name}
        own = {key: {**output, **names} for key, output in outputs.items()}
        parts[f"{name}_{trial}"] = {**(sent.get("trial") or {}), **part, "outputs": own}
    best = f"{name}_{_BEST}"
    for key, output in outputs.items():
        job["plan"][key] |= {"step": [best, key], "uri": plan(best, key, output)["uri"]}
    return parts


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
        end_well(exchange, name, job)
        if properties["jobType"] == "Command":
            times = (f"{datetime.fromtimestamp(job['history'][at][1], UTC):%Y-%m-%d %H:%M:%S}" for at in (0, -1))
            on_instance = properties["properties"].get("_azureml.ComputeTargetType") == "amlcdsi"
            command_completed(properties, *times, on_instance=on_instance)
        if properties["jobType"] == "Sweep" and job["children"]:
            properties["properties"] |= {"best_child_run_id": job["children"][_BEST], "score": "1.0"}
    if status in LOGGED:
        write_log(exchange, name, job)
    service.events.run_moved(exchange.workspace, name, job, exchange.now)


def _move_children(exchange: Exchange, job: Document) -> None:
    """Let the parts follow; when the whole fails, the first part has failed and the others are canceled."""
    for place, (name, child) in enumerate(children(exchange, job)):
        failed = job["status"] == "Failed"
        child["status"] = "Canceled" if failed and place > 0 else job["status"]
        child["error"] = job["error"] if failed and place == 0 else None
        child["history"].append([child["status"], exchange.now])
        if child["status"] == "Completed":
            end_well(exchange, name, child)
        if child["status"] in LOGGED:
            write_log(exchange, name, child)
        exchange.service.store.put(collection(exchange.workspace), name, child)


def _stages(job: Document) -> str:
    start, end = job["history"][0][1], job["history"][-1][1]
    execution = {"StartTime": timestamp(start), "EndTime": timestamp(end), "Status": job["status"]}
    return json.dumps({"Initialization": None, "Execution": execution})


@route("POST", "{workspace}/jobs/{name}/cancel")
def cancel_job(exchange: Exchange, name: str) -> Reply:
    """Ask a job to stop: 202 and a Location to poll; of a job that has ended 200 and nothing at all (recorded)."""
    service, owner = exchange.service, exchange.workspace
    job = find(exchange, name)
    if job["status"] in TERMINAL:
        return Reply(200)
    script: list[Step] = [
        {"status": "CancelRequested", "seconds": service.config.cancel_seconds},
        {"status": "Canceled", "seconds": None},
    ]
    service.runner.redirect(collection(owner), name, script, exchange.now)
    location = begin(
        exchange, "mfeOperationResults", f"jc:{owner.guid}:{name}", seconds=service.config.cancel_seconds, signed=False
    )
    return Reply(202, None, {"Location": location, "x-ms-async-operation-timeout": "PT1H"})


def own_exchange(service: Service, owner: Owner, author: Author, now: float) -> Exchange:
    """Return an exchange for what the service does of its own accord."""
    return Exchange(service, "", "", "", {}, {}, b"", author, "", now, owner=owner)


_LOGS = {"Pipeline": "logs/azureml/executionlogs.txt", "Sweep": "azureml-logs/hyperdrive.txt"}
"""Where some types of job keep their log; source: azure-ai-ml's JobLogPattern."""


def logs(job: Document) -> list[str]:
    """Return the names of a job's logs: one for each node where it runs on several."""
    properties = job["properties"]
    if (name := _LOGS.get(properties["jobType"])) is not None:
        return [name]
    nodes = int((properties.get("resources") or {}).get("instanceCount") or 1)
    if nodes == 1:
        return ["user_logs/std_log.txt"]
    return [f"user_logs/std_log_process_{node:02d}.txt" for node in range(nodes)]


def write_log(exchange: Exchange, name: str, job: Document) -> None:
    """Leave logs where jobs.stream, jobs.download and the studio look for them."""
    written = job.get("written") or {}
    service = exchange.service
    for log in sorted({*logs(job), *written}):
        text = job.get("log") or written.get(log) or default_log(job)
        upload = partial(
            service.storage.upload, exchange.workspace.artifact_container, log_path(name, log), text.encode()
        )
        service.background.run(upload)
    job["logged"] = True


def default_log(job: Document) -> str:
    """Return the log of a job whose program writes nothing."""
    lines = [f"{timestamp(at)} {status}" for status, at in job["history"]]
    return "\n".join([*lines, *([job["error"]["message"]] if job["error"] else []), ""])


def log_path(name: str, log: str) -> str:
    """Return where a log file of a run is in the workspace's artifact store."""
    return f"ExperimentRun/dcid.{name}/{log}"


def log_files(exchange: Exchange, name: str, job: Document) -> dict[str, str]:
    """Return the logs of a run with URLs that open them."""
    way, ended = exchange.service.way("log files"), job["status"] in TERMINAL
    if way == "none while it runs" and not ended:
        return {}
    names = sorted({*(logs(job) if job.get("logged") else ()), *(job.get("written") or ())})
    container, storage = exchange.workspace.artifact_container, exchange.service.storage
    url = f"https://{storage.account}.blob.core.windows.net/{container}"
    sas = "" if way == "unsigned" else f"?{storage.container_sas(container, rights='r')}"
    return {log: f"{url}/{log_path(name, log)}{sas}" for log in names}


def job_moved(service: Service, collection: str, name: str, job: Document) -> None:
    """Let follow what follows from a job that has got on by itself."""
    owner = service.owners.find(collection.removesuffix("/jobs"))
    if owner is not None:
        system = job["systemData"]
        author = Author(system["createdBy"], system["createdByType"])
        try:
            moved(own_exchange(service, owner, author, job["history"][-1][1]), name, job)
        except Exception:  # noqa: BLE001 - whoever asked just now has nothing to do with this job
            _log.exception("what follows from job %s being %s", name, job["status"])
