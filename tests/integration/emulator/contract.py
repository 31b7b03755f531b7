"""Holds answers of the emulator against Microsoft's published contract: the typed models inside azure-ai-ml.

They are those of api-version 2025-12-01. Types, required members and enum values are compared for every answer;
members that a model does not have are refused at stable api-versions, as previews have members of their own
(recorded_shapes/ and core/versions.py see to those).
"""

from __future__ import annotations

import datetime
import re
import types
import typing
import warnings
from collections.abc import Iterator
from enum import Enum
from functools import cache
from typing import Any

from airflow_provider_azureml.emulator.core.versions import STABLE

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from azure.ai.ml._restclient.arm_ml_service import models
    from azure.ai.ml._restclient.arm_ml_service._utils.model_base import Model

# What a path leads to, by its nouns below Microsoft.MachineLearningServices.
RESOURCES: dict[str, str] = {
    "workspaces": "Workspace",
    "workspaces/jobs": "JobBase",
    "workspaces/models": "ModelContainer",
    "workspaces/models/versions": "ModelVersion",
    "workspaces/data": "DataContainer",
    "workspaces/data/versions": "DataVersionBase",
    "workspaces/environments": "EnvironmentContainer",
    "workspaces/environments/versions": "EnvironmentVersion",
    "workspaces/components": "ComponentContainer",
    "workspaces/components/versions": "ComponentVersion",
    "workspaces/codes": "CodeContainer",
    "workspaces/codes/versions": "CodeVersion",
    "workspaces/datastores": "Datastore",
    "workspaces/computes": "ComputeResource",
    "workspaces/onlineEndpoints": "OnlineEndpoint",
    "workspaces/onlineEndpoints/deployments": "OnlineDeployment",
    "workspaces/batchEndpoints": "BatchEndpoint",
    "workspaces/batchEndpoints/deployments": "BatchDeployment",
    "workspaces/schedules": "Schedule",
    "workspaces/connections": "WorkspaceConnectionPropertiesV2BasicResource",
    "registries": "Registry",
}
ACTIONS: dict[str, str] = {
    "workspaces/datastores/listSecrets": "DatastoreSecrets",
    "workspaces/onlineEndpoints/listKeys": "EndpointAuthKeys",
    "workspaces/batchEndpoints/listKeys": "EndpointAuthKeys",
    "workspaces/onlineEndpoints/token": "EndpointAuthToken",
    "workspaces/onlineEndpoints/deployments/getLogs": "DeploymentLogs",
    "workspaces/listKeys": "ListWorkspaceKeysResult",
    **{
        f"workspaces/{noun}/versions/startPendingUpload": "PendingUploadResponseDto"
        for noun in ("codes", "models", "data", "environments", "components")
    },
    "locations/vmSizes": "VirtualMachineSizeListResult",
}

JUSTIFIED: dict[str, str] = {
    r"status is 'Hibernating'": "a test scripts a status that does not exist",
    r"credentials\.(clientId|tenantId) of": "the datastores that `create_datastore` makes up name no principal",
    r"credentials\.secrets of \w+ missing": "secrets go in and never come out of GET (recorded_shapes/datastore.json)",
    r"systemDatastoresAuthMode is '(accesskey|identity)'": "recorded in lower case (recorded_shapes/workspace.json)",
    r"is not a member of (Workspace|WorkspaceProperties|ManagedNetworkSettings)$": "recorded, and not published",
    r"(jobs|schedules)\b.*\.(properties|tags)\.\* is null": "recorded: two of AutoML's properties, those of a schedule",
    r"GET .*/jobs/\{name\} .*: properties (of JobBase missing|is null)": "recorded of a pipeline's step; null: the SDK",
    # What azure-ai-ml sends at its own api-version and reads back; whether a stable one keeps it is not known.
    r"properties\.resources is not a member of SweepJob$": "sent by the SDK, and recorded at previews (job.json)",
    r"properties\.samplingAlgorithm\.logbase is not a member of RandomSamplingAlgorithm$": "the same",
}
"""Where the emulator differs from the models on purpose: patterns of complaints, and why."""

_PREFIX = "/providers/Microsoft.MachineLearningServices/"
Answer = dict[str, Any]


def complaints(answer: Answer) -> Iterator[str]:
    """Yield what is wrong with an answer, but for what is justified."""
    if answer["host"] != "management.azure.com" or not answer["body"]:
        return
    model, many = _model_of(answer)
    if model is None:
        return
    strict = answer["api_version"] in STABLE
    bodies = answer["body"]["value"] if many else [answer["body"]]
    for body in bodies:
        for complaint in _check(model, body, "", strict=strict):
            text = f"{answer['method']} {answer['template']} at {answer['api_version']}: {complaint}"
            if not any(re.search(pattern, text) for pattern in JUSTIFIED):
                yield text


