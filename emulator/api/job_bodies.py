"""What the service makes of a submitted job: the members that it adds, defaults and rewrites.

Shapes: recorded_shapes/job.json, one section here for each job type. A job keeps every member of any api-version;
`for_version` leaves out those that the caller's does not have.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ..core.arm import ServiceError, invalid
from ..core.owners import Owner
from ..core.published import known
from ..core.versions import STABLE
from ..wire.exchange import Exchange
from .computes import compute_type

Properties = dict[str, Any]

_OUTPUT_CLASSES = {
    "uri_folder": "UriFolderJobOutput",
    "uri_file": "UriFileJobOutput",
    "mltable": "MLTableJobOutput",
    "custom_model": "CustomModelJobOutput",
    "mlflow_model": "MLFlowModelJobOutput",
    "triton_model": "TritonModelJobOutput",
}
_TABLED = {
    "assetName",
    "assetVersion",
    "pathOnCompute",
    "autoDeleteSetting",
    "priority",
    "secretsConfiguration",
    "maxInstanceCount",
    "locations",
    "autologgerSettings",
    "parentJobName",
    "dockerArgsList",
    "notificationSetting",
    "queueSettings",
    "componentId",
    "shmSize",
    "dockerArgs",
    "nodes",
    "_azureml.ClusterName",
}
_SINCE_2022 = {"componentId", "shmSize", "dockerArgs", "nodes"}
_OLD_PREVIEW = _SINCE_2022 | {"assetName", "assetVersion", "autologgerSettings"}
_PREVIEW_2023 = {"secretsConfiguration", "maxInstanceCount", "locations", "autologgerSettings"}
_ALL_SINCE_2023 = _SINCE_2022 | {"notificationSetting", "queueSettings", "_azureml.ClusterName"}
_PREVIEW_2024 = _PREVIEW_2023 | {"assetName", "assetVersion", "pathOnCompute", "autoDeleteSetting", "priority"}

_MEMBERS: dict[str, set[str]] = {
    # Recorded: recorded_shapes/job.json and schedule.json.
    "2022-05-01": set(),
    "2022-12-01-preview": _OLD_PREVIEW,
    "2023-04-01-preview": _ALL_SINCE_2023 | _OLD_PREVIEW,
    "2023-06-01-preview": _ALL_SINCE_2023 | _PREVIEW_2023 | {"assetName"},
    "2023-08-01-preview": _ALL_SINCE_2023 | _PREVIEW_2023 | {"assetName"},
    "2024-01-01-preview": _ALL_SINCE_2023 | _PREVIEW_2024,
    "2024-04-01": _ALL_SINCE_2023,
    "2025-01-01-preview": _ALL_SINCE_2023 | {"assetName", "parentJobName", "dockerArgsList"},
    # The specification: AssetJobOutput is {mode, uri} and nothing else.
    "2024-10-01": _ALL_SINCE_2023,
    # azure-ai-ml's own models of this api-version.
    "2025-12-01": _ALL_SINCE_2023 | {"assetName", "dockerArgsList"},
}
"""Which of the members that not every api-version has are in which. They belong to previews, not to dates."""


def members(api_version: str) -> set[str]:
    """
    Return those of the tabled members that an api-version has.

    Of a preview that is not in the table it is known that it can name outputs (recorded before and after it); of a
    stable one nothing, and so it gets the least.
    """
    unknown = _ALL_SINCE_2023 | ({"assetName"} if api_version.endswith("-preview") else set())
    return _MEMBERS.get(api_version, unknown)


def for_version(body: Properties, api_version: str) -> Properties:
    """Take out, in place, the members that an api-version does not have."""
    _prune(body, _hidden(api_version))
    if api_version in STABLE and isinstance(body.get("taskDetails"), dict):
        body["taskDetails"] = known("AutoMLVertical", body["taskDetails"])
    if api_version in STABLE and body["jobType"] == "Sweep":
        _prune_sweep(body)
    return body


def _prune_sweep(body: Properties) -> None:
    """Leave out of a sweep, at a stable api-version, what its published model does not have, unless it was sent.

    Whether the service keeps what was sent is not known; azure-ai-ml sends `resources` and reads them back.
    """
    body.pop("componentConfiguration", None)
    nothing = resources(None)
    if all(value == nothing[key] for key, value in (body.get("resources") or {}).items()):
        body.pop("resources", None)
    algorithm = body.get("samplingAlgorithm") or {}
    if algorithm.get("logbase") is None:
        algorithm.pop("logbase", None)


@lru_cache
def _hidden(api_version: str) -> frozenset[str]:
    return frozenset(_TABLED - members(api_version))


def _prune(body: Properties, hidden: frozenset[str]) -> None:
    for key in hidden & body.keys():
        del body[key]
    for value in body.values():
        if isinstance(value, dict):
            _prune(value, hidden)


def complete(exchange: Exchange, name: str, sent: Properties) -> Properties:
    """Return the properties of a submitted job."""
    kind = sent["jobType"]
    common: Properties = {
        "description": sent.get("description"),
        "tags": dict(sent.get("tags") or {}),
        "properties": dict(sent.get("properties") or {}),
        "parentJobName": None,
        "displayName": sent.get("displayName") or name,
        "experimentName": sent.get("experimentName") or "Default",
        "services": services(exchange, name, only_studio=kind == "Sweep"),
        "computeId": sent.get("computeId"),
        "isArchived": bool(sent.get("isArchived")),
        "identity": sent.get("identity"),
        "componentId": sent.get("componentId"),
        "notificationSetting": sent.get("notificationSetting"),
        "secretsConfiguration": sent.get("secretsConfiguration"),
        "jobType": kind,
        "inputs": {key: read_input(value) for key, value in (sent.get("inputs") or {}).items()},
        "outputs": _outputs(exchange, name, sent),
    }
    if kind == "AutoML":
        del common["inputs"]
    return {**common, **_PARTICULARS.get(kind, _other)(exchange, name, sent, common)}


# Members that several types share ------------------------------------------------------------------------------------


def services(exchange: Exchange, name: str, *, only_studio: bool = False) -> Properties:
    """Return a job's links."""
    owner, tenant = exchange.workspace, exchange.service.directory.tenant
    tracking = f"azureml://{owner.location}.api.azureml.ms/mlflow/v1.0{owner.id}?"
    studio = f"https://ml.azure.com/runs/{name}?wsid={owner.id}&tid={tenant}"
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


