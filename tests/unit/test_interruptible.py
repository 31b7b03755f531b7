"""What ends a task ends what it asks of AzureML, wherever the signal meets it."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from airflow_provider_azureml.provider.hook import AzureMachineLearningHook

if TYPE_CHECKING:
    from collections.abc import Iterator


class TimeIsUpError(BaseException):
    """Airflow's AirflowTaskTimeout is no Exception either."""


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Raise in the main thread after a while, as Airflow's ``execution_timeout`` does."""

    def end(*_: object) -> None:
        raise TimeIsUpError

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> AzureMachineLearningHook:
    class Client:
        async def __aenter__(self) -> None:
            return None

        async def __aexit__(self, *_: object) -> None:
            return None

    hook = AzureMachineLearningHook("azureml")
    monkeypatch.setattr(hook, "client", lambda retry=True: Client())
    return hook


@pytest.mark.parametrize("doing", ["waits for an answer", "is busy in callbacks"])
def test_a_task_that_runs_out_of_time_ends_what_it_asks(hook: AzureMachineLearningHook, doing: str) -> None:
    """Asyncio swallows what a signal's handler raises within a callback: then the task would go on for ever."""
    ended = []

    async def question(_: object) -> None:
        loop = asyncio.get_running_loop()
        turns = iter(range(10**9))

        def again() -> None:
            for _ in range(10_000):
                next(turns)
            loop.call_soon(again)

        if doing == "is busy in callbacks":
            again()
        try:
            await asyncio.sleep(5)
        finally:
            ended.append(doing)

    with pytest.raises(TimeIsUpError), limit(0.2):
        hook.ask(question)
    assert ended == [doing]
