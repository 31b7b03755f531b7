"""From a method and a path to the function that answers: case-insensitive like ARM, in time that does not grow.

A template is a path with `{names}`; `{workspace}` stands for the whole ARM id of a workspace, `{data_plane}` and
`{registry}` for the same below the data plane's prefix. The function gets the exchange and the other names as keyword
arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from ..core.arm import PROVIDER, Reply

_GROUP = f"/subscriptions/{{subscription_}}/resourceGroups/{{group_}}/providers/{PROVIDER}"
_ROOTS = {
    "{workspace}": f"{_GROUP}/workspaces/{{workspace_}}",
    "{data_plane}": f"/mferp/managementfrontend{_GROUP}/workspaces/{{workspace_}}",
    "{registry}": f"/mferp/managementfrontend{_GROUP}/registries/{{registry_}}",
    "{arm_registry}": f"{_GROUP}/registries/{{registry_}}",
    "{location}": f"/subscriptions/{{subscription_}}/providers/{PROVIDER}/locations/{{location_}}",
}


Handler = Callable[..., Any]
"""Takes an exchange and the template's names; returns a Reply, or an awaitable of one."""


@dataclass(frozen=True, slots=True)
class Route:
    """What answers a method on a template, and the names in it; `template` is as the module that answers wrote it."""

    handler: Handler
    names: tuple[str, ...]
    template: str


@dataclass(slots=True)
class _Node:
    literal: dict[str, _Node] = field(default_factory=dict)
    named: _Node | None = None
    handlers: dict[str, Route] = field(default_factory=dict)


class Routes:
    """The table of routes, a tree of path segments."""

    def __init__(self) -> None:
        self._root = _Node()

    def add(self, method: str, template: str, handler: Handler) -> None:
        """Let `handler` answer `method` on paths of the form of `template`."""
        written = template
        for short, full in _ROOTS.items():
            template = template.replace(short, full)
        node, names = self._root, []
        for segment in template.strip("/").split("/"):
            if segment.startswith("{"):
                names.append(segment.strip("{}"))
                node.named = node.named or _Node()
                node = node.named
            else:
                node = node.literal.setdefault(segment.lower(), _Node())
        if method in node.handlers:
            raise ValueError(f"two routes for {method} {template}")
        node.handlers[method] = Route(handler, tuple(names), written)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """Return the route and the values of its names, or None."""
        found = self._walk(self._root, path.strip("/").split("/"), 0, method, [])
        if found is None:
            return None
        route, values = found
        return route, dict(zip(route.names, values, strict=True))

    def _walk(
        self, node: _Node, segments: list[str], index: int, method: str, values: list[str]
    ) -> tuple[Route, list[str]] | None:
        if index == len(segments):
            handler = node.handlers.get(method)
            return None if handler is None else (handler, values)
        segment = segments[index]
        branch = node.literal.get(segment.lower())
        if branch is not None:
            found = self._walk(branch, segments, index + 1, method, values)
            if found is not None:
                return found
        if node.named is not None and segment:
            return self._walk(node.named, segments, index + 1, method, [*values, unquote(segment)])
        return None


ROUTES = Routes()


def route(method: str, *templates: str) -> Callable[[Handler], Handler]:
    """Decorate a function that answers `method` on these templates."""

    def register(handler: Handler) -> Handler:
        for template in templates:
            ROUTES.add(method, template, handler)
        return handler

    return register


def ok(body: Any, headers: dict[str, str] | None = None) -> Reply:
    """Return a plain JSON answer."""
    return Reply(200, body, headers or {})
