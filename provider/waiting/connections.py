"""One look-up of a connection for all that begin to wait at the same time: in a triggerer that starts, thousands."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..connection import WorkspaceConnection
    from ..hook import AzureMachineLearningHook

_WOKEN_AT_ONCE = 200  # so that the event loop has time for others in between

_asking: dict[tuple[object, ...], list[asyncio.Future[WorkspaceConnection]]] = {}


async def connection_of(hook: AzureMachineLearningHook) -> WorkspaceConnection:
    """
    Return the connection that a hook is for.

    Airflow's triggerer passes each look-up on to its supervisor, one after another, and this to the secrets backend:
    so those who want to know while one is being asked for get the same answer. None is kept.

    :raises ConnectionConfigurationError: what the hook raises.
    """
    loop = asyncio.get_running_loop()
    key = (loop, hook.conn_id, hook.workspace)
    answer: asyncio.Future[WorkspaceConnection] = loop.create_future()
    if (waiting := _asking.get(key)) is not None:
        waiting.append(answer)
    else:
        _asking[key] = [answer]
        # In a context of its own, as it may outlive the one who asks first.
        task = loop.create_task(_ask(hook, key), context=contextvars.Context())
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)
    return await answer


_tasks: set[asyncio.Task[None]] = set()  # an event loop keeps none of its own


async def _ask(hook: AzureMachineLearningHook, key: tuple[object, ...]) -> None:
    found: WorkspaceConnection | Exception
    try:
        found = await hook.aget_workspace_connection()
    except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
        found = error
    finally:
        waiting = _asking.pop(key)
    for number, answer in enumerate(waiting, 1):
        if not answer.done():
            if isinstance(found, Exception):
                answer.set_exception(found)
            else:
                answer.set_result(found)
        if number % _WOKEN_AT_ONCE == 0:
            await asyncio.sleep(0)
