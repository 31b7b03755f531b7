"""Holds the body of a PUT against Microsoft's published models: what has to be there, and which values are known.

`published.json` is made of the typed models inside azure-ai-ml (dev/published.py). That the service refuses a body that
lacks a required member, or holds a word that is no value of an enumeration, is what the models promise; the words in
which it does are not recorded. Recorded is that it writes such words its own way (`maximize` becomes `Maximize`), so
case does not matter to it. What the service alone writes, it takes from nobody.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from .arm import invalid

_TEXTS = (int, float, bool)


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads((Path(__file__).parent / "published.json").read_text())
    return table


def accept(model: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the body of a model as the service reads it, or raise the refusal of one that it does not take."""
    accepted: dict[str, Any] = _model(model, body, "")
    return accepted


def known(model: str, body: Any) -> Any:
    """Return a body without the members that the published model, or the kind that it is, does not have."""
    if not isinstance(body, dict):
        return body
    while model in _table()["kinds"]:
        by, kinds = _table()["kinds"][model]
        if body.get(by) not in kinds:
            break
        model = kinds[body[by]]
    members = {name: kind.strip("-!") for name, kind in _table()["members"][model].items()}
    return {
        name: known(members[name], value) if members[name] in _table()["members"] else value
        for name, value in body.items()
        if name in members
    }


def _model(name: str, body: Any, path: str) -> Any:
    if not isinstance(body, dict):
        raise invalid(f"Error converting value {json.dumps(body)} to type '{name}'. Path '{path}'.")
    body, own = _kind(name, dict(body), path)
    for member, kind in _table()["members"].get(own, {}).items():
        here = f"{path}.{member}".lstrip(".")
        if kind.startswith("-"):
            body.pop(member, None)
        elif body.get(member) is not None:
            body[member] = _value(kind.removesuffix("!"), body[member], here)
        elif kind.endswith("!"):
            raise invalid(f"Required property '{member}' not found in JSON. Path '{path}'.")
    return body


def _kind(name: str, body: dict[str, Any], path: str) -> tuple[dict[str, Any], str | None]:
    """Return which of a model's kinds a body is, None for one that they lack; its word is in the service's own case."""
    while name in _table()["kinds"]:
        by, kinds = _table()["kinds"][name]
        word = body.get(by)
        if word is None:
            break  # it is missed as a member
        known = next((kind for kind in kinds if kind.lower() == str(word).lower()), None)
        if known is None and path not in ("", "properties"):
            # Previews have kinds that the published models lack, and azure-ai-ml sends some.
            return body, None
        if known is None:
            raise invalid(
                f"Error converting value {json.dumps(word)} to type '{name}'. Path '{f'{path}.{by}'.lstrip('.')}'."
            )
        body[by], name = known, kinds[known]
    return body, name


def _value(kind: str, value: Any, path: str) -> Any:
    if kind.startswith("="):
        words = _table()["enums"][kind[1:]]
        known = next((word for word in words if word.lower() == str(value).lower()), None)
        if known is None:
            raise invalid(f"Error converting value {json.dumps(value)} to type '{kind[1:]}'. Path '{path}'.")
        return known
    if kind.startswith("["):
        return [_value(kind[1:-1], one, f"{path}[{place}]") for place, one in enumerate(_many(list, value, path))]
    if kind.startswith("{"):
        return {
            key: None if one is None else _value(kind[1:-1], one, f"{path}.{key}")
            for key, one in _many(dict, value, path).items()
        }
    if kind == "text":
        return str(value) if isinstance(value, _TEXTS) else value
    return value if kind in ("number", "flag", "any") else _model(kind, value, path)


def _many(kind: type, value: Any, path: str) -> Any:
    if not isinstance(value, kind):
        raise invalid(f"Error converting value {json.dumps(value)} to a {kind.__name__}. Path '{path}'.")
    return value
