"""What a job or deployment refers to by name: looked for before code is uploaded and anything is made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .errors import SpecError
from .rest.bodies import kind_of_type
from .sdk import is_entity

if TYPE_CHECKING:
    from .rest.client import WorkspaceClient

# The SDK's words for computes that are not a resource of the workspace.
_NO_COMPUTE = ("", "local", "serverless")
_NAME_AND_VERSION = re.compile(r"(?:azureml:)?([A-Za-z0-9_.-]+):([A-Za-z0-9_.-]+)")
_NAME = re.compile(r"(?:azureml:)?([A-Za-z0-9_.-]+)")


async def check_references(client: WorkspaceClient, entity: Any, *, noun: str) -> None:
    """
    Look for the computes, environments, components, data and models of the workspace that an SDK entity names.

    AzureML itself takes most such jobs, and lets them fail minutes later. Names with ``@latest``, files, URLs and what
    is in a registry are left to the SDK.

    :param noun: what refers to them, for messages: ``job``.
    :raises SpecError: one of them does not exist.
    """
    for path in sorted(set(_references(entity))):
        if await client.find_resource(*path) is None:
            kind = "data asset" if path[0] == "data" else path[0].removesuffix("s")
            what = " version ".join([f"{kind} {path[1]!r}", *path[3:]])
            workspace = client.connection.workspace.label
            raise SpecError(f"The {noun}'s {what} does not exist in workspace {workspace}. Nothing was made.")


def _references(entity: Any) -> Iterator[tuple[str, ...]]:
    """Yield where each of them is below the workspace."""
    compute = getattr(entity, "compute", None)
    if isinstance(compute, str) and compute.lower() not in _NO_COMPUTE and (match := _NAME.fullmatch(compute)):
        yield "computes", match[1]
    yield from _versions("environments", getattr(entity, "environment", None))
    yield from _versions("models", getattr(entity, "model", None))
    for value in _values(entity, "inputs"):
        value = getattr(value, "_data", None) or value  # inside a pipeline the SDK wraps inputs
        kind = kind_of_type(getattr(value, "type", None))
        yield from _versions(kind.collection, getattr(value, "path", None))
    component = getattr(entity, "component", None)
    yield from _versions("components", component)
    # The SDK's nodes answer to any attribute, so only a sweep is asked for its trial.
    trial = entity.trial if getattr(entity, "type", None) == "sweep" else None
    for part in (trial, component, *_values(entity, "jobs")):
        if is_entity(part):
            yield from _references(part)


def _values(entity: Any, name: str) -> list[Any]:
    found = getattr(entity, name, None)
    return list(found.values()) if isinstance(found, dict) else []


def _versions(collection: str, reference: Any) -> Iterator[tuple[str, ...]]:
    if isinstance(reference, str) and (match := _NAME_AND_VERSION.fullmatch(reference)):
        yield collection, match[1], "versions", match[2]