def _model_of(answer: Answer) -> tuple[type[Model] | None, bool]:
    if answer["status"] >= 400:
        return models.ErrorResponse, False
    _, found, below = answer["path"].partition(_PREFIX)
    segments = below.strip("/").split("/") if found else []
    if not segments or answer["status"] >= 300:
        return None, False
    many = len(segments) % 2 == 1
    noun = "/".join(segments[::2])
    if many and noun in ACTIONS:
        return getattr(models, ACTIONS[noun]), False
    name = RESOURCES.get(noun)
    if answer["method"] in ("POST", "DELETE") or name is None:
        return None, False
    return getattr(models, name), many


@cache
def _fields(model: type[Model]) -> dict[str, tuple[Any, bool]]:
    """Return the members of a model by their names on the wire, each with its type and whether it is the kind's."""
    module = vars(__import__(model.__module__, fromlist=["x"]))
    hints = typing.get_type_hints(model, {**module, "_models": models})
    found = {}
    for base in reversed(model.__mro__):
        for attribute, field in vars(base).items():
            if hasattr(field, "_rest_name_input"):
                name = field._rest_name_input or attribute
                found[name] = (hints[attribute], field._is_discriminator)
    return found


def _check(model: type[Model], body: Any, path: str, *, strict: bool) -> Iterator[str]:
    if not isinstance(body, dict):
        yield f"{path} is {body!r:.60} instead of {model.__name__}"
        return
    model, wrong = _kind(model, body)
    if wrong:
        yield f"{path} {wrong}"
    fields = _fields(model)
    for name, (hint, _) in fields.items():
        here = f"{path}.{name}".lstrip(".")
        if name in body:
            yield from _check_type(hint, body[name], here, strict=strict)
        elif not _optional(hint):
            yield f"{here} of {model.__name__} missing"
    for name in body.keys() - fields.keys() if strict else ():
        yield f"{path}.{name}".lstrip(".") + f" is not a member of {model.__name__}"


def _kind(model: type[Model], body: dict[str, Any]) -> tuple[type[Model], str]:
    """Return which of a model's kinds a body is."""
    while mapping := getattr(model, "__mapping__", None):
        name = next((name for name, (_, kind) in _fields(model).items() if kind), None)
        if name is None or name not in body or "__mapping__" not in vars(model):
            break
        if body[name] not in mapping:
            return model, f"{name} is {body[name]!r}, which is no kind of {model.__name__}"
        if mapping[body[name]] is model:
            break
        model = mapping[body[name]]
    return model, ""


def _optional(hint: Any) -> bool:
    return type(None) in typing.get_args(hint)


_PLAIN: dict[Any, tuple[type, ...]] = {
    str: (str,),
    int: (int,),
    float: (int, float),
    bool: (bool,),
    datetime.datetime: (str,),
    datetime.timedelta: (str,),
}


def _check_type(hint: Any, value: Any, path: str, *, strict: bool) -> Iterator[str]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return
    if value is None:
        if not _optional(hint):
            yield f"{path} is null"
    elif origin in (typing.Union, types.UnionType):
        yield from _check_union([one for one in arguments if one is not type(None)], value, path, strict=strict)
    elif origin is typing.Literal:
        if value not in [getattr(one, "value", one) for one in arguments]:
            yield f"{path} is {value!r}"
    elif origin in (list, dict):
        yield from _check_many(origin, arguments, value, path, strict=strict)
    elif isinstance(hint, type) and issubclass(hint, Model):
        yield from _check(hint, value, path, strict=strict)
    else:
        yield from _check_plain(hint, value, path)


def _check_plain(hint: Any, value: Any, path: str) -> Iterator[str]:
    if isinstance(hint, type) and issubclass(hint, Enum):
        if value not in {one.value for one in hint}:
            yield f"{path} is {value!r}, which is no {hint.__name__}"
    elif hint in _PLAIN and (not isinstance(value, _PLAIN[hint]) or (isinstance(value, bool) and hint is not bool)):
        yield f"{path} is {value!r:.60} instead of {hint.__name__}"


def _check_union(kinds: list[Any], value: Any, path: str, *, strict: bool) -> Iterator[str]:
    """An enum that may be extended is a union with str: the enum alone tells which values are known."""
    enums = [one for one in kinds if isinstance(one, type) and issubclass(one, Enum)]
    found = [list(_check_type(one, value, path, strict=strict)) for one in enums or kinds]
    yield from min(found, key=len)


def _check_many(origin: type, arguments: Any, value: Any, path: str, *, strict: bool) -> Iterator[str]:
    if not isinstance(value, origin):
        yield f"{path} is {value!r:.60} instead of a {origin.__name__}"
        return
    for item in value.values() if isinstance(value, dict) else value:
        yield from _check_type(arguments[-1], item, f"{path}.*" if origin is dict else f"{path}[]", strict=strict)
