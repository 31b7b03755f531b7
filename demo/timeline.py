"""What happens in Airflow, told while it happens: one line for each change of a run, a task or an asset."""

import time
from typing import Any

from airflow_rest import FINISHED_TASK, AirflowRest, Json


class Timeline:
    """Prints lines that begin with the seconds since the start."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._told: set[Any] = set()

    def tell(self, who: str, what: str) -> None:
        """Print a line."""
        print(f"{time.monotonic() - self._begin:6.1f} s  {who:9}  {what}", flush=True)

    def follow(self, rest: AirflowRest) -> None:
        """Print what is new in Airflow."""
        for event in rest.asset_events():
            if self._is_new("event", event["id"]):
                self.tell(event["source_dag_id"] or "", f"asset event on {event['name']}: {versions([event])}")
        for run in rest.all_runs():
            if self._is_new("run", run["dag_run_id"], run["dag_id"]):
                by = versions(rest.upstream_asset_events(run["dag_id"], run["dag_run_id"]))
                self.tell(run["dag_id"], f"run {run['dag_run_id']}{f', started by {by}' if by else ''}")
        for task in rest.all_task_instances():
            self._follow_task(rest, task)

    def _follow_task(self, rest: AirflowRest, task: Json) -> None:
        dag_id, run_id, task_id, state = task["dag_id"], task["dag_run_id"], task["task_id"], task["state"]
        if state not in {"deferred", *FINISHED_TASK} or not self._is_new("task", dag_id, run_id, task_id, state):
            return
        result = rest.find_xcom(dag_id, run_id, task_id) if state == "success" else None
        self.tell(dag_id, f"{task_id}: {state}{f', {describe(result)}' if result else ''}")

    def _is_new(self, *fact: Any) -> bool:
        if fact in self._told:
            return False
        self._told.add(fact)
        return True


def versions(events: list[Json]) -> str:
    """Return the versions that asset events announce."""
    return ", ".join(describe(version) for event in events for version in event["extra"].get("versions", ()))


def describe(value: Any) -> str:
    """Return an XCom value in a few words."""
    if isinstance(value, list):
        return "; ".join(describe(item) for item in value)
    if isinstance(value, dict) and "version" in value:
        return f"{value['name']}:{value['version']}"
    if isinstance(value, dict) and "status" in value:
        return f"{value.get('name') or value.get('deployment') or 'it'} is {value['status']}"
    return str(value)
