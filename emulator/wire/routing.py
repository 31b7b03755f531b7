"""From a method and a path to the function that answers: case-insensitive like ARM, in time that does not grow.

A template is a path with `{names}`; `{workspace}` stands for the whole ARM id of a workspace, `{data_plane}` and
`{registry}` for the same below the data plane's prefix. The function gets the exchange and the other names as keyword
arguments.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlencode

from .arm import MANAGEMENT, PROVIDER, Author, Reply, invalid

if TYPE_CHECKING:
    from .app import Service
    from .workspaces import Holder

_GROUP = f"/subscriptions/{{subscription_}}/resourceGroups/{{group_}}/providers/{PROVIDER}"
_ROOTS = {
    "{workspace}": f"{_GROUP}/workspaces/{{workspace_}}",
    "{data_plane}": f"/mferp/managementfrontend{_GROUP}/workspaces/{{workspace_}}",
    "{registry}": f"/mferp/managementfrontend{_GROUP}/registries/{{registry_}}",
    "{location}": f"/subscriptions/{{subscription_}}/providers/{PROVIDER}/locations/{{location_}}",
}


@dataclass(slots=True)
class Exchange:
    """One call on its way through the service."""

    service: Service
    method: str
    host: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes
    author: Author
    principal: str
    now: float
    holder: Holder | None = None
    draws: str | None = None
    """The bucket of limits that the call draws from, where it is not that of its method."""
    operation_error: dict[str, str] | None = None
    """What the long-running operation that the call begins is to end with, if it is to fail."""

    @property
    def workspace(self) -> Holder:
        """The workspace (or registry) that the path names."""
        assert self.holder is not None
        return self.holder

    @property
    def api_version(self) -> str:
        """The api-version that the caller asked for."""
        return self.query.get("api-version", "")

    @property
    def url(self) -> str:
        """The URL of the call as Location repeats it: resource and the caller's query string."""
        return f"{MANAGEMENT}{self.path}?{urlencode(self.query)}"

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object."""
        try:
            body = json.loads(self.body)
        except ValueError:
            raise invalid("The request body is not valid JSON.") from None
        if not isinstance(body, dict):
            raise invalid("The request body is not a JSON object.")
        return body


Handler = Callable[..., Any]
"""Takes an exchange and the template's names; returns a Reply, or an awaitable of one."""


@dataclass(slots=True)
class _Node:
    literal: dict[str, _Node] = field(default_factory=dict)
    named: _Node | None = None
    handlers: dict[str, tuple[Handler, tuple[str, ...]]] = field(default_factory=dict)


class Routes:
    """The table of routes, a tree of path segments."""

    def __init__(self) -> None:
        self._root = _Node()

    def add(self, method: str, template: str, handler: Handler) -> None:
        """Let `handler` answer `method` on paths of the form of `template`."""
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
        node.handlers[method] = (handler, tuple(names))

    def find(self, method: str, path: str) -> tuple[Handler, dict[str, str]] | None:
        """Return the handler and the values of the template's names, or None."""
        found = self._walk(self._root, path.strip("/").split("/"), 0, method, [])
        if found is None:
            return None
        (handler, names), values = found
        return handler, dict(zip(names, values, strict=True))

    def _walk(
        self, node: _Node, segments: list[str], index: int, method: str, values: list[str]
    ) -> tuple[tuple[Handler, tuple[str, ...]], list[str]] | None:
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
