"""Lists: order, filters and pages.

A list is `{"value": [...]}`; `nextLink` is absent on the last page, never null, and repeats the caller's query with a
`$skipToken`: gzip in base64, which is not percent-encoded. A page of components held about 50 items
(recorded_shapes/component.json).
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

from ..core.arm import Reply, provider_error
from ..core.owners import Owner
from ..core.store import Document, Entry
from .exchange import Exchange
from .routing import ok

Wanted = Callable[[str, Document], bool]
Render = Callable[[Owner, str, Document], dict[str, Any]]

_ORDERS = {"createdtime": "createdAt", "modifiedtime": "lastModifiedAt"}


def page(
    exchange: Exchange,
    collection: str,
    wanted: Wanted,
    render: Render,
    *,
    size: int,
    newest_first: bool = True,
) -> Reply:
    """Answer with one page of a collection, from where the caller's `$skipToken` says."""
    query = exchange.query
    token = _read(query.get("$skipToken"))
    top = int(token.get("top") or query.get("$top") or query.get("top") or 0)
    room = min(size, top) if top else size

    entries = _ordered(exchange, collection, token.get("after"), newest_first)
    found = list(_take(entries, wanted, room + 1))
    shown = found[:room]
    body: dict[str, Any] = {"value": [render(exchange.workspace, entry.name, entry.document) for entry in shown]}
    left = top - room if top else None
    if len(found) > room and left != 0:
        following = {"after": shown[-1].sequence, **({"top": left} if left else {})}
        body["nextLink"] = _link(exchange, _write(following))
    return ok(body)


def _take(entries: Iterator[Entry], wanted: Wanted, limit: int) -> Iterator[Entry]:
    for entry in entries:
        if wanted(entry.name, entry.document):
            yield entry
            limit -= 1
            if limit == 0:
                return


def _ordered(exchange: Exchange, collection: str, after: int | None, newest_first: bool) -> Iterator[Entry]:
    service, order = exchange.service, exchange.query.get("$orderBy", exchange.query.get("orderBy", ""))
    column, _, direction = order.lower().partition(" ")
    if column == "modifiedtime":
        way = service.config.answers.get("order by change", "honoured")
        if way == "refused":
            raise provider_error(400, f"Cannot order by '{order}'.")
        column = column if way == "honoured" else ""
    visible = exchange.now - service.config.list_delay if service.config.list_delay else None
    if column == "modifiedtime":
        entries = sorted(
            service.store.entries(collection, created_before=visible),
            key=lambda entry: (entry.document["systemData"].get("lastModifiedAt", ""), entry.sequence),
            reverse=direction != "asc",
        )
        position = next((index + 1 for index, entry in enumerate(entries) if entry.sequence == after), 0)
        return iter(entries[position:])
    if column and column not in _ORDERS:
        raise provider_error(400, f"Cannot order by '{order}'.")
    newest_first = direction != "asc" if column else newest_first
    return service.store.entries(collection, newest_first=newest_first, after=after, created_before=visible)


def _link(exchange: Exchange, token: str) -> str:
    query = urlencode({name: value for name, value in exchange.query.items() if name != "$skipToken"})
    return f"https://{exchange.host}{exchange.path}?{query}&$skipToken={token}"


def _write(token: dict[str, int]) -> str:
    return base64.b64encode(gzip.compress(json.dumps(token).encode())).decode()


def _read(token: str | None) -> dict[str, int]:
    if not token:
        return {}
    try:
        read = json.loads(gzip.decompress(base64.b64decode(token.replace(" ", "+"))))
        return {"after": int(read["after"]), **({"top": int(read["top"])} if "top" in read else {})}
    except (ValueError, KeyError, TypeError, OSError, EOFError):
        raise provider_error(400, f"The continuation token '{token}' is not valid.") from None


def shows(query: dict[str, str], archived: bool) -> bool:
    """Say whether `listViewType` shows something that is, or is not, archived."""
    view = query.get("listViewType", "ActiveOnly")
    return view == "All" or archived == (view == "ArchivedOnly")


def labelled(wanted: str | None, labels: dict[str, str | None] | None) -> bool:
    """Say whether a filter `key` or `key=value`, or several with commas, is met by tags or properties."""
    labels = labels or {}
    for condition in filter(None, (wanted or "").split(",")):
        key, equals, value = condition.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True