def read_input(sent: Properties) -> Properties:
    """Return an input; the mode defaults to ReadOnlyMount."""
    if sent.get("jobInputType") == "literal":
        return {"description": sent.get("description"), "jobInputType": "literal", "value": sent.get("value")}
    return {
        "description": sent.get("description"),
        "uri": sent.get("uri"),
        "mode": sent.get("mode") or "ReadOnlyMount",
        "pathOnCompute": sent.get("pathOnCompute"),
        "jobInputType": sent.get("jobInputType"),
    }


def read_output(sent: Properties, uri: str | None) -> Properties:
    """Return an output; `uri` is where it goes when the caller did not say."""
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
        found[key] = read_output(output, None)  # null at submission, and to the end as far as was seen
    if kind in ("Command", "Sweep"):
        found["default"] = read_output({}, f"azureml://datastores/workspaceartifactstore/ExperimentRun/dcid.{name}")
    return found


def check_output(exchange: Exchange, output: Properties) -> None:
    """Refuse a member that the caller's api-version does not know (recorded_shapes/errors.json)."""
    for member in (output.keys() & _TABLED) - members(exchange.api_version):
        if output[member] is not None:
            kind = _OUTPUT_CLASSES.get(output.get("jobOutputType", ""), "JobOutput")
            position = exchange.body.find(f'"{member}"'.encode()) + len(f'"{member}":')
            raise invalid_member(member, kind, position)


def invalid_member(member: str, kind: str, position: int) -> ServiceError:
    """Return the error for a member that is not part of the api-version."""
    return invalid(
        f"Could not find member '{member}' on object of type '{kind}'. Path '{member}', line 1, position {position}.",
        inner={"code": "RequestInvalid", "innerError": None},
        message_format="Request is invalid and/or missing fields.",
    )


def resources(sent: Properties | None) -> Properties:
    """Return what a job runs on."""
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


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def environment_id(owner: Owner, reference: str | None) -> str | None:
    """Turn `azureml:NAME:VERSION` into an ARM id."""
    if reference is None or not reference.startswith("azureml:") or reference.startswith("azureml://"):
        return reference
    name, _, version = reference.removeprefix("azureml:").rpartition(":")
    return f"{owner.id}/environments/{name}/versions/{version}"


