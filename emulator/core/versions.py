"""The api-versions that there are, and the members that a body has in each.

A member belongs to particular previews and never to dates: autoDeleteSetting is in 2023-08-01-preview, and neither in
the stable version of 2024-04 nor in 2025-01-01-preview. Sources: the records of recorded_shapes/, of which each names
its api-version, and Microsoft's published models (2023-04-01, 2025-12-01) where no record shows a stable version. Where
neither tells, a member is left out. Jobs have a table of their own (api/job_bodies.py).
"""

from __future__ import annotations

from typing import Any

FIRST = frozenset({"2022-01-01-preview", "2022-02-01-preview", "2022-05-01", "2022-06-01-preview"})
"""Before there were stages and provisioning states of assets."""

LABELLED = frozenset(
    {
        "2023-02-01-preview",
        "2023-04-01-preview",
        "2023-06-01-preview",
        "2023-08-01-preview",
        "2024-01-01-preview",
        "2024-04-01-preview",
        "2024-07-01-preview",
        "2024-10-01-preview",
    }
)
"""The previews with automatic deletion and intellectual property."""

STABLE = frozenset(
    {
        "2022-10-01",
        "2023-04-01",
        "2023-10-01",
        "2024-04-01",
        "2024-10-01",
        "2025-06-01",
        "2025-09-01",
        "2025-12-01",
    }
)

_OTHER_PREVIEWS = frozenset(
    {
        "2022-10-01-preview",
        "2022-12-01-preview",
        "2025-01-01-preview",
        "2025-04-01-preview",
        "2025-07-01-preview",
        "2025-10-01-preview",
        "2026-01-15-preview",
    }
)

DATA_PLANE = frozenset({"2020-09-01-dataplanepreview", "2021-10-01-dataplanepreview"})

KNOWN = FIRST | LABELLED | STABLE | _OTHER_PREVIEWS
"""Those at which ARM hands calls to the provider."""

_LATER = LABELLED | STABLE | _OTHER_PREVIEWS

_MEMBERS: dict[str, dict[str, frozenset[str]]] = {
    "models": {
        "provisioningState": _LATER,
        "stage": _LATER,
        "autoDeleteSetting": LABELLED,
        "intellectualProperty": LABELLED,
    },
    "data": {"stage": LABELLED, "autoDeleteSetting": LABELLED, "intellectualProperty": LABELLED},
    "environments": {
        "provisioningState": _LATER,
        "stage": _LATER,
        "autoRebuild": _LATER,
        "autoDeleteSetting": LABELLED,
        "intellectualProperty": LABELLED,
    },
    "components": {"provisioningState": _LATER, "stage": LABELLED, "autoDeleteSetting": LABELLED},
    "codes": {"provisioningState": _LATER},
    "featuresets": {},
    "featurestoreEntities": {},
    "datastores": {
        "intellectualProperty": frozenset({"2023-04-01-preview"}),
        "subscriptionId": _LATER,
        "resourceGroup": _LATER,
    },
    "workspaces": {
        "sasGetterUri": KNOWN - {"2023-08-01-preview"},
        **dict.fromkeys(
            (
                "EnableSoftwareBillOfMaterials",
                "allowRoleAssignmentOnRG",
                "creationTime",
                "enableDataIsolation",
                "enableServiceSideCMKEncryption",
                "ipAllowlist",
                "managedNetwork",
                "networkAcls",
                "serverlessComputeSettings",
                "systemDatastoresAuthMode",
            ),
            _LATER,
        ),
    },
}


def visible(noun: str, api_version: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return a body without the properties that an api-version does not have."""
    members = _MEMBERS[noun]
    properties = {
        key: value for key, value in body["properties"].items() if api_version in members.get(key, (api_version,))
    }
    return {**body, "properties": properties}
