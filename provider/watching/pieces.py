"""An announcement in events of a size that Airflow, its database and its UI bear. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable

from ...datasets.events import AssetVersion

MOST = 100  # versions in one event
ROOM = 64_000  # bytes of JSON in one event


def pieces(versions: Iterable[AssetVersion]) -> list[list[AssetVersion]]:
    """Split versions, in order, into what one event holds; a version that needs more room has an event of its own."""
    found: list[list[AssetVersion]] = []
    used = 0
    for version in versions:
        needed = len(json.dumps(version.to_dict()))
        if not found or len(found[-1]) >= MOST or used + needed > ROOM:
            found.append([])
            used = 0
        found[-1].append(version)
        used += needed
    return found
