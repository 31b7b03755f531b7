"""Which run of a task this is: the same for all its retries, a new one when a finished task is cleared."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

TAG_PREFIX = "airflow."
TASK_RUN_TAG = f"{TAG_PREFIX}task_run"


@dataclass(frozen=True, slots=True)
class TaskRun:
    """
    A run of a task over all its retries, with a memory that survives the death of the worker.

    The memory is Airflow's task state store, which outlives retries but also a clear; so its key holds the number of
    the first try of this run. Airflow reckons that number in the same way for sensors that reschedule
    (``RuntimeTaskInstance.get_first_reschedule_date``): clearing a task raises ``max_tries``.

    :param context: the context of the running task.
    """

    context: Context

    @property
    def _key(self) -> str:
        ti = self.context["ti"]
        return f"azureml:{ti.max_tries - (self.context['task'].retries or 0) + 1}"

    def remember(self, **values: Any) -> dict[str, Any]:
        """
        Keep JSON values for the retries of this run, and return all that is kept, with ``id``: a name for this run
        that no other has, also in another Airflow with the same DAGs.
        """  # noqa: D205
        store = self.context["task_state_store"]
        kept = store.get(self._key)
        memory: dict[str, Any] = dict(kept) if isinstance(kept, dict) else {}
        updated = {"id": uuid.uuid4().hex, **memory, **values}
        if updated != memory:
            store.set(self._key, updated)
        return updated

    @property
    def will_be_retried(self) -> bool:
        """Whether Airflow will try this run of the task again if this try fails."""
        ti = self.context["ti"]
        return bool(ti.try_number <= ti.max_tries)

    def tags(self) -> dict[str, str]:
        """Return the tags that tell, in AzureML, which task made something."""
        ti = self.context["ti"]
        return {
            f"{TAG_PREFIX}dag_id": ti.dag_id,
            f"{TAG_PREFIX}task_id": ti.task_id,
            f"{TAG_PREFIX}run_id": ti.run_id,
            TASK_RUN_TAG: self.remember()["id"],
        }
