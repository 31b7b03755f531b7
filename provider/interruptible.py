"""Running a coroutine so that whatever ends the task ends it too, at once."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.sdk.exceptions import AirflowException

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")
_SECONDS_TO_TIDY = 4.0  # Airflow kills a task 5 seconds after it asked it to end (supervisor.py, escalation_delay)


class Interruptible:
    """
    Runs coroutines in a thread of their own, while the task's main thread waits for signals.

    ``asyncio.run`` in the main thread would lose them: Airflow's ``execution_timeout`` raises in whatever Python code
    the signal meets, and asyncio catches what is raised in its callbacks.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """
        Run a coroutine to its end and return what it returns.

        If an exception is raised in the main thread meanwhile, by a signal's handler, the coroutine is canceled, has
        four seconds to tidy up, and the exception goes on.

        :raises AirflowException: :meth:`cancel` ended it.
        """
        done: Future[T] = Future()
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._work, coroutine, done), daemon=True).start()
        try:
            return done.result()
        except asyncio.CancelledError:
            raise AirflowException("The task was ended; what it was doing is stopped.") from None
        except BaseException:
            if not done.done():
                self.cancel()
                with suppress(BaseException):
                    done.result(timeout=_SECONDS_TO_TIDY)
            raise

    def cancel(self) -> None:
        """End what is running, from any thread or a signal's handler."""
        if self._loop is not None and self._task is not None:
            with suppress(RuntimeError):  # it has just ended
                self._loop.call_soon_threadsafe(self._task.cancel)

    def _work(self, coroutine: Coroutine[Any, Any, Any], done: Future[Any]) -> None:
        async def main() -> Any:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            return await coroutine

        try:
            done.set_result(asyncio.run(main()))
        except BaseException as error:  # noqa: BLE001 - it is raised in the main thread
            done.set_exception(error)
        finally:
            self._loop = self._task = None
