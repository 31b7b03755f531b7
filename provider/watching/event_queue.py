"""Event Grid's messages in a Storage Queue: each is a nudge to look now, never the truth."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.storage.queue import QueueMessage
    from azure.storage.queue.aio import QueueClient

log = logging.getLogger(__name__)

_LEASE = 60  # seconds in which a message that was taken but not deleted stays hidden
_TRIES = 5  # how often a message may come back before it counts as poison


def event_kinds(body: str | bytes) -> list[str]:
    """
    Return the lower-case types of the Event Grid events in a message, e.g. ``modelregistered``.

    The body is JSON, or base64 of JSON (what Event Grid sends to storage queues today), of one event or a list of
    them, in Event Grid's own schema or as CloudEvents, with keys in any case. Source: Event Grid's documentation of
    both schemas.

    :raises ValueError: it is none of that.
    """
    events = _parse(body)
    kinds = []
    for event in events if isinstance(events, list) else [events]:
        if not isinstance(event, dict):
            raise ValueError("an event is not an object")
        fields = {str(key).lower(): value for key, value in event.items()}
        kind = fields.get("eventtype") or fields.get("type")
        if not isinstance(kind, str):
            raise ValueError("an event has no type")
        kinds.append(kind.rpartition(".")[2].lower())
    return kinds


def _parse(body: str | bytes) -> Any:
    text = body.decode("utf-8") if isinstance(body, bytes) else body
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return json.loads(base64.b64decode(text, validate=True).decode("utf-8"))
    except (binascii.Error, ValueError, RecursionError):
        raise ValueError("it is neither JSON nor base64 of JSON") from None


class EventQueue:
    """
    A Storage Queue that Event Grid fills with a workspace's events; an async context manager.

    :param url: ``https://ACCOUNT.queue.core.windows.net/QUEUE``. What cannot be read moves to ``QUEUE-poison`` beside
        it.
    :param credential: of an identity with the role Storage Queue Data Contributor.
    """

    def __init__(self, url: str, credential: AsyncTokenCredential) -> None:
        self._url = url
        self._credential = credential

    async def __aenter__(self) -> EventQueue:
        self._queue = self._client("")
        self._poison = self._client("-poison")
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._queue.close()
        await self._poison.close()

    def _client(self, suffix: str) -> QueueClient:
        from azure.storage.queue.aio import QueueClient

        parts = urlsplit(self._url)
        return QueueClient(
            f"{parts.scheme}://{parts.netloc}",
            f"{parts.path.strip('/')}{suffix}",
            credential=self._credential,
            # No decode policy: one bad message must not keep the others from being read.
            message_encode_policy=None,
            message_decode_policy=None,
        )

    async def take(self) -> set[str]:
        """
        Take all messages that are there and return the kinds of event in them.

        A message that cannot be understood moves to the poison queue.
        """
        kinds: set[str] = set()
        async for message in self._queue.receive_messages(messages_per_page=32, visibility_timeout=_LEASE):
            try:
                kinds.update(event_kinds(message.content))
            except (ValueError, UnicodeDecodeError, RecursionError) as error:
                await self._set_aside(message, str(error))
                continue
            await self._delete(message)
        return kinds

    async def _set_aside(self, message: QueueMessage, why: str) -> None:
        from azure.core.exceptions import AzureError, ResourceExistsError

        log.warning("Message %s in %s is no Event Grid event (%s); moving it to -poison.", message.id, self._url, why)
        try:
            with contextlib.suppress(ResourceExistsError):
                await self._poison.create_queue()
            await self._poison.send_message(message.content)
        except AzureError as error:
            if (message.dequeue_count or 0) < _TRIES:
                return  # it comes back when its lease is over
            log.warning("Message %s could not be kept in -poison and is dropped: %s", message.id, error)
        await self._delete(message)

    async def _delete(self, message: QueueMessage) -> None:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            await self._queue.delete_message(message)
        except ResourceNotFoundError:
            log.debug("Message %s was taken by another triggerer.", message.id)
