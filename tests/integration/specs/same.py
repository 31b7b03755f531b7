"""Whether an operator asks Azure for what azure-ai-ml's own client asks for, given the same spec."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from azure.storage.blob import ContainerClient

from airflow_provider_azureml.emulator import Emulator
from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
from airflow_provider_azureml.provider.sdk import quietly

from .wire import Call, Sent, recorded

# noun -> (the operator's module, class and parameter; more arguments; the client's attribute and method)
NOUNS: dict[str, tuple[str, str, str, dict[str, Any], str]] = {
    "job": ("job", "CreateJob", "job", {}, "jobs.create_or_update"),
    "component": ("component", "LoadAndRegisterComponent", "source", {}, "components.create_or_update"),
    "environment": ("environment", "CreateEnvironment", "environment", {}, "environments.create_or_update"),
    "data": ("data", "CreateData", "data_asset", {}, "data.create_or_update"),
    "model": ("model", "RegisterModel", "model", {}, "models.create_or_update"),
    "compute": ("compute", "CreateComputeResource", "compute", {"waiting": False}, "compute.begin_create_or_update"),
    "online_endpoint": (
        "endpoint",
        "CreateEndpoint",
        "endpoint",
        {"waiting": False},
        "online_endpoints.begin_create_or_update",
    ),
    "batch_endpoint": (
        "endpoint",
        "CreateEndpoint",
        "endpoint",
        {"waiting": False, "endpoint_type": "batch"},
        "batch_endpoints.begin_create_or_update",
    ),
    "online_deployment": (
        "endpoint",
        "DeployEndpoint",
        "deployment",
        {"waiting": False},
        "online_deployments.begin_create_or_update",
    ),
    "batch_deployment": (
        "endpoint",
        "DeployEndpoint",
        "deployment",
        {"waiting": False, "endpoint_type": "batch"},
        "batch_deployments.begin_create_or_update",
    ),
    "schedule": ("schedule", "CreateSchedule", "schedule", {"waiting": False}, "schedules.begin_create_or_update"),
}
# A batch deployment in the form that AzureML's documentation shows; MLClient's functions for it have other names.
NOUNS["model_batch_deployment"] = NOUNS["pipeline_component_batch_deployment"] = NOUNS["batch_deployment"]

# What the specs name: there in both workspaces.
STEP = {"type": "command", "command": "echo ${{inputs.x}}", "inputs": {"x": {"type": "number"}}}
WHOLE = {"type": "pipeline", "jobs": {"one": {"type": "command", "command": "echo", "environment": "azureml:tools:2"}}}
PRESENT: list[tuple[str, dict[str, Any]]] = [
    ("compute", {"name": "cpu-cluster", "type": "amlcompute", "size": "Standard_DS3_v2"}),
    ("compute", {"name": "gpu-cluster", "type": "amlcompute", "size": "Standard_NC6"}),
    ("environment", {"name": "tools", "version": "2", "image": "ubuntu:22.04"}),
    ("data", {"name": "sales", "version": "1", "path": "azureml://datastores/workspaceblobstore/paths/sales/"}),
    (
        "data",
        {
            "name": "table",
            "version": "2",
            "type": "mltable",
            "path": "azureml://datastores/workspaceblobstore/paths/table/",
        },
    ),
    ("model", {"name": "fraud", "version": "1", "path": "azureml://datastores/workspaceblobstore/paths/fraud/"}),
    ("component", {"name": "ready", "version": "1", "environment": "azureml:tools:2", **STEP}),
    ("component", {"name": "ready_pipeline", "version": "1", **WHOLE}),
    ("job", {"name": "some_job", "command": "echo", "environment": "azureml:tools:2"}),
    ("online_endpoint", {"name": "online"}),
    ("batch_endpoint", {"name": "batch"}),
]
# What is in the default datastore of both.
STORED = {"tables/orders/MLTable": "paths:\n  - file: ./2025.csv\n  - pattern: ./2026/*.csv\n"}


class Bench:
    """
    A workspace in which first the SDK works, and then, when it was made anew under the same name, the operators.

    The same name, as AzureML's ids hold it, and the SDK's hashes of components hold ids.
    """

    def __init__(self, emulator: Emulator, setenv: Callable[[str, str], None]) -> None:
        self._emulator, self.name = emulator, emulator.create_workspace()
        setenv("AIRFLOW_CONN_BENCH", json.dumps(emulator.connection_for(self.name)))
        self._fill()

    def renew(self) -> None:
        """Make the workspace anew."""
        self._emulator.delete_workspace(self.name)
        self._emulator.create_workspace(self.name)
        self._fill()

    def _fill(self) -> None:
        with AzureMachineLearningHook("bench").ml_client() as ml, quietly():
            for noun, spec in PRESENT:
                send(ml, noun, load(noun, io.StringIO(yaml.safe_dump(spec))))
            store = ml.datastores.get_default()
        account = f"https://{store.account_name}.blob.core.windows.net"
        with ContainerClient(account, store.container_name, credential=self._emulator.storage_key) as container:
            for path, content in STORED.items():
                container.upload_blob(path, content)

    def by_sdk(self, name: str, noun: str, spec: Any) -> Sent:
        """Send a spec with MLClient, as a user of the SDK does."""
        # The SDK looks for some local paths of AutoML jobs in the working folder.
        here = spec.parent if isinstance(spec, Path) else Path.cwd()
        with (
            AzureMachineLearningHook("bench").ml_client() as ml,
            quietly(),
            contextlib.chdir(here),
            recorded(name) as sent,
        ):
            send(ml, noun, load(noun, spec))
        return sent

    def by_operator(self, run: Callable[..., Any], name: str, noun: str, spec: Any) -> Sent:
        """Send a spec with the noun's operator; `run` runs one as Airflow does."""
        module, kind, parameter, more, _ = NOUNS[noun]
        operator = getattr(
            importlib.import_module(f"airflow_provider_azureml.provider.operators.{module}"),
            f"AzureMachineLearning{kind}Operator",
        )
        with recorded(name) as sent:
            run(operator, conn_id="bench", **{parameter: spec if callable(spec) else str(spec)}, **more)
        return sent


