"""A job's outputs: where they go, what is in them when it has ended, and which versions become of them.

Sources: azure-ai-ml's documentation of output paths (`${{name}}` is the job's name, in a pipeline the step's), its
`_get_named_output_uri`, and rundata in recorded_shapes/job.json. No recorded job with a named output has ended well, so
how run history then tells of it is a question of core/turns.py.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from ..core.arm import PROVIDER, Reply
from ..core.owners import Owner
from ..core.service import Service
from ..core.store import Document
from ..wire.exchange import Exchange
from ..wire.routing import ok, route
from . import datastores
from .data import DATA, long_uri
from .models import MODELS

Properties = dict[str, Any]

_PARENT = re.compile(r"\$\{\{\s*parent\.outputs\.([^}\s]+)\s*\}\}")
_IN_DATASTORE = re.compile(r"azureml:/+(?:.*/)?datastores/([^/]+)/paths/(.*)", re.IGNORECASE | re.DOTALL)
_DEFAULT = "azureml://datastores/workspaceblobstore/paths/azureml/{name}/{output}/"
# What a job that nobody told anything leaves in an output: the file's name below it, and the text.
_CONTENT = {
    "uri_folder": ("part-0.csv", "a,b\n1,2\n"),
    "mltable": ("MLTable", "paths:\n- file: ./part-0.csv\n"),
    "mlflow_model": ("MLmodel", "flavors: {}\n"),
    "triton_model": ("model/1/model.onnx", "a model\n"),
    "custom_model": ("model.pkl", "a model\n"),
}
_RUN_TYPES = {
    "uri_folder": "UriFolder",
    "uri_file": "UriFile",
    "mltable": "MLTable",
    "custom_model": "CustomModel",
    "mlflow_model": "MLFlowModel",
    "triton_model": "TritonModel",
}
# recorded_shapes/job.json has 3 for uri_folder; the others are the order in which the specification names them.
_NUMBERS = {kind: number for number, kind in enumerate(("uri_file", "uri_folder", "mltable"), start=2)} | {
    kind: number for number, kind in enumerate(("custom_model", "mlflow_model", "triton_model"), start=5)
}
_WORKSPACE = (
    f"/subscriptions/{{subscription_}}/resourceGroups/{{group_}}/providers/{PROVIDER}/workspaces/{{workspace_}}"
)


def plan(name: str, key: str, sent: Properties) -> Properties:
    """Return where an output goes, and which version is to become of it."""
    uri = sent.get("uri") or _DEFAULT.format(name=name, output=key)
    for expression, value in (("name", name), ("output_name", key), ("default_datastore", "workspaceblobstore")):
        uri = re.sub(rf"\$\{{\{{\s*{expression}\s*\}}\}}", value, uri)
    return {
        "uri": uri,
        "type": sent.get("jobOutputType") or "uri_folder",
        "asset": sent.get("assetName"),
        "version": sent.get("assetVersion"),
    }


def of_node(node: Properties, pipeline: Properties) -> dict[str, Properties]:
    """
    Return the outputs of a pipeline's node as a job sends them.

    A node's output is the pipeline's own (`${{parent.outputs.x}}`), or has a place and a name of its own, in the
    spelling that azure-ai-ml sends.
    """
    outputs = {}
    for key, value in (node.get("outputs") or {}).items():
        if bound := _PARENT.fullmatch(str(value.get("value") or "")):
            outputs[key] = dict((pipeline.get("outputs") or {}).get(bound[1]) or {})
        else:
            outputs[key] = {
                "uri": value.get("uri"),
                "jobOutputType": value.get("job_output_type") or value.get("jobOutputType"),
                "assetName": value.get("name") or value.get("assetName"),
                "assetVersion": value.get("version") or value.get("assetVersion"),
            }
    return outputs


def bound(nodes: Properties) -> dict[str, tuple[str, str]]:
    """Return which node's which output a pipeline's outputs are: name -> (node, its output)."""
    found = {}
    for node, spec in nodes.items():
        for key, value in (spec.get("outputs") or {}).items():
            if name := _PARENT.fullmatch(str(value.get("value") or "")):
                found[name[1]] = (node, key)
    return found


def place(service: Service, owner: Owner, uri: str) -> tuple[str, str] | None:
    """Return container and path of what a datastore's URI names, if the emulator keeps it."""
    match = _IN_DATASTORE.fullmatch(uri)
    if match is None:
        return None
    store = service.store.get(datastores.collection(owner), match[1])
    properties = store["properties"] if store else {}
    if properties.get("accountName") != service.storage.account or "containerName" not in properties:
        return None
    return properties["containerName"], match[2].strip("/")


