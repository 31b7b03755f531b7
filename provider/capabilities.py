"""
What the Airflow at hand can do, and the older way where it lacks something.

The oldest that is supported is 3.3.0. A capability is looked for (``hasattr``), never concluded from a version number:
builds that others maintain carry later changes under earlier numbers. Nothing else in this package asks.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

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


async def aget_xcom(ti: Any, key: str) -> Any:
    """
    Return an XCom of the task that a trigger waits for, None if there is none.

    :param ti: the trigger's ``task_instance``.
    """
    from airflow.sdk.execution_time.xcom import XCom

    where = {"key": key, "dag_id": ti.dag_id, "task_id": ti.task_id, "run_id": ti.run_id, "map_index": ti.map_index}
    if hasattr(XCom, "aget_one"):
        return await XCom.aget_one(**where)
    return await asyncio.to_thread(XCom.get_one, **where)


async def aset_xcom(ti: Any, key: str, value: JsonValue) -> None:
    """
    Push an XCom of the task that a trigger waits for. Airflow keeps it until the next try begins.

    :param ti: the trigger's ``task_instance``.
    """
    from airflow.sdk.execution_time.xcom import XCom

    where = {"dag_id": ti.dag_id, "task_id": ti.task_id, "run_id": ti.run_id, "map_index": ti.map_index}
    if hasattr(XCom, "aset"):
        await XCom.aset(key, value, **where)
    else:
        await asyncio.to_thread(XCom.set, key, value, **where)


async def amask_secret(secret: JsonValue) -> None:
    """
    Tell Airflow's masker, in this process and in its supervisor, what no log may show.

    :param secret: a text, or a list of texts.
    """
    from airflow.sdk import log

    if hasattr(log, "amask_secret"):
        await log.amask_secret(secret)
    else:
        await asyncio.to_thread(log.mask_secret, secret)


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
