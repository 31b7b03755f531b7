"""
Event Grid's messages in a Storage Queue: each is a nudge to poll now, never the truth.

There is one listener for a queue in a process, for all who hear it. Others may hear the same queue (another triggerer,
another Airflow), so a message is read where it lies, and stays there for as long as all need to see it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..shared import SharedInLoop

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.storage.queue import QueueMessage
    from azure.storage.queue.aio import QueueClient

    from ..connection import WorkspaceConnection

log = logging.getLogger(__name__)

_PERIOD = 0.5  # seconds between two reads
_LIFE = 15.0  # seconds for which a message stays for others to see
_SHORT_LIFE = 5.0  # the same, while what is seen already hides what is not
_LEASE = 30  # seconds in which a message that was taken but not deleted stays hidden
_TRIES = 5  # how often a message may come back before it counts as poison
_PAGE = 32  # messages that the service shows at once
_MOST_PAGES = 10
_GREATEST_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class Nudge:
    """
    What an event says, in lower case.

    :param kind: e.g. ``modelregistered``.
    :param workspace: the workspace's ARM id; empty if the event does not say.
    """

    kind: str
    workspace: str


def read_events(body: str | bytes) -> list[Nudge]:
    """
    Return what the Event Grid events in a message say.

    The body is JSON, or base64 of JSON (what Event Grid sends to storage queues today), of one event or a list of
    them, in Event Grid's own schema or as CloudEvents, with keys in any case. Source: Event Grid's documentation of
    both schemas.

    :raises ValueError: it is none of that.
    """
    events = _parse(body)
    nudges = []
    for event in events if isinstance(events, list) else [events]:
        if not isinstance(event, dict):
            raise ValueError("an event is not an object")
        fields = {str(key).lower(): value for key, value in event.items()}
        kind = fields.get("eventtype") or fields.get("type")
        if not isinstance(kind, str):
            raise ValueError("an event has no type")
        workspace = fields.get("topic") or fields.get("source") or ""
        place = workspace.strip("/").lower() if isinstance(workspace, str) else ""
        nudges.append(Nudge(kind.rpartition(".")[2].lower(), place))
    return nudges


def _parse(body: str | bytes) -> Any:
    text = body.decode("utf-8") if isinstance(body, bytes) else body
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(base64.b64decode(text, validate=True).decode("utf-8"))
    except (binascii.Error, ValueError, RecursionError):
        raise ValueError("it is neither JSON nor base64 of JSON") from None


class EventQueue:
    """
    A Storage Queue that Event Grid fills with events; an async context manager.

    :param url: ``https://ACCOUNT.queue.core.windows.net/QUEUE``. What cannot be read moves to ``QUEUE-poison`` beside
        it.
    :param credential: of an identity with the role Storage Queue Data Contributor.
    """

    def __init__(self, url: str, credential: AsyncTokenCredential) -> None:
        self._url = url
        self._credential = credential
        self._seen: dict[str, float] = {}  # id of a message -> when it was heard here, on the monotonic clock

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

    async def hear(self) -> list[Nudge]:
        """
        Return what the messages say that were not heard here before.

        Messages stay for others to hear, for 15 seconds, or 5 when there are more than the service shows at once, which
        are the same for all. What cannot be understood moves to the poison queue.
        """
        shown = await self._queue.peek_messages(max_messages=_PAGE)
        fresh = [message for message in shown if message.id not in self._seen]
        nudges = [nudge for message in fresh for nudge in self._note(message)]
        hidden = len(shown) >= _PAGE and not fresh
        life = _SHORT_LIFE if hidden else _LIFE
        if any(time.monotonic() - self._seen[message.id] >= life for message in shown):
            await self._tidy(life)
        return nudges

    def _note(self, message: QueueMessage) -> list[Nudge]:
        self._seen[message.id] = time.monotonic()
        try:
            return read_events(message.content)
        except ValueError:
            return []

    async def _tidy(self, life: float) -> None:
        """Delete what was shown long enough, and move away what is no event; what nobody was shown yet stays."""
        pages = self._queue.receive_messages(messages_per_page=_PAGE, visibility_timeout=_LEASE).by_page()
        now = time.monotonic()
        moved: list[str] = []
        for _ in range(_MOST_PAGES):
            if (page := await anext(pages, None)) is None:
                break
            taken = [message async for message in page]
            flaws = [why for message in taken if (why := _flaw(message))]
            old = [message for message in taken if now - self._seen.get(message.id, now) >= life]
            is_young = len(flaws) + len(old) < len(taken)
            moved += flaws
            # At once: while they are taken, others do not see them.
            await asyncio.gather(*(self._deal_with(message, message in old) for message in taken))
            if is_young:
                break  # and so is the rest
        if moved:
            log.warning(
                "Moved %d messages of %s to -poison: no Event Grid events (%s).", len(moved), self._url, moved[0]
            )
        self._seen = {name: moment for name, moment in self._seen.items() if now - moment < 600}

    async def _deal_with(self, message: QueueMessage, is_old: bool) -> None:
        if _flaw(message):
            await self._set_aside(message)
        elif is_old:
            await self._delete(message)
        else:
            await self._put_back(message)

    async def _put_back(self, message: QueueMessage) -> None:
        from azure.core.exceptions import ResourceNotFoundError

        with contextlib.suppress(ResourceNotFoundError):
            await self._queue.update_message(message, visibility_timeout=0)

    async def _set_aside(self, message: QueueMessage) -> None:
        from azure.core.exceptions import AzureError, ResourceExistsError

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
            log.debug("Message %s was taken away by another triggerer.", message.id)


def _flaw(message: QueueMessage) -> str:
    """Return why a message is no event, or nothing."""
    try:
        read_events(message.content)
    except ValueError as error:
        return str(error)
    return ""


class Listener:
    """
    Listens to one queue for all in this process who hear it.

    :param url: of the queue.
    :param connection: whose identity reads it.
    """

    def __init__(self, url: str, connection: WorkspaceConnection) -> None:
        self._url = url
        self._connection = connection
        self.hearers: list[Callable[[Nudge], None]] = []
        self._complaint = ""

    async def run(self) -> None:
        """Listen until cancelled."""
        from azure.core.exceptions import AzureError

        from ..errors import AzureMachineLearningError

        pause = 1.0
        while True:
            try:
                async with (
                    self._connection.async_credential() as credential,
                    EventQueue(self._url, credential) as queue,
                ):
                    while True:
                        for nudge in await queue.hear():
                            for hearer in [*self.hearers]:
                                hearer(nudge)
                        self._complaint, pause = "", 1.0
                        await asyncio.sleep(_PERIOD)
            except (AzureError, AzureMachineLearningError) as error:
                self._complain(f"{type(error).__name__}: {str(error).splitlines()[0]}")
            except Exception as error:  # noqa: BLE001 - whatever a queue says, listening goes on
                self._complain(f"{type(error).__name__}: {error}")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _GREATEST_PAUSE)

    def _complain(self, text: str) -> None:
        if text != self._complaint:
            self._complaint = text
            log.warning("Event queue %s cannot be read; polling goes on. %s", self._url, text)


@contextlib.asynccontextmanager
async def _listening(key: tuple[str, WorkspaceConnection]) -> AsyncIterator[Listener]:
    listener = Listener(*key)
    task = asyncio.create_task(listener.run())
    try:
        yield listener
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)  # raises if this task itself is cancelled meanwhile


_listeners = SharedInLoop(_listening)


@contextlib.asynccontextmanager
async def hearing(url: str, connection: WorkspaceConnection, hearer: Callable[[Nudge], None]) -> AsyncIterator[None]:
    """
    Hear a queue: with one listener in this event loop for all who do.

    :param url: of the queue.
    :param connection: whose identity reads it.
    :param hearer: is called with each nudge, whatever workspace and kind it is of.
    """
    async with _listeners.use((url, connection)) as listener:
        listener.hearers.append(hearer)
        try:
            yield
        finally:
            listener.hearers.remove(hearer)
