"""Long-running operations of ARM: the URL that a PUT, POST or DELETE answers with, and what it says."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ..errors import NotFoundError, PermissionDeniedError, RequestRefusedError

if TYPE_CHECKING:
    from ..rest.client import WorkspaceClient

log = logging.getLogger(__name__)

# The terminal states of ARM's asynchronous operations; all others are steps on the way ("Updating", "InProgress").
_DONE, _FAILED = "succeeded", ("failed", "canceled")


async def check_operation(client: WorkspaceClient, url: str) -> str | None:
    """
    Return None while an operation goes on, "" once it is done, and otherwise why it failed, in Azure's own words.

    What cannot be learned counts as done, as the resource then tells: operations are forgotten after a while, and a URL
    that ARM has signed works only as it was handed out.

    :param url: as the answer to the call that began it gave it (``Azure-AsyncOperation``).
    :raises TransientError: the service could not answer now.
    """
    try:
        body = await client.request("GET", url)
    except (NotFoundError, PermissionDeniedError, RequestRefusedError) as refusal:
        log.info("How the operation stands is not known: %s", refusal)
        return ""
    status = str(body.get("status") or "").lower()
    if status in _FAILED:
        return error_text(body) if isinstance(body.get("error"), dict) else f"The operation is {body['status']}."
    return "" if status in (_DONE, "") else None


def error_text(body: dict[str, Any]) -> str:
    """Return ``code: message`` of an ARM error body."""
    from ..rest.refusals import describe_error

    return ": ".join(describe_error(body))