# Each type -----------------------------------------------------------------------------------------------------------


def _command(exchange: Exchange, name: str, sent: Properties, common: Properties) -> Properties:
    cluster = (sent.get("computeId") or "").rpartition("/")[2] or None
    on_instance = cluster is not None and compute_type(exchange, cluster) == "ComputeInstance"
    kind = "amlcdsi" if on_instance else "amlctrain"
    system = {"_azureml.ComputeTargetType": kind, "_azureml.ClusterName": cluster}
    return {
        "properties": {**system, **common["properties"]},
        "resources": resources(sent.get("resources")),
        "codeId": sent.get("codeId"),
        "command": sent.get("command"),
        "environmentId": sent.get("environmentId"),
        "distribution": sent.get("distribution"),
        "autologgerSettings": sent.get("autologgerSettings"),
        "limits": {"timeout": None, **sent["limits"], "jobLimitsType": "Command"}
        if sent.get("limits") is not None
        else None,
        "environmentVariables": sent.get("environmentVariables"),
        "parameters": {},
        "queueSettings": _queue(sent),
    }


def command_completed(properties: Properties, started: str, ended: str, *, on_instance: bool) -> None:
    """Add what a completed command job has gained; the times were seen of jobs on a compute instance only."""
    properties["tags"]["_aml_system_ComputeTargetStatus"] = "{}"
    properties["properties"] |= {
        "ProcessInfoFile": "azureml-logs/process_info.json",
        "ProcessStatusFile": "azureml-logs/process_status.json",
        **({"StartTimeUtc": started, "EndTimeUtc": ended} if on_instance else {}),
    }


def _pipeline(exchange: Exchange, name: str, sent: Properties, common: Properties) -> Properties:
    """Nodes come back as they were sent. No inputs are null, where other types have an empty map.

    Until 2023 the reply had its system properties at once, with the status Preparing; by 2026 they come later.
    """
    return {
        "settings": sent.get("settings") or {},
        "jobs": sent.get("jobs") or {},
        "inputs": common["inputs"] or None,
        "sourceJobId": sent.get("sourceJobId"),
        "properties": {**common["properties"], **(pipeline_properties(sent) if was_2023(exchange) else {})},
    }


def was_2023(exchange: Exchange) -> bool:
    """Say whether the caller's api-version is one of the time when pipelines started as Preparing."""
    return "" < exchange.api_version < "2024"


def pipeline_properties(sent: Properties) -> dict[str, str]:
    """Return what the service adds to a pipeline's properties; truth values are strings of several spellings."""
    literals = {key: item.get("value") for key, item in (sent.get("inputs") or {}).items() if "value" in item}
    return {
        "azureml.DevPlatv2": "true",
        "azureml.DatasetAccessMode": "Asset",
        "azureml.runsource": "azureml.PipelineRun",
        "runSource": "MFE",
        "runType": "HTTP",
        "azureml.parameters": json.dumps(literals),
        "azureml.continue_on_step_failure": "True",
        "azureml.continue_on_failed_optional_input": "True",
        "azureml.enforceRerun": "False",
        "azureml.defaultComputeName": (sent.get("computeId") or "").rpartition("/")[2],
        "azureml.defaultDataStoreName": "workspaceblobstore",
        "azureml.pipelineComponent": "pipelinerun",
    }


_SWEEP_TAGS = (
    "max_concurrent_jobs",
    "max_total_jobs",
    "max_duration_minutes",
    "policy_config",
    "generator_config",
    "primary_metric_config",
    "platform_config",
    "resume_child_runs",
    "all_jobs_generated",
    "cancellation_requested",
    "samples_generated_count",
)
_SWEEP_PLATFORM_SIZE = 6000


