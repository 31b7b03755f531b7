"""Where a resource that exists differs from what a spec asks for. Pure."""

from __future__ import annotations

import re
from typing import Any

# Members that hold a secret, in any noun's body: the service does not tell them, and nobody prints them.
_SECRET = {"adminuserpassword", "primarykey", "secondarykey", "accountkey", "sastoken", "clientsecret"}
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.IGNORECASE)


def differences(asked: Any, found: Any, path: str = "") -> list[str]:
    """
    Return where a resource differs from what a spec asks for; what the service does not say, it does not differ in.

    Text is compared without case, as the service writes sizes and enumerations its own way, and durations by their
    length. Secrets are left out.

    :param asked: of the body that the spec makes.
    :param found: the same part of the body that the service shows.
    :param path: what comes before the names of members in what is returned.
    :return: one text for each: ``scale.max is 2, not 4``.
    """
    if isinstance(asked, dict) and isinstance(found, dict):
        return [
            difference
            for key, value in asked.items()
            if key.lower() not in _SECRET
            for difference in differences(value, found.get(key), f"{path}.{key}".strip("."))
        ]
    if isinstance(asked, list) and isinstance(found, list) and len(asked) == len(found):
        pairs = enumerate(zip(asked, found, strict=True))
        return [text for at, (one, other) in pairs for text in differences(one, other, f"{path}[{at}]")]
    if found is None or asked is None or _same(asked, found):
        return []
    return [f"{path} is {'empty' if found == '' else found}, not {asked}"]


def taken_out(asked: dict[str, Any], found: dict[str, Any], defaults: dict[str, Any]) -> list[str]:
    """
    Return what a resource has that a spec does not ask for any more.

    The service adds much by itself that no spec asks for. So only those settings count that a spec can have, and only
    where they are not what the service takes when the spec has none.

    :param asked: the body that the spec makes.
    :param found: the body that the service shows.
    :param defaults: path of each such setting (``properties.subnet``) -> what the service takes without it.
    :return: one text for each: ``subnet is {...}, and is not asked for``.
    """
    texts = []
    for path, default in defaults.items():
        have = _at(found, path)
        if _at(asked, path) is None and not _empty(have) and not _same(have, default):
            texts.append(f"{path.removeprefix('properties.')} is {have}, and is not asked for")
    return texts


def _at(body: Any, path: str) -> Any:
    for key in path.split("."):
        body = body.get(key) if isinstance(body, dict) else None
    return body


def _empty(value: Any) -> bool:
    """Return whether a value says as little as none: the service writes empty lists and objects for what is not set."""
    if isinstance(value, dict):
        return all(_empty(inner) for inner in value.values())
    return value is None or value in ("", [])


def _same(one: Any, other: Any) -> bool:
    if str(one).lower() == str(other).lower():
        return True
    length = _seconds(one)
    return length is not None and length == _seconds(other)


def _seconds(value: Any) -> float | None:
    """Return the length of an ISO 8601 duration; None if it is none."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) and len(value) > 2 else None
    if match is None:
        return None
    return sum(float(part or 0) * size for part, size in zip(match.groups(), (86400, 3600, 60, 1), strict=True))