def send(ml: Any, noun: str, entity: Any) -> None:
    """Make it with MLClient."""
    from azure.ai.ml.exceptions import JobParsingError

    collection, method = NOUNS[noun][-1].split(".")
    with contextlib.suppress(JobParsingError):  # the SDK sent some AutoML jobs whose answer it does not understand
        getattr(getattr(ml, collection), method)(entity)


def load(noun: str, spec: Any) -> Any:
    """Load a spec as a user of the SDK does: from a path, or by calling what makes the entity."""
    if callable(spec):
        return spec()
    functions = importlib.import_module("azure.ai.ml.entities._load_functions")
    return getattr(functions, f"load_{noun}")(str(spec) if isinstance(spec, Path) else spec)


def plain(noun: str, sent: Sent) -> list[Call]:
    """
    Return what was sent, without what operators add on purpose.

    In no order and once each, as the SDK uploads the code of a pipeline's steps in threads, at times twice.
    """
    calls = [OURS.get(noun, lambda call: call)(_without_tags(call)) for call in sent.calls]
    return [json.loads(text) for text in sorted({json.dumps(call, sort_keys=True) for call in calls})]


# What operators send otherwise than the SDK, on purpose. All of it is in this part of this file.


def _without_tags(call: Call) -> Call:
    """Everything: `airflow.*` tags tell which DAG, run and task made it; that makes tags where there were none.

    Values of tags are text, as the contract has them; of data and environments the SDK sends YAML's numbers as numbers.
    """
    method, path, version, body = call
    for owner in (body, body.get("properties")) if isinstance(body, dict) else ():
        if isinstance(owner, dict) and "tags" in owner:
            tags = {key: str(value) for key, value in (owner["tags"] or {}).items() if not key.startswith("airflow.")}
            owner["tags"] = tags
            if not tags:
                del owner["tags"]
    return method, path, version, body


def _job(call: Call) -> Call:
    """Jobs: a deterministic name, so that a retry finds its job, and the DAG's id as experiment.

    The SDK makes up a name, and takes the folder that it runs in as experiment; both take the name to display as well.
    """
    method, path, version, body = call
    if "/jobs/" not in path:
        return call
    path, _, name = path.rpartition("/")
    properties = {key: value for key, value in body["properties"].items() if (key, value) != ("displayName", name)}
    if properties.get("experimentName") in ("dag", "job", Path.cwd().name, "Default"):
        del properties["experimentName"]
    return method, path, version, {**body, "properties": properties}


def _asset(call: Call) -> Call:
    """Data and models: files go to a path that belongs to one task run, not to one that versions share.

    The provider's own client, which sends these bodies, asks for an api-version of its own choice. What YAML says of a
    data asset's properties is sent; the SDK's schema drops it. A model made of a job's output names the job.
    The checksum of what was uploaded is a property of its own.
    """
    method, path, _, body = call
    text = re.sub(r"LocalUpload/[0-9a-f]{64}(/[a-z_]+(?=[/\"]))?", "UPLOAD", json.dumps([path, body]))
    text = re.sub(r"airflow/(data|model)/[^/]+/[0-9a-f]{32}", "UPLOAD", text)
    path, body = json.loads(re.sub(r'UPLOAD/"', 'UPLOAD"', text))
    if "/data/" in path:
        body["properties"].pop("properties", None)
    if "/models/" in path:
        body["properties"].pop("jobName", None)
        body["properties"]["properties"].pop("airflow.content", None)
    return method, path, "", body


def _pipeline_deployment(call: Call) -> Call:
    """Deployments of a pipeline component: asked for at the api-version of other batch deployments."""
    method, path, version, body = call
    return method, path, "" if "/deployments/" in path else version, body


OURS: dict[str, Callable[[Call], Call]] = {
    "job": _job,
    "data": _asset,
    "model": _asset,
    "pipeline_component_batch_deployment": _pipeline_deployment,
}
