"""Nouns of which the emulator has none: their lists are empty, and whatever is asked for is not found.

So a workspace answers that uses neither of them. Source of the paths: what azure-ai-ml asks.
"""

from __future__ import annotations

from ..core.arm import PROVIDER, Reply, provider_error
from ..wire.exchange import Exchange
from ..wire.routing import ok, route

_NOUNS = (
    "capabilityHosts",
    "marketplaceSubscriptions",
    "serverlessEndpoints",
)


@route("GET", *(f"{{workspace}}/{noun}" for noun in _NOUNS))
def list_none(exchange: Exchange) -> Reply:
    """Return an empty list."""
    return ok({"value": []})


@route("GET", *(f"{{workspace}}/{noun}/{{name}}" for noun in _NOUNS))
@route("GET", *(f"{{workspace}}/{noun}/{{name}}/versions/{{version}}" for noun in _NOUNS))
def get_none(exchange: Exchange, name: str, version: str = "") -> Reply:
    """Answer that it is not found."""
    raise provider_error(404, f"{PROVIDER} resource {name} not found.", detail=("NotFound", f"{name} not found."))


@route("GET", *(f"{{workspace}}/{noun}/{{name}}/versions" for noun in _NOUNS))
def list_no_versions(exchange: Exchange, name: str) -> Reply:
    """Return an empty list of versions."""
    return ok({"value": []})
