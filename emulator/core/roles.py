"""
Azure roles: which actions each allows.

Source: the definitions on Microsoft's page "Azure built-in roles". The data scientist's takes `workspaces/write` out of
`workspaces/*/write`, so between slashes `*` stands for nothing as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from .arm import PROVIDER

_WORKSPACES = f"{PROVIDER}/workspaces"


@dataclass(frozen=True, slots=True)
class Role:
    """What a role allows, and what it takes out of that; `*` stands for anything."""

    actions: tuple[str, ...]
    not_actions: tuple[str, ...] = ()

    def allows(self, action: str) -> bool:
        """Say whether it allows an action such as Microsoft.MachineLearningServices/workspaces/jobs/write."""
        return _any(self.actions, action) and not _any(self.not_actions, action)


BUILT_IN = {
    "Owner": Role(("*",)),
    "Contributor": Role(
        ("*",), ("Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write", "Microsoft.Blueprint/*")
    ),
    "Reader": Role(("*/read",)),
    "AzureML Data Scientist": Role(
        tuple(f"{_WORKSPACES}/*/{verb}" for verb in ("read", "action", "delete", "write")),
        (
            *(f"{_WORKSPACES}/{verb}" for verb in ("delete", "write", "listKeys/action")),
            *(f"{_WORKSPACES}/computes/{verb}" for verb in ("*/write", "*/delete", "listKeys/action")),
            *(f"{_WORKSPACES}/{kind}/{verb}" for kind in ("hubs", "featurestores") for verb in ("write", "delete")),
        ),
    ),
    "AzureML Compute Operator": Role((f"{_WORKSPACES}/computes/*", f"{_WORKSPACES}/notebooks/vm/*")),
}


def _any(patterns: tuple[str, ...], action: str) -> bool:
    return any(_compiled(pattern).fullmatch(action) for pattern in patterns)


@lru_cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"/\*/", "/(?:.*/)?").replace(r"\*", ".*"), re.IGNORECASE)