def end_well(exchange: Exchange, name: str, job: Document) -> None:
    """Leave bytes in the outputs of a job that has completed, and make versions of those that have a name."""
    job["made"] = {}
    for key, output in job["plan"].items():
        if step := output.get("step"):
            # What a step made of it is what the pipeline shows.
            child = exchange.service.store.get(f"{exchange.workspace.key}/jobs", step[0])
            if child is not None and step[1] in child.get("made", {}):
                job["made"][key] = child["made"][step[1]]
            continue
        if key not in job.get("filled", []):
            _fill(exchange, output)
        job["made"][key] = _register(exchange, name, key, output)


def _fill(exchange: Exchange, output: Properties) -> None:
    service = exchange.service
    if (found := place(service, exchange.workspace, output["uri"])) is None:
        return
    container, path = found
    file, text = _CONTENT.get(output["type"], ("", "some bytes\n"))
    path = f"{path}/{file}" if file else path
    service.background.run(partial(service.storage.upload, container, path, text.encode()))


def _register(exchange: Exchange, name: str, key: str, output: Properties) -> Properties:
    """Make a version of an output that has a name; others get an id that no list shows."""
    owner, kind = exchange.workspace, output["type"]
    known = MODELS if kind.endswith("_model") else DATA
    uri = long_uri(exchange, output["uri"])
    if asset := output["asset"]:
        container = exchange.service.store.get(known.containers(owner), asset)
        version = str(output["version"] or (container["highest"] if container else 0) + 1)
        sent = {"modelUri": uri, "dataUri": uri, "modelType": kind, "dataType": kind}
        # Data has no member for the job that made it.
        known.create(exchange, asset, version, known.complete(exchange, asset, version, {**sent, "jobName": name}))
    else:
        asset, version = f"azureml_{name}_output_data_{key}", "1"
    identifier = (
        f"azureml://locations/{owner.location}/workspaces/{owner.guid}/{known.segment}/{asset}/versions/{version}"
    )
    exchange.service.store.put(f"{owner.key}/outputs", identifier, {"uri": uri, "type": kind})
    return {"assetId": identifier, "type": kind}


# What run history tells of them --------------------------------------------------------------------------------------


def as_run(service: Service, job: Document) -> Properties | None:
    """Return the outputs in a run's metadata; of a run that has registered none they are null."""
    if service.way("registered outputs") in ("definition", "neither"):
        return None
    old = service.way("output types") == "UriFolder"
    spell = _RUN_TYPES if old else {}
    made = job.get("made") or {}
    return {key: {**each, "type": spell.get(each["type"], each["type"])} for key, each in made.items()} or None


def as_definition(service: Service, job: Document) -> Properties | None:
    """Return the bindings in a run's definition, which say what was asked for, and once it is there, the version."""
    bindings: Properties = {}
    tells = service.way("registered outputs") in ("definition", "both")
    made = (job.get("made") or {}) if tells else {}
    for key, output in job["plan"].items():
        sent = (job["properties"]["outputs"] or {}).get(key) or {}
        version = made[key]["assetId"].rpartition("/")[2] if key in made else output["version"]
        bindings[key] = {
            "DatastoreId": None,
            "PathOnDatastore": None,
            "PathOnCompute": None,
            "Description": sent.get("description"),
            "Uri": sent.get("uri"),
            "Mode": sent.get("mode"),
            "AssetUri": None,
            "IsAssetJobOutput": True,
            "JobOutputType": _NUMBERS.get(output["type"], 0),
            "AssetName": output["asset"],
            "AssetVersion": version if output["asset"] else None,
            "AutoDeleteSetting": None,
        }
    return bindings or None


def _resolve(exchange: Exchange, key: str) -> Reply:
    """Answer where outputs are, by their ids; source: azure-ai-ml's clients of these two services."""
    outputs = f"{exchange.workspace.key}/outputs"
    found = {}
    for identifier in exchange.json().get("values") or ():
        if (output := exchange.service.store.get(outputs, str(identifier))) is not None:
            found[identifier] = {key: output["uri"], "type": output["type"]}
    return ok({"values": found})


@route("POST", f"/data/v1.0{_WORKSPACE}/dataversion/batchGetResolvedUris")
def resolve_data(exchange: Exchange) -> Reply:
    """Answer where data versions are."""
    return _resolve(exchange, "uri")


@route("POST", f"/modelregistry/v1.0{_WORKSPACE}/models/batchGetResolvedUris")
def resolve_models(exchange: Exchange) -> Reply:
    """Answer where models are."""
    return _resolve(exchange, "path")
