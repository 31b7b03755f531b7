"""
What a watcher keeps in Airflow, and where.

The cursor is in the asset's state store, as soon as Airflow has stored the event. Airflow deletes that when the asset
falls out of use, if only because its DAG file has an error for a minute. So a second copy, of what surely reached its
DAGs, is in an Airflow variable, which Airflow does not delete: the only other place that a trigger may write to. What
is on the way from the one to the other is in the store as well, so that it arrives also if the triggerer crashes again
and again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async

from ..capabilities import aget_state, aset_state
from .packing import pack, unpack

if TYPE_CHECKING:
    from airflow.sdk.execution_time.context import AssetStateStoreAccessors

CURSOR = "azureml"
SETTLING = "azureml:settling"
HEALTH = "azureml:health"
REQUESTS = "azureml_watch_requests"
_FORMAT = 2


def variable_name(asset: str) -> str:
    """Return the name of the variable that holds the copy for a watched asset."""
    return f"azureml_watch_{hashlib.sha256(asset.encode()).hexdigest()[:32]}"


@dataclass(frozen=True, slots=True)
class Kept:
    """
    One copy.

    :param cursor: as the watcher's kind of cursor writes it.
    :param trigger: the id of the trigger that wrote it.
    :param mark: the asset's fingerprint for which all versions were seen, or None.
    :param request: the id of the last request of ``airflow azureml watchers`` that was done.
    :param stored: when Airflow had stored the last event of it, in seconds since 1970. In the state store None if that
        surely reached its DAGs; in the copy None if an earlier release wrote it.
    """

    cursor: Any
    trigger: int | None = None
    mark: str | None = None
    request: str | None = None
    stored: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "format": _FORMAT,
            "trigger": self.trigger,
            "mark": self.mark,
            "request": self.request,
            "stored": self.stored,
            "cursor": pack(self.cursor),
        }

    @classmethod
    def from_json(cls, value: Any) -> Kept:
        """
        Return what :meth:`to_json` wrote, or what releases before 0.2 did.

        :raises ValueError: it is neither.
        """
        if not isinstance(value, dict) or not value:
            raise ValueError(f"it is {type(value).__name__}, not what a watcher writes")
        if "format" not in value:
            return cls(value)
        if value["format"] != _FORMAT:
            raise ValueError(f"it has format {value['format']!r}; this release reads {_FORMAT}")
        if "cursor" not in value:
            raise ValueError("it has no cursor")
        stored = value.get("stored")
        return cls(
            unpack(value["cursor"]),
            value.get("trigger"),
            value.get("mark"),
            value.get("request"),
            float(stored) if isinstance(stored, int | float) else None,
        )


class OutOfUseError(Exception):
    """Airflow keeps nothing for the asset now, and what would be announced would start nothing."""

    def __init__(self) -> None:
        super().__init__(
            "Airflow has this asset out of use: its DAG's file is away or has an import error, or no DAG watches it."
        )


class Memory:
    """
    Reads and writes what is kept for one watched asset.

    :param store: the trigger's ``asset_state_store``, or None if Airflow gave none.
    :param asset: the watched asset's name.
    """

    def __init__(self, store: AssetStateStoreAccessors | None, asset: str) -> None:
        self._store = store
        self._asset = asset
        self._variable = variable_name(asset)

    async def read(self) -> Any:
        """Return what is in the state store; None if nothing is, or if the asset is out of use."""
        return None if self._store is None else await aget_state(self._store, CURSOR)

    async def write(self, kept: Kept) -> None:
        """
        Write to the state store.

        :raises OutOfUseError: the asset is out of use.
        :raises Exception: Airflow is not there.
        """
        if self._store is None:
            return
        try:
            await aset_state(self._store, CURSOR, kept.to_json())
        except Exception as error:
            detail = getattr(getattr(error, "error", None), "detail", None)
            if isinstance(detail, dict) and detail.get("status_code") == 404:
                raise OutOfUseError from error
            raise

    async def read_settling(self) -> Any:
        """Return what is in the state store of an older cursor, which is to be the copy before the youngest one is."""
        return None if self._store is None else await aget_state(self._store, SETTLING)

    async def write_settling(self, kept: Kept) -> None:
        """
        Write an older cursor.

        :raises Exception: the asset is out of use, or Airflow is not there.
        """
        if self._store is not None:
            await aset_state(self._store, SETTLING, kept.to_json())

    async def is_there(self) -> bool:
        """Return whether what was written is still there: if not, the asset was out of use since."""
        return self._store is None or await self.read() is not None

    async def read_copy(self) -> Any:
        """
        Return the copy, or None if there is none; a text if it is no JSON.

        :raises Exception: Airflow could not say.
        """
        text = await sync_to_async(read_variable)(self._variable)
        try:
            return None if text is None else json.loads(text)
        except (ValueError, RecursionError):
            return text

    async def write_copy(self, kept: Kept) -> None:
        """
        Write the copy.

        :raises RuntimeError: it did not arrive.
        """
        text = json.dumps(kept.to_json())
        await sync_to_async(write_variable)(self._variable, text, f"What was announced on {self._asset}")
        if await sync_to_async(read_variable)(self._variable) != text:
            raise RuntimeError(f"Airflow did not keep variable {self._variable}.")

    async def write_health(self, health: dict[str, Any]) -> None:
        """Write what the asset's page in Airflow's UI shows."""
        if self._store is not None:
            await aset_state(self._store, HEALTH, health)


async def read_requests() -> dict[str, Any]:
    """Return what ``airflow azureml watchers`` asks of watchers: name of the asset -> request."""
    try:
        found = json.loads(await sync_to_async(read_variable)(REQUESTS) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def read_variable(name: str) -> str | None:
    """Return an Airflow variable, None if it does not exist."""
    from airflow.sdk import Variable

    found: str | None = Variable.get(name, default=None)
    return found


def write_variable(name: str, value: str, description: str) -> None:
    """Set an Airflow variable."""
    from airflow.sdk import Variable

    Variable.set(name, value, description)
