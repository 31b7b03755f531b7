"""An announcement in events of a size that Airflow, its database and its UI bear. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from ...datasets.events import AssetVersion

MOST = 100  # versions in one event
ROOM = 64_000  # bytes of JSON in one event


def pieces(versions: Iterable[AssetVersion]) -> Iterator[list[AssetVersion]]:
    """Yield versions, in order, as much as one event holds; one that needs more room has an event of its own."""
    piece: list[AssetVersion] = []
    used = 0
    for version in versions:
        needed = len(json.dumps(version.to_dict()))
        if piece and (len(piece) >= MOST or used + needed > ROOM):
            yield piece
            piece, used = [], 0
        piece.append(version)
        used += needed
    if piece:
        yield piece