def _sweep(exchange: Exchange, name: str, sent: Properties, common: Properties) -> Properties:
    """A sweep is Running at once; eleven tags are added, one of them some 6 kB long."""
    limits, objective = sent.get("limits") or {}, sent.get("objective") or {}
    algorithm, trial = sent.get("samplingAlgorithm") or {}, sent.get("trial") or {}
    metric = json.dumps({"name": objective.get("primaryMetric"), "goal": objective.get("goal")})
    values = {
        "max_concurrent_jobs": str(limits.get("maxConcurrentTrials")),
        "max_total_jobs": str(limits.get("maxTotalTrials")),
        "primary_metric_config": metric,
        "platform_config": json.dumps({"ServiceAddress": "", "padding": "x" * _SWEEP_PLATFORM_SIZE}),
        "all_jobs_generated": "false",
        "cancellation_requested": "false",
        "samples_generated_count": "0",
    }
    return {
        "tags": {**common["tags"], **{f"_aml_system_{key}": values.get(key, "null") for key in _SWEEP_TAGS}},
        "properties": {
            **common["properties"],
            "primary_metric_config": metric,
            "resume_from": "null",
            "runTemplate": "HyperDrive",
            "azureml.runsource": "hyperdrive",
            "platform": "AML",
            "ContentSnapshotId": "",
            "user_agent": "managementfrontend",
        },
        "searchSpace": sent.get("searchSpace") or {},
        "samplingAlgorithm": {
            "samplingAlgorithmType": _capital(algorithm.get("samplingAlgorithmType") or "Random"),
            "seed": algorithm.get("seed"),
            "logbase": algorithm.get("logbase"),
            "rule": _capital(algorithm.get("rule") or "Random"),
        },
        "limits": {
            "timeout": limits.get("timeout") or "PT2H",
            "jobLimitsType": "Sweep",
            "maxTotalTrials": limits.get("maxTotalTrials") or 1,
            "maxConcurrentTrials": limits.get("maxConcurrentTrials") or 1,
            "trialTimeout": limits.get("trialTimeout"),
        },
        "earlyTermination": sent.get("earlyTermination"),
        "objective": {
            "primaryMetric": objective.get("primaryMetric"),
            "goal": _capital(objective.get("goal") or "Maximize"),
        },
        "trial": {
            "codeId": trial.get("codeId"),
            "command": trial.get("command"),
            "environmentId": environment_id(exchange.workspace, trial.get("environmentId")),
            "environmentVariables": trial.get("environmentVariables") or {},
            "distribution": trial.get("distribution"),
            "resources": resources(trial.get("resources")),
        },
        "queueSettings": _queue(sent),
        "resources": resources(sent.get("resources")),
        "componentConfiguration": sent.get("componentConfiguration"),
    }


_AUTOML_NULLS = (
    "sweepSettings",
    "fixedParameters",
    "searchSpace",
    "nCrossValidations",
    "cvSplitColumnNames",
    "weightColumnName",
    "validationData",
    "testData",
    "validationDataSize",
    "testDataSize",
    "positiveLabel",
)
_AUTOML_LIMITS = {
    "maxTrials": 1000,
    "trialTimeout": "PT30M",
    "timeout": "PT6H",
    "maxConcurrentTrials": 1,
    "maxNodes": 1,
    "maxCoresPerTrial": -1,
    "exitScore": None,
    "enableEarlyTermination": True,
    "sweepTrials": 0,
    "sweepConcurrentTrials": 0,
}
_AUTOML_TRAINING = {
    "enableOnnxCompatibleModels": False,
    "stackEnsembleSettings": None,
    "enableStackEnsemble": True,
    "enableVoteEnsemble": True,
    "ensembleModelDownloadTimeout": "PT5M",
    "enableModelExplainability": True,
    "enableDnnTraining": False,
    "trainingMode": "Auto",
    "allowedTrainingAlgorithms": None,
    "blockedTrainingAlgorithms": None,
}
_AUTOML_FEATURES: Properties = {
    "datasetLanguage": None,
    "mode": "Auto",
    "blockedTransformers": None,
    "columnNameAndTypes": None,
    "transformerParams": {},
    "enableDnnFeaturization": False,
}
_AUTOML_LATER = (
    "num_iterations",
    "training_type",
    "acquisition_function",
    "primary_metric",
    "train_split",
    "acquisition_parameter",
    "num_cross_validation",
    "target",
    "AMLSettingsJsonString",
    "EnableSubsampling",
    "ClientType",
    "_aml_system_scenario_identification",
    "PlatformVersion",
    "environment_cpu_name",
    "environment_cpu_label",
    "environment_gpu_name",
    "environment_gpu_label",
    "root_attribution",
    "attribution",
    "Orchestrator",
    "CancelUri",
    "mltable_data_json",
    "snapshotId",
    "SetupRunId",
    "SetupRunContainerId",
)


