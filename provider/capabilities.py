"""
What the Airflow at hand can do, and the older way where it lacks something.

The oldest that is supported is 3.3.0. A capability is looked for (``hasattr``), never concluded from a version number:
builds that others maintain carry later changes under earlier numbers. Nothing else in this package asks.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import RetryPolicy
    from airflow.sdk.execution_time.context import AssetStateStoreAccessors
    from pydantic import JsonValue


async def aget_state(store: AssetStateStoreAccessors, key: str) -> JsonValue:
    """
    Read a value from the state store of a trigger's asset without holding up the triggerer's event loop.

    :param store: the trigger's ``asset_state_store``.
    :param key: the key.
    :return: what was stored, None if there is nothing.
    :raises airflow.sdk.exceptions.AirflowRuntimeError: if Airflow's API refuses.
    """
    if hasattr(store, "aget"):  # from 3.3.2
        return await store.aget(key)
    return await asyncio.to_thread(store.get, key)


async def aset_state(store: AssetStateStoreAccessors, key: str, value: JsonValue) -> None:
    """
    Write a value to the state store of a trigger's asset without holding up the triggerer's event loop.

    :param store: the trigger's ``asset_state_store``.
    :param key: the key.
    :param value: what to store; not None.
    :raises airflow.sdk.exceptions.AirflowRuntimeError: if Airflow's API refuses.
    """
    if hasattr(store, "aset"):  # from 3.3.2
        await store.aset(key, value)
    else:
        await asyncio.to_thread(store.set, key, value)


def end_at_once(errors: tuple[type[Exception], ...], reason: str) -> RetryPolicy | None:
    """
    Return a policy by which some errors end a task at once, whatever its ``retries``; None if Airflow has no policies.

    :param errors: classes of errors.
    :param reason: what Airflow writes to the task's log.
    """
    from airflow import sdk

    if not hasattr(sdk, "ExceptionRetryPolicy"):
        return None
    rules = [sdk.RetryRule(exception=list(errors), action=sdk.RetryAction.FAIL, reason=reason)]
    return sdk.ExceptionRetryPolicy(rules=rules)
