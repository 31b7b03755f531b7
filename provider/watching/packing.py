"""JSON that takes little room: what is long is compressed, and what comes back is bounded. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from typing import Any

_PLAIN = 2_000  # characters up to which a person should be able to read it
_MOST = 32 * 1024 * 1024  # bytes; more than any cursor takes


def pack(value: Any) -> Any:
    """Return the same as JSON, or if that is long, ``{"zlib": base64 of it}``."""
    text = json.dumps(value, separators=(",", ":"))
    if len(text) <= _PLAIN:
        return value
    return {"zlib": base64.b64encode(zlib.compress(text.encode(), 9)).decode()}


def unpack(value: Any) -> Any:
    """
    Return what :func:`pack` was given.

    :raises ValueError: it is nothing that :func:`pack` wrote.
    """
    if not isinstance(value, dict) or "zlib" not in value:
        return value
    try:
        stream = zlib.decompressobj()
        text = stream.decompress(base64.b64decode(value["zlib"], validate=True), _MOST)
        if stream.unconsumed_tail:
            raise ValueError("it is too long")
        return json.loads(text)
    except (TypeError, ValueError, binascii.Error, zlib.error, RecursionError) as error:
        raise ValueError(f"compressed state: {error}") from None
