"""
What a job or deployment refers to by name: looked for before code is uploaded and anything is made.

The look must never fail a spec that azure-ai-ml takes. So it reads no SDK objects, which answer to attributes that they
do not have: it reads the plain dict that the SDK writes for an entity (what ``print(job)`` shows), and passes over what
it does not understand. Only Azure's clear answer that something does not exist is an error.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..datasets.workspace import kind_of_type
from .errors import PermissionDeniedError, RequestRefusedError, SpecError
from .sdk import quietly

if TYPE_CHECKING:
    from .rest.client import WorkspaceClient

log = logging.getLogger(__name__)

# The SDK's words for computes that are not a resource of the workspace.
_NO_COMPUTE = ("local", "serverless")
_AUTOML_DATA = ("training_data", "validation_data", "test_data")
_NAME = re.compile(r"(?:azureml:)?([A-Za-z0-9_.-]+)")
# AzureML itself looks for AzureML-...: its curated environments are not in the workspace.
_NAME_AND_LABEL = re.compile(r"azureml:(?!AzureML-)([A-Za-z0-9_.-]+)@[A-Za-z0-9_.-]+")
_NAME_AND_VERSION = re.compile(r"azureml:(?!AzureML-)([A-Za-z0-9_.-]+):([A-Za-z0-9_.-]+)")


async def check_references(client: WorkspaceClient, entity: Any, *, noun: str) -> None:
    """
    Look for the computes, environments, components, data and models of the workspace that an SDK entity names.

    AzureML itself takes most such jobs, and lets them fail minutes later. Of a name with a label (``@latest``) the name
    is looked for. Files, URLs and what is in a registry are left to the SDK; so is what the connection's identity may
    not read.

    :param noun: what refers to them, for messages: ``job``.
    :raises SpecError: one of them does not exist.
    """
    for path in await asyncio.to_thread(references, entity):
        kind = "data asset" if path[0] == "data" else path[0].removesuffix("s")
        what = " version ".join([f"{kind} {path[1]!r}", *path[3:]])
        try:
            exists = await client.find_resource(*path) is not None
        except (PermissionDeniedError, RequestRefusedError) as error:
            log.info("Whether the %s's %s exists is not known: %s", noun, what, error)
            continue
        if not exists:
            workspace = client.connection.workspace.label
            raise SpecError(f"The {noun}'s {what} does not exist in workspace {workspace}. Nothing was made.")


def references(entity: Any) -> list[tuple[str, ...]]:
    """Return where each of them is below the workspace: ``("computes", NAME)``, ``("data", NAME, "versions", V)``."""
    try:
        with quietly():
            return sorted(set(_named(_written(_copied(entity)))))
    except Exception as error:  # noqa: BLE001 - whatever it is, the SDK may still take the spec
        log.info("What a %s names is not looked for: azure-ai-ml cannot print it (%r).", type(entity).__name__, error)
        return []


def _copied(entity: Any) -> Any:
    """Return a copy, as the SDK changes identities while it prints them; nodes have no copy, and stay as they are."""
    try:
        return copy.deepcopy(entity)
    except Exception:  # noqa: BLE001 - nodes answer to __deepcopy__ with a KeyError
        return entity


def _written(entity: Any) -> Any:
    try:
        return entity._to_dict()
    except Exception:
        if getattr(entity, "type", None) != "automl":
            raise
    # It cannot print AutoML jobs that were read from YAML with outputs or a sweep.
    data = {key: getattr(entity, key, None) for key in _AUTOML_DATA}
    inputs = {
        key: {"type": value.type, "path": f"azureml:{str(value.path).removeprefix('azureml:')}"}
        for key, value in data.items()
        if value is not None
    }
    return {"compute": entity.compute, **inputs}


def _named(spec: Any) -> Iterator[tuple[str, ...]]:
    """Yield them for a spec as the SDK writes it; below the keys that users name (tags, variables) nothing is meant."""
    if not isinstance(spec, Mapping):
        return
    for compute in (spec.get("compute"), _mapping(spec, "settings").get("default_compute")):
        if isinstance(compute, str) and (match := _NAME.fullmatch(compute)) and match[1].lower() not in _NO_COMPUTE:
            yield "computes", match[1]
    for key, collection in (("environment", "environments"), ("component", "components"), ("model", "models")):
        yield from _version(collection, spec.get(key))
    inputs = _mapping(spec, "inputs").values()
    for value in (*inputs, *(spec.get(key) for key in _AUTOML_DATA)):
        if isinstance(value, Mapping):
            yield from _version(kind_of_type(value.get("type")).collection, value.get("path"))
    for part in (spec.get("component"), spec.get("trial"), spec.get("task"), *_mapping(spec, "jobs").values()):
        yield from _named(part)


def _mapping(spec: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = spec.get(key)
    return found if isinstance(found, Mapping) else {}


def _version(collection: str, reference: Any) -> Iterator[tuple[str, ...]]:
    if isinstance(reference, str) and (match := _NAME_AND_VERSION.fullmatch(reference)):
        yield collection, match[1], "versions", match[2]
    elif isinstance(reference, str) and (match := _NAME_AND_LABEL.fullmatch(reference)):
        yield collection, match[1]
