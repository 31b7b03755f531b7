"""Which noun is at which path: triggers keep a path, as that is what Airflow's database can hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .base import Resource
from .compute import Compute
from .endpoint import Endpoint
from .schedule import Schedule

_NOUNS: dict[str, Callable[..., Resource]] = {
    "computes": Compute.at,
    "onlineEndpoints": Endpoint.at,
    "batchEndpoints": Endpoint.at,
    "schedules": Schedule.at,
}


def resource_at(path: Sequence[str]) -> Resource:
    """
    Return what is at a path below the workspace: the opposite of ``Resource.path``.

    :raises ValueError: no noun is known there.
    """
    try:
        return _NOUNS[path[0]](*path)
    except (KeyError, IndexError, TypeError):
        known = ", ".join(_NOUNS)
        raise ValueError(f"Nothing is known that is at {'/'.join(path)!r} below a workspace; known: {known}.") from None
