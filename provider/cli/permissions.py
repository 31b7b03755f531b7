"""What an identity has to be allowed: what sensors, watchers and operators do in Azure, and a role that allows it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_WORKSPACES = "Microsoft.MachineLearningServices/workspaces"
_READ = ("read", "*/read")

# What a connection is used for -> what its role allows below the workspace. `*` as in Azure's role definitions.
PURPOSES: dict[str, tuple[str, ...]] = {
    "sensor": _READ,
    "watcher": _READ,
    "operator": (
        *_READ,
        *(f"{noun}/*" for noun in ("data", "models", "jobs", "codes", "environments", "components", "schedules")),
        "datastores/listSecrets/action",
    ),
    "endpoint": (*_READ, "models/*", "codes/*", "environments/*", "onlineEndpoints/*", "batchEndpoints/*"),
    "compute": (*_READ, "computes/*"),
}
# Of each pattern the actions by which it is told whether an identity is allowed it.
_SAMPLES = {
    "read": ("read",),
    "*/read": ("jobs/read", "models/versions/read", "data/versions/read"),
    "jobs/*": ("jobs/write", "jobs/cancel/action"),
    "computes/*": ("computes/write", "computes/delete", "computes/start/action", "computes/stop/action"),
}


def missing(purposes: Iterable[str], permissions: Sequence[Mapping[str, Any]]) -> list[str]:
    """
    Return the actions that some purposes need and an identity is not allowed.

    :param purposes: of ``PURPOSES``.
    :param permissions: as ARM lists them for a resource: ``[{"actions": [...], "notActions": [...]}]``.
    """
    patterns = dict.fromkeys(pattern for purpose in purposes for pattern in PURPOSES[purpose])
    needed = dict.fromkeys(action for pattern in patterns for action in _samples(pattern))
    return [action for action in (f"{_WORKSPACES}/{short}" for short in needed) if not _allowed(permissions, action)]


def role_definition(purposes: Iterable[str], scope: str) -> dict[str, Any]:
    """
    Return a custom role for some purposes, as ``az role definition create --role-definition`` takes it.

    :param purposes: of ``PURPOSES``.
    :param scope: the id of the workspace, resource group or subscription that it may be given at.
    """
    purposes = list(dict.fromkeys(purposes))
    actions = dict.fromkeys(f"{_WORKSPACES}/{pattern}" for purpose in purposes for pattern in PURPOSES[purpose])
    return {
        "Name": f"Airflow AzureML {' and '.join(purposes)}",
        "IsCustom": True,
        "Description": f"What Airflow's AzureML {', '.join(purposes)} need in an AzureML workspace.",
        "Actions": [*actions, "Microsoft.Authorization/permissions/read"],
        "NotActions": [],
        "DataActions": [],
        "NotDataActions": [],
        "AssignableScopes": [scope],
    }


def _samples(pattern: str) -> tuple[str, ...]:
    noun, _, rest = pattern.partition("/")
    if found := _SAMPLES.get(pattern):
        return found
    if rest != "*":
        return (pattern,)
    return (f"{noun}/write", f"{noun}/delete") if noun.endswith("Endpoints") else (f"{noun}/versions/write",)


def _allowed(permissions: Sequence[Mapping[str, Any]], action: str) -> bool:
    return any(
        any(_matches(pattern, action) for pattern in permission.get("actions") or ())
        and not any(_matches(pattern, action) for pattern in permission.get("notActions") or ())
        for permission in permissions
    )


def _matches(pattern: str, action: str) -> bool:
    # Between slashes `*` stands for nothing as well: Azure's own roles take workspaces/write out of workspaces/*/write.
    expression = re.escape(pattern).replace(r"/\*/", "/(?:.*/)?").replace(r"\*", ".*")
    return re.fullmatch(expression, action, re.IGNORECASE) is not None