def _automl(exchange: Exchange, name: str, sent: Properties, common: Properties) -> Properties:
    """Enum values come back with a capital; no default output; secretsConfiguration is an empty map."""
    task = sent.get("taskDetails") or {}
    features = task.get("featurizationSettings") or {}
    details = {
        **dict.fromkeys(_AUTOML_NULLS),
        **task,
        "logVerbosity": _capital(task.get("logVerbosity") or "Info"),
        "taskType": task.get("taskType"),
        "trainingData": read_input(task.get("trainingData") or {}),
        "targetColumnName": task.get("targetColumnName"),
        "primaryMetric": task.get("primaryMetric"),
        "limitSettings": {**_AUTOML_LIMITS, **(task.get("limitSettings") or {})},
        "trainingSettings": {**_AUTOML_TRAINING, **(task.get("trainingSettings") or {})},
        "featurizationSettings": {
            **_AUTOML_FEATURES,
            **features,
            "mode": _capital(features.get("mode") or "Auto"),
            "transformerParams": features.get("transformerParams") or {},
        },
    }
    return {
        "secretsConfiguration": {},
        "resources": resources(sent.get("resources")),
        "environmentId": sent.get("environmentId"),
        "environmentVariables": sent.get("environmentVariables"),
        "taskDetails": details,
        "queueSettings": _queue(sent),
    }


def automl_runs(properties: Properties) -> None:
    """Add what the service adds once an AutoML job runs: four tags, 29 properties, two of them null."""
    properties["tags"] |= {
        "_aml_system_automl_mltable_data_json": "{}",
        "model_explain_run": "best_run",
        "_aml_system_automl_run_workspace_id": "",
        "_aml_system_azureml.automlComponent": "AutoML",
    }
    properties["properties"] |= {
        **dict.fromkeys(_AUTOML_LATER, ""),
        "runTemplate": "AutoML",
        "azureml.runsource": "automl",
        "DataPrepJsonString": None,
        "ClientSdkVersion": None,
    }


def _other(exchange: Exchange, name: str, sent: Properties, common: Properties) -> Properties:
    """A successful Spark job was not recorded: what was sent comes back, with the queue that all have."""
    return {**{key: value for key, value in sent.items() if key not in common}, "queueSettings": _queue(sent)}


_PARTICULARS: dict[str, Callable[[Exchange, str, Properties, Properties], Properties]] = {
    "Command": _command,
    "Pipeline": _pipeline,
    "Sweep": _sweep,
    "AutoML": _automl,
}


# Schedules -----------------------------------------------------------------------------------------------------------


def definition(exchange: Exchange, sent: Properties) -> Properties:
    """Return the job inside a schedule: what was sent, with null for what was not (recorded_shapes/schedule.json)."""
    common: Properties = {
        "description": sent.get("description"),
        "tags": sent.get("tags"),
        "properties": sent.get("properties"),
        "displayName": sent.get("displayName"),
        "status": "NotStarted",
        "experimentName": "Default" if sent.get("experimentName") is None else sent["experimentName"],
        "services": None,
        "computeId": sent.get("computeId"),
        "isArchived": bool(sent.get("isArchived")),
        "identity": sent.get("identity"),
        "componentId": sent.get("componentId"),
        "notificationSetting": sent.get("notificationSetting"),
        "secretsConfiguration": None,
        "jobType": sent["jobType"],
        "inputs": {key: read_input(item) for key, item in sent["inputs"].items()} if "inputs" in sent else None,
        "outputs": sent.get("outputs"),
    }
    if sent["jobType"] == "Pipeline":
        common |= {key: sent.get(key) for key in ("settings", "jobs", "sourceJobId")}
    elif sent["jobType"] == "Command":
        common |= {**_command(exchange, "", sent, {"properties": {}}), "parameters": None, "queueSettings": None}
        common["properties"] = sent.get("properties")
    else:
        common |= {key: value for key, value in sent.items() if key not in common}
    return for_version(common, exchange.api_version)
